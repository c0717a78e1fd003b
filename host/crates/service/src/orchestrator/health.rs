//! Trouble that prevents committing. It is reported on request, and never a reason to refuse outcomes.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::backoff;
use super::locked::LockHolder;
use outcome::Cause;
use outcome::clock::Timestamp;

/// A problem that blocks all commits.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// The machine-readable cause.
    pub cause: Cause,
    /// The reason as a sentence.
    pub reason: String,
    /// When it started.
    #[serde(serialize_with = "as_text")]
    pub since: Timestamp,
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339())
}

/// Whether this host commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Not known yet.
    #[default]
    Starting,
    /// This host commits.
    Committing,
    /// Another host commits.
    StandBy {
        /// The name of that host.
        committer: String,
    },
}

#[derive(Default)]
pub(super) struct Health {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    trail: Option<Failing>,
    store: Option<Trouble>,
    quarantine: Option<Trouble>,
    stalled: Option<Trouble>,
    lock_holder: Option<LockHolder>,
    role: Role,
}

struct Failing {
    trouble: Trouble,
    failures: u32,
    retry_at: Instant,
}

impl Health {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds the health")
    }

    /// Records that the trail could not be written. Returns whether that is news.
    ///
    /// Outcomes that were tried together fail together, and count as one failure.
    pub(super) fn trail_failed(&self, cause: Cause, reason: &str, now: Timestamp) -> bool {
        let mut inner = self.inner();
        let present = Instant::now();
        match &mut inner.trail {
            Some(failing) => {
                let is_news = failing.trouble.cause != cause;
                if is_news {
                    failing.trouble.cause = cause;
                }
                failing.trouble.reason = reason.to_owned();
                if present >= failing.retry_at {
                    failing.failures += 1;
                    failing.retry_at =
                        present + backoff::TRAIL.after(failing.failures, fastrand::f64());
                }
                is_news
            }
            trail => {
                *trail = Some(Failing {
                    trouble: Trouble {
                        cause,
                        reason: reason.to_owned(),
                        since: now,
                    },
                    failures: 1,
                    retry_at: present + backoff::TRAIL.after(1, fastrand::f64()),
                });
                true
            }
        }
    }

    /// Records that the trail was written. Returns the previous trouble.
    pub(super) fn trail_works(&self) -> Option<Trouble> {
        self.inner().trail.take().map(|failing| failing.trouble)
    }

    pub(super) fn trail(&self) -> Option<Trouble> {
        self.inner()
            .trail
            .as_ref()
            .map(|failing| failing.trouble.clone())
    }

    /// How long to wait before the next attempt on a failing trail, and the number of consecutive failures.
    pub(super) fn trail_pause(&self) -> Option<(Duration, u32)> {
        let inner = self.inner();
        let failing = inner.trail.as_ref()?;
        let pause = failing.retry_at.saturating_duration_since(Instant::now());
        Some((pause, failing.failures))
    }

    pub(super) fn set_store(&self, trouble: Option<(String, Timestamp)>) {
        let mut inner = self.inner();
        inner.store = match (trouble, inner.store.take()) {
            (None, _) => None,
            (Some((reason, _)), Some(before)) => Some(Trouble { reason, ..before }),
            (Some((reason, since)), None) => Some(Trouble {
                cause: Cause::Store,
                reason,
                since,
            }),
        };
    }

    pub(super) fn store(&self) -> Option<Trouble> {
        self.inner().store.clone()
    }

    pub(super) fn quarantine(&self, trouble: Option<Trouble>) {
        self.inner().quarantine = trouble;
    }

    pub(super) fn quarantined(&self) -> Option<Trouble> {
        self.inner().quarantine.clone()
    }

    pub(super) fn set_stalled(&self, reason: Option<String>, now: Timestamp) {
        let mut inner = self.inner();
        let since = inner.stalled.take().map_or(now, |before| before.since);
        inner.stalled = reason.map(|reason| Trouble {
            cause: Cause::Stalled,
            reason,
            since,
        });
    }

    pub(super) fn stalled(&self) -> Option<Trouble> {
        self.inner().stalled.clone()
    }

    pub(super) fn set_lock_holder(&self, holder: Option<LockHolder>) {
        self.inner().lock_holder = holder;
    }

    pub(super) fn lock_holder(&self) -> Option<LockHolder> {
        self.inner().lock_holder.clone()
    }

    /// Changes the role. Returns whether it is different.
    pub(super) fn set_role(&self, role: Role) -> bool {
        let mut inner = self.inner();
        let changed = inner.role != role;
        inner.role = role;
        changed
    }

    pub(super) fn role(&self) -> Role {
        self.inner().role.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Health;
    use outcome::Cause;
    use outcome::clock::Timestamp;

    #[test]
    fn a_burst_of_failures_is_one_and_success_ends_it() {
        let health = Health::default();
        let now = Timestamp::from_seconds(1);
        assert!(health.trail_failed(Cause::ReadOnly, "a", now));
        for _ in 0..100 {
            assert!(!health.trail_failed(Cause::ReadOnly, "b", now));
        }
        assert!(
            health
                .trail_pause()
                .is_some_and(|(_, failures)| failures == 1)
        );
        assert!(health.trail_failed(Cause::DiskFull, "c", Timestamp::from_seconds(2)));
        let trouble = health.trail_works().expect("it had failed");
        assert_eq!((trouble.cause, trouble.since), (Cause::DiskFull, now));
        assert!(health.trail_works().is_none() && health.trail_pause().is_none());
    }
}
