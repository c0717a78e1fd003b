//! Which commits could not be signed, if the operator allows unsigned outcomes. It is reported with the entries.
//!
//! The commit itself says so. If one signature covers a group, only the group's last commit says it; for the others,
//! this host remembers what the trail reported when it recorded them.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use super::Orchestrator;

/// How many to remember: as many as [settlements](super::settled).
const REMEMBERED: usize = 16_384;

/// Recent commits of this host that could not be signed.
#[derive(Default)]
pub(super) struct Unsigned(Mutex<RecentCommits>);

#[derive(Default)]
struct RecentCommits {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Unsigned {
    pub(super) fn note(&self, commit: &str) {
        let mut remembered = self.0.lock().expect("nothing panics while it holds them");
        if remembered.known.insert(commit.to_owned()) {
            remembered.order.push_back(commit.to_owned());
        }
        if remembered.order.len() > REMEMBERED
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.known.remove(&oldest);
        }
    }

    fn has(&self, commit: &str) -> bool {
        let remembered = self.0.lock().expect("nothing panics while it holds them");
        remembered.known.contains(commit)
    }
}

impl Orchestrator {
    /// The full name of the trail's ref.
    pub fn trail_ref(&self) -> String {
        let in_force = self.inner().current_policy.now();
        in_force.recorder.trail().reference().to_owned()
    }

    /// The commits among these that could not be signed. Checks only if unsigned commits are allowed: otherwise there
    /// are none, and reading a thousand commits takes longer than finding a thousand rows.
    pub async fn unsigned(&self, commits: Vec<String>) -> HashSet<String> {
        let inner = self.inner().clone();
        let in_force = inner.current_policy.now();
        if commits.is_empty() || !in_force.recorder.trail().records_unsigned() {
            return HashSet::new();
        }
        let reading = tokio::task::spawn_blocking(move || {
            let trail = in_force.recorder.trail();
            let is_unsigned = |commit: &String| {
                inner.unsigned.has(commit) || trail.is_unsigned(commit).unwrap_or(false)
            };
            commits.into_iter().filter(is_unsigned).collect()
        });
        reading.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Unsigned};

    #[test]
    fn what_is_remembered_is_bounded() {
        let unsigned = Unsigned::default();
        for number in 0..=REMEMBERED {
            unsigned.note(&number.to_string());
            unsigned.note(&number.to_string());
        }
        assert!(!unsigned.has("0"));
        assert!(unsigned.has("1") && unsigned.has(&REMEMBERED.to_string()));
    }
}
