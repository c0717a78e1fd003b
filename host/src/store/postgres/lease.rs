//! The lease in PostgreSQL, by the server's clock.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};

use super::super::columns::micros;
use super::super::lease::LeaseRow;
use super::super::{Lease, LeaseAnswer, StoreError};
use super::failure::Failure;

/// Takes the lease, or renews it.
pub(super) async fn take(
    client: &mut Object,
    owner: &str,
    term: Duration,
) -> Result<LeaseAnswer, Failure> {
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            "SELECT lease_owner, lease_fence, lease_renewed_at, lease_term FROM meta FOR UPDATE",
            &[],
        )
        .await?;
    // After the lock: others may have waited for it as long.
    let now: i64 = transaction
        .query_one("SELECT now_micros()", &[])
        .await?
        .get(0);
    let row = LeaseRow {
        holder: row.get(0),
        fence: row.get(1),
        renewed_at: row.get(2),
        term: row.get(3),
    };
    let answer = row.taken_by(owner, now);
    let LeaseAnswer::Held(lease) = &answer else {
        return Ok(answer);
    };
    transaction
        .execute(
            "UPDATE meta SET lease_owner = $1, lease_fence = $2, lease_renewed_at = $3, lease_term = $4",
            &[&owner, &lease.fence, &now, &micros(term)],
        )
        .await?;
    transaction.commit().await?;
    Ok(answer)
}

/// Whether nobody has taken the lease since; nobody can until the transaction ends.
pub(super) async fn check(transaction: &impl GenericClient, lease: &Lease) -> Result<(), Failure> {
    let held = transaction
        .query_opt(
            "SELECT 1 FROM meta WHERE lease_owner = $1 AND lease_fence = $2 FOR SHARE",
            &[&lease.owner, &lease.fence],
        )
        .await?;
    match held {
        Some(_) => Ok(()),
        None => Err(StoreError::Fenced.into()),
    }
}

/// Gives the lease back.
pub(super) async fn release(client: &mut Object, lease: &Lease) -> Result<(), Failure> {
    client
        .execute(
            "UPDATE meta SET lease_owner = NULL, lease_term = 0 WHERE lease_owner = $1 AND lease_fence = $2",
            &[&lease.owner, &lease.fence],
        )
        .await?;
    Ok(())
}
