//! Checkpoints: what fixes a trail's history outside of it, and proofs that lead from an entry to one.
//!
//! Owns keys, notes and where they are kept. A checkpoint is signed over a tree that the signer has read from history itself, never
//! over what the recorder keeps. `verify` builds the tree again with separate code when it checks one.

mod cose;
mod keeper;
mod key;
mod note;
mod proof;
mod signed;
mod target;
pub mod witness;

use std::io;
use std::path::{Path, PathBuf};

pub use cose::{Receipt, receipt};
pub use keeper::{Keeper, Kept};
pub use key::CheckpointKey;
pub use note::Checkpoint;
pub use proof::{Proof, prove};
pub use target::Target;

use outcome::clock::Timestamp;
use signed::Signed;
use trail::{Trail, TrailError};
use witness::{CosignerKey, Witness, WitnessError};

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
    /// The clock is behind what is to be signed.
    #[error(
        "the clock is {seconds} s behind {what}: a checkpoint of that time would contradict it; set the clock"
    )]
    Clock {
        /// By how much.
        seconds: i64,
        /// What it is behind.
        what: String,
    },
    /// A witness did not cosign.
    #[error(transparent)]
    Witness(#[from] WitnessError),
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
    /// The witnesses that cosigned it, by name.
    pub witnesses: Vec<String>,
    /// Why others did not.
    pub unwitnessed: Vec<String>,
}

/// Who is asked to cosign, and whose cosignatures are taken.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    /// Where they are.
    pub at: Vec<Witness>,
    /// Their keys.
    pub keys: Vec<CosignerKey>,
}

/// As far as the clocks of recorder and signer may differ; the auditor forgives as much.
const CLOCKS_APART: i64 = 300;

/// Makes a checkpoint of the trail as it is now and keeps it at `target`, if one is given. What it is over is read from history: all
/// of it the first time, then what came after the last checkpoint that this key signed.
///
/// # Errors
///
/// [`CheckpointError::RolledBack`] if the trail does not extend the checkpoint that is there, which then stays, or the last that the
/// key signed; [`CheckpointError::Clock`] if `now` is before what is to be signed; otherwise what cannot be read or written.
pub fn make(
    trail: &Trail,
    key: &CheckpointKey,
    target: Option<&Target>,
    now: Timestamp,
) -> Result<Made, CheckpointError> {
    make_witnessed(trail, key, target, now, &Witnesses::default())
}

/// The same, cosigned by witnesses. One that cannot be asked, or says no, is told of and the checkpoint is kept without it; one that has
/// cosigned what the trail does not extend shows that it was rolled back.
///
/// # Errors
///
/// As for [`make`]; [`CheckpointError::RolledBack`] also names a witness.
pub fn make_witnessed(
    trail: &Trail,
    key: &CheckpointKey,
    target: Option<&Target>,
    now: Timestamp,
    witnesses: &Witnesses,
) -> Result<Made, CheckpointError> {
    let signed = Signed::open(&key.states, trail)?;
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
        // Before anybody is told of a roll-back, what was kept of the tree is out of question.
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
    Ok(Made {
        checkpoint,
        note,
        before,
        witnesses: names,
        unwitnessed,
    })
}

/// A checkpoint that says that it was made before what it is over would make an honest trail look postdated.
fn check_clock(
    trail: &Trail,
    checkpoint: &Checkpoint,
    before: [Option<&str>; 2],
    now: Timestamp,
) -> Result<(), CheckpointError> {
    let behind = |seconds: i64, what: &str| match seconds.saturating_sub(now.seconds()) {
        ahead if ahead > CLOCKS_APART => Err(CheckpointError::Clock {
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
