//! The decision: is this outcome to be recorded, and as what?
//!
//! Pure: sees an outcome, the entry that the trail holds and the time, and performs nothing.

use crate::entry::{self, NotJson};
use crate::outcome::{Outcome, Time};
use policy_kit::compare;

/// What is to be done about an outcome.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Stage this entry and ask for its commit with this subject.
    Record {
        /// The entry's bytes.
        entry: Vec<u8>,
        /// The commit's subject.
        subject: String,
    },
    /// The trail holds an entry that says the same.
    AlreadyRecorded,
    /// The outcome is not fit to be recorded.
    Refused(Vec<Violation>),
    /// The trail holds an entry that says something else.
    Conflicting(String),
    /// Not now.
    Unavailable(&'static str),
}

/// One reason for a refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the outcome: an RFC 6901 pointer.
    pub pointer: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Decides one outcome, given the task's entry on the trail, if there is one, and the time of recording.
pub fn decide(outcome: &Outcome<'_>, existing: Option<&[u8]>, now: Time) -> Decision {
    let mut violations = Vec::new();
    for (pointer, text) in [("/task_id", outcome.task_id), ("/status", outcome.status)] {
        if text.is_empty() {
            violations.push(Violation {
                pointer,
                message: "must not be empty".to_owned(),
            });
        }
    }
    if !violations.is_empty() {
        return Decision::Refused(violations);
    }
    let Some(timestamp) = entry::timestamp(now) else {
        return Decision::Unavailable("the clock shows a time that cannot be written");
    };
    let ours = match entry::format(outcome, &timestamp) {
        Ok(ours) => ours,
        Err(NotJson(pointer)) => {
            let message = "must be JSON".to_owned();
            return Decision::Refused(vec![Violation { pointer, message }]);
        }
    };
    match existing {
        None => Decision::Record {
            entry: ours,
            subject: entry::subject(outcome, &timestamp),
        },
        Some(theirs) if compare::same_bytes(&ours, theirs) => Decision::AlreadyRecorded,
        Some(theirs) => match compare::differences(&ours, theirs, &["/timestamp"]) {
            Ok(differences) if differences.is_empty() => Decision::AlreadyRecorded,
            found => Decision::Conflicting(compare::message(found)),
        },
    }
}
