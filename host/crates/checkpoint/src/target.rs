//! Where checkpoints are kept: a file, or a ref of another repository. Neither is ever moved back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::note::Checkpoint;
use outcome::clock::Timestamp;
use outcome::counted;
use trail::{EntryTree, OpenOptions, Trail};

/// The place for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file with the newest checkpoint, or with all if they are appended.
    File {
        /// The file's path.
        path: PathBuf,
        /// Whether to keep the earlier ones.
        append: bool,
    },
    /// Another git repository, on [`trail::CHECKPOINTS_REF`].
    Repository(PathBuf),
}

impl Target {
    /// The target that a path names: a directory is a repository.
    pub fn of_path(path: &Path, append: bool) -> Target {
        if path.is_dir() {
            Target::Repository(path.to_owned())
        } else {
            Target::File {
                path: path.to_owned(),
                append,
            }
        }
    }

    /// Writes a signed checkpoint durably, if the trail extends the existing one. Returns the previous one.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::RolledBack`] says how the trail differs; otherwise, what cannot be read or written.
    pub(super) fn keep(
        &self,
        tree: &mut EntryTree,
        checkpoint: &Checkpoint,
        note: &str,
        now: Timestamp,
    ) -> Result<Option<Checkpoint>, CheckpointError> {
        match self {
            Target::File { path, append } => {
                let _held = hold(path)?;
                let there = read(path)?;
                let before = check(tree, checkpoint, there.as_deref(), self)?;
                let whole = match there {
                    Some(there) if *append && !there.is_empty() => format!("{there}\n{note}"),
                    _ => note.to_owned(),
                };
                replace(path, whole.as_bytes())
                    .map_err(|error| CheckpointError::io("write", path, error))?;
                Ok(before)
            }
            Target::Repository(path) => {
                let kept_in = Trail::open(path, OpenOptions::default())?;
                let name = name(&checkpoint.origin);
                let there = kept_in.checkpoint(&name)?;
                let before = check(tree, checkpoint, there.as_deref(), self)?;
                kept_in.keep_checkpoint(&name, there.as_deref(), note, now)?;
                Ok(before)
            }
        }
    }

    /// Checks that the trail extends the existing checkpoint, and returns that.
    ///
    /// # Errors
    ///
    /// The same as [`Target::keep`].
    pub(super) fn check(
        &self,
        tree: &mut EntryTree,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Checkpoint>, CheckpointError> {
        let there = self.newest(&checkpoint.origin)?;
        check(tree, checkpoint, there.as_deref(), self)
    }

    /// The newest checkpoint, unchanged.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn newest(&self, origin: &str) -> Result<Option<String>, CheckpointError> {
        let there = match self {
            Target::File { path, .. } => read(path)?,
            Target::Repository(path) => {
                Trail::open(path, OpenOptions::default())?.checkpoint(&name(origin))?
            }
        };
        Ok(there)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Target::File { path, .. } | Target::Repository(path)) = self;
        write!(out, "{}", path.display())
    }
}

/// Checks that the trail extends the existing checkpoint.
fn check(
    tree: &mut EntryTree,
    checkpoint: &Checkpoint,
    there: Option<&str>,
    target: &Target,
) -> Result<Option<Checkpoint>, CheckpointError> {
    let Some(there) = there.filter(|there| !there.trim().is_empty()) else {
        return Ok(None);
    };
    let rolled_back = |what: String| {
        Err(CheckpointError::RolledBack {
            target: target.to_string(),
            what,
        })
    };
    let Some((before, _)) = Checkpoint::read_last(there) else {
        return Err(CheckpointError::Target(format!(
            "{target} does not hold a checkpoint"
        )));
    };
    if before.origin != checkpoint.origin {
        return Err(CheckpointError::Target(format!(
            "{target} holds a checkpoint of another trail, {}; this one is {}",
            before.origin.escape_debug(),
            checkpoint.origin
        )));
    }
    match compare(tree, &before)? {
        Some(what) => rolled_back(what),
        None => Ok(Some(before)),
    }
}

/// How the tree fails to extend a checkpoint; `None` if it does extend it.
pub(super) fn compare(
    tree: &mut EntryTree,
    before: &Checkpoint,
) -> Result<Option<String>, CheckpointError> {
    Ok(match tree.root_at(before.size)? {
        None => Some(format!(
            "it was made over {}, and the trail has {}",
            counted(before.size, "entry", "entries"),
            tree.size()
        )),
        Some(root) if root != before.root => Some(format!(
            "the first {} different from those that it covers",
            counted(before.size, "entry is", "entries are")
        )),
        Some(_) => None,
    })
}

/// The part of a file name that identifies a trail: the end of its origin.
pub(super) fn id(origin: &str) -> String {
    let id = origin.rsplit('/').next().unwrap_or_default();
    id.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .collect()
}

/// The name of a trail's file in a shared repository.
fn name(origin: &str) -> String {
    format!("{}.checkpoint", id(origin))
}

/// Locks the target: two writers at once could leave the older checkpoint as the last.
fn hold(path: &Path) -> Result<File, CheckpointError> {
    let dir = parent(path);
    File::open(dir)
        .and_then(|dir| {
            rustix::fs::flock(&dir, rustix::fs::FlockOperation::LockExclusive)?;
            Ok(dir)
        })
        .map_err(|error| CheckpointError::io("lock", dir, error))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

pub(super) fn read(path: &Path) -> Result<Option<String>, CheckpointError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CheckpointError::io("read", path, error)),
    }
}

/// Replaces a file atomically and durably.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
    temporary.write_all(contents)?;
    // Temporary files are private by default. A checkpoint or proof is for everyone who may see the directory.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temporary.as_file().set_permissions(mode)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
