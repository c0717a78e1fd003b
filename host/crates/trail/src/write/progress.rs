//! How far the writer has come: a count that tells a writer at work from one that is stuck, inside this process and outside.
//!
//! While the writer holds the trail's lock, the count is also in the lock file. Processes that wait for the lock read it there, so
//! that a slow disk is not mistaken for a holder that has stopped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::write::holder::HOLDER_END;

/// The offset of the count in the lock file: after the text that names the holder.
const PROGRESS_AT: u64 = HOLDER_END;

/// A count of completed operations. It only grows.
#[derive(Default)]
pub(crate) struct Progress {
    completed: AtomicU64,
    lock: Mutex<Option<File>>,
}

impl Progress {
    /// Returns the number of operations completed so far.
    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Counts an operation that has ended, whether it succeeded or not.
    pub(crate) fn advance(&self) {
        let completed = self.completed.fetch_add(1, Ordering::Relaxed) + 1;
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = lock.as_ref() {
            // Not durable, and no loss if it fails: waiters then see only that the lock changes hands.
            let _ = lock.write_all_at(&completed.to_le_bytes(), PROGRESS_AT);
        }
    }

    /// Publishes the count in the lock file until the guard is dropped. The caller holds the lock for as long as the guard lives.
    pub(crate) fn publish(&self, lock: &File) -> Publication<'_> {
        let file = lock.try_clone().ok();
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Publication(self)
    }
}

/// Ends the publication of a count when it is dropped.
pub(crate) struct Publication<'a>(&'a Progress);

impl Drop for Publication<'_> {
    fn drop(&mut self) {
        let mut lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        *lock = None;
    }
}

/// Reads the count that the holder of the lock has published; 0 if there is none or it cannot be read.
pub(crate) fn published(lock: &File) -> u64 {
    let mut bytes = [0; 8];
    let read: io::Result<()> = lock.read_exact_at(&mut bytes, PROGRESS_AT);
    read.map_or(0, |()| u64::from_le_bytes(bytes))
}
