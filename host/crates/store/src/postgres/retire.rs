//! Conflicts and refusals that need not be kept any longer, in PostgreSQL.

use std::time::Duration;

use deadpool_postgres::Object;

use super::super::{Lease, columns};
use super::failure::Failure;
use super::lease;
use super::outbox::Within;

/// Deletes what was turned down longer ago than that.
pub(super) async fn retire(
    client: &mut Object,
    current: &Lease,
    within: &Within<'_>,
    older_than: Duration,
    most: usize,
) -> Result<u64, Failure> {
    let transaction = client.transaction().await?;
    lease::check(&transaction, current, within).await?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = transaction
        .query(
            "SELECT sequence, task_id FROM submissions WHERE state IN ('conflicting', 'refused')
                AND closed_at <= now_micros() - $1 ORDER BY closed_at LIMIT $2",
            &[&columns::micros(older_than), &most],
        )
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let sequences: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let task_ids: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
    // As whoever takes submissions in does: the tasks first, in their order.
    transaction
        .execute(
            "SELECT 1 FROM tasks WHERE task_id = ANY ($1) ORDER BY task_id FOR UPDATE",
            &[&task_ids],
        )
        .await?;
    // Ends with the transaction: nobody else goes through this door.
    transaction
        .batch_execute("SET LOCAL chiffon_audit.retiring = 'on'")
        .await?;
    let deleted = transaction
        .execute(
            "DELETE FROM submissions WHERE sequence = ANY ($1)",
            &[&sequences],
        )
        .await?;
    transaction
        .execute(
            "DELETE FROM tasks t WHERE task_id = ANY ($1)
                AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.task_id = t.task_id)",
            &[&task_ids],
        )
        .await?;
    // A task was finished by its first submission; that is another one now.
    transaction
        .execute(
            "UPDATE tasks t SET finished_status = f.status, finished_at = f.accepted_at FROM (
                SELECT DISTINCT ON (task_id) task_id, status, accepted_at FROM submissions
                WHERE task_id = ANY ($1) ORDER BY task_id, sequence
             ) f WHERE t.task_id = f.task_id AND t.finished_at IS DISTINCT FROM f.accepted_at",
            &[&task_ids],
        )
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}
