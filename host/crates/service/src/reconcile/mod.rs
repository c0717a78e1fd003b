//! Whether store and trail say the same, and the projection made again from git.
//!
//! Owns the comparison both ways, and what can be restored of either: rows from the trail, and outcomes that the trail has
//! lost, by the outbox. Never touches git's history. Git is the authority; the store remembers.

mod compare;
mod rebuild;
mod repair;

use std::sync::Arc;

pub use compare::compare;
pub use rebuild::rebuild;
pub use repair::{Repaired, repair};

use store::{Entry, NotAnEntry, Store, StoreError};
use trail::{LoggedEntry, Trail, TrailError};

/// The two layers.
#[derive(Clone)]
pub struct Layers {
    /// What queries ask.
    pub store: Arc<dyn Store>,
    /// What counts.
    pub trail: Trail,
}

/// Why they could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// An entry or row by its task, commit and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
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
    /// How many they are.
    pub entries: u64,
}

/// A row that does not say what its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The task.
    pub task_id: String,
    /// The columns that differ.
    pub columns: Vec<&'static str>,
    /// The commit that the trail has for the task.
    pub commit: String,
}

/// What differs between the layers. Nothing does if all lists are empty and the totals agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of the trail.
    pub entries: u64,
    /// Rows of the projection.
    pub rows: u64,
    /// Entries that have no row, oldest first.
    pub without_row: Vec<Named>,
    /// The same as stretches of the trail.
    pub gaps: Vec<Gap>,
    /// Rows whose task has no entry in the trail: the trail has lost it, or somebody else wrote the row.
    pub without_entry: Vec<Named>,
    /// Rows that say something else than their entry.
    pub different: Vec<Difference>,
    /// Submissions that were closed as committed, whose task has neither entry nor row.
    pub lost: Vec<Named>,
    /// What the trail has in an entry's place and is none: a person's commit.
    pub unreadable: Vec<String>,
    /// How many rows the kept numbers tell of, where that is another number than there are.
    pub miscounted: Option<u64>,
}

impl Report {
    /// Whether store and trail say the same.
    pub fn agrees(&self) -> bool {
        self.without_row.is_empty()
            && self.without_entry.is_empty()
            && self.different.is_empty()
            && self.lost.is_empty()
            && self.miscounted.is_none()
    }
}

/// What the projection holds of an entry of the trail.
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
