//! The lease: one committer at a time among the hosts on one store.

use std::time::Duration;

use super::columns::elapsed;

/// The right to settle, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) owner: String,
    pub(super) fence: i64,
}

impl Lease {
    /// Who holds it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Grows whenever the lease is taken anew, never when it is renewed.
    pub fn fence(&self) -> i64 {
        self.fence
    }
}

/// The lease as a database has it; times in microseconds of its own clock.
pub(super) struct LeaseRow {
    pub(super) holder: Option<String>,
    pub(super) fence: i64,
    pub(super) renewed_at: i64,
    pub(super) term: i64,
}

impl LeaseRow {
    /// The lease that `owner` has from now on, or who has it instead.
    pub(super) fn taken_by(self, owner: &str, now: i64) -> LeaseAnswer {
        let expires = self.renewed_at.saturating_add(self.term);
        // A clock that was set back would keep a dead host's lease alive; a living one has renewed it since.
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

/// Whether the caller holds the lease now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It does.
    Held(Lease),
    /// Somebody else does.
    HeldBy {
        /// Who.
        owner: String,
        /// When it runs out unless it is renewed.
        expires_in: Duration,
    },
}
