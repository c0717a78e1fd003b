//! Samples: entries that neither the writer nor the auditor can choose, with a proof for each.
//!
//! Checkpoint and nonce decide which entries are drawn. The bytes that are hashed never change: `docs/src/reference/proofs.md`
//! defines them, and the vector in the test checks them.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use super::CheckpointError;
use super::note::Checkpoint;
use super::proof::{self, ProvableEntry};
use outcome::counted;
use trail::{EntryTree, NumberedCommit, NumberedStart, Trail};

/// The most entries of a sample.
pub const MAX_SAMPLE: u64 = 100_000;

/// The first bytes of what is hashed.
const TAG: &[u8] = b"chiffon-audit/sample/v1\n";

/// A sample of the entries that a checkpoint covers.
pub struct Sample<'a> {
    /// The contents of the checkpoint.
    pub checkpoint: Checkpoint,
    /// The checkpoint as it was signed.
    pub note: &'a str,
    /// The drawn entries, in the order in which they were drawn.
    pub entries: Vec<DrawnEntry>,
}

/// An entry of a sample.
pub struct DrawnEntry {
    /// How many entries precede it.
    pub index: u64,
    /// The task.
    pub task_id: String,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The commit that added it.
    pub commit: String,
    /// The file of its proof.
    pub proof: Vec<u8>,
}

/// Draws entries that the last checkpoint in `notes` covers, and proves each: at most `number`, or all.
///
/// # Errors
///
/// There is no checkpoint, it belongs to another trail, or the trail cannot be read.
pub fn sample<'a>(
    trail: &Trail,
    notes: &'a str,
    nonce: &[u8],
    number: u64,
) -> Result<Sample<'a>, CheckpointError> {
    let (checkpoint, note) = Checkpoint::read_last(notes)
        .ok_or_else(|| CheckpointError::Target("it is not a checkpoint".into()))?;
    let drawn = draw(&checkpoint, nonce, number);
    let commits = commits(trail, &checkpoint, &drawn)?;
    let prove_all = |mut tree: EntryTree| -> Result<Option<Vec<DrawnEntry>>, CheckpointError> {
        let of_checkpoint = tree.root_at(checkpoint.size)? == Some(checkpoint.root);
        let mut entries = Vec::with_capacity(drawn.len());
        for index in drawn.iter().filter(|_| of_checkpoint) {
            let commit = commits.get(index).map(NumberedCommit::commit);
            match prove(trail, &mut tree, (&checkpoint, note), *index, commit)? {
                Some(entry) => entries.push(entry),
                None => return Ok(None),
            }
        }
        Ok(of_checkpoint.then_some(entries))
    };
    // The tree files may be corrupt or forged; the history is not.
    let entries = match prove_all(trail.tree()?) {
        Ok(Some(entries)) => Some(entries),
        _ => prove_all(trail.rebuild_tree()?)?,
    };
    let entries = entries.ok_or_else(|| {
        CheckpointError::Target(format!(
            "the checkpoint over {} does not belong to this trail: the trail was rewritten, or it is a different one",
            counted(checkpoint.size, "entry", "entries")
        ))
    })?;
    Ok(Sample {
        checkpoint,
        note,
        entries,
    })
}

/// The commits of the drawn entries, by index. Reads history from the checkpoint's commit down to the oldest of them.
fn commits(
    trail: &Trail,
    checkpoint: &Checkpoint,
    drawn: &[u64],
) -> Result<BTreeMap<u64, NumberedCommit>, CheckpointError> {
    let mut found = BTreeMap::new();
    let newest = checkpoint.commit.as_deref();
    let newest = newest.and_then(|commit| NumberedCommit::claimed(checkpoint.size, commit));
    let (Some(newest), Some(oldest)) = (newest, drawn.iter().min()) else {
        return Ok(found);
    };
    let wanted: HashSet<u64> = drawn.iter().copied().collect();
    trail.numbered(&NumberedStart::Entry(newest), *oldest, 0, |entry| {
        // Numbers begin with 1, and indexes with 0.
        if wanted.contains(&(entry.number - 1)) {
            found.insert(entry.number - 1, entry);
        }
    })?;
    Ok(found)
}

/// Proves the entry that a commit added; `None` if the proof would not lead to the checkpoint.
fn prove(
    trail: &Trail,
    tree: &mut EntryTree,
    (checkpoint, note): (&Checkpoint, &str),
    index: u64,
    commit: Option<String>,
) -> Result<Option<DrawnEntry>, CheckpointError> {
    let Some(commit) = commit else {
        return Ok(None);
    };
    let Some(logged) = trail.logged_by(&commit)? else {
        return Ok(None);
    };
    let contents = trail.commit_contents(&commit)?;
    let hashes = tree.proof(index, checkpoint.size)?;
    let leaf = trail.leaf(&logged.path, &logged.entry, &contents);
    if !proof::leads_to(&hashes, index, checkpoint.size, leaf, checkpoint.root) {
        return Ok(None);
    }
    let placed = ProvableEntry {
        path: logged.path,
        entry: logged.entry,
        commit,
        contents,
        index,
        hashes,
        checkpoint: checkpoint.clone(),
    };
    Ok(Some(DrawnEntry {
        index,
        task_id: logged.task_id,
        proof: proof::write(&placed, note),
        entry: placed.entry,
        commit: placed.commit,
    }))
}

/// Draws up to `number` different indexes by rejection sampling.
fn draw(checkpoint: &Checkpoint, nonce: &[u8], number: u64) -> Vec<u64> {
    let size = checkpoint.size;
    let mut drawn = Vec::new();
    let mut seen = HashSet::new();
    if size == 0 {
        return drawn;
    }
    // 2^64 modulo the size: with these highest numbers the first indexes would be more likely than the others.
    let excess = (u64::MAX % size + 1) % size;
    for counter in 0_u64.. {
        if drawn.len() as u64 >= number.min(size) {
            break;
        }
        let found = number_at(checkpoint, nonce, counter);
        if found <= u64::MAX - excess && seen.insert(found % size) {
            drawn.push(found % size);
        }
    }
    drawn
}

fn number_at(checkpoint: &Checkpoint, nonce: &[u8], counter: u64) -> u64 {
    let mut hashed = TAG.to_vec();
    for part in [
        checkpoint.origin.as_bytes(),
        &checkpoint.size.to_be_bytes(),
        &checkpoint.root,
        nonce,
        &counter.to_be_bytes(),
    ] {
        hashed.extend_from_slice(&(part.len() as u64).to_be_bytes());
        hashed.extend_from_slice(part);
    }
    let digest: [u8; 32] = Sha256::digest(&hashed).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, draw};

    #[test]
    fn a_checkpoint_and_a_nonce_draw_fixed_entries() {
        let root = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        );
        let checkpoint = |size| Checkpoint {
            origin: "chiffon-audit/x".into(),
            size,
            root: root
                .clone()
                .unwrap_or_default()
                .try_into()
                .unwrap_or_default(),
            commit: None,
            time: None,
        };
        // Also in the test of `verify`.
        let drawn = draw(&checkpoint(1_000_000), b"sixteen bytes at least", 5);
        assert_eq!(drawn, [876_170, 345_729, 89_781, 555_531, 341_970]);
        let mut all = draw(&checkpoint(7), b"n", 25);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    }
}
