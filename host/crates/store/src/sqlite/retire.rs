//! Deletes conflicts and refusals that need not be kept any longer, in SQLite.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::{Lease, StoreError, columns};
use super::failure::Context as _;
use super::{clock, lease};

/// The rows to delete. The last row of all stays: its sequence number would be assigned again.
const OLD: &str = "SELECT sequence, task_id, refused_on_arrival IS NULL FROM submissions INDEXED BY submissions_turned_down_by_time
    WHERE state IN ('conflicting', 'refused') AND closed_at <= ?1 AND sequence < (SELECT max(sequence) FROM submissions)
    ORDER BY closed_at LIMIT ?2";

/// Deletes submissions that were turned down longer ago than this.
pub(super) fn retire(
    connection: &Connection,
    url: &str,
    current: &Lease,
    older_than: Duration,
    most: usize,
) -> Result<u64, StoreError> {
    lease::check(connection, url, current)?;
    let before = clock::now(connection, url)?.saturating_sub(columns::micros(older_than));
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let old: Vec<(i64, String, bool)> = connection
        .prepare_cached(OLD)
        .and_then(|mut statement| {
            statement
                .query_map(params![before, most], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect()
        })
        .context(url)?;
    if old.is_empty() {
        return Ok(0);
    }
    let work = || -> rusqlite::Result<u64> {
        // Set only within the writer's transaction, so no other connection sees it.
        connection.execute("UPDATE meta SET retiring = 1", [])?;
        let mut delete =
            connection.prepare_cached("DELETE FROM submissions WHERE sequence = ?1")?;
        for (sequence, ..) in &old {
            delete.execute([sequence])?;
        }
        connection.execute("UPDATE meta SET retiring = 0", [])?;
        let mut forget = connection.prepare_cached(
            "DELETE FROM plans WHERE task_id = ?1
                AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.task_id = plans.task_id
                    AND s.refused_on_arrival IS NULL)",
        )?;
        // What was refused on arrival ended no task, so a task that was announced still waits for its end.
        for (_, task_id, _) in old.iter().filter(|(.., ended)| *ended) {
            forget.execute([task_id])?;
        }
        Ok(old.len() as u64)
    };
    work().context(url)
}
