//! Entries that this host has just committed, kept for followers so that they need not be read from git.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Entry;
use trail::{Trail, TrailError};

/// The most bytes to keep: some seconds of ordinary entries. Others are read from git.
const MAX_BYTES: usize = 8 << 20;

/// Entries by commit. Empty while there are no followers.
#[derive(Default)]
pub(in super::super) struct RecentEntries {
    kept: AtomicBool,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_commit: HashMap<String, Entry>,
    order: VecDeque<(String, usize)>,
    bytes: usize,
}

impl RecentEntries {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether entries are kept.
    pub(in super::super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    pub(super) fn keep(&self, keep: bool) {
        self.kept.store(keep, Ordering::Relaxed);
        if !keep {
            *self.entries() = Entries::default();
        }
    }

    /// Keeps a committed entry, dropping the oldest if necessary.
    pub(in super::super) fn note(&self, entry: Entry) {
        let mut entries = self.entries();
        // In the worst case the query columns take the same size again.
        let size = 2 * entry.text.len();
        entries.bytes += size;
        entries.order.push_back((entry.commit.clone(), size));
        entries.by_commit.insert(entry.commit.clone(), entry);
        while entries.bytes > MAX_BYTES
            && let Some((commit, size)) = entries.order.pop_front()
        {
            entries.bytes -= size;
            entries.by_commit.remove(&commit);
        }
    }

    /// The entry that a commit added. It is read from git if it is not kept.
    pub(super) fn take_or_read(
        &self,
        trail: &Trail,
        commit: &str,
    ) -> Result<Option<Entry>, TrailError> {
        let kept = self.entries().by_commit.get(commit).cloned();
        match kept {
            Some(entry) => Ok(Some(entry)),
            None => read(trail, commit),
        }
    }
}

/// Reads the entry that a commit added. `None` if it adds none, which only a manual commit can cause: `verify`
/// reports it.
pub(super) fn read(trail: &Trail, commit: &str) -> Result<Option<Entry>, TrailError> {
    let Some(logged) = trail.logged_by(commit)? else {
        return Ok(None);
    };
    let entry = Entry::read(
        &logged.commit,
        &logged.path,
        &logged.entry,
        logged.reporter.as_ref(),
    );
    Ok(entry
        .inspect_err(|error| tracing::warn!(%error, "a file in the trail is not an entry"))
        .ok())
}
