//! The ends of a trail: its last entry may name the trail that continues it, and its first entry the predecessor. The
//! claim about one trail; the links between several are for `segments` to check.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::findings::Depth;
use super::object::Id;
use super::report::{Claim, Verdict};
use super::rules::json::{self, Value};
use super::visit::{TrailCommit, Visitor, Walk};

const TITLE: &str = "it begins and ends where its first and last entries say";

/// The names of the two files. Other entries cannot have them: an entry has the name of its task.
const END: &[u8] = b"/chiffon-audit.end.json";
const BEGIN: &[u8] = b"/chiffon-audit.begin.json";

/// The entry that ends a trail.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) depth: Depth,
    pub(crate) id: Id,
    /// The uuid of the trail that continues this one; `None` if the entry does not name one.
    pub(crate) successor: Option<String>,
}

/// The entry that begins a trail after another one.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) depth: Depth,
    pub(crate) id: Id,
    /// What it says about the predecessor; `None` if the entry is malformed.
    pub(crate) before: Option<PredecessorClaim>,
}

/// The predecessor, as the first entry of its successor describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PredecessorClaim {
    pub(crate) origin: String,
    pub(crate) size: u64,
    /// In base64.
    pub(crate) root: String,
    pub(crate) tip: String,
    pub(crate) checkpoint: Option<String>,
}

/// The ends that an audit has seen, the oldest of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) end: Option<End>,
    pub(crate) begin: Option<Begin>,
}

impl Ends {
    /// Notes the entry of a commit if it is an end.
    pub(crate) fn note(&mut self, commit: &TrailCommit<'_>) {
        let Some(entry) = commit.entry else { return };
        let (depth, id) = (commit.depth, commit.id);
        let is_older = |known: Option<Depth>| known.is_none_or(|known| depth > known);
        if entry.path.ends_with(END) && is_older(self.end.as_ref().map(|end| end.depth)) {
            let successor = successor(entry.bytes);
            self.end = Some(End {
                depth,
                id,
                successor,
            });
        }
        if entry.path.ends_with(BEGIN) && is_older(self.begin.as_ref().map(|begin| begin.depth)) {
            let before = before(entry.bytes);
            self.begin = Some(Begin { depth, id, before });
        }
    }
}

/// Whether the entry of a commit may be one of the ends: most are not, and need no lock.
pub(crate) fn may_be_end(commit: &TrailCommit<'_>) -> bool {
    let path = commit.entry.map_or(&[][..], |entry| entry.path);
    path.ends_with(END) || path.ends_with(BEGIN)
}

fn successor(entry: &[u8]) -> Option<String> {
    let metadata = raw(std::str::from_utf8(entry).ok()?, "metadata")?;
    text(metadata, "successor")
}

fn before(entry: &[u8]) -> Option<PredecessorClaim> {
    let metadata = raw(std::str::from_utf8(entry).ok()?, "metadata")?;
    let described = raw(metadata, "predecessor")?;
    Some(PredecessorClaim {
        origin: text(described, "origin")?,
        size: raw(described, "size")?.parse().ok()?,
        root: text(described, "root")?,
        tip: text(described, "tip")?,
        checkpoint: text_or_null(described, "checkpoint")?,
    })
}

/// A member that is no string, as it is written.
fn raw<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let [value] = json::members(object, [name]).ok()?.values;
    match value? {
        Value::Other(raw) => Some(raw),
        Value::Text(_) => None,
    }
}

/// A string; the inner value is `None` if it is `null` or missing. Any other value is malformed.
fn text_or_null(object: &str, name: &str) -> Option<Option<String>> {
    let [value] = json::members(object, [name]).ok()?.values;
    match value {
        Some(Value::Text(text)) => Some(Some(text.into_owned())),
        Some(Value::Other("null")) | None => Some(None),
        Some(Value::Other(_)) => None,
    }
}

fn text(object: &str, name: &str) -> Option<String> {
    let [value] = json::members(object, [name]).ok()?.values;
    match value? {
        Value::Text(text) => Some(text.into_owned()),
        Value::Other(_) => None,
    }
}

/// The visitor for the claim about one trail.
#[derive(Default)]
pub(crate) struct Continuation(Mutex<Ends>);

impl Continuation {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor for Continuation {
    fn visit(&self, commit: &TrailCommit<'_>) {
        if may_be_end(commit) {
            self.ends().note(commit);
        }
    }

    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        claim(&self.ends(), walk).into_iter().collect()
    }
}

/// The claim; `None` for a trail that neither has ended nor continues another one.
fn claim(ends: &Ends, walk: &Walk<'_>) -> Option<Claim> {
    if ends.end.is_none() && ends.begin.is_none() {
        return None;
    }
    let mut claim = Claim::new("continuation", TITLE, Verdict::Holds);
    let mut broken = |id: &Id, what: &str, count: u64| {
        // The report names the oldest, which comes first here.
        if claim.verdict == Verdict::Holds {
            claim.verdict = Verdict::Broken {
                commit: Some(id.to_string()),
                what: what.to_owned(),
                count,
            };
        }
    };
    if let Some(begin) = &ends.begin {
        let is_seen_whole = walk.cut.is_none() && walk.until.is_none();
        if is_seen_whole && walk.chain.first_entry() != Some(begin.id) {
            let what = "it says that the trail begins here, and entries come before it";
            broken(&begin.id, what, 1);
        }
        if begin.before.is_none() {
            broken(&begin.id, "it does not describe the predecessor", 1);
        }
    }
    if let Some(end) = &ends.end {
        if end.successor.is_none() {
            let what = "it ends the trail and does not name the one that continues it";
            broken(&end.id, what, 1);
        }
        let after = walk.chain.entries_above(end.depth);
        if let Some((oldest, count)) = after {
            let what = format!("an entry after the end, which is {}", end.id);
            broken(&walk.chain.id(oldest), &what, count);
        }
    }
    if let Some(before) = ends.begin.as_ref().and_then(|begin| begin.before.as_ref()) {
        let origin = super::quote::quote(before.origin.as_bytes());
        claim.notes.push(format!(
            "it continues {origin}; `--chain` checks that with the predecessor"
        ));
    }
    if let Some(successor) = ends.end.as_ref().and_then(|end| end.successor.as_ref()) {
        let successor = super::quote::quote(successor.as_bytes());
        claim
            .notes
            .push(format!("it has ended, and {successor} continues it"));
    }
    Some(claim)
}

#[cfg(test)]
mod tests {
    use super::{before, successor};

    #[test]
    fn the_ends_are_read_strictly() {
        let end = br#"{"task_id":"chiffon-audit.end","metadata":{"intent":"x","successor":"abc"}}"#;
        assert_eq!(successor(end).as_deref(), Some("abc"));
        let begin = br#"{"metadata": {"predecessor": {"origin": "o", "size": 12, "root": "r", "tip": "t", "checkpoint": null}}}"#;
        let read = before(begin).map(|read| (read.origin, read.size, read.checkpoint));
        assert_eq!(read, Some(("o".to_owned(), 12, None)));
        for bad in [
            &b"{}"[..],
            br#"{"metadata":{"successor":1}}"#,
            br#"{"metadata":"successor"}"#,
            br#"{"metadata":{"predecessor":{"origin":"o","size":"12","root":"r","tip":"t"}}}"#,
            br#"{"metadata":{"predecessor":{"origin":"o","size":-1,"root":"r","tip":"t"}}}"#,
            br#"{"metadata":{"predecessor":{"origin":"o","size":1,"root":"r","tip":"t","checkpoint":7}}}"#,
            br#"{"metadata":{"predecessor":{"origin":"o","size":1,"root":"r","tip":"t","checkpoint":["c"]}}}"#,
        ] {
            assert_eq!(successor(bad), None);
            assert_eq!(before(bad), None);
        }
    }
}
