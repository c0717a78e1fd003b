//! Checkpoints: what fixes a trail's history outside of it, and proofs that lead from an entry to one.
//!
//! Owns keys, notes and where they are kept. A checkpoint is signed over the tree that the trail keeps; whoever checks one builds
//! the tree again from history, with other code (`verify`).

mod keeper;
mod key;
mod note;
mod proof;
mod target;

use std::io;
use std::path::{Path, PathBuf};

pub use keeper::{Keeper, Kept};
pub use key::CheckpointKey;
pub use note::Checkpoint;
pub use proof::{Proof, prove};
pub use target::Target;

use crate::clock::Timestamp;
use crate::trail::{Trail, TrailError};

/// Why there is no checkpoint or proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The trail cannot be read, or a repository not written.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key cannot be used.
    #[error("the checkpoint key: {0}")]
    Key(String),
    /// What is there is not what a checkpoint can follow, or be proved by.
    #[error("{0}")]
    Target(String),
    /// The trail does not extend the checkpoint that is there.
    #[error(
        "rolled back: the trail does not extend the checkpoint in {target}: {what}; it is left as it is, and `verify --against` it says more"
    )]
    RolledBack {
        /// Where the checkpoint is.
        target: String,
        /// What the trail is not.
        what: String,
    },
    /// The checkpoint is older than the entry.
    #[error(
        "the checkpoint of {time} was made before the entry of {task}; `checkpoint` makes a newer one"
    )]
    TooOld {
        /// The task.
        task: String,
        /// When the checkpoint was made.
        time: String,
    },
    /// The trail has no entry of the task, or history is cut off before it.
    #[error("no entry for {0} with its commit in this trail")]
    NoEntry(String),
}

impl CheckpointError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> CheckpointError {
        CheckpointError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Writes a proof's file, as a whole or not at all.
///
/// # Errors
///
/// [`CheckpointError::Io`].
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), CheckpointError> {
    target::replace(path, contents).map_err(|error| CheckpointError::io("write", path, error))
}

/// A checkpoint that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
    /// What the one before it said, where it was kept.
    pub before: Option<Checkpoint>,
}

/// Makes a checkpoint of the trail as it is now and keeps it at `target`, if one is given.
///
/// # Errors
///
/// [`CheckpointError::RolledBack`] if the trail does not extend the checkpoint that is there, which then stays; otherwise what
/// cannot be read or written.
pub fn make(
    trail: &Trail,
    key: &CheckpointKey,
    target: Option<&Target>,
    now: Timestamp,
) -> Result<Made, CheckpointError> {
    let mut tree = trail.tree()?;
    let checkpoint = Checkpoint::of(&tree, now);
    let note = checkpoint.sign(key);
    let kept = match target {
        None => Ok(None),
        Some(target) => match target.keep(&mut tree, &checkpoint, &note, now) {
            // Before anybody is told of a roll-back, the files of the tree are out of question.
            Err(CheckpointError::RolledBack { .. }) => {
                let mut tree = trail.tree_made_anew()?;
                let checkpoint = Checkpoint::of(&tree, now);
                let note = checkpoint.sign(key);
                let before = target.keep(&mut tree, &checkpoint, &note, now)?;
                return Ok(Made {
                    checkpoint,
                    note,
                    before,
                });
            }
            kept => kept,
        },
    };
    Ok(Made {
        checkpoint,
        note,
        before: kept?,
    })
}
