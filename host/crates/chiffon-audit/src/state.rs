//! The state of a submission.

use std::fmt;

use outcome::Cause;

/// The answer to a submission: it is durable in the store, and will be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The task's id.
    pub task_id: String,
    /// The number of the submission, for [`settled`](crate::Orchestrator::settled).
    pub submission: i64,
    /// Whether the same outcome had been accepted before.
    pub repeated: bool,
    /// The current state of the submission.
    pub state: State,
}

/// The state of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Accepted, and not in the trail yet.
    Pending {
        /// The cause of the delay, if there is one.
        cause: Option<Cause>,
        /// The same as a sentence for people.
        reason: Option<String>,
    },
    /// Accepted and set aside until an operator acts.
    Blocked {
        /// The cause; `None` for one that only a later version knows.
        cause: Option<Cause>,
        /// The same as a sentence for people.
        reason: Option<String>,
    },
    /// In the trail, durable.
    Committed {
        /// The id of the commit that added the entry, in hexadecimal.
        commit: String,
        /// The path of the entry in the trail.
        path: String,
    },
    /// The task has an entry that differs. The submission is kept in the store.
    Conflicting {
        /// The part that differs.
        reason: String,
    },
    /// The outcome or the policy's rules do not allow an entry. The submission is kept in the store.
    Refused {
        /// The cause; `None` if an earlier version refused it, which did not keep the word.
        cause: Option<Cause>,
        /// What is wrong with the document.
        violations: Vec<Violation>,
        /// The reason from the policy, if it refused.
        reason: Option<String>,
    },
}

impl State {
    /// The state's name, as the command line and HTTP show it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Pending { .. } => "pending",
            State::Blocked { .. } => "blocked",
            State::Committed { .. } => "committed",
            State::Conflicting { .. } => "conflicting",
            State::Refused { .. } => "refused",
        }
    }
}

impl From<store::State> for State {
    fn from(state: store::State) -> State {
        match state {
            store::State::Pending { cause, reason } => State::Pending { cause, reason },
            store::State::Blocked { cause, reason } => State::Blocked { cause, reason },
            store::State::Committed { commit, path } => State::Committed { commit, path },
            store::State::Conflicting { reason, .. } => State::Conflicting { reason },
            store::State::Refused {
                cause,
                violations,
                reason,
            } => State::Refused {
                cause,
                violations: violations.into_iter().map(Violation::from).collect(),
                reason,
            },
        }
    }
}

/// One defect of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The place in the document, as a JSON pointer; empty for the whole document.
    pub pointer: String,
    /// A description of the defect.
    pub message: String,
}

impl From<outcome::Violation> for Violation {
    fn from(violation: outcome::Violation) -> Violation {
        Violation {
            pointer: violation.pointer,
            message: violation.message,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => out.write_str(&self.message),
            pointer => write!(out, "{pointer}: {}", self.message),
        }
    }
}
