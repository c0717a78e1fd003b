//! The bond of a store in PostgreSQL.

use deadpool_postgres::{GenericClient, Object};

use super::super::{Bond, Entry};
use super::failure::Failure;

/// Reads the bond of the store.
pub(super) async fn read(client: &impl GenericClient) -> Result<Bond, Failure> {
    let row = client
        .query_one(
            "SELECT trail_uuid, trail_first, trail_last, trail_epoch FROM meta",
            &[],
        )
        .await?;
    Ok(Bond {
        uuid: row.get(0),
        first_commit: row.get(1),
        last: row.get(2),
        epoch: row.get(3),
    })
}

/// Binds the store, unless another process has done so since its bond was read.
pub(super) async fn write(client: &Object, bond: &Bond) -> Result<bool, Failure> {
    let changed = client
        .execute(
            "UPDATE meta SET trail_uuid = $1, trail_first = $2, trail_last = $3,
                trail_last_at = CASE WHEN $3::text IS NOT NULL THEN trail_last_at END, trail_epoch = $4::bigint
             WHERE trail_epoch = $4::bigint - 1",
            &[&bond.uuid, &bond.first_commit, &bond.last, &bond.epoch],
        )
        .await?;
    Ok(changed > 0)
}

/// Stores the newest of these entries as acknowledged.
pub(super) async fn acknowledge(
    transaction: &impl GenericClient,
    entries: &[Entry],
) -> Result<(), Failure> {
    // Of several entries with the same time, this is the last: they are in the order of the trail.
    let Some(newest) = entries.iter().max_by_key(|entry| entry.recorded_at) else {
        return Ok(());
    };
    let statement = transaction
        .prepare_cached(
            "UPDATE meta SET trail_last = $1, trail_last_at = $2 WHERE trail_last_at IS NULL OR trail_last_at <= $2",
        )
        .await?;
    let at = newest.recorded_at.microseconds();
    transaction
        .execute(&statement, &[&newest.commit, &at])
        .await?;
    Ok(())
}
