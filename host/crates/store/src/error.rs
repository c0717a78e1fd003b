//! What can go wrong with a store, by the case that a caller decides on.

/// Why a store did not do what it was asked. Messages never hold a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Not now: locked, unreachable, full, overloaded. The same again, later, may help.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The database does not let this user in, or not do this.
    #[error("store unavailable: {0}")]
    Denied(String),
    /// The part of this process that writes to the store has ended: only a new start helps.
    #[error("store unavailable: its writer has stopped")]
    Stopped,
    /// What the caller read has changed: read again.
    #[error("the task's plan has changed since it was read")]
    Changed,
    /// The lease is somebody else's by now.
    #[error("the lease is no longer held: another host commits")]
    Fenced,
    /// The store was bound to a trail since it was looked at: look again whether it is still one's own.
    #[error("the store was bound to a trail by another process meanwhile")]
    Rebound,
    /// It belongs to another trail.
    #[error(
        "{url} belongs to {bound}, and this repository holds {found}; nothing was changed. {advice}"
    )]
    OtherTrail {
        /// The store.
        url: String,
        /// What is known of its trail.
        bound: String,
        /// What is here instead.
        found: String,
        /// What an operator can do.
        advice: String,
    },
    /// There is no store.
    #[error("there is no store at {0}")]
    Missing(String),
    /// A newer version of this program has made it.
    #[error(
        "{url} has tables of version {found}, and this program knows versions up to {known}: use a newer one"
    )]
    Newer {
        /// The store.
        url: String,
        /// Its version.
        found: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// Somebody else's database.
    #[error("{0} is not a store of chiffon-audit; nothing was changed")]
    Foreign(String),
    /// It cannot be read as a database, or contradicts itself.
    #[error("{url} is damaged: {cause}")]
    Damaged {
        /// The store.
        url: String,
        /// What the database says.
        cause: String,
    },
    /// It has an entry of the task, and cannot tell whether it says the same: the caller can compare them.
    #[error("whether the task was recorded so before is for the caller to find out")]
    Unremembered,
    /// It would not survive a power cut.
    #[error("{url} would lose what it has acknowledged in a power cut: {cause}")]
    NotDurable {
        /// The store.
        url: String,
        /// The setting at fault.
        cause: String,
    },
    /// A connection pooler is in between that does not keep a session's settings.
    #[error(
        "{url} is reached through a connection pooler in {mode} mode, which loses a session's settings, and durability with them: \
         use session mode (pgbouncer: pool_mode = session)"
    )]
    Pooled {
        /// The store.
        url: String,
        /// The mode: `transaction` or `statement`.
        mode: &'static str,
    },
    /// A URL or a setting makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// Whether the same again, later, may help.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            StoreError::Unavailable(_)
                | StoreError::Changed
                | StoreError::Fenced
                | StoreError::Rebound
        )
    }

    /// Whether the database itself must be seen to by a person before it can be a store.
    pub fn is_unfit(&self) -> bool {
        matches!(
            self,
            StoreError::Newer { .. }
                | StoreError::Foreign(_)
                | StoreError::Damaged { .. }
                | StoreError::NotDurable { .. }
                | StoreError::OtherTrail { .. }
                | StoreError::Pooled { .. }
        )
    }
}
