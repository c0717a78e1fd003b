//! The words with which other systems say how a task ended, and the status that each of them means.
//!
//! Pure. A word that is not terminal is no outcome.

use std::collections::BTreeMap;

use outcome::TaskStatus;

/// What a word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The task ended with this status.
    Status(String),
    /// The task has begun. It has not ended.
    Announced,
    /// The task has not ended.
    NotTerminal,
}

/// The name of the map that is built in, as the setting `status_map` gives it.
pub const COMMON: &str = "common";

/// The words of the systems that `docs/src/reference/maps.md` lists, with those of Jenkins, Kestra and AWS Step
/// Functions.
const COMMON_WORDS: [(&str, &[&str]); 4] = [
    (
        "completed",
        &[
            "complete",
            "completed",
            "neutral",
            "success",
            "successful",
            "succeeded",
            "warning",
        ],
    ),
    (
        "failed",
        &[
            "crashed",
            "error",
            "errored",
            "fail",
            "failed",
            "failure",
            "startup_failure",
            "timed_out",
            "timeout",
            "unstable",
            "upstream_failed",
        ],
    ),
    (
        "cancelled",
        &[
            "abort",
            "aborted",
            "cancel",
            "canceled",
            "cancelled",
            "killed",
            "not_built",
            "omitted",
            "removed",
            "revoked",
            "skipped",
            "stale",
            "terminated",
        ],
    ),
    ("rejected", &["action_required", "rejected"]),
];

/// Words that the common map knows as states on the way.
const COMMON_NOT_TERMINAL: &[&str] = &[
    "cancelling",
    "continued_as_new",
    "created",
    "deferred",
    "in_progress",
    "late",
    "none",
    "other",
    "paused",
    "pending",
    "queued",
    "received",
    "requested",
    "restarting",
    "retry",
    "retrying",
    "running",
    "scheduled",
    "sent",
    "start",
    "started",
    "starting",
    "submitted",
    "suspended",
    "unknown",
    "up_for_reschedule",
    "up_for_retry",
    "waiting",
];

/// A table from words to statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMap {
    name: String,
    words: BTreeMap<String, Meaning>,
    /// Words are compared in lower case, without `_`, `-` and spaces.
    ignores_case: bool,
    /// The meaning of all other words.
    others: Option<Meaning>,
}

impl StatusMap {
    /// A map without words. Its name is for messages.
    pub fn new(name: impl Into<String>, ignores_case: bool) -> StatusMap {
        StatusMap {
            name: name.into(),
            words: BTreeMap::new(),
            ignores_case,
            others: None,
        }
    }

    /// The map that is built in: the words of well-known systems, in any case.
    pub fn common() -> StatusMap {
        let mut map = StatusMap::new(COMMON, true);
        for (status, words) in COMMON_WORDS {
            for word in words {
                map.add(word, Meaning::Status(status.to_owned()));
            }
        }
        for word in COMMON_NOT_TERMINAL {
            map.add(word, Meaning::NotTerminal);
        }
        map
    }

    /// Adds a word; `*` stands for all others. `false` if it is there already.
    pub fn add(&mut self, word: &str, meaning: Meaning) -> bool {
        if word == "*" {
            return self.others.replace(meaning).is_none();
        }
        self.words.insert(self.folded(word), meaning).is_none()
    }

    /// The statuses that its words lead to.
    pub fn statuses(&self) -> impl Iterator<Item = &str> {
        let meanings = self.words.values().chain(&self.others);
        meanings.filter_map(|meaning| match meaning {
            Meaning::Status(status) => Some(status.as_str()),
            Meaning::Announced | Meaning::NotTerminal => None,
        })
    }

    /// The meaning of a word.
    ///
    /// # Errors
    ///
    /// A sentence that names the word and the map.
    pub fn meaning(&self, word: &str) -> Result<&Meaning, String> {
        let found = self.words.get(&self.folded(word)).or(self.others.as_ref());
        found.ok_or_else(|| {
            let word: String = word.chars().take(64).flat_map(char::escape_debug).collect();
            format!("`{word}` is not in the status map `{}`", self.name)
        })
    }

    fn folded(&self, word: &str) -> String {
        if !self.ignores_case {
            return word.to_owned();
        }
        let is_kept = |character: &char| !matches!(character, '_' | '-' | ' ');
        let kept = word.trim().chars().filter(is_kept);
        kept.map(|character| character.to_ascii_lowercase())
            .collect()
    }
}

/// The meaning that a map's table gives for a word: a status, `not_terminal` or `announced`.
pub fn meaning_of(name: &str) -> Option<Meaning> {
    match name {
        "not_terminal" => Some(Meaning::NotTerminal),
        "announced" => Some(Meaning::Announced),
        name => TaskStatus::is_valid_name(name).then(|| Meaning::Status(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, StatusMap};

    #[test]
    fn the_common_map_knows_the_words_of_well_known_systems_in_any_case() {
        let common = StatusMap::common();
        for (word, status) in [
            ("COMPLETE", "completed"),
            ("Succeeded", "completed"),
            ("success", "completed"),
            ("FAILURE", "failed"),
            ("TimedOut", "failed"),
            ("timed-out", "failed"),
            ("startupFailure", "failed"),
            ("UpstreamFailed", "failed"),
            ("cancel", "cancelled"),
            ("upstream_failed", "failed"),
            ("CANCELED", "cancelled"),
            ("Omitted", "cancelled"),
            ("TERMINATED", "cancelled"),
            ("action_required", "rejected"),
            ("rejected", "rejected"),
        ] {
            let expected = Meaning::Status(status.to_owned());
            assert_eq!(common.meaning(word), Ok(&expected), "{word}");
        }
        for word in [
            "RUNNING",
            "CONTINUED_AS_NEW",
            "queued",
            "RETRY",
            "Started",
            "ContinuedAsNew",
            "inProgress",
            "up for retry",
        ] {
            assert_eq!(common.meaning(word), Ok(&Meaning::NotTerminal), "{word}");
        }
    }

    #[test]
    fn a_word_that_is_in_no_table_is_refused_by_name() {
        assert_eq!(
            StatusMap::common().meaning("shrug\u{1b}"),
            Err("`shrug\\u{1b}` is not in the status map `common`".to_owned())
        );
    }

    #[test]
    fn a_table_may_be_strict_about_case_and_may_name_all_others() {
        let mut map = StatusMap::new("mine", false);
        map.add("OK", Meaning::Status("completed".into()));
        assert!(map.meaning("ok").is_err());
        map.add("*", Meaning::NotTerminal);
        assert_eq!(map.meaning("ok"), Ok(&Meaning::NotTerminal));
    }
}
