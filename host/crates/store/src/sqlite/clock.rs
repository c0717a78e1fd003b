//! The database's clock, as SQL.

use rusqlite::Connection;

use super::super::StoreError;
use super::failure::Context as _;

/// The current time in microseconds since the epoch, as an expression. SQLite's clock has milliseconds.
pub(super) const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000";

/// Reads the current time, in microseconds since the epoch.
pub(super) fn now(connection: &Connection, url: &str) -> Result<i64, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {NOW}"))
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .context(url)
}
