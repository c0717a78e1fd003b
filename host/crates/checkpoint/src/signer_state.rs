//! What a key has signed: the last checkpoint of each trail, and the tree under it. The signer keeps this beside the
//! key, so it does not rely on the recorder's data, and the next checkpoint reads only new entries.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::note::Checkpoint;
use super::{CheckpointError, target};
use trail::{EntryTree, Trail};

/// The newest checkpoint that the key signed.
const CHECKPOINT: &str = "checkpoint";
/// The tree over the entries, roughly up to that checkpoint.
const TREE: &str = "tree";
/// The ref that the trail was read from.
const REFERENCE: &str = "ref";

/// The state of one key and one trail, locked by this process.
pub(super) struct SignerState {
    dir: PathBuf,
    /// Held until this is dropped; `None` if the state is not writable.
    lock: Option<File>,
    last: Option<Checkpoint>,
    reference: Option<String>,
}

impl SignerState {
    /// Opens or creates the state of this trail. If it is not writable, nothing counts as signed and all of history
    /// is read.
    ///
    /// # Errors
    ///
    /// The existing state can be written by others, or is not a checkpoint.
    pub(super) fn open(states: &Path, trail: &Trail) -> Result<SignerState, CheckpointError> {
        let origin = &trail.origin(&trees(states))?;
        let dir = states.join(target::id(origin));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let lock = made.and_then(|()| lock(&dir));
        let lock = match lock {
            Ok(lock) => Some(lock),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "cannot remember what the key signs, so all of history is read each time");
                None
            }
        };
        for path in [states, &dir] {
            if let Ok(metadata) = fs::metadata(path)
                && metadata.mode() & 0o022 != 0
            {
                return Err(CheckpointError::Key(format!(
                    "{}, the memory of its checkpoints, can be written by others: `chmod go-w` it",
                    path.display()
                )));
            }
        }
        let file = dir.join(CHECKPOINT);
        let last = match target::read(&file)? {
            Some(text) => Some(
                Checkpoint::read_last(&text)
                    .filter(|(checkpoint, _)| checkpoint.origin == *origin)
                    .map(|(checkpoint, _)| checkpoint)
                    .ok_or_else(|| {
                        CheckpointError::Target(format!(
                            "{} does not hold a checkpoint of this trail",
                            file.display()
                        ))
                    })?,
            ),
            None => None,
        };
        let reference = target::read(&dir.join(REFERENCE))?.map(|text| text.trim().to_owned());
        Ok(SignerState {
            dir,
            lock,
            last,
            reference,
        })
    }

    /// The tree over the trail's entries. It is read from history, except for the part that this signer has read
    /// before.
    ///
    /// # Errors
    ///
    /// History cannot be read.
    pub(super) fn tree(&self, trail: &Trail) -> Result<EntryTree, CheckpointError> {
        let dir = self.lock.as_ref().map(|_| self.dir.join(TREE));
        Ok(trail.tree_from_history(dir.as_deref())?)
    }

    /// Deletes the tree, which may be corrupt, so that it is read again.
    pub(super) fn forget_tree(&self) {
        // If it cannot be removed, it stays as it was.
        let _ = fs::remove_dir_all(self.dir.join(TREE));
    }

    /// Whether the tree extends the last checkpoint that the key signed, on the same ref.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::RolledBack`] if it does not.
    pub(super) fn check(
        &self,
        tree: &mut EntryTree,
        reference: &str,
    ) -> Result<(), CheckpointError> {
        let rolled_back = |what: String| {
            Err(CheckpointError::RolledBack {
                target: self.dir.join(CHECKPOINT).display().to_string(),
                what,
            })
        };
        let Some(last) = &self.last else {
            return Ok(());
        };
        if let Some(before) = self
            .reference
            .as_deref()
            .filter(|before| *before != reference)
        {
            return rolled_back(format!(
                "the trail was on {} when this key last signed it, and is now reported on {}; if it was moved, remove {}",
                before.escape_debug(),
                reference.escape_debug(),
                self.dir.join(REFERENCE).display()
            ));
        }
        match target::compare(tree, last)? {
            Some(what) => rolled_back(what),
            None => Ok(()),
        }
    }

    /// When the last checkpoint was made.
    pub(super) fn time(&self) -> Option<&str> {
        self.last.as_ref()?.time.as_deref()
    }

    /// Remembers a checkpoint durably, before anyone receives it.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`].
    pub(super) fn remember(&self, note: &str, reference: &str) -> Result<(), CheckpointError> {
        if self.lock.is_none() {
            return Ok(());
        }
        for (name, contents) in [
            (REFERENCE, format!("{reference}\n")),
            (CHECKPOINT, note.to_owned()),
        ] {
            let path = self.dir.join(name);
            target::replace(&path, contents.as_bytes())
                .map_err(|error| CheckpointError::io("write", &path, error))?;
        }
        Ok(())
    }
}

/// The trees of all trails that the key has signed.
fn trees(states: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(states).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(TREE)).collect()
}

fn lock(dir: &Path) -> io::Result<File> {
    let dir_file = File::open(dir)?;
    rustix::fs::flock(&dir_file, rustix::fs::FlockOperation::LockExclusive)?;
    // Finds out now whether the directory is writable, not after something was signed.
    tempfile::NamedTempFile::new_in(dir)?;
    Ok(dir_file)
}
