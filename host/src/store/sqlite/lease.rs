//! The lease in SQLite. Every process on one file is on one machine, so its clock is everybody's.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::columns::{elapsed, micros};
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
    let (holder, mut fence, renewed_at, lasts): (Option<String>, i64, i64, i64) = connection
        .query_row(
            "SELECT lease_owner, lease_fence, lease_renewed_at, lease_term FROM meta",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .context(url)?;
    let now = clock::now(connection, url)?;
    let expires = renewed_at.saturating_add(lasts);
    // A clock that was set back would keep a dead host's lease alive; a living one has renewed it since.
    let is_current = now < expires && now >= renewed_at.saturating_sub(lasts);
    match holder {
        Some(holder) if is_current && holder != owner => {
            return Ok(LeaseAnswer::HeldBy {
                owner: holder,
                expires_in: elapsed(now, expires),
            });
        }
        Some(holder) if is_current && holder == owner => {}
        _ => fence += 1,
    }
    connection
        .execute(
            "UPDATE meta SET lease_owner = ?1, lease_fence = ?2, lease_renewed_at = ?3, lease_term = ?4",
            params![owner, fence, now, micros(term)],
        )
        .context(url)?;
    Ok(LeaseAnswer::Held(Lease {
        owner: owner.to_owned(),
        fence,
        term,
    }))
}

/// Whether nobody has taken the lease since.
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

/// Gives the lease back.
pub(super) fn release(connection: &Connection, url: &str, lease: &Lease) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE meta SET lease_owner = NULL, lease_term = 0 WHERE lease_owner = ?1 AND lease_fence = ?2",
            params![lease.owner, lease.fence],
        )
        .map(drop)
        .context(url)
}
