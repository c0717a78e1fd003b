//! What may look along while history is judged: signatures, Merkle leaves, statistics. A visitor sees what the judge sees and
//! makes claims of its own; it decides nothing about the others'.

use super::object::Id;
use super::report::Claim;
use super::walk::chain::Chain;

/// A commit of the trail, never a person's.
#[non_exhaustive]
pub struct TrailCommit<'a> {
    /// First-parent steps below the tip, people's commits counted; greater is older.
    pub depth: u32,
    /// How many commits of the trail are older that add an entry, or say that they do: an entry's place in the tree over all.
    pub position: u64,
    /// Its name.
    pub id: Id,
    /// The object's content, byte for byte.
    pub raw: &'a [u8],
    /// Whether it is the trail's beginning, which adds nothing.
    pub is_genesis: bool,
    /// What decided, `sha256:…`, as the commit says; empty where it does not say so in form.
    pub policy: &'a str,
    /// The settings of what decided, likewise.
    pub settings: &'a str,
    /// Who reported the outcome, as the commit says; none where it does not say so in form.
    pub reporter: Option<&'a str>,
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
    /// When it says that it was recorded, in seconds since 1970; none if it does not say so in form.
    pub recorded: Option<i64>,
}

impl TrailCommit<'_> {
    /// The hash of the entry's leaf in the tree over all entries, in hexadecimal.
    pub fn leaf(&self) -> Option<String> {
        let entry = self.entry?;
        let hash = super::merkle::leaf::hash(entry.path, entry.bytes, self.raw);
        Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What is known of all of history.
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
    /// Its commits' names.
    pub(crate) chain: &'a Chain,
}

/// Looks along at every commit of the trail.
pub trait Visitor: Sync {
    /// Learns what is known before the first commit is judged; `entries` counts commits that say that they add one.
    fn begin(&self, walk: &Walk<'_>) {
        let _ = walk;
    }

    /// Sees a commit. Called from several threads and in no order, once for each; what it takes time for is shared out
    /// among the threads. Whoever needs an order keeps `depth` beside what is made of a commit, and sorts in [`Visitor::finish`].
    fn visit(&self, commit: &TrailCommit<'_>);

    /// Sees the commit at which the audit begins, which is judged no further, once all others were seen. Its `entry` is left out.
    fn visit_border(&self, commit: &TrailCommit<'_>) {
        let _ = commit;
    }

    /// Whether it has seen enough: an audit in order then ends early. Asked now and then.
    fn is_done(&self) -> bool {
        false
    }

    /// Makes claims, once all of history was seen; they are told in the order of the visitors, after the structural ones.
    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let _ = walk;
        Vec::new()
    }
}
