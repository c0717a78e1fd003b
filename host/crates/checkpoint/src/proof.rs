//! Proof files: an entry, its commit, and its path to a checkpoint, in one file that can be checked alone.
//!
//! The file has header lines, an empty line, then the entry, the commit and the checkpoint unchanged. The header
//! states the length of each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::CheckpointError;
use super::note::Checkpoint;
use outcome::{TaskId, counted};
use trail::{EntryTree, Trail, TreeHash};

/// A proof and the facts that it proves.
pub struct Proof {
    /// The file's contents.
    pub file: Vec<u8>,
    /// The commit that added the entry.
    pub commit: String,
    /// How many entries precede it.
    pub index: u64,
    /// The contents of the checkpoint.
    pub checkpoint: Checkpoint,
}

/// An entry, its commit, and its path to a checkpoint.
pub(super) struct ProvableEntry {
    pub(super) path: String,
    pub(super) entry: Vec<u8>,
    pub(super) commit: String,
    /// The commit's contents.
    pub(super) contents: Vec<u8>,
    pub(super) index: u64,
    pub(super) hashes: Vec<TreeHash>,
    pub(super) checkpoint: Checkpoint,
}

/// Finds the path from a task's entry to a checkpoint, the last one in `notes`. Returns the path and the checkpoint's
/// note.
pub(super) fn place<'a>(
    trail: &Trail,
    task: &TaskId,
    notes: &'a str,
) -> Result<(ProvableEntry, &'a str), CheckpointError> {
    let none = || CheckpointError::NoEntry(task.to_string());
    let recorded = trail.find(task)?.ok_or_else(none)?;
    let commit = recorded.commit.ok_or_else(none)?;
    let contents = trail.commit_contents(&commit)?;
    let (checkpoint, note) = Checkpoint::read_last(notes)
        .ok_or_else(|| CheckpointError::Target("it is not a checkpoint".into()))?;
    let mut tree = trail.tree()?;
    let place = |tree: &mut EntryTree| -> Result<Option<Place>, CheckpointError> {
        let position = tree.position(&recorded.path, &recorded.entry, &contents)?;
        if let Some(index) = position
            && index >= checkpoint.size
        {
            return Err(CheckpointError::TooOld {
                task: task.to_string(),
                time: checkpoint.time.clone().unwrap_or_default(),
            });
        }
        let root = tree.root_at(checkpoint.size)?;
        let (Some(index), true) = (position, root == Some(checkpoint.root)) else {
            return Ok(None);
        };
        let hashes = tree.proof(index, checkpoint.size)?;
        let leaf = trail.leaf(&recorded.path, &recorded.entry, &contents);
        Ok(
            leads_to(&hashes, index, checkpoint.size, leaf, checkpoint.root)
                .then_some((index, hashes)),
        )
    };
    // The tree files may be corrupt or forged; the history is not.
    let found = match place(&mut tree) {
        Ok(Some(found)) => Some(found),
        _ => place(&mut trail.rebuild_tree()?)?,
    };
    let (index, hashes) = found.ok_or_else(|| {
        CheckpointError::Target(format!(
            "the checkpoint over {} does not belong to this trail: the trail was rewritten, or it is a different one",
            counted(checkpoint.size, "entry", "entries")
        ))
    })?;
    let placed = ProvableEntry {
        path: recorded.path,
        entry: recorded.entry,
        commit,
        contents,
        index,
        hashes,
        checkpoint,
    };
    Ok((placed, note))
}

/// Proves that a task's entry is covered by a checkpoint, the last one in `notes`.
///
/// # Errors
///
/// There is no such entry, the checkpoint is older or belongs to another trail, or the trail cannot be read.
pub fn prove(trail: &Trail, task: &TaskId, notes: &str) -> Result<Proof, CheckpointError> {
    let (placed, note) = place(trail, task, notes)?;
    Ok(Proof {
        file: write(&placed, note),
        commit: placed.commit,
        index: placed.index,
        checkpoint: placed.checkpoint,
    })
}

/// The file of a proof with this checkpoint.
pub(super) fn write(placed: &ProvableEntry, note: &str) -> Vec<u8> {
    let mut file = format!(
        "chiffon-audit/proof/v1\npath {}\nindex {}\nentry {}\ncommit {}\ncheckpoint {}\n",
        placed.path,
        placed.index,
        placed.entry.len(),
        placed.contents.len(),
        note.len()
    )
    .into_bytes();
    for hash in &placed.hashes {
        file.extend_from_slice(format!("hash {}\n", STANDARD.encode(hash)).as_bytes());
    }
    file.push(b'\n');
    for part in [&placed.entry, &placed.contents, note.as_bytes()] {
        file.extend_from_slice(part);
    }
    file
}

/// An entry's number, and the sibling hashes on its path to the root.
type Place = (u64, Vec<TreeHash>);

/// Whether the hashes lead from the leaf to the root. A file that would fail verification is never written.
pub(super) fn leads_to(
    hashes: &[TreeHash],
    index: u64,
    size: u64,
    leaf: TreeHash,
    root: TreeHash,
) -> bool {
    trail::root_from_proof(index, size, leaf, hashes) == Some(root)
}
