//! Where checkpoints are kept: a file, or a ref of another repository. Neither ever goes back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::note::Checkpoint;
use outcome::clock::Timestamp;
use trail::{EntryTree, OpenOptions, Trail};

/// Where a checkpoint goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file that holds the newest, or all if they are appended.
    File {
        /// The file.
        path: PathBuf,
        /// Whether it keeps those before.
        append: bool,
    },
    /// Another git repository, on [`trail::CHECKPOINTS_REF`].
    Repository(PathBuf),
}

impl Target {
    /// What a path names: a directory is a repository.
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

    /// Puts a signed checkpoint there, durably, if the trail extends the one that is there. Returns the one before.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::RolledBack`] names what the trail does not extend; otherwise what cannot be read or written.
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

    /// Whether the trail extends the checkpoint that is there; that one.
    ///
    /// # Errors
    ///
    /// As for [`Target::keep`].
    pub(super) fn check(
        &self,
        tree: &mut EntryTree,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Checkpoint>, CheckpointError> {
        let there = self.newest(&checkpoint.origin)?;
        check(tree, checkpoint, there.as_deref(), self)
    }

    /// The newest checkpoint there, as it is.
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

/// Whether the trail extends what is there.
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
            "{target} holds something that is no checkpoint"
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

/// Says in what the tree does not extend a checkpoint, if it does not.
pub(super) fn compare(
    tree: &mut EntryTree,
    before: &Checkpoint,
) -> Result<Option<String>, CheckpointError> {
    Ok(match tree.root_at(before.size)? {
        None => Some(format!(
            "it was made over {} entries, and the trail has {}",
            before.size,
            tree.size()
        )),
        Some(root) if root != before.root => Some(format!(
            "the first {} entries are not those that it was made over",
            before.size
        )),
        Some(_) => None,
    })
}

/// What names a trail among others in a file name: the end of its origin.
pub(super) fn id(origin: &str) -> String {
    let id = origin.rsplit('/').next().unwrap_or_default();
    id.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .collect()
}

/// The name of a trail's file among those of others.
fn name(origin: &str) -> String {
    format!("{}.checkpoint", id(origin))
}

/// One at a time: two that ran at once could put the older one last.
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

/// Replaces a file as a whole, durably.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
    temporary.write_all(contents)?;
    // Made for oneself alone; a checkpoint and a proof are for everybody who may see the directory.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temporary.as_file().set_permissions(mode)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
