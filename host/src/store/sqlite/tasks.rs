//! Tasks and what is submitted for them, in SQLite: within the writer's transaction, or read.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{
    Accepted, Finished, Plan, Sequence, State, StoreError, Submission, Task, columns,
};
use super::clock;
use super::failure::Context as _;
use super::outbox;
use crate::clock::Timestamp;
use crate::outcome::TaskId;

const TASK: &str = "SELECT plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time, services_touched,
    metadata, created_at, revision, finished_status, finished_at FROM tasks WHERE task_id = ?1";

/// What is known of a task.
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

/// Notes what was planned or dispatched.
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
            "INSERT INTO tasks (task_id, plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time,
                services_touched, metadata, created_at, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1)"
        }
        Some(_) => {
            "UPDATE tasks SET plan_id = coalesce(?2, plan_id), plan_steps = coalesce(?3, plan_steps),
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
        StoreError::Unavailable(format!("{url}: a task is gone that was just written"))
    })
}

/// Takes a submission in.
pub(super) fn accept(
    connection: &Connection,
    url: &str,
    submission: &Submission,
) -> Result<Accepted, StoreError> {
    let task_id = submission.task_id.as_str();
    let fingerprint = &submission.fingerprint;
    let known: Option<(i64, bool)> = connection
        .prepare_cached("SELECT revision, finished_at IS NOT NULL FROM tasks WHERE task_id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([task_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .context(url)?;
    let finished = known.is_some_and(|(_, finished)| finished);
    // Whoever takes the first submission of a task in finishes the task with it.
    let same = match finished {
        true => outbox::same(connection, url, task_id, &fingerprint.bytes)?,
        false => None,
    };
    if let Some(found) = same {
        return Ok(Accepted {
            sequence: found.sequence,
            repeated: true,
            differs: false,
            state: found.state,
        });
    }
    let revision = known.map_or(0, |(revision, _)| revision);
    if submission
        .revision
        .is_some_and(|made_from| made_from != revision)
    {
        return Err(StoreError::Changed);
    }
    let differs = finished && outbox::has_fingerprints(connection, url, task_id)?;
    let now = clock::now(connection, url)?;
    let sql = match known {
        None => {
            "INSERT OR FAIL INTO tasks (task_id, created_at, finished_status, finished_at) VALUES (?1, ?3, ?2, ?3)"
        }
        Some((_, false)) => {
            "UPDATE OR FAIL tasks SET finished_status = ?2, finished_at = ?3 WHERE task_id = ?1"
        }
        Some((_, true)) => "",
    };
    if !sql.is_empty() {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![task_id, submission.status, now]))
            .context(url)?;
    }
    connection
        .prepare_cached(
            "INSERT OR FAIL INTO submissions (task_id, status, kind, text, document, fingerprint, keyed, trace_id, accepted_at,
                next_attempt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                task_id,
                submission.status,
                submission.kind.as_str(),
                submission.text,
                submission.document,
                fingerprint.bytes.as_slice(),
                fingerprint.keyed,
                submission.trace_id,
                now,
            ])
        })
        .context(url)?;
    Ok(Accepted {
        sequence: Sequence(connection.last_insert_rowid()),
        repeated: false,
        differs,
        state: State::Pending { cause: None },
    })
}
