//! Tasks that were announced and have not ended, in SQLite.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::super::{AnnouncedTask, StoreError, UnfinishedTasks, columns};
use super::clock;
use super::failure::Context as _;
use outcome::TaskId;
use outcome::clock::Timestamp;

const UNFINISHED: &str =
    "SELECT task_id, plan_id, agent_pool, created_at FROM plans INDEXED BY plans_by_time
    WHERE (created_at, task_id) > (?1, ?2) AND created_at <= ?3
        AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.task_id = plans.task_id AND s.refused_on_arrival IS NULL)
    ORDER BY created_at, task_id LIMIT ?4";

const WITHOUT_ENTRY: &str = "SELECT count(*) FROM plans
    WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.task_id = plans.task_id)";

/// Tasks for which nothing was submitted, oldest first.
pub(super) fn unfinished(
    connection: &Connection,
    url: &str,
    age: Duration,
    after: Option<&(Timestamp, TaskId)>,
    limit: u32,
) -> Result<UnfinishedTasks, StoreError> {
    let now = clock::now(connection, url)?;
    let (time, task_id) = columns::after(after);
    let read = |row: &Row<'_>| {
        Ok((
            row.get::<_, String>(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get::<_, i64>(3)?,
        ))
    };
    let rows: Vec<_> = connection
        .prepare_cached(UNFINISHED)
        .and_then(|mut statement| {
            let parameters = params![
                time,
                task_id,
                now.saturating_sub(columns::micros(age)),
                limit
            ];
            statement.query_map(parameters, read)?.collect()
        })
        .context(url)?;
    let tasks = rows.into_iter().map(|(task_id, plan_id, agent_pool, at)| {
        Ok(AnnouncedTask {
            task_id: columns::task_id(&task_id, url)?,
            plan_id,
            agent_pool,
            announced_at: Timestamp::from_microseconds(at),
        })
    });
    Ok(UnfinishedTasks {
        tasks: tasks.collect::<Result<_, StoreError>>()?,
        now: Timestamp::from_microseconds(now),
    })
}

/// How many announced tasks have no entry.
pub(super) fn count_without_entry(connection: &Connection, url: &str) -> Result<u64, StoreError> {
    connection
        .prepare_cached(WITHOUT_ENTRY)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map(columns::count)
        .context(url)
}
