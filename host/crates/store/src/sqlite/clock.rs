//! The database's own clock, as SQL.

use rusqlite::Connection;

use super::super::StoreError;
use super::failure::Context as _;

/// Microseconds since the epoch, as an expression. SQLite knows milliseconds.
pub(super) const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000";

/// The present, in microseconds since the epoch.
pub(super) fn now(connection: &Connection, url: &str) -> Result<i64, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {NOW}"))
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .context(url)
}
