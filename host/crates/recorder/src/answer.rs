//! The answer to one submission, and answers that need no decision.

use std::sync::Arc;
use std::time::Duration;

use outcome::{Cause, Reporter, TaskOutcome, Violation};
use policy::{LogLine, Recording};
use trail::{Trail, TrailError};

/// The answer to one submission.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The task's id, if the document has one.
    pub task_id: Option<String>,
    /// The kind of result.
    pub result: AnswerKind,
    /// The commit that added the task's entry, in hexadecimal.
    pub commit: Option<String>,
    /// The entry's path in the trail.
    pub path: Option<String>,
    /// The ref that holds the entry, in full.
    pub reference: Option<String>,
    /// The durable entry in the trail, recorded now or before.
    pub entry: Option<Arc<[u8]>>,
    /// Who first reported the entry, according to its commit; `None` if the commit names nobody.
    pub reporter: Option<Reporter>,
    /// The entry was recorded, but its commit could not be signed; the commit says so.
    pub unsigned: bool,
    /// The machine-readable cause if it was not recorded.
    pub cause: Option<Cause>,
    /// The sentence for people that says why it was not recorded.
    pub reason: Option<String>,
    /// What is wrong with a refused document.
    pub violations: Vec<Violation>,
    /// Whether submitting the same document again may help.
    pub retry: bool,
    /// What the policy logged.
    pub policy_log: Vec<LogLine>,
    /// The settings that the policy asked for in the last call.
    pub settings_read: Vec<String>,
    /// How long the last policy call took.
    pub policy_time: Duration,
    /// The full record of the last policy call, if requested and if there was a call.
    pub recording: Option<Box<Recording>>,
}

/// The five possible results of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A durable commit added the entry.
    Committed,
    /// An earlier durable commit added an entry that says the same.
    AlreadyRecorded,
    /// The document or the policy was the reason to refuse it. Submitting it again cannot help.
    Refused,
    /// The task has a different entry.
    Conflicting,
    /// It cannot be recorded now; nothing was changed.
    Unavailable,
}

impl Answer {
    /// An answer for an outcome that is not recorded yet and may be later.
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
            settings_read: Vec::new(),
            policy_time: Duration::ZERO,
            recording: None,
        }
    }

    /// The answer to a document that is not an outcome.
    pub fn refused(task_id: Option<String>, violations: Vec<Violation>) -> Answer {
        Answer {
            result: AnswerKind::Refused,
            cause: Some(Cause::Document),
            violations,
            retry: false,
            ..Answer::unavailable(task_id)
        }
    }

    /// Checks that a commit of the trail added the entry that the answer names, if it names one.
    pub(super) fn check_recorded(&self, trail: &Trail) -> Result<(), TrailError> {
        match &self.path {
            Some(path) => trail.check_recorded(path, self.commit.as_deref()),
            None => Ok(()),
        }
    }

    /// The answer for an error of the trail.
    pub(super) fn failed(outcome: &TaskOutcome, error: &TrailError) -> Answer {
        let task_id = Some(outcome.task_id.to_string());
        let pointer = match error {
            TrailError::CaseCollision(_) => "/task_id",
            TrailError::Collision | TrailError::Filter { .. } => "",
            _ => {
                return Answer {
                    cause: Some(error.cause()),
                    reason: Some(error.to_string()),
                    retry: error.may_pass(),
                    ..Answer::unavailable(task_id)
                };
            }
        };
        Answer {
            cause: Some(error.cause()),
            ..Answer::refused(task_id, vec![Violation::new(pointer, error.to_string())])
        }
    }
}
