//! A trail that several repositories hold: each move of a ref is first appended to a log, in one order for all of them, and then made
//! by every repository for itself.
//!
//! Owns what is appended and what is accepted from the log. Knows no database: the log is a trait. The log is not trusted: what it
//! holds is checked like a foreign pack before a ref moves, and a ref moves only from the parent that the record names.
//!
//! How a group flows: flushed pack → [`Log::append`] → the ref here → receipt. On other hosts: [`Log::read`] → `apply` (checks) → the ref.

mod apply;
mod catch_up;
mod history;
mod membership;

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

pub use membership::Membership;

use crate::error::TrailError;
use crate::{Placement, Trail, TrailInner};

/// A move of one ref, with the objects that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the log, from 1.
    pub seq: i64,
    /// The full name of the ref.
    pub reference: String,
    /// The commit from which the ref moves; `None` if it does not exist yet.
    pub parent: Option<String>,
    /// The commit to which it moves.
    pub tip: String,
    /// The number of commits.
    pub commits: u32,
    /// The SHA-256 of the pack.
    pub sha256: [u8; 32],
    /// The objects, as a pack of git without foreign bases.
    pub pack: Vec<u8>,
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHead {
    /// The place of the newest record; 0 if there is none.
    pub seq: i64,
    /// The commit of each ref, by full name.
    pub tips: std::collections::BTreeMap<String, String>,
}

/// Why a log did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The ref is not where the record begins. Nothing was appended.
    Moved,
    /// Another host has taken over. Nothing was appended.
    Fenced,
    /// The log cannot be used now, as the sentence says. The record may have been appended.
    Unavailable(String),
}

/// A totally ordered log of the moves of all refs of a trail.
///
/// Methods block, and must not be called on the thread of an asynchronous runtime.
pub trait Log: Send + Sync {
    /// Appends a record; its `seq` is chosen by the log. Durable on return. If the answer of an earlier attempt was lost, the same record
    /// must be found and not appended again.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    fn append(&self, record: LogRecord, turn: Option<i64>) -> Result<i64, LogError>;

    /// The end of the log.
    ///
    /// # Errors
    ///
    /// [`LogError::Unavailable`].
    fn head(&self) -> Result<LogHead, LogError>;

    /// The place of the record that moves a ref to this commit.
    ///
    /// # Errors
    ///
    /// [`LogError::Unavailable`].
    fn find(&self, tip: &str) -> Result<Option<i64>, LogError>;

    /// The records after this place, in order. At least one if there is one; not all, if they are many.
    ///
    /// # Errors
    ///
    /// [`LogError::Unavailable`].
    fn read(&self, after: i64) -> Result<Vec<LogRecord>, LogError>;
}

/// The part of an open trail that concerns its log.
#[derive(Default)]
pub(crate) struct Replication {
    log: OnceLock<Arc<dyn Log>>,
    /// Whether the repository is one of several, by its own note.
    is_member: OnceLock<bool>,
    /// Whether the log may have records that this repository lacks.
    stale: AtomicBool,
    /// The place up to which every record is in this repository.
    applied: AtomicI64,
}

impl fmt::Debug for Replication {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Replication {{ applied: {:?} }}", self.applied)
    }
}

impl Replication {
    pub(crate) fn log(&self) -> Option<&Arc<dyn Log>> {
        self.log.get()
    }

    /// The place up to which every record is in this repository.
    pub(crate) fn applied(&self) -> i64 {
        self.applied.load(Ordering::SeqCst)
    }

    /// Makes the next refresh read the log.
    pub(crate) fn expect_news(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// Makes the next refresh find out where the refs are in the log.
    pub(crate) fn lose_place(&self) {
        self.applied.store(0, Ordering::SeqCst);
        self.expect_news();
    }

    /// Notes a record that this host has appended and applied. Records of others that came before it are still missing.
    pub(crate) fn note_own(&self, seq: i64) {
        let _ = self
            .applied
            .compare_exchange(seq - 1, seq, Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl Trail {
    /// Appends to this log from now on, before a ref moves. MUST be called before this handle writes.
    ///
    /// # Errors
    ///
    /// [`TrailError::Invalid`] for a trail on a branch that is checked out.
    pub fn attach_log(&self, log: Arc<dyn Log>) -> Result<(), TrailError> {
        if self.placement() == Placement::Checkout {
            return Err(TrailError::Invalid(
                "a trail on a branch that is checked out cannot be replicated: `init --ref` or `init --bare` begins one on a separate ref".into(),
            ));
        }
        let replication = &self.shared().replication;
        let _ = replication.log.set(log);
        replication.expect_news();
        Ok(())
    }

    /// Whether this handle appends to a log.
    pub fn is_replicated(&self) -> bool {
        self.shared().replication.log().is_some()
    }

    /// The place in the log up to which this repository has everything, durable.
    pub fn applied(&self) -> i64 {
        self.shared().replication.applied()
    }

    /// Applies what the log has and this repository lacks.
    ///
    /// # Errors
    ///
    /// Those of any writing; [`TrailError::Forked`], [`TrailError::DivergedFromLog`], [`TrailError::LogUnavailable`],
    /// [`TrailError::InvalidRecord`].
    pub fn catch_up(&self) -> Result<(), TrailError> {
        self.shared().replication.expect_news();
        self.check()
    }
}

impl TrailInner {
    /// Whether the refs move only as the log says: no remote is followed then.
    pub(crate) fn follows_log(&self) -> Result<bool, TrailError> {
        if self.replication.log().is_some() {
            return Ok(true);
        }
        if let Some(known) = self.replication.is_member.get() {
            return Ok(*known);
        }
        let is_member = self.state.read_membership()?.is_some();
        Ok(*self.replication.is_member.get_or_init(|| is_member))
    }

    /// Fails if the repository is one of several and this handle has no log: its ref would move alone.
    pub(crate) fn check_log_attached(&self) -> Result<(), TrailError> {
        match self.replication.log().is_none() && self.follows_log()? {
            true => Err(TrailError::NeedsLog),
            false => Ok(()),
        }
    }
}

impl LogError {
    pub(crate) fn into_trail_error(self, reference: &str) -> TrailError {
        match self {
            LogError::Moved => TrailError::Moved {
                reference: reference.to_owned(),
            },
            LogError::Fenced => TrailError::Fenced,
            LogError::Unavailable(why) => TrailError::LogUnavailable(why),
        }
    }
}
