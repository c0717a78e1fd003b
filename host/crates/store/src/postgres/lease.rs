//! The lease in PostgreSQL, by the server's clock.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};

use super::super::bond;
use super::super::columns::micros;
use super::super::lease::LeaseRow;
use super::super::{Lease, LeaseAnswer, StoreError};
use super::failure::Failure;
use super::outbox::SettleContext;

/// Takes the lease, or renews it.
pub(super) async fn take(
    client: &mut Object,
    owner: &str,
    term: Duration,
    required_epoch: Option<i64>,
) -> Result<LeaseAnswer, Failure> {
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            "SELECT lease_owner, lease_fence, lease_renewed_at, lease_term, trail_epoch FROM meta FOR UPDATE",
            &[],
        )
        .await?;
    bond::check(required_epoch, row.get(4))?;
    // Read after the lock was taken: other hosts may have waited for it for as long.
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

/// Checks that no other host has taken the lease, and that the store still belongs to the same trail. Neither can
/// change before the transaction ends, except by the transaction itself. Fails if the session is not set up to be
/// durable.
pub(super) async fn check(
    transaction: &impl GenericClient,
    lease: &Lease,
    within: &SettleContext<'_>,
) -> Result<(), Failure> {
    let statement = transaction
        .prepare_cached(
            "SELECT trail_epoch, lease_owner IS NOT DISTINCT FROM $1 AND lease_fence = $2, check_session($3)
             FROM meta FOR NO KEY UPDATE",
        )
        .await?;
    let row = transaction
        .query_one(&statement, &[&lease.owner, &lease.fence, &within.mark])
        .await?;
    bond::check(within.required_epoch, row.get(0))?;
    match row.get(1) {
        true => Ok(()),
        false => Err(StoreError::Fenced.into()),
    }
}

/// Returns the lease.
pub(super) async fn release(client: &mut Object, lease: &Lease) -> Result<(), Failure> {
    client
        .execute(
            "UPDATE meta SET lease_owner = NULL, lease_term = 0 WHERE lease_owner = $1 AND lease_fence = $2",
            &[&lease.owner, &lease.fence],
        )
        .await?;
    Ok(())
}
