//! Rebuilds the projection in PostgreSQL, while the present one answers queries.

use deadpool_postgres::{GenericClient, Object};

use super::super::counts::{DAY, DAY_LENGTH, MINUTE, MINUTE_LENGTH};
use super::super::{Entry, StoreError, columns};
use super::failure::Failure;
use super::project::{COLUMNS, NEXT, add, insert, read};
use super::schema;

/// Starts a rebuild next to the present projection. Returns its generation.
pub(super) async fn begin_rebuild(client: &mut Object) -> Result<i64, Failure> {
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            "UPDATE meta SET generation = generation + 1, rebuilding = generation + 1,
                rebuilding_since = (SELECT coalesce(max(id), 0) FROM entries) RETURNING rebuilding",
            &[],
        )
        .await?;
    transaction
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS entries{NEXT}, entry_services{NEXT}, entry_totals{NEXT}, service_totals{NEXT}; {}",
            schema::projection(NEXT)
        ))
        .await?;
    transaction.commit().await?;
    Ok(row.get(0))
}

/// Checks that the rebuild is still of that generation, and keeps it so until the transaction ends.
async fn check_rebuild(transaction: &impl GenericClient, generation: i64) -> Result<(), Failure> {
    let row = transaction
        .query_one("SELECT rebuilding FROM meta FOR SHARE", &[])
        .await?;
    if row.get::<_, Option<i64>>(0) == Some(generation) {
        return Ok(());
    }
    Err(StoreError::Unavailable("another rebuild has been started".into()).into())
}

/// Adds entries to the rebuilt projection.
pub(super) async fn fill_rebuild(
    client: &mut Object,
    generation: i64,
    entries: &[Entry],
) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    check_rebuild(&transaction, generation).await?;
    insert(&transaction, NEXT, &entries.iter().collect::<Vec<_>>()).await?;
    Ok(transaction.commit().await?)
}

/// Statements that count all entries, also by service, into empty tables.
pub(super) fn counting(suffix: &str) -> String {
    let mut sql = String::new();
    for (unit, length) in [(DAY, DAY_LENGTH), (MINUTE, MINUTE_LENGTH)] {
        let bucket =
            format!("(recorded_at - ((recorded_at % {length}) + {length}) % {length}) / {length}");
        sql += &format!(
            "INSERT INTO entry_totals{suffix} SELECT {unit}, {bucket}, status, count(*)
                FROM entries{suffix} GROUP BY 2, 3;
             INSERT INTO service_totals{suffix} SELECT service, {unit}, {bucket}, status, count(*)
                FROM entry_services{suffix} GROUP BY 1, 3, 4;"
        );
    }
    sql
}

/// Replaces the present projection by the rebuilt one, with what was recorded meanwhile. Returns the number of entries.
pub(super) async fn finish_rebuild(client: &mut Object, generation: i64) -> Result<u64, Failure> {
    let transaction = client.transaction().await?;
    check_rebuild(&transaction, generation).await?;
    transaction
        .batch_execute(&schema::projection_indexes(NEXT))
        .await?;
    transaction.batch_execute(&counting(NEXT)).await?;
    // From here on, nothing can be added to the present projection, so no entry is lost between reading and dropping
    // it.
    transaction
        .batch_execute("LOCK TABLE entries IN EXCLUSIVE MODE")
        .await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM entries e WHERE id > (SELECT rebuilding_since FROM meta)
            AND NOT EXISTS (SELECT 1 FROM entries{NEXT} n WHERE n.task_id = e.task_id)"
    );
    let meanwhile: Vec<Entry> = transaction
        .query(&sql, &[])
        .await?
        .iter()
        .map(read)
        .collect();
    transaction
        .batch_execute(&format!(
            "DROP TABLE entries, entry_services, entry_totals, service_totals;
             ALTER TABLE entries{NEXT} RENAME TO entries;
             ALTER TABLE entry_services{NEXT} RENAME TO entry_services;
             ALTER TABLE entry_totals{NEXT} RENAME TO entry_totals;
             ALTER TABLE service_totals{NEXT} RENAME TO service_totals;
             UPDATE meta SET rebuilding = NULL, rebuilding_since = NULL;"
        ))
        .await?;
    add(&transaction, &meanwhile).await?;
    // Only entries that were rebuilt from the trail are acknowledged.
    transaction
        .batch_execute(
            "UPDATE meta SET (trail_last, trail_last_at) =
                (SELECT commit_id, recorded_at FROM entries ORDER BY recorded_at DESC, id DESC LIMIT 1)",
        )
        .await?;
    let total: i64 = transaction
        .query_one(
            "SELECT coalesce(sum(number), 0)::bigint FROM entry_totals WHERE unit = 0",
            &[],
        )
        .await?
        .get(0);
    transaction.commit().await?;
    // Index-only scans need the visibility map, and the planner its statistics, before autovacuum runs.
    for table in [
        "entries",
        "entry_services",
        "entry_totals",
        "service_totals",
    ] {
        client
            .batch_execute(&format!("VACUUM (ANALYZE) {table}"))
            .await?;
    }
    Ok(columns::count(total))
}
