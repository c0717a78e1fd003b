//! Errors, by what a caller can do about them.

use std::error::Error as StdError;

use crate::Violation;

type Source = Box<dyn StdError + Send + Sync>;

/// Why a call has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document is not an outcome, a work result or a plan. Nothing was stored, and sending it again cannot help.
    #[error("the document is refused: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    Refused(Vec<Violation>),
    /// The task has finished, so its plan cannot change any more.
    #[error("the task has finished: its plan cannot change any more")]
    Finished,
    /// The store cannot be used now. Nothing was stored; sending the same document again may help.
    #[error("the store cannot be used")]
    Store(#[source] Source),
    /// The trail cannot be opened, created or read.
    #[error("the trail cannot be used")]
    Trail(#[source] Source),
    /// The policy cannot be loaded.
    #[error("the policy cannot be loaded")]
    Policy(#[source] Source),
    /// The trail cannot be audited. Offences that an audit finds are not errors: they are in the report.
    #[error("the trail cannot be audited")]
    Verify(#[source] Source),
    /// The process cannot start a thread, or a defect of this library ended a task.
    #[error("internal: {0}")]
    Internal(String),
}
