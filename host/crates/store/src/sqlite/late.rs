//! Plans that arrived after their tasks had ended, in SQLite.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::{LatePlan, StoreError};
use super::clock;
use super::failure::Context as _;
use outcome::TaskId;
use outcome::clock::Timestamp;

/// Keeps a plan, unless one was kept before. Answers the one that is kept.
pub(super) fn keep(
    connection: &Connection,
    url: &str,
    task_id: &TaskId,
    text: &str,
) -> Result<LatePlan, StoreError> {
    let now = clock::now(connection, url)?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO late_plans (task_id, plan, arrived_at) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut statement| statement.execute(params![task_id.as_str(), text, now]))
        .context(url)?;
    find(connection, url, task_id)?.ok_or_else(|| {
        StoreError::Unavailable(format!("{url}: a plan is gone that was just written"))
    })
}

/// The plan that arrived late.
pub(super) fn find(
    connection: &Connection,
    url: &str,
    task_id: &TaskId,
) -> Result<Option<LatePlan>, StoreError> {
    connection
        .prepare_cached("SELECT plan, arrived_at FROM late_plans WHERE task_id = ?1")
        .and_then(|mut statement| {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(LatePlan {
                    text: row.get(0)?,
                    arrived_at: Timestamp::from_microseconds(row.get(1)?),
                })
            };
            statement.query_row([task_id.as_str()], read).optional()
        })
        .context(url)
}
