//! The bond of a store in SQLite.

use rusqlite::{Connection, params};

use super::super::bond;
use super::super::{Bond, Entry, StoreError};
use super::failure::Context as _;

/// Reads the bond of the store.
pub(super) fn read(connection: &Connection, url: &str) -> Result<Bond, StoreError> {
    connection
        .query_row(
            "SELECT trail_uuid, trail_first, trail_last, trail_epoch FROM meta",
            [],
            |row| {
                Ok(Bond {
                    uuid: row.get(0)?,
                    first_commit: row.get(1)?,
                    last: row.get(2)?,
                    epoch: row.get(3)?,
                })
            },
        )
        .context(url)
}

/// Binds the store, unless another process has done so since its bond was read.
pub(super) fn write(connection: &Connection, url: &str, bond: &Bond) -> Result<bool, StoreError> {
    connection
        .execute(
            "UPDATE meta SET trail_uuid = ?1, trail_first = ?2, trail_last = ?3,
                trail_last_at = iif(?3 IS NULL, NULL, trail_last_at), trail_epoch = ?4 WHERE trail_epoch = ?4 - 1",
            params![bond.uuid, bond.first_commit, bond.last, bond.epoch],
        )
        .map(|changed| changed > 0)
        .context(url)
}

/// Reads the store's epoch.
pub(super) fn epoch(connection: &Connection, url: &str) -> Result<i64, StoreError> {
    connection
        .prepare_cached("SELECT trail_epoch FROM meta")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .context(url)
}

/// Fails if the store was bound again.
pub(super) fn check(
    connection: &Connection,
    url: &str,
    required_epoch: Option<i64>,
) -> Result<(), StoreError> {
    bond::check(required_epoch, epoch(connection, url)?)
}

/// Stores the newest of these entries as acknowledged.
pub(super) fn acknowledge(
    connection: &Connection,
    url: &str,
    entries: &[&Entry],
) -> Result<(), StoreError> {
    // Of several entries with the same time, this is the last: they are in the order of the trail.
    let Some(newest) = entries.iter().max_by_key(|entry| entry.recorded_at) else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "UPDATE meta SET trail_last = ?1, trail_last_at = ?2 WHERE trail_last_at IS NULL OR trail_last_at <= ?2",
        )
        .and_then(|mut statement| {
            statement.execute(params![newest.commit, newest.recorded_at.microseconds()])
        })
        .map(drop)
        .context(url)
}
