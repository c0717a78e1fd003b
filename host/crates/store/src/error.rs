//! The errors of a store, by the case that a caller handles.

/// Why a store did not do what was requested. Messages never contain a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Temporarily unavailable: locked, unreachable, full or overloaded. Trying again later may succeed.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The database does not let this user log in or do this.
    #[error("store unavailable: {0}")]
    Denied(String),
    /// The part of this process that writes to the store has ended. Only a restart helps.
    #[error("store unavailable: its writer has stopped")]
    Stopped,
    /// What the caller read has changed and must be read again.
    #[error("the task's plan has changed since it was read")]
    Changed,
    /// Another host has the lease now.
    #[error("the lease is no longer held: another host commits")]
    Fenced,
    /// Another process has bound the store to a trail since it was checked. The caller must check again whether the
    /// store belongs to its trail.
    #[error("the store was bound to a trail by another process meanwhile")]
    Rebound,
    /// The store belongs to another trail.
    #[error(
        "{url} belongs to {bound}, and this repository holds {found}; nothing was changed. {advice}"
    )]
    OtherTrail {
        /// The URL of the store, without a password.
        url: String,
        /// What is known about its trail.
        bound: String,
        /// The trail that was found instead.
        found: String,
        /// What an operator can do.
        advice: String,
    },
    /// The store does not exist.
    #[error("there is no store at {0}")]
    Missing(String),
    /// A newer version of this program created it.
    #[error(
        "{url} has tables of version {found}, and this program supports versions up to {known}: use a newer one"
    )]
    Newer {
        /// The URL of the store, without a password.
        url: String,
        /// The version of its tables.
        found: u32,
        /// The newest version that this program supports.
        known: u32,
    },
    /// The database belongs to another program.
    #[error("{0} is not a store of chiffon-audit; nothing was changed")]
    Foreign(String),
    /// The database cannot be read, or contradicts itself.
    #[error("{url} is damaged: {cause}")]
    Damaged {
        /// The URL of the store, without a password.
        url: String,
        /// What the database reports.
        cause: String,
    },
    /// The task has an entry, and the store cannot tell whether it equals the submission. The caller can compare them.
    #[error("the store cannot tell whether this outcome of the task was already recorded")]
    Unremembered,
    /// What it acknowledges would not survive a power cut.
    #[error("{url} would lose acknowledged data in a power cut: {cause}")]
    NotDurable {
        /// The URL of the store, without a password.
        url: String,
        /// The setting that causes this.
        cause: String,
    },
    /// A connection pooler that does not keep a session's settings is in between.
    #[error(
        "{url} is reached through a connection pooler in {mode} mode, which loses a session's settings, and durability with them: \
         use session mode (pgbouncer: pool_mode = session)"
    )]
    Pooled {
        /// The URL of the store, without a password.
        url: String,
        /// The pooler's mode: `transaction` or `statement`.
        mode: &'static str,
    },
    /// A URL or a setting is invalid.
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// Whether trying the same again later may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            StoreError::Unavailable(_)
                | StoreError::Changed
                | StoreError::Fenced
                | StoreError::Rebound
        )
    }

    /// Whether a person must change the database itself before it can be a store.
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
