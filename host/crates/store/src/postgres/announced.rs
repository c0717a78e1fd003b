//! Tasks that were announced and have not ended, in PostgreSQL.

use std::time::Duration;

use deadpool_postgres::GenericClient;

use super::super::{AnnouncedTask, UnfinishedTasks, columns};
use super::failure::Failure;
use outcome::TaskId;
use outcome::clock::Timestamp;

const UNFINISHED: &str = "SELECT p.task_id, p.plan_id, p.agent_pool, p.created_at FROM plans p
    WHERE (p.created_at, p.task_id) > ($1, $2) AND p.created_at <= $3
        AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.task_id = p.task_id AND s.finishes)
    ORDER BY p.created_at, p.task_id LIMIT $4";

const WITHOUT_ENTRY: &str = "SELECT count(*) FROM plans p
    WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.task_id = p.task_id)";

/// Tasks for which nothing was submitted, oldest first.
pub(super) async fn unfinished(
    client: &impl GenericClient,
    url: &str,
    age: Duration,
    after: Option<&(Timestamp, TaskId)>,
    limit: u32,
) -> Result<UnfinishedTasks, Failure> {
    let (time, task_id) = columns::after(after);
    let statement = client.prepare_cached("SELECT now_micros()").await?;
    let now: i64 = client.query_one(&statement, &[]).await?.get(0);
    let until = now.saturating_sub(columns::micros(age));
    let statement = client.prepare_cached(UNFINISHED).await?;
    let rows = client
        .query(&statement, &[&time, &task_id, &until, &i64::from(limit)])
        .await?;
    let tasks = rows.into_iter().map(|row| {
        let name = |column: usize| row.get::<_, Option<&str>>(column).map(columns::unescape);
        Ok(AnnouncedTask {
            task_id: columns::task_id(row.get(0), url).map_err(Failure::Store)?,
            plan_id: name(1),
            agent_pool: name(2),
            announced_at: Timestamp::from_microseconds(row.get(3)),
        })
    });
    Ok(UnfinishedTasks {
        tasks: tasks.collect::<Result<_, Failure>>()?,
        now: Timestamp::from_microseconds(now),
    })
}

/// How many announced tasks have no entry.
pub(super) async fn count_without_entry(client: &impl GenericClient) -> Result<u64, Failure> {
    let statement = client.prepare_cached(WITHOUT_ENTRY).await?;
    let row = client.query_one(&statement, &[]).await?;
    Ok(columns::count(row.get(0)))
}
