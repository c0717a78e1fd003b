//! Converts SQLite's errors to the cases that a caller of a store handles.

use rusqlite::ErrorCode;

use super::super::StoreError;

/// Converts an error, with SQLite's message.
pub(super) fn of(error: &rusqlite::Error, url: &str) -> StoreError {
    let cause = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        error => error.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
            url: url.to_owned(),
            cause,
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Unavailable(format!("{url} is locked by another process"))
        }
        Some(ErrorCode::DiskFull) => {
            StoreError::Unavailable(format!("no room is left for {url}: {cause}"))
        }
        // SQLite reports no details, and may mean another file than the database.
        Some(ErrorCode::CannotOpen) => StoreError::Unavailable(format!(
            "{url} cannot be opened, or its log cannot be created next to it (does its directory exist, and is it writable?): {cause}"
        )),
        Some(ErrorCode::ReadOnly) => {
            StoreError::Unavailable(format!("{url} cannot be written: {cause}"))
        }
        _ => StoreError::Unavailable(format!("{url}: {cause}")),
    }
}

/// Converts SQLite's errors to a store's.
pub(super) trait Context<T> {
    fn context(self, url: &str) -> Result<T, StoreError>;
}

impl<T> Context<T> for rusqlite::Result<T> {
    fn context(self, url: &str) -> Result<T, StoreError> {
        self.map_err(|error| of(&error, url))
    }
}
