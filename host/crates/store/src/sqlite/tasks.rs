//! Tasks in SQLite: what was planned, and how they ended.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{Finished, Plan, StoreError, Task, columns};
use super::clock;
use super::failure::Context as _;
use outcome::TaskId;
use outcome::clock::Timestamp;

const TASK: &str = "SELECT plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time, services_touched,
    metadata, created_at, revision, finished_status, finished_at FROM tasks WHERE task_id = ?1";

/// What is known about a task.
pub(super) fn task(
    connection: &Connection,
    url: &str,
    task_id: &TaskId,
) -> Result<Option<Task>, StoreError> {
    let read = |row: &Row<'_>| {
        let list = |column| -> rusqlite::Result<Option<Vec<String>>> {
            let text: Option<String> = row.get(column)?;
            Ok(columns::read_list(text.as_deref()))
        };
        let status: Option<String> = row.get(10)?;
        let at: Option<i64> = row.get(11)?;
        Ok(Task {
            plan: Plan {
                task_id: task_id.clone(),
                plan_id: row.get(0)?,
                plan_steps: list(1)?,
                agent_pool: row.get(2)?,
                agent_id: row.get(3)?,
                dispatch_timestamp: row.get(4)?,
                start_time: row.get(5)?,
                services_touched: list(6)?,
                metadata: row.get(7)?,
            },
            created_at: Timestamp::from_microseconds(row.get(8)?),
            revision: row.get(9)?,
            finished: status.zip(at).map(|(status, at)| Finished {
                status,
                at: Timestamp::from_microseconds(at),
            }),
        })
    };
    connection
        .prepare_cached(TASK)
        .and_then(|mut statement| statement.query_row([task_id.as_str()], read).optional())
        .context(url)
}

/// Stores what was planned or dispatched, within the writer's transaction.
pub(super) fn plan(connection: &Connection, url: &str, plan: &Plan) -> Result<Task, StoreError> {
    let before = task(connection, url, &plan.task_id)?;
    if let Some(task) = &before
        && task.finished.is_some()
    {
        return Ok(task.clone());
    }
    let list = |list: &Option<Vec<String>>| list.as_deref().map(columns::list);
    let sql = match before {
        None => {
            "INSERT INTO plans (task_id, plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time,
                services_touched, metadata, created_at, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1)"
        }
        Some(_) => {
            "UPDATE plans SET plan_id = coalesce(?2, plan_id), plan_steps = coalesce(?3, plan_steps),
                agent_pool = coalesce(?4, agent_pool), agent_id = coalesce(?5, agent_id),
                dispatch_timestamp = coalesce(?6, dispatch_timestamp), start_time = coalesce(?7, start_time),
                services_touched = coalesce(?8, services_touched), metadata = coalesce(?9, metadata),
                created_at = min(created_at, ?10), revision = revision + 1 WHERE task_id = ?1"
        }
    };
    let now = clock::now(connection, url)?;
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.execute(params![
                plan.task_id.as_str(),
                plan.plan_id,
                list(&plan.plan_steps),
                plan.agent_pool,
                plan.agent_id,
                plan.dispatch_timestamp,
                plan.start_time,
                list(&plan.services_touched),
                plan.metadata,
                now,
            ])
        })
        .context(url)?;
    task(connection, url, &plan.task_id)?.ok_or_else(|| {
        StoreError::Unavailable(format!("{url}: a task that was just written is missing"))
    })
}
