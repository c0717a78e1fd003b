//! What became of one submission, and how the answers that rest on no decision are made.

use std::sync::Arc;
use std::time::Duration;

use super::Cause;
use outcome::{Reporter, TaskOutcome, Violation};
use policy::{LogLine, Recording};
use trail::TrailError;

/// What became of one submission.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The task, as far as the document says it.
    pub task_id: Option<String>,
    /// What became of it.
    pub result: AnswerKind,
    /// The commit that added the task's entry, in hexadecimal.
    pub commit: Option<String>,
    /// The entry's path in the trail.
    pub path: Option<String>,
    /// The ref that holds the entry, in full.
    pub reference: Option<String>,
    /// The entry as it was found in the trail, durable, where it was recorded now or before.
    pub entry: Option<Arc<[u8]>>,
    /// Who reported the entry first, as its commit says; `None` if it does not say so.
    pub reporter: Option<Reporter>,
    /// It was recorded, and nobody could sign its commit, which says so.
    pub unsigned: bool,
    /// Why it was not recorded, in a word; `None` if it was.
    pub cause: Option<Cause>,
    /// Why it was not recorded.
    pub reason: Option<String>,
    /// What is wrong with the document, where it was refused.
    pub violations: Vec<Violation>,
    /// Whether submitting the same again may help.
    pub retry: bool,
    /// What the policy logged.
    pub policy_log: Vec<LogLine>,
    /// How long the policy took, the last time that it was asked.
    pub policy_time: Duration,
    /// That call in full, where it was asked for and there was one.
    pub recording: Option<Box<Recording>>,
}

/// The five things that can become of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A durable commit added the entry.
    Committed,
    /// A durable commit had added an entry that says the same.
    AlreadyRecorded,
    /// The document or the policy says no; submitting it again cannot help.
    Refused,
    /// The task has an entry that says something else.
    Conflicting,
    /// Not now; nothing was changed.
    Unavailable,
}

impl Answer {
    /// Nothing has become of it yet, and later something may.
    pub fn unavailable(task_id: Option<String>) -> Answer {
        Answer {
            task_id,
            result: AnswerKind::Unavailable,
            commit: None,
            path: None,
            reference: None,
            entry: None,
            reporter: None,
            unsigned: false,
            cause: None,
            reason: None,
            violations: Vec::new(),
            retry: true,
            policy_log: Vec::new(),
            policy_time: Duration::ZERO,
            recording: None,
        }
    }

    /// The document is no outcome.
    pub fn refused(task_id: Option<String>, violations: Vec<Violation>) -> Answer {
        Answer {
            result: AnswerKind::Refused,
            cause: Some(Cause::Document),
            violations,
            retry: false,
            ..Answer::unavailable(task_id)
        }
    }

    /// The trail says no.
    pub(super) fn failed(outcome: &TaskOutcome, error: &TrailError) -> Answer {
        let task_id = Some(outcome.task_id.to_string());
        let pointer = match error {
            TrailError::CaseCollision(_) => "/task_id",
            TrailError::Collision | TrailError::Filter { .. } => "",
            _ => {
                return Answer {
                    cause: Some(Cause::from(error)),
                    reason: Some(error.to_string()),
                    retry: error.may_pass(),
                    ..Answer::unavailable(task_id)
                };
            }
        };
        Answer {
            cause: Some(Cause::from(error)),
            ..Answer::refused(task_id, vec![Violation::new(pointer, error.to_string())])
        }
    }
}
