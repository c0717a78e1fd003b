//! Plans that arrived after their tasks had ended, in PostgreSQL.

use deadpool_postgres::GenericClient;

use super::super::{LatePlan, StoreError};
use super::failure::Failure;
use outcome::TaskId;
use outcome::clock::Timestamp;

/// Keeps a plan, unless one was kept before. Answers the one that is kept.
pub(super) async fn keep(
    client: &impl GenericClient,
    task_id: &TaskId,
    text: &str,
) -> Result<LatePlan, Failure> {
    let statement = client
        .prepare_cached(
            "INSERT INTO late_plans (task_id, plan, arrived_at) VALUES ($1, $2, now_micros())
             ON CONFLICT (task_id) DO NOTHING",
        )
        .await?;
    client
        .execute(&statement, &[&task_id.as_str(), &text])
        .await?;
    find(client, task_id).await?.ok_or_else(|| {
        Failure::Store(StoreError::Unavailable(
            "a plan is gone that was just written".into(),
        ))
    })
}

/// The plan that arrived late.
pub(super) async fn find(
    client: &impl GenericClient,
    task_id: &TaskId,
) -> Result<Option<LatePlan>, Failure> {
    let statement = client
        .prepare_cached("SELECT plan, arrived_at FROM late_plans WHERE task_id = $1")
        .await?;
    let row = client.query_opt(&statement, &[&task_id.as_str()]).await?;
    Ok(row.map(|row| LatePlan {
        text: row.get(0),
        arrived_at: Timestamp::from_microseconds(row.get(1)),
    }))
}
