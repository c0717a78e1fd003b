//! What a key has signed: the last checkpoint of each trail, and the tree under it. Kept by the signer, beside the key, so that
//! nothing that the recorder keeps is believed, and the next checkpoint reads only what came since.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::note::Checkpoint;
use super::{CheckpointError, target};
use trail::{EntryTree, Trail};

/// The newest checkpoint that the key signed.
const CHECKPOINT: &str = "checkpoint";
/// The tree over the entries, up to about there.
const TREE: &str = "tree";
/// The ref that it was read from.
const REFERENCE: &str = "ref";

/// The state of one key and one trail, held by this process alone.
pub(super) struct Signed {
    dir: PathBuf,
    /// Held until this is dropped; nothing where the state may not be written.
    lock: Option<File>,
    last: Option<Checkpoint>,
    reference: Option<String>,
}

impl Signed {
    /// Opens, or begins, the state of this trail. Where that cannot be kept it is as if nothing had been signed:
    /// all of history is read.
    ///
    /// # Errors
    ///
    /// What is there can be written by others, or is no checkpoint.
    pub(super) fn open(states: &Path, trail: &Trail) -> Result<Signed, CheckpointError> {
        let origin = &trail.origin(&trees(states))?;
        let dir = states.join(target::id(origin));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let lock = made.and_then(|()| lock(&dir));
        let lock = match lock {
            Ok(lock) => Some(lock),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "what the key signs cannot be remembered, so all of history is read each time");
                None
            }
        };
        for path in [states, &dir] {
            if let Ok(metadata) = fs::metadata(path)
                && metadata.mode() & 0o022 != 0
            {
                return Err(CheckpointError::Key(format!(
                    "{}, where it keeps what it signed, can be written by others: `chmod go-w` it",
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
                            "{} holds something that is no checkpoint of this trail",
                            file.display()
                        ))
                    })?,
            ),
            None => None,
        };
        let reference = target::read(&dir.join(REFERENCE))?.map(|text| text.trim().to_owned());
        Ok(Signed {
            dir,
            lock,
            last,
            reference,
        })
    }

    /// The tree over the trail's entries, read from history, but for what this signer read of it before.
    ///
    /// # Errors
    ///
    /// History cannot be read.
    pub(super) fn tree(&self, trail: &Trail) -> Result<EntryTree, CheckpointError> {
        let dir = self.lock.as_ref().map(|_| self.dir.join(TREE));
        Ok(trail.tree_from_history(dir.as_deref())?)
    }

    /// Forgets the tree, which may have rotted; it is read anew.
    pub(super) fn forget_tree(&self) {
        // Where it cannot be removed it is as it was.
        let _ = fs::remove_dir_all(self.dir.join(TREE));
    }

    /// Whether the tree extends what the key signed last, on the same ref.
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
                "the trail was on {} when this key signed it last, and is now said to be on {}; if it was moved, remove {}",
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

    /// When the last of them was made.
    pub(super) fn time(&self) -> Option<&str> {
        self.last.as_ref()?.time.as_deref()
    }

    /// Remembers a checkpoint, durably, before anybody is given it.
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
    // Whether it may be written shows now, not when something was signed.
    tempfile::NamedTempFile::new_in(dir)?;
    Ok(dir_file)
}
