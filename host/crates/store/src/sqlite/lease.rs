//! The lease in SQLite. All processes that use a file are on one machine and share its clock.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::columns::micros;
use super::super::lease::LeaseRow;
use super::super::{Lease, LeaseAnswer, StoreError};
use super::clock;
use super::failure::Context as _;

/// Takes the lease, or renews it.
pub(super) fn take(
    connection: &Connection,
    url: &str,
    owner: &str,
    term: Duration,
) -> Result<LeaseAnswer, StoreError> {
    let row = connection
        .query_row(
            "SELECT lease_owner, lease_fence, lease_renewed_at, lease_term FROM meta",
            [],
            |row| {
                Ok(LeaseRow {
                    holder: row.get(0)?,
                    fence: row.get(1)?,
                    renewed_at: row.get(2)?,
                    term: row.get(3)?,
                })
            },
        )
        .context(url)?;
    let now = clock::now(connection, url)?;
    let answer = row.taken_by(owner, now);
    let LeaseAnswer::Held(lease) = &answer else {
        return Ok(answer);
    };
    connection
        .execute(
            "UPDATE meta SET lease_owner = ?1, lease_fence = ?2, lease_renewed_at = ?3, lease_term = ?4",
            params![owner, lease.fence, now, micros(term)],
        )
        .context(url)?;
    Ok(answer)
}

/// Checks that no other host has taken the lease.
pub(super) fn check(connection: &Connection, url: &str, lease: &Lease) -> Result<(), StoreError> {
    let is_held: bool = connection
        .query_row(
            "SELECT lease_owner IS ?1 AND lease_fence = ?2 FROM meta",
            params![lease.owner, lease.fence],
            |row| row.get(0),
        )
        .context(url)?;
    if is_held {
        Ok(())
    } else {
        Err(StoreError::Fenced)
    }
}

/// Returns the lease.
pub(super) fn release(connection: &Connection, url: &str, lease: &Lease) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE meta SET lease_owner = NULL, lease_term = 0 WHERE lease_owner = ?1 AND lease_fence = ?2",
            params![lease.owner, lease.fence],
        )
        .map(drop)
        .context(url)
}
