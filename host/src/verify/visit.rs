//! What may look along while history is judged: signatures, Merkle leaves, statistics. A visitor sees what the judge sees and
//! makes claims of its own; it decides nothing about the others'.

use super::report::Claim;
use super::store::hash::Id;

/// A commit of the trail, never a person's.
#[non_exhaustive]
pub struct TrailCommit<'a> {
    /// First-parent steps below the tip, people's commits counted; greater is older.
    pub depth: u32,
    /// Its name.
    pub id: Id,
    /// The object's content, byte for byte.
    pub raw: &'a [u8],
    /// Whether it is the trail's beginning, which adds nothing.
    pub is_genesis: bool,
    /// When it was committed, in seconds since 1970; none if that is not said in git's form.
    pub seconds: Option<i64>,
    /// What it adds; none for the beginning, and where a commit does not add one file that can be read.
    pub entry: Option<TrailEntry<'a>>,
}

/// The file that a commit of the trail adds.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TrailEntry<'a> {
    /// Where, `.audit/…`.
    pub path: &'a [u8],
    /// The blob's name.
    pub blob: Id,
    /// The file, byte for byte; well-formed or not.
    pub bytes: &'a [u8],
}

/// What is known when all of history was judged.
#[non_exhaustive]
pub struct Walk<'a> {
    /// First-parent commits, people's included.
    pub commits: u64,
    /// Entries that trail commits added.
    pub entries: u64,
    /// The trail's identity, if it has a beginning.
    pub trail_id: Option<&'a str>,
    /// Why the oldest commits were not seen, if they were not.
    pub cut: Option<&'a str>,
    /// The commit at which the audit began, which it did not look at, if history led to it.
    pub until: Option<Id>,
}

/// Looks along at every commit of the trail.
pub trait Visitor: Sync {
    /// Sees a commit. Called from several threads and in no order, once for each; what it takes time for is shared out
    /// among the threads. Whoever needs an order keeps `depth` beside what is made of a commit, and sorts in [`Visitor::finish`].
    fn visit(&self, commit: &TrailCommit<'_>);

    /// Makes claims, once all of history was seen; they are told in the order of the visitors, after the structural ones.
    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let _ = walk;
        Vec::new()
    }
}
