//! Deletes conflicts and refusals that need not be kept any longer, in PostgreSQL.

use std::time::Duration;

use deadpool_postgres::Object;

use super::super::{Lease, columns};
use super::failure::Failure;
use super::lease;
use super::outbox::SettleContext;

/// Deletes submissions that were turned down longer ago than this.
pub(super) async fn retire(
    client: &mut Object,
    current: &Lease,
    within: &SettleContext<'_>,
    older_than: Duration,
    most: usize,
) -> Result<u64, Failure> {
    let transaction = client.transaction().await?;
    lease::check(&transaction, current, within).await?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = transaction
        .query(
            "SELECT sequence, task_id, refused_on_arrival IS NULL FROM submissions WHERE state IN ('conflicting', 'refused')
                AND closed_at <= now_micros() - $1 ORDER BY closed_at LIMIT $2",
            &[&columns::micros(older_than), &most],
        )
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let sequences: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let task_ids: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
    // Takes locks as accepting does: the first of each task, in the order of the tasks.
    transaction
        .execute(
            "SELECT 1 FROM submissions WHERE task_id = ANY ($1) AND finishes ORDER BY task_id FOR UPDATE",
            &[&task_ids],
        )
        .await?;
    // This permission ends with the transaction, and no other session has it.
    transaction
        .batch_execute("SET LOCAL chiffon_audit.retiring = 'on'")
        .await?;
    let deleted = transaction
        .execute(
            "DELETE FROM submissions WHERE sequence = ANY ($1)",
            &[&sequences],
        )
        .await?;
    // The first submission finishes a task, and that is another one now.
    transaction
        .execute(
            "UPDATE submissions s SET finishes = true FROM (
                SELECT min(sequence) AS first FROM submissions WHERE task_id = ANY ($1) AND refused_on_arrival IS NULL
                GROUP BY task_id
             ) f WHERE s.sequence = f.first AND s.finishes IS NULL",
            &[&task_ids],
        )
        .await?;
    // What was refused on arrival ended no task, so a task that was announced still waits for its end.
    let ended = rows.iter().filter(|row| row.get(2));
    let ended: Vec<&str> = ended.map(|row| row.get(1)).collect();
    transaction
        .execute(
            "DELETE FROM plans p WHERE task_id = ANY ($1)
                AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.task_id = p.task_id
                    AND s.refused_on_arrival IS NULL)",
            &[&ended],
        )
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}
