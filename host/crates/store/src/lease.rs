//! The lease: at most one committer at a time among the hosts that share a store.

use std::time::Duration;

use super::columns::elapsed;

/// The right to settle, for a limited time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) owner: String,
    pub(super) fence: i64,
}

impl Lease {
    /// The host that holds it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Increases whenever the lease is taken, but not when it is renewed.
    pub fn fence(&self) -> i64 {
        self.fence
    }
}

/// The lease as the database holds it. Times are microseconds of the database's own clock.
pub(super) struct LeaseRow {
    pub(super) holder: Option<String>,
    pub(super) fence: i64,
    pub(super) renewed_at: i64,
    pub(super) term: i64,
}

impl LeaseRow {
    /// Grants the lease to `owner` from now on, or says who has it.
    pub(super) fn taken_by(self, owner: &str, now: i64) -> LeaseAnswer {
        let expires = self.renewed_at.saturating_add(self.term);
        // A clock that was set back would keep a dead host's lease alive. A living host has renewed it since.
        let is_current = now < expires && now >= self.renewed_at.saturating_sub(self.term);
        let fence = match self.holder {
            Some(holder) if is_current && holder != owner => {
                return LeaseAnswer::HeldBy {
                    owner: holder,
                    expires_in: elapsed(now, expires),
                };
            }
            Some(_) if is_current => self.fence,
            _ => self.fence + 1,
        };
        LeaseAnswer::Held(Lease {
            owner: owner.to_owned(),
            fence,
        })
    }
}

/// The answer to a request for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// The caller holds the lease.
    Held(Lease),
    /// Another host holds the lease.
    HeldBy {
        /// The host that holds it.
        owner: String,
        /// The time until it expires, unless it is renewed.
        expires_in: Duration,
    },
}
