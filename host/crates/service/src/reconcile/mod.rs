//! Compares store and trail, and rebuilds the projection from git.
//!
//! Owns the comparison in both directions and the repair of each: rows from the trail, and outcomes that the trail
//! has lost, through the outbox. Never touches git's history. Git is the authority; the store is a copy.

mod compare;
mod rebuild;
mod repair;

use std::sync::Arc;

pub use compare::compare;
pub use rebuild::rebuild;
pub use repair::{RepairReport, repair};

use store::{Entry, NotAnEntry, Store, StoreError};
use trail::{LoggedEntry, Trail, TrailError};

/// The store and the trail.
#[derive(Clone)]
pub struct Layers {
    /// The store, which answers queries.
    pub store: Arc<dyn Store>,
    /// The trail, which is the authority.
    pub trail: Trail,
}

/// Why they could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail failed.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// An entry or row by its task, commit and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryLocation {
    /// The task.
    pub task_id: String,
    /// The commit that added the entry.
    pub commit: String,
    /// Its path in the trail.
    pub path: String,
}

/// Entries without a row that follow each other in the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The commit of the first.
    pub first: String,
    /// The commit of the last.
    pub last: String,
    /// The number of entries.
    pub entries: u64,
}

/// A row that differs from its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The task.
    pub task_id: String,
    /// The columns that differ.
    pub columns: Vec<&'static str>,
    /// The commit that the trail has for the task.
    pub commit: String,
}

/// The differences between the layers. They agree if all lists are empty and the totals match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of entries in the trail.
    pub entries: u64,
    /// The number of rows in the projection.
    pub rows: u64,
    /// Entries that have no row, oldest first.
    pub without_row: Vec<EntryLocation>,
    /// The same entries as ranges of the trail.
    pub gaps: Vec<Gap>,
    /// Rows whose task has no entry: the trail lost it, or another program wrote the row.
    pub without_entry: Vec<EntryLocation>,
    /// Rows that differ from their entry.
    pub different: Vec<Difference>,
    /// Submissions that were closed as committed, but whose task has neither an entry nor a row.
    pub lost: Vec<EntryLocation>,
    /// Files in an entry's place that are not entries, from a manual commit.
    pub unreadable: Vec<String>,
    /// The number of announced tasks without an entry. They may still be running.
    pub announced_without_entry: u64,
    /// How many rows the stored totals count, if that is not the actual number.
    pub miscounted: Option<u64>,
}

impl Report {
    /// Whether store and trail agree.
    pub fn agrees(&self) -> bool {
        self.without_row.is_empty()
            && self.without_entry.is_empty()
            && self.different.is_empty()
            && self.lost.is_empty()
            && self.miscounted.is_none()
    }
}

/// Converts an entry of the trail to a row of the projection.
fn read_entry(logged: &LoggedEntry) -> Result<Entry, NotAnEntry> {
    let LoggedEntry {
        commit,
        path,
        entry,
        reporter,
        ..
    } = logged;
    Entry::read(commit, path, entry, reporter.as_ref())
}
