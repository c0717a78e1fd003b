//! Checkpoints as signed notes (C2SP `tlog-checkpoint`): writing one, and reading one's contents.
//!
//! After origin, size and root come two more lines. `commit` names the commit of the last entry, which locates it in a
//! clone. `time` says when the checkpoint was made. A witness's cosignature is one more signature line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::CheckpointKey;
use outcome::clock::Timestamp;
use trail::{EntryTree, TreeHash};

/// The contents of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The origin, which identifies the trail.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root hash over them.
    pub root: TreeHash,
    /// The commit of the last entry.
    pub commit: Option<String>,
    /// When it was made, as RFC 3339.
    pub time: Option<String>,
}

impl Checkpoint {
    /// Creates a checkpoint of the tree's current state.
    pub fn of(tree: &EntryTree, now: Timestamp) -> Checkpoint {
        Checkpoint {
            origin: tree.origin().to_owned(),
            size: tree.size(),
            root: tree.root(),
            commit: tree.last_commit(),
            time: Some(now.to_rfc3339()),
        }
    }

    /// The checkpoint as a signed note.
    pub fn sign(&self, key: &CheckpointKey) -> String {
        let text = self.text();
        let line = key.sign(&text);
        format!("{text}\n{line}")
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root)
        );
        if let Some(commit) = &self.commit {
            text += &format!("commit {commit}\n");
        }
        if let Some(time) = &self.time {
            text += &format!("time {time}\n");
        }
        text
    }

    /// Reads the last note in a file; `None` if there is none. Does not check its signature.
    pub fn read_last(file: &str) -> Option<(Checkpoint, &str)> {
        let begin = last_note(file);
        let note = file.get(begin..)?;
        let (text, signatures) = note.split_once("\n\n")?;
        signatures.starts_with('\u{2014}').then_some(())?;
        let mut lines = text.lines();
        let origin = lines.next()?.to_owned();
        let size = canonical_number(lines.next()?)?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let mut checkpoint = Checkpoint {
            origin,
            size,
            root,
            commit: None,
            time: None,
        };
        for line in lines {
            match line.split_once(' ') {
                // A repeated line would be ambiguous.
                Some(("commit", _)) if checkpoint.commit.is_some() => return None,
                Some(("time", _)) if checkpoint.time.is_some() => return None,
                Some(("commit", commit)) => checkpoint.commit = Some(commit.to_owned()),
                Some(("time", time)) => checkpoint.time = Some(time.to_owned()),
                _ => {}
            }
        }
        Some((checkpoint, note))
    }
}

/// A number in C2SP's form: digits without a leading zero. Any other form could be read in different ways.
pub(super) fn canonical_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The offset of the last note in a file: after the signatures of the note before it.
fn last_note(file: &str) -> usize {
    let mut begin = 0;
    let mut at = 0;
    let mut after_signatures = false;
    for line in file.split_inclusive('\n') {
        let is_signature = line.starts_with("\u{2014} ");
        if after_signatures && !is_signature && line != "\n" {
            begin = at;
        }
        after_signatures = is_signature || (after_signatures && line == "\n");
        at += line.len();
    }
    begin
}
