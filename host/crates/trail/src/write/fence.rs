//! The fence: of several hosts that take turns to commit, only the one with the latest turn writes the trail.
//!
//! The lease that decides who commits is elsewhere. A host that was stopped during its turn cannot know, when it
//! continues, that another host has taken over. Each turn therefore has a number, greater than those before it. The
//! greatest number that has written is in the trail's lock file, where only the holder of the lock reads and changes
//! it. Writers without a turn, such as `commit` and `ingest`, are not fenced: entries are create-only.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::error::{IoContext as _, TrailError};
use crate::place::state::StateDir;
use crate::write::lock::WriterLock;

/// How the committer of a host writes the trail.
#[derive(Clone, Debug)]
pub struct CommitterOptions {
    /// The fence that decides whether the host may write.
    pub fence: Arc<Fence>,
    /// How many steps of `nice` the trail's threads have a lower priority than the program's other threads.
    pub nicer: i32,
}

impl CommitterOptions {
    /// Lowers the priority of the calling thread, and of the threads that it starts.
    pub fn lower_priority(&self) {
        let niced = rustix::process::getpriority_process(None).and_then(|nice| {
            rustix::process::setpriority_process(None, (nice + self.nicer).min(19))
        });
        if let Err(error) = niced {
            tracing::debug!(%error, "could not lower the priority of the committing thread");
        }
    }
}

/// The host's current turn to commit.
#[derive(Debug, Default)]
pub struct Fence {
    number: AtomicI64,
    overrules: AtomicBool,
}

impl Fence {
    /// Sets the number of the turn, greater than 0. Returns whether it is a new one.
    pub fn enter_turn(&self, number: i64) -> bool {
        self.number.swap(number, Ordering::SeqCst) != number
    }

    /// Whether this is the number of the current turn.
    pub fn is_turn(&self, number: i64) -> bool {
        self.number.load(Ordering::SeqCst) == number
    }

    /// The number of the current turn; `None` before the first one.
    pub(crate) fn turn(&self) -> Option<i64> {
        let number = self.number.load(Ordering::SeqCst);
        (number > 0).then_some(number)
    }

    /// Treats the current turn as the latest, whatever number the trail has: for a host that was fenced although it
    /// holds the lease. The number in the trail then belongs to an earlier store, for example one that was lost.
    pub fn overrule(&self) {
        self.overrules.store(true, Ordering::SeqCst);
    }

    /// Fails if another turn is later than this one. Called under the lock.
    pub(crate) fn check(&self, lock: &WriterLock, state: &StateDir) -> Result<(), TrailError> {
        let own = self.number.load(Ordering::SeqCst);
        if own == 0 {
            return Ok(());
        }
        let last = lock.turn();
        if last > own && !self.overrules.swap(false, Ordering::SeqCst) {
            return Err(TrailError::Fenced);
        }
        if last == own {
            return Ok(());
        }
        let written: io::Result<()> = lock.set_turn(own);
        written.doing("write", &state.flock_path())
    }
}
