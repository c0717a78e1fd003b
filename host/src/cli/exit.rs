//! The table of exit codes. Scripts rely on it: it is public, like the JSON.

use std::io;
use std::path::Path;

use super::failure::{Failure, Result};
use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::files;
use crate::http::ServeError;
use crate::recorder::AnswerKind;
use crate::store::StoreError;
use crate::trail::TrailError;
use crate::verify::{self, VerifyError};
use ::remotes::RemoteError;

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
    /// Ended early by SIGTERM, or in `policy dev` by SIGHUP.
    Terminated = 143,
}

/// A mistake in how the program was called, found after the arguments were parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Reads a text file that the service may read again. Opening a pipe or a device could block for ever, so only a regular
/// file is read.
///
/// # Errors
///
/// [`cannot_read`], also for a file that is not regular, is not UTF-8 or is larger than 16 MiB.
pub fn read_file(what: &str, path: &Path) -> Result<String> {
    const MAX_BYTES: u64 = 16 << 20;
    files::read_regular_text(path, MAX_BYTES).map_err(|error| cannot_read(what, path, error))
}

/// The error for a named file that cannot be read. It is a usage error if the file does not exist.
pub fn cannot_read(what: &str, path: &Path, error: io::Error) -> Failure {
    let message = format!("cannot read {what} {}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            UsageError(format!("{message}: {error}")).into()
        }
        _ => Failure::from(error).within(message),
    }
}

/// Checks that a named file exists, for files whose later reader does not report a missing file.
pub fn check_exists(what: &str, path: &Path) -> Result<()> {
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

    /// The exit code for a mistake on the command line.
    pub fn of_usage_error(_: &UsageError) -> Exit {
        Exit::Usage
    }

    /// The exit code for a mistake in the settings.
    pub fn of_config_error(_: &ConfigError) -> Exit {
        Exit::Usage
    }

    /// The exit code for an error of the trail.
    pub fn of_trail_error(error: &TrailError) -> Exit {
        match error {
            TrailError::Invalid(_) => Exit::Usage,
            _ => Exit::CouldNot,
        }
    }

    /// The exit code for an error of a remote.
    pub fn of_remote_error(error: &RemoteError) -> Exit {
        match error {
            RemoteError::WentBack { .. }
            | RemoteError::Altered { .. }
            | RemoteError::Damaged { .. } => Exit::Broken,
            RemoteError::Diverged { .. } | RemoteError::Foreign { .. } => Exit::Conflicting,
            RemoteError::Rejected { .. }
            | RemoteError::TooLarge { .. }
            | RemoteError::Race { .. }
            | RemoteError::Empty { .. } => Exit::Refused,
            RemoteError::Unreachable { .. }
            | RemoteError::Unauthorised { .. }
            | RemoteError::Unpushed { .. }
            | RemoteError::Git(_) => Exit::CouldNot,
        }
    }

    /// The exit code for an error of the store.
    pub fn of_store_error(error: &StoreError) -> Exit {
        match error {
            StoreError::Invalid(_) => Exit::Usage,
            error if error.is_unfit() => Exit::UnfitStore,
            _ => Exit::CouldNot,
        }
    }

    /// The exit code for an audit that could not be made.
    pub fn of_verify_error(error: &VerifyError) -> Exit {
        match error {
            // Nothing is known to be broken, but a script must not take this for verified.
            VerifyError::Ambiguous(_) => Exit::NotShown,
            VerifyError::NoReference(_) => Exit::Usage,
            _ => Exit::CouldNot,
        }
    }

    /// The exit code for an error of checkpoints and proofs.
    pub fn of_checkpoint_error(error: &CheckpointError) -> Exit {
        match error {
            CheckpointError::RolledBack { .. } => Exit::Broken,
            CheckpointError::Key(_) => Exit::Usage,
            CheckpointError::Trail(error) => Exit::of_trail_error(error),
            _ => Exit::CouldNot,
        }
    }

    /// The exit code for a service that could not start.
    pub fn of_serve_error(error: &ServeError) -> Exit {
        match error {
            ServeError::NoTokens(_) | ServeError::ClearText(_) => Exit::Usage,
            _ => Exit::CouldNot,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        (exit as u8).into()
    }
}
