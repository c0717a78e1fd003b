//! What SQLite says, as the cases that a caller of a store decides on.

use rusqlite::ErrorCode;

use super::super::StoreError;

/// The case of an error, with SQLite's words.
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
        // SQLite says no more, and does not mean the database alone.
        Some(ErrorCode::CannotOpen) => StoreError::Unavailable(format!(
            "{url} cannot be opened, or its log cannot be made beside it (is its directory there, and writable?): {cause}"
        )),
        Some(ErrorCode::ReadOnly) => {
            StoreError::Unavailable(format!("{url} may not be written: {cause}"))
        }
        _ => StoreError::Unavailable(format!("{url}: {cause}")),
    }
}

/// Turns SQLite's errors into a store's.
pub(super) trait Context<T> {
    fn context(self, url: &str) -> Result<T, StoreError>;
}

impl<T> Context<T> for rusqlite::Result<T> {
    fn context(self, url: &str) -> Result<T, StoreError> {
        self.map_err(|error| of(&error, url))
    }
}
