//! The fence: of several hosts that commit in turns, only the one whose turn began last writes the trail.
//!
//! Who commits is decided elsewhere, by a lease that runs out. A host that was stopped while it held it cannot know, when
//! it goes on, that another has taken over: so each turn has a number, greater than those before, and the greatest that has
//! written is kept in the trail's lock file, where it is read and changed by whoever holds the lock, and by nobody else.
//! Writers without a turn, such as `commit` and `ingest`, are not fenced: entries are create-only, whoever adds them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::error::{IoContext as _, TrailError};
use crate::place::state::StateDir;
use crate::write::lock::WriterLock;

/// How a host that accepts outcomes and commits them writes the trail.
#[derive(Clone, Debug)]
pub struct CommitterOptions {
    /// When it may write.
    pub fence: Arc<Fence>,
    /// By how many steps of `nice` the trail's threads give way to the program's others.
    pub nicer: i32,
}

impl CommitterOptions {
    /// The calling thread, and what it begins, gives way.
    pub fn lower_priority(&self) {
        let niced = rustix::process::getpriority_process(None).and_then(|nice| {
            rustix::process::setpriority_process(None, (nice + self.nicer).min(19))
        });
        if let Err(error) = niced {
            tracing::debug!(%error, "committing does not give way");
        }
    }
}

/// A host's turn to commit, as far as it knows.
#[derive(Debug, Default)]
pub struct Fence {
    number: AtomicI64,
    overrules: AtomicBool,
}

impl Fence {
    /// Sets the number of the turn, greater than 0. Says whether it is another than before.
    pub fn enter_turn(&self, number: i64) -> bool {
        self.number.swap(number, Ordering::SeqCst) != number
    }

    /// Whether this is the number of the present turn.
    pub fn is_turn(&self, number: i64) -> bool {
        self.number.load(Ordering::SeqCst) == number
    }

    /// Takes the present turn for the last one, whatever the trail says: for a host that was fenced although those who decide say
    /// that it is its turn. The number in the trail is then from another life, such as of a store that was lost.
    pub fn overrule(&self) {
        self.overrules.store(true, Ordering::SeqCst);
    }

    /// Lets only the last turn pass. Called under the lock.
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
