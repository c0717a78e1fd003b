//! Visitors of the history, such as signatures, Merkle leaves and statistics. A visitor sees every commit that is
//! judged, and makes its own claims; it does not influence others.

use super::object::Id;
use super::report::Claim;
use super::walk::chain::Chain;

/// A trail commit. Commits by people are not shown.
#[non_exhaustive]
pub struct TrailCommit<'a> {
    /// The number of first-parent steps below the tip, counting commits by people; greater is older.
    pub depth: u32,
    /// The number of older trail commits that add an entry, or claim to: the index of the entry in the tree.
    pub position: u64,
    /// The id of the commit.
    pub id: Id,
    /// The content of the object, byte for byte.
    pub raw: &'a [u8],
    /// Whether it is the genesis commit, which adds no entry.
    pub is_genesis: bool,
    /// The digest of the policy, `sha256:…`, as the commit names it; empty if it is missing or malformed.
    pub policy: &'a str,
    /// The digest of the policy's settings, in the same form.
    pub settings: &'a str,
    /// The reporter of the outcome, as the commit names it; `None` if it is missing or malformed.
    pub reporter: Option<&'a str>,
    /// The commit time, in seconds since 1970; `None` if it is malformed.
    pub seconds: Option<i64>,
    /// The entry that it adds; `None` for the genesis commit, and if the commit does not add exactly one readable file.
    pub entry: Option<TrailEntry<'a>>,
}

/// The file that a trail commit adds.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TrailEntry<'a> {
    /// The path, `.audit/…`.
    pub path: &'a [u8],
    /// The id of the blob.
    pub blob: Id,
    /// The task whose entry has this path; `None` if no entry may have it.
    pub task: Option<&'a str>,
    /// The content of the file, byte for byte; it may be malformed.
    pub bytes: &'a [u8],
    /// The time in the entry, in seconds since 1970; `None` if it is missing or malformed.
    pub recorded: Option<i64>,
}

impl TrailCommit<'_> {
    /// The hash of the entry's leaf in the Merkle tree, in hexadecimal.
    pub fn leaf(&self) -> Option<String> {
        let entry = self.entry?;
        let hash = super::merkle::leaf::hash(entry.path, entry.bytes, self.raw);
        Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Facts about the whole history.
#[non_exhaustive]
pub struct Walk<'a> {
    /// The number of first-parent commits, including those by people.
    pub commits: u64,
    /// The number of entries that trail commits added.
    pub entries: u64,
    /// The uuid of the trail, if it has a genesis commit.
    pub trail_id: Option<&'a str>,
    /// The reason why the oldest commits were not seen, if there is one.
    pub cut: Option<&'a str>,
    /// The commit where the audit started, which is not judged, if history led to it.
    pub until: Option<Id>,
    /// The ids of the commits.
    pub(crate) chain: &'a Chain,
}

/// Sees every commit of the trail during an audit.
pub trait Visitor: Sync {
    /// Whether the visitor needs [`Visitor::begin`] and the position of each commit. Otherwise commits may be judged
    /// while older ones are still being read. If no visitor needs it, `begin` is not called, and every position is 0.
    fn needs_position(&self) -> bool {
        true
    }

    /// Called before the first commit is judged. `entries` counts commits that claim to add one.
    fn begin(&self, walk: &Walk<'_>) {
        let _ = walk;
    }

    /// Sees a commit. Called once for each commit, from several threads and in no particular order; slow work is shared
    /// among the threads. A visitor that needs an order stores `depth` with its data, and sorts in [`Visitor::finish`].
    fn visit(&self, commit: &TrailCommit<'_>);

    /// Sees the commit where the audit starts, which is not judged, after all others. Its `entry` is `None`.
    fn visit_border(&self, commit: &TrailCommit<'_>) {
        let _ = commit;
    }

    /// Whether the visitor has seen enough. An audit in order then ends early. Called at intervals.
    fn is_done(&self) -> bool {
        false
    }

    /// Makes claims after all of history was seen. The report has them in the order of the visitors, after the
    /// structural ones.
    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let _ = walk;
        Vec::new()
    }
}
