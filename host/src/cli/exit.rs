//! The table of exit codes. Scripts rely on it: it is public, like the JSON.

use std::io;
use std::path::Path;

use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::http::ServeError;
use crate::recorder::AnswerKind;
use crate::store::StoreError;
use crate::trail::TrailError;
use crate::verify;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Recorded, already recorded, verified, or shown.
    Done = 0,
    /// Could not be done: a failure of the system or git, or a limit.
    CouldNot = 1,
    /// A mistake on the command line or in a setting.
    Usage = 2,
    /// A claim about the trail is broken.
    Broken = 3,
    /// The document is invalid, or the policy refused it.
    Refused = 4,
    /// The task has a different entry.
    Conflicting = 5,
    /// No claim is broken, but at least one could not be shown.
    NotShown = 6,
    /// The store is damaged, belongs to another program or version, or would lose what it acknowledges. Retrying
    /// cannot help.
    UnfitStore = 7,
    /// Ended early by SIGINT, with the code that a shell uses: 128 plus the signal's number.
    Interrupted = 130,
    /// Ended early by SIGTERM.
    Terminated = 143,
}

/// A mistake in how the program was called, found after the arguments were parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The error for a named file that cannot be read. It is a usage error if the file does not exist.
pub fn cannot_read(what: &str, path: &Path, error: io::Error) -> anyhow::Error {
    let message = format!("cannot read {what} {}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            UsageError(format!("{message}: {error}")).into()
        }
        _ => anyhow::Error::new(error).context(message),
    }
}

/// Checks that a named file exists, for files whose later reader does not report a missing file.
pub fn check_exists(what: &str, path: &Path) -> anyhow::Result<()> {
    let found = path.metadata().and_then(|metadata| {
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(())
    });
    found.map_err(|error| cannot_read(what, path, error))
}

impl Exit {
    /// The exit code for one answer of the recorder.
    pub fn of_answer(result: AnswerKind) -> Exit {
        match result {
            AnswerKind::Committed | AnswerKind::AlreadyRecorded => Exit::Done,
            AnswerKind::Refused => Exit::Refused,
            AnswerKind::Conflicting => Exit::Conflicting,
            AnswerKind::Unavailable => Exit::CouldNot,
        }
    }

    /// The exit code for an audit.
    pub fn of_audit(outcome: verify::AuditResult) -> Exit {
        match outcome {
            verify::AuditResult::Holds => Exit::Done,
            verify::AuditResult::Broken => Exit::Broken,
            verify::AuditResult::NotShown => Exit::NotShown,
        }
    }

    /// The exit code for a command that failed before it had an answer.
    pub fn of_error(error: &anyhow::Error) -> Exit {
        if matches!(
            error.downcast_ref(),
            Some(CheckpointError::RolledBack { .. })
        ) {
            return Exit::Broken;
        }
        // Nothing is known to be broken, but a script must not take this for verified.
        if matches!(
            error.downcast_ref(),
            Some(verify::VerifyError::Ambiguous(_))
        ) {
            return Exit::NotShown;
        }
        if let Some(error) = error.downcast_ref::<StoreError>()
            && error.is_unfit()
        {
            return Exit::UnfitStore;
        }
        let is_usage = error.is::<UsageError>()
            || matches!(
                error.downcast_ref(),
                Some(verify::VerifyError::NoReference(_))
            )
            || error.is::<ConfigError>()
            || matches!(error.downcast_ref(), Some(ServeError::NoTokens(_)))
            || matches!(error.downcast_ref(), Some(TrailError::Invalid(_)))
            || matches!(error.downcast_ref(), Some(StoreError::Invalid(_)))
            || matches!(
                error.downcast_ref(),
                Some(CheckpointError::Key(_) | CheckpointError::Trail(TrailError::Invalid(_)))
            );
        if is_usage {
            Exit::Usage
        } else {
            Exit::CouldNot
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        (exit as u8).into()
    }
}
