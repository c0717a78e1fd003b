//! Why a command failed: what people read, how the program ends, and the cause where an outcome was not recorded for it.
//!
//! The code is decided where an error becomes a failure, by its type; what wraps the error later cannot hide it.

use std::fmt;
use std::io;

use super::exit::{Exit, UsageError};
use crate::binding::BindError;
use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::http::ServeError;
use crate::orchestrator::StartError;
use crate::outcome::Cause;
use crate::policies::PoliciesError;
use crate::policy::{CompileError, LoadError, RecordingError};
use crate::reconcile::ReconcileError;
use crate::recorder::continuation::ContinuationError;
use crate::recorder::erasures::ErasureError;
use crate::replication::ReplicationError;
use crate::reports::LayoutError;
use crate::sealing::KeyStoreError;
use crate::store::StoreError;
use crate::trail::TrailError;
use crate::verify::VerifyError;
use ::remotes::RemoteError;

/// Why a command failed. The alternate form (`{:#}`) tells the sources too.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The cause, if an error that has one is behind it.
    pub cause: Option<Cause>,
    /// Whether the same may succeed later.
    pub retry: bool,
    error: anyhow::Error,
}

/// The result of a step of a command; of anything else where an error is named.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure that is a sentence and no error of another crate's.
    pub fn new(message: impl fmt::Display) -> Failure {
        Failure::from_error(Exit::CouldNot, anyhow::Error::msg(message.to_string()))
    }

    fn from_error(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure {
            exit,
            cause: None,
            retry: false,
            error: error.into(),
        }
    }

    /// Says what could not be done because of this.
    pub(super) fn within(self, context: impl fmt::Display) -> Failure {
        Failure {
            error: self.error.context(context.to_string()),
            ..self
        }
    }

    /// Whether standard output, or another pipe, was closed by its reader.
    pub fn is_broken_pipe(&self) -> bool {
        let mut chain = self.error.chain();
        let kinds = chain.find_map(|source| source.downcast_ref::<io::Error>());
        kinds.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, out)
    }
}

/// Says what could not be done, and keeps the exit code.
pub trait Context<T> {
    /// Adds a sentence before the error's own.
    fn context(self, context: impl fmt::Display) -> Result<T>;

    /// The same, where the sentence is made only if it is needed.
    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E> Context<T> for Result<T, E>
where
    Failure: From<E>,
{
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::from(error).within(context))
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| Failure::from(error).within(context()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Failure::new(context))
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.ok_or_else(|| Failure::new(context()))
    }
}

impl From<TrailError> for Failure {
    fn from(error: TrailError) -> Failure {
        Failure {
            cause: Some(error.cause()),
            retry: error.may_pass(),
            ..Failure::from_error(Exit::of_trail_error(&error), error)
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Failure {
        Failure {
            cause: Some(error.cause()),
            retry: error.may_pass(),
            ..Failure::from_error(Exit::of_remote_error(&error), error)
        }
    }
}

impl From<KeyStoreError> for Failure {
    fn from(error: KeyStoreError) -> Failure {
        Failure {
            cause: Some(Cause::Keys),
            retry: true,
            ..Failure::from_error(Exit::CouldNot, error)
        }
    }
}

impl From<ErasureError> for Failure {
    fn from(error: ErasureError) -> Failure {
        match error {
            ErasureError::Trail(error) => error.into(),
            ErasureError::Load(error) => error.into(),
            ErasureError::Keys(error) => error.into(),
            error => Failure {
                cause: Some(Cause::Keys),
                retry: true,
                ..Failure::from_error(Exit::CouldNot, error)
            },
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        // The engine panicked: nothing is wrong with the policy or the settings.
        let is_panic = matches!(error, LoadError::Panicked);
        Failure {
            cause: is_panic.then_some(Cause::PolicyHost),
            retry: is_panic,
            ..Failure::from_error(Exit::CouldNot, error)
        }
    }
}

impl From<PoliciesError> for Failure {
    fn from(error: PoliciesError) -> Failure {
        match error {
            PoliciesError::Trail(error) => error.into(),
            PoliciesError::Load(error) => error.into(),
            error => Failure::from_error(Exit::CouldNot, error),
        }
    }
}

impl From<ContinuationError> for Failure {
    fn from(error: ContinuationError) -> Failure {
        match error {
            ContinuationError::Trail(error) => error.into(),
            ContinuationError::Load(error) => error.into(),
            error @ (ContinuationError::NotEmpty | ContinuationError::NotFound { .. }) => {
                Failure::from_error(Exit::Usage, error)
            }
            error => Failure::from_error(Exit::CouldNot, error),
        }
    }
}

impl From<ReplicationError> for Failure {
    fn from(error: ReplicationError) -> Failure {
        match error {
            ReplicationError::Store(error) => error.into(),
            ReplicationError::Trail(error) => error.into(),
            error @ (ReplicationError::NoLog(_)
            | ReplicationError::NotBegun { .. }
            | ReplicationError::Begun { .. }) => Failure::from_error(Exit::Usage, error),
        }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Failure {
        match error {
            BindError::Store(error) => error.into(),
            BindError::Trail(error) => error.into(),
        }
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Failure {
        match error {
            ReconcileError::Store(error) => error.into(),
            ReconcileError::Trail(error) => error.into(),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        match error {
            StartError::Trail(error) => error.into(),
            error => Failure::from_error(Exit::CouldNot, error),
        }
    }
}

/// Errors whose exit code the table in `exit.rs` decides.
macro_rules! by_the_table {
    ($($error:ty => $code:path,)*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::from_error($code(&error), error)
            }
        })*
    };
}

by_the_table! {
    UsageError => Exit::of_usage_error,
    ConfigError => Exit::of_config_error,
    StoreError => Exit::of_store_error,
    VerifyError => Exit::of_verify_error,
    CheckpointError => Exit::of_checkpoint_error,
    ServeError => Exit::of_serve_error,
}

/// Errors that mean that it could not be done.
macro_rules! could_not {
    ($($error:ty,)*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::from_error(Exit::CouldNot, error)
            }
        })*
    };
}

could_not! {
    fmt::Error,
    io::Error,
    quick_junit::SerializeError,
    std::string::FromUtf8Error,
    CompileError,
    crate::policies::SecretFileError,
    LayoutError,
    crate::pages::LayoutError,
    RecordingError,
    crate::sealing::SealError,
    serde_json::Error,
    tempfile::PersistError,
    tokio::task::JoinError,
}

/// A failure that is this sentence.
macro_rules! failure {
    ($($message:tt)*) => {
        $crate::cli::failure::Failure::new(format_args!($($message)*))
    };
}
pub(crate) use failure;

/// Returns with a failure that is this sentence.
macro_rules! bail {
    ($($message:tt)*) => {
        return Err($crate::cli::failure::failure!($($message)*))
    };
}
pub(crate) use bail;

/// Returns with a failure that is this sentence, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        let holds: bool = $condition;
        if !holds {
            $crate::cli::failure::bail!($($message)*);
        }
    };
}
pub(crate) use ensure;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wraps_an_error_does_not_hide_its_exit_code() {
        let error: Result<()> =
            Err(TrailError::Invalid("no such layout".into())).context("cannot begin");
        let failure = error.context("cannot record").expect_err("an error");
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.cause, Some(Cause::Settings));
        assert_eq!(
            format!("{failure:#}"),
            "cannot record: cannot begin: no such layout"
        );
        let unfit = StoreError::Damaged {
            url: "x".into(),
            cause: "y".into(),
        };
        let failure = Failure::from(unfit).within("cannot open the store");
        assert_eq!(failure.exit, Exit::UnfitStore);
    }

    #[test]
    fn a_closed_pipe_is_found_behind_what_wraps_it() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        let failure = Failure::from(error).within("cannot write to standard output");
        assert!(failure.is_broken_pipe());
        assert!(!Failure::new("no").is_broken_pipe());
    }
}
