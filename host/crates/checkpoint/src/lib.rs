//! Checkpoints, which fix a trail's history outside of it, and proofs that lead from an entry to a checkpoint.
//!
//! Owns keys, notes and where they are kept. A checkpoint is signed over a tree that the signer has read from history
//! itself, never from the recorder's data. `verify` builds the tree again with separate code when it checks one.

mod cose;
mod key;
mod note;
mod periodic;
mod proof;
mod sample;
mod signer_state;
mod target;
pub mod witness;

use std::io;
use std::path::{Path, PathBuf};

pub use cose::{CoseReceipt, receipt};
pub use key::CheckpointKey;
pub use note::Checkpoint;
pub use periodic::{CheckpointAttempt, PeriodicCheckpoints};
pub use proof::{Proof, prove};
pub use sample::{DrawnEntry, MAX_SAMPLE, Sample, sample};
pub use target::Target;

use outcome::clock::Timestamp;
use signer_state::SignerState;
use trail::{Trail, TrailError};
use witness::{CosignerKey, Witness, WitnessError};

/// Why there is no checkpoint or proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The trail cannot be read, or a repository cannot be written.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The failed action, as a verb.
        action: &'static str,
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A key cannot be used.
    #[error("the checkpoint key: {0}")]
    Key(String),
    /// The existing data is not a checkpoint of this trail that can be followed or used for a proof.
    #[error("{0}")]
    Target(String),
    /// The trail does not extend the existing checkpoint.
    #[error(
        "rolled back: the trail does not extend the checkpoint in {target}: {what}; it is unchanged; `verify --against` it shows more"
    )]
    RolledBack {
        /// Where the checkpoint is kept.
        target: String,
        /// How the trail differs.
        what: String,
    },
    /// The checkpoint is older than the entry.
    #[error(
        "the checkpoint of {time} was made before the entry of {task}; `checkpoint` makes a newer one"
    )]
    TooOld {
        /// The id of the task.
        task: String,
        /// When the checkpoint was made.
        time: String,
    },
    /// The clock is behind the time of the data to sign.
    #[error(
        "the clock is {seconds} s behind {what}: a checkpoint of that time would contradict it; set the clock"
    )]
    Clock {
        /// The difference in seconds.
        seconds: i64,
        /// What the clock is behind.
        what: String,
    },
    /// A witness did not cosign the checkpoint.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The trail has no entry for the task, or history is cut off before it.
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

/// Writes a proof's file, completely or not at all.
///
/// # Errors
///
/// [`CheckpointError::Io`].
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), CheckpointError> {
    target::replace(path, contents).map_err(|error| CheckpointError::io("write", path, error))
}

/// A new checkpoint.
#[derive(Clone, Debug)]
pub struct NewCheckpoint {
    /// Its contents.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
    /// The previous checkpoint at the same place, if any.
    pub before: Option<Checkpoint>,
    /// The witnesses that cosigned it, by name.
    pub witnesses: Vec<String>,
    /// The reasons why others did not.
    pub unwitnessed: Vec<String>,
}

/// The witnesses to ask, and the keys to accept.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    /// The witnesses' addresses.
    pub at: Vec<Witness>,
    /// Their keys.
    pub keys: Vec<CosignerKey>,
}

/// How many seconds the clocks of recorder and signer may differ; the auditor allows the same.
const MAX_CLOCK_SKEW: i64 = 300;

/// Makes a checkpoint of the trail's current state and keeps it at `target`, if given. The tree is read from history:
/// all of it the first time, then only what follows the last checkpoint that this key signed.
///
/// # Errors
///
/// [`CheckpointError::RolledBack`] if the trail does not extend the existing checkpoint, which then stays, or the
/// last one that the key signed. [`CheckpointError::Clock`] if `now` is before the data to sign. Otherwise, what
/// cannot be read or written.
pub fn make(
    trail: &Trail,
    key: &CheckpointKey,
    target: Option<&Target>,
    now: Timestamp,
) -> Result<NewCheckpoint, CheckpointError> {
    make_witnessed(trail, key, target, now, &Witnesses::default())
}

/// Makes a checkpoint as [`make`] does, cosigned by witnesses. A witness that does not answer or refuses is reported,
/// and the checkpoint is kept without it. If a witness has cosigned a state that the trail does not extend, the trail
/// was rolled back.
///
/// # Errors
///
/// The same as [`make`]; [`CheckpointError::RolledBack`] may also name a witness.
pub fn make_witnessed(
    trail: &Trail,
    key: &CheckpointKey,
    target: Option<&Target>,
    now: Timestamp,
    witnesses: &Witnesses,
) -> Result<NewCheckpoint, CheckpointError> {
    let signed = SignerState::open(&key.states, trail)?;
    let reference = trail.reference();
    let look = || {
        let mut tree = signed.tree(trail)?;
        let checkpoint = Checkpoint::of(&tree, now);
        let before = target.map(|target| target.check(&mut tree, &checkpoint));
        let before = before.transpose()?.flatten();
        signed.check(&mut tree, reference)?;
        Ok((tree, checkpoint, before))
    };
    let (mut tree, checkpoint, before) = match look() {
        // Before reporting a rollback, rule out a corrupt tree.
        Err(CheckpointError::RolledBack { .. }) => {
            signed.forget_tree();
            look()?
        }
        found => found?,
    };
    let times = [
        before.as_ref().and_then(|before| before.time.as_deref()),
        signed.time(),
    ];
    check_clock(trail, &checkpoint, times, now)?;
    let mut note = checkpoint.sign(key);
    signed.remember(&note, reference)?;
    let (mut names, mut unwitnessed) = (Vec::new(), Vec::new());
    for witness in &witnesses.at {
        match witness::ask(witness, &witnesses.keys, &mut tree, &checkpoint, &note) {
            Ok(asked) => {
                note += &asked.lines;
                names.extend(asked.names);
            }
            Err(WitnessError::Another { witness, what }) => {
                let target = format!("the witness {witness}");
                return Err(CheckpointError::RolledBack { target, what });
            }
            Err(WitnessError::Trail(error)) => return Err(error.into()),
            Err(error) => unwitnessed.push(error.to_string()),
        }
    }
    let before = match target {
        Some(target) => target.keep(&mut tree, &checkpoint, &note, now)?,
        None => None,
    };
    Ok(NewCheckpoint {
        checkpoint,
        note,
        before,
        witnesses: names,
        unwitnessed,
    })
}

/// A checkpoint with a time before its entries would make an honest trail look postdated.
fn check_clock(
    trail: &Trail,
    checkpoint: &Checkpoint,
    before: [Option<&str>; 2],
    now: Timestamp,
) -> Result<(), CheckpointError> {
    let behind = |seconds: i64, what: &str| match seconds.saturating_sub(now.seconds()) {
        ahead if ahead > MAX_CLOCK_SKEW => Err(CheckpointError::Clock {
            seconds: ahead,
            what: what.to_owned(),
        }),
        _ => Ok(()),
    };
    if let Some(commit) = &checkpoint.commit {
        behind(trail.commit_seconds(commit)?, "the newest entry")?;
    }
    for time in before.into_iter().flatten() {
        let time = Timestamp::parse_rfc3339(time);
        behind(
            time.map_or(i64::MIN, Timestamp::seconds),
            "the checkpoint before",
        )?;
    }
    Ok(())
}
