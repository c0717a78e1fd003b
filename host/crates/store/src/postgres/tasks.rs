//! Tasks in PostgreSQL.

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Row;

use super::super::{Finished, Plan, Task, columns};
use super::failure::Failure;
use outcome::TaskId;
use outcome::clock::Timestamp;

const COLUMNS: &str =
    "plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time, services_touched,
    metadata, created_at, revision, finished_status, finished_at";

fn read(row: &Row, task_id: &TaskId) -> Task {
    let list = |column: usize| columns::read_list(row.get::<_, Option<&str>>(column));
    let name = |column: usize| row.get::<_, Option<&str>>(column).map(columns::unescape);
    let (status, at): (Option<String>, Option<i64>) = (row.get(10), row.get(11));
    Task {
        plan: Plan {
            task_id: task_id.clone(),
            plan_id: name(0),
            plan_steps: list(1),
            agent_pool: name(2),
            agent_id: name(3),
            dispatch_timestamp: row.get(4),
            start_time: row.get(5),
            services_touched: list(6),
            metadata: row.get(7),
        },
        created_at: Timestamp::from_microseconds(row.get(8)),
        revision: row.get(9),
        finished: status.zip(at).map(|(status, at)| Finished {
            status,
            at: Timestamp::from_microseconds(at),
        }),
    }
}

/// What is known about a task.
pub(super) async fn task(
    client: &impl GenericClient,
    task_id: &TaskId,
) -> Result<Option<Task>, Failure> {
    let statement = client
        .prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE task_id = $1"))
        .await?;
    let row = client.query_opt(&statement, &[&task_id.as_str()]).await?;
    Ok(row.map(|row| read(&row, task_id)))
}

/// Stores what was planned or dispatched.
pub(super) async fn plan(client: &mut Object, plan: &Plan) -> Result<Task, Failure> {
    match note(client, plan).await {
        Ok(Some(task)) => return Ok(task),
        Ok(None) => {}
        // A report of the task was accepted meanwhile.
        Err(failure) if failure.is_refused_by_trigger() => {}
        Err(failure) => return Err(failure),
    }
    // The task is finished, and does not change.
    let client: &Object = client;
    task(client, &plan.task_id).await?.ok_or_else(|| {
        Failure::Store(super::super::StoreError::Unavailable(
            "a finished task is missing".into(),
        ))
    })
}

/// Stores the plan, unless the task is finished.
async fn note(client: &mut Object, plan: &Plan) -> Result<Option<Task>, Failure> {
    let list = |list: &Option<Vec<String>>| list.as_deref().map(columns::list);
    let escaped = |name: &Option<String>| {
        name.as_deref()
            .map(|name| columns::escape(name).into_owned())
    };
    let statement = client
        .prepare_cached(
            "INSERT INTO plans AS p (task_id, plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time,
                services_touched, metadata, created_at, revision)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, now_micros(), 1
                WHERE NOT EXISTS (SELECT 1 FROM submissions s WHERE s.task_id = $1 AND s.finishes)
             ON CONFLICT (task_id) DO UPDATE SET plan_id = coalesce($2, p.plan_id),
                plan_steps = coalesce($3, p.plan_steps), agent_pool = coalesce($4, p.agent_pool),
                agent_id = coalesce($5, p.agent_id), dispatch_timestamp = coalesce($6, p.dispatch_timestamp),
                start_time = coalesce($7, p.start_time), services_touched = coalesce($8, p.services_touched),
                metadata = coalesce($9, p.metadata), revision = p.revision + 1
             RETURNING plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time, services_touched,
                metadata, created_at, revision, NULL::text, NULL::bigint",
        )
        .await?;
    let row = client
        .query_opt(
            &statement,
            &[
                &plan.task_id.as_str(),
                &escaped(&plan.plan_id),
                &list(&plan.plan_steps),
                &escaped(&plan.agent_pool),
                &escaped(&plan.agent_id),
                &plan.dispatch_timestamp,
                &plan.start_time,
                &list(&plan.services_touched),
                &plan.metadata,
            ],
        )
        .await?;
    Ok(row.map(|row| read(&row, &plan.task_id)))
}
