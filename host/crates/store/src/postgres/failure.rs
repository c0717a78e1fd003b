//! Converts PostgreSQL's errors to the cases that a caller of a store handles.

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use super::super::StoreError;
use super::tls;

/// The SQLSTATE that the store's functions raise if the store was bound to a trail since.
pub(super) const REBOUND: &str = "CA001";
/// The SQLSTATE that the store's functions raise if this process has not set up the server process.
pub(super) const NOT_SET_UP: &str = "CA002";

/// Why a step failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A known case.
    Store(StoreError),
    /// An error of the database or of the connection.
    Sql(tokio_postgres::Error),
    /// No connection was available.
    Pool(PoolError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        Failure::Sql(error)
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Failure {
        Failure::Pool(error)
    }
}

impl Failure {
    /// Whether the same transaction may succeed if it is repeated.
    pub(super) fn is_retryable(&self) -> bool {
        let code = match self {
            Failure::Sql(error) => error.code(),
            _ => None,
        };
        matches!(code, Some(code) if *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE)
    }

    /// Whether one of the store's triggers refused the change.
    pub(super) fn is_refused_by_trigger(&self) -> bool {
        matches!(self, Failure::Sql(error) if error.code() == Some(&SqlState::RESTRICT_VIOLATION))
    }

    /// Whether the message of the database, or of a pooler before it, contains these words.
    pub(super) fn message_contains(&self, words: &str) -> bool {
        match self {
            Failure::Sql(error) => error
                .as_db_error()
                .is_some_and(|db_error| db_error.message().contains(words)),
            _ => false,
        }
    }

    /// Converts to a store's error, with the database's message.
    pub(super) fn into_store_error(self, url: &str) -> StoreError {
        match self {
            Failure::Store(error) => error,
            Failure::Sql(error) => of(&error, url),
            Failure::Pool(
                PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)),
            ) => of(&error, url),
            Failure::Pool(PoolError::PostCreateHook(HookError::Message(cause))) => {
                StoreError::NotDurable {
                    url: url.to_owned(),
                    cause: cause.into_owned(),
                }
            }
            Failure::Pool(PoolError::Timeout(TimeoutType::Create)) => {
                StoreError::Unavailable(format!(
                    "{url} does not answer; a pooler in front of it may have fewer connections than store.pool"
                ))
            }
            Failure::Pool(PoolError::Timeout(TimeoutType::Wait)) => {
                StoreError::Unavailable(format!(
                    "all connections to {url} wait for an answer; store.pool is how many there may be, and a pooler needs as \
                     many for each host"
                ))
            }
            Failure::Pool(error) => StoreError::Unavailable(format!("{url}: {error}")),
        }
    }
}

fn of(error: &tokio_postgres::Error, url: &str) -> StoreError {
    let Some(db_error) = error.as_db_error() else {
        if let Some(why) = tls::explain(error) {
            return StoreError::Denied(format!("{url}: {why}"));
        }
        // The innermost error says most: connection refused, or name not found.
        let mut cause = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(deeper) = source {
            let text = deeper.to_string();
            if !cause.contains(&text) {
                cause = format!("{cause}: {text}");
            }
            source = deeper.source();
        }
        // For example, the server requires a password and none was given. The library has no type for this kind, only
        // its message.
        let is_denied = ["authentication error", "invalid configuration"]
            .iter()
            .any(|kind| cause.starts_with(kind));
        let message = format!("{url}: {cause}");
        return match is_denied {
            true => StoreError::Denied(message),
            false => StoreError::Unavailable(message),
        };
    };
    let cause = db_error.message().to_owned();
    match *db_error.code() {
        SqlState::UNDEFINED_DATABASE => StoreError::Missing(url.to_owned()),
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Damaged {
            url: url.to_owned(),
            cause,
        },
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            StoreError::Denied(format!("{url}: {cause}"))
        }
        SqlState::LOCK_NOT_AVAILABLE => {
            StoreError::Unavailable(format!("{url} is locked by another session"))
        }
        SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Denied(format!(
            "the role lacks a privilege for the store at {url}: {cause}; `chiffon-audit store ddl` prints what a DBA can run"
        )),
        _ if db_error.code().code() == REBOUND => StoreError::Rebound,
        _ if db_error.code().code() == NOT_SET_UP => StoreError::Pooled {
            url: url.to_owned(),
            mode: "transaction",
        },
        SqlState::DISK_FULL => {
            StoreError::Unavailable(format!("no room is left for {url}: {cause}"))
        }
        _ => StoreError::Unavailable(format!("{url}: {cause}")),
    }
}
