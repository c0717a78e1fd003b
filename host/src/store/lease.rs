//! The lease: one committer at a time among the hosts on one store.

use std::time::Duration;

/// The right to settle, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) owner: String,
    pub(super) fence: i64,
    pub(super) term: Duration,
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

    /// How long it lasts from when it was taken or renewed.
    pub fn term(&self) -> Duration {
        self.term
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
