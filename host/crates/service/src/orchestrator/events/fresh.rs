//! Entries that this host has just committed, kept for those who follow: they need not be read from git again.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Entry;
use trail::{Trail, TrailError};

/// The most bytes that are kept: some seconds of ordinary entries. What is not kept is read from git.
const BYTES_MOST: usize = 8 << 20;

/// Entries by their commits. Keeps nothing while nobody follows.
#[derive(Default)]
pub(in super::super) struct Fresh {
    kept: AtomicBool,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_commit: HashMap<String, Entry>,
    order: VecDeque<(String, usize)>,
    bytes: usize,
}

impl Fresh {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether entries are to be noted.
    pub(in super::super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    pub(super) fn keep(&self, keep: bool) {
        self.kept.store(keep, Ordering::Relaxed);
        if !keep {
            *self.entries() = Entries::default();
        }
    }

    /// Keeps an entry that is committed, in place of the oldest.
    pub(in super::super) fn note(&self, entry: Entry) {
        let mut entries = self.entries();
        // As much again is taken by what queries look at, in the worst case.
        let size = 2 * entry.text.len();
        entries.bytes += size;
        entries.order.push_back((entry.commit.clone(), size));
        entries.by_commit.insert(entry.commit.clone(), entry);
        while entries.bytes > BYTES_MOST
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

/// The entry that a commit added. None if it adds none, which only a person's hand can bring about: `verify` names it.
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
        .inspect_err(|error| tracing::warn!(%error, "what is in the trail is no entry"))
        .ok())
}
