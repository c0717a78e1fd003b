//! The checkpoints that the auditor gave, and the claim that the checkpoint key signed them.

use std::path::{Path, PathBuf};

use super::VerifyError;
use super::merkle::note::{Checkpoint, NoteKey};
use super::object::Id;
use super::quote::quote;
use super::report::{Claim, Verdict};
use super::signature::show_time;

/// A checkpoint and its source.
#[derive(Clone)]
pub(crate) struct GivenCheckpoint {
    pub(crate) path: PathBuf,
    /// The commit that stored it, if the source is a repository.
    pub(crate) kept_by: Option<Id>,
    pub(crate) checkpoint: Checkpoint,
}

/// The greatest clock difference in seconds between the machines of a recorder and of a checkpoint's maker. A recorder
/// tolerates no more.
pub(crate) const MAX_CLOCK_SKEW: i64 = 300;

/// Parses a key that checks checkpoints.
///
/// # Errors
///
/// The text is not such a key.
pub(crate) fn parse_key(text: &str) -> Result<NoteKey, VerifyError> {
    NoteKey::parse(text).map_err(|why| VerifyError::Unreadable {
        what: "the checkpoint key:".to_owned(),
        why,
    })
}

/// Claims that the checkpoints are signed by the key that the auditor trusts.
pub(crate) fn claim_signed(given: &[GivenCheckpoint], key: Option<&NoteKey>) -> Claim {
    let title = "each checkpoint is signed by the checkpoint key";
    let Some(key) = key else {
        let why = "a checkpoint is only as trustworthy as its storage; `--checkpoint-key` checks its signature";
        return Claim::new("checkpoint-key", title, Verdict::NotAsked { why });
    };
    let mut bad = given.iter().filter_map(|given| {
        let why = given.checkpoint.check(key).err()?;
        Some(format!("{}: {why}", given.name()))
    });
    let verdict = match bad.next() {
        None => Verdict::Holds,
        Some(what) => Verdict::Broken {
            commit: None,
            what,
            count: 1 + bad.count() as u64,
        },
    };
    Claim::new("checkpoint-key", title, verdict)
}

/// The error about a file with this name.
pub(crate) fn unreadable(path: &Path, why: impl Into<String>) -> VerifyError {
    VerifyError::Unreadable {
        what: format!("the file {}:", quote(path.as_os_str().as_encoded_bytes())),
        why: why.into(),
    }
}

impl GivenCheckpoint {
    /// Parses the checkpoints in a file with this name.
    ///
    /// # Errors
    ///
    /// Describes why the file does not hold checkpoints.
    pub(crate) fn parse_all(path: &Path, bytes: &[u8]) -> Result<Vec<GivenCheckpoint>, String> {
        let found = Checkpoint::parse_all(bytes)?.into_iter();
        let given = found.map(|checkpoint| GivenCheckpoint {
            path: path.to_owned(),
            kept_by: None,
            checkpoint,
        });
        Ok(given.collect())
    }

    /// The checkpoint's name in messages.
    pub(crate) fn name(&self) -> String {
        let path = quote(self.path.as_os_str().as_encoded_bytes());
        match self.kept_by {
            None => format!("the checkpoint {path}"),
            Some(commit) => format!("the checkpoint in {path}, commit {commit},"),
        }
    }

    /// The note about a checkpoint that the trail extends.
    pub(crate) fn summary(&self) -> String {
        let of = self.checkpoint.seconds.map(show_time);
        let of = of.map(|time| format!(", of {time}")).unwrap_or_default();
        let size = self.checkpoint.size;
        let entries = if size == 1 { "entry" } else { "entries" };
        let name = self.name();
        format!("{}: {size} {entries}{of}", name.trim_end_matches(','))
    }
}
