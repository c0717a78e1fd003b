//! Calls of the host, with each failure as the answer that a policy gives for it.
//!
//! Owns the words for failures. Decides nothing.

use crate::bindings::chiffon::audit::filesystem::{self, FileError};
use crate::bindings::chiffon::audit::git::{self, CommitError};
use crate::bindings::exports::chiffon::audit::recorder::{RecordError, Violation};

/// Builds the path of a task's entry, the only path that a call may name.
pub fn path(task_id: &str) -> String {
    [".audit/tasks/", task_id, ".json"].concat()
}

/// Reads the task's entry; `None` if the trail has none.
///
/// # Errors
///
/// `unavailable`, if the host cannot read it.
pub fn read(path: &str) -> Result<Option<Vec<u8>>, RecordError> {
    filesystem::read(path)
        .map_err(|error| unavailable("could not read the task's entry", &text(error)))
}

/// Stages an entry and asks for the commit that adds it.
///
/// # Errors
///
/// `refused`, if the entry is too large, and `unavailable` for every other failure.
pub fn record(path: &str, entry: &[u8], subject: &str) -> Result<(), RecordError> {
    filesystem::write_new(path, entry).map_err(|error| match error {
        FileError::TooLarge(limit) => {
            let limit = limit.to_string();
            violation(
                "",
                &[
                    "the entry would be larger than the limit of ",
                    &limit,
                    " bytes",
                ]
                .concat(),
            )
        }
        // The read of the same snapshot found no entry, so there is nothing that this call could compare.
        error => unavailable("could not stage the task's entry", &text(error)),
    })?;
    git::commit(subject).map_err(|error| {
        let cause = match error {
            CommitError::NoRepository => "there is no trail to commit to".to_owned(),
            CommitError::NothingStaged => "nothing is staged".to_owned(),
            CommitError::Other(cause) => cause,
        };
        unavailable("could not ask for the commit", &cause)
    })
}

/// A refusal for one reason.
pub fn violation(pointer: &str, message: &str) -> RecordError {
    RecordError::Refused(vec![Violation {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
    }])
}

fn unavailable(what: &str, cause: &str) -> RecordError {
    RecordError::Unavailable([what, ": ", cause].concat())
}

fn text(error: FileError) -> String {
    match error {
        FileError::InvalidPath(path) => ["the host does not accept the path ", &path].concat(),
        FileError::Exists => "there is one already".to_owned(),
        FileError::TooLarge(limit) => ["it is larger than ", &limit.to_string(), " bytes"].concat(),
        FileError::Other(cause) => cause,
    }
}
