//! The writer's file operations, behind one narrow trait so that tests can enumerate crashes and faults.
//!
//! Everything that the writer changes in a repository goes through [`Disk`]. Reads go to the file system directly, or
//! through gix. Must not know what the files mean.

mod counted;
mod real;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
mod temporary;

pub(super) use counted::Counted;
pub use real::RealDisk;
pub use temporary::TemporaryDisk;

use std::io;
use std::path::Path;
use std::thread::{Builder, JoinHandle};

/// A file system for the writer.
///
/// Contract: an operation that returns `Ok` is immediately visible to every process. It survives a power cut only after
/// the matching sync: [`DiskFile::sync`] or [`Disk::sync_file`] for a file's contents, [`Disk::sync_dir`] for the
/// entries of a directory (creation, rename, link and removal alike). After a failed sync of a file the caller MUST
/// write a new file; syncing the same one again proves nothing.
pub trait Disk: Send + Sync {
    /// Creates a file that MUST NOT exist yet, for writing. Does not follow a symbolic link at `path`.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Appends to a file, creating it if needed.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Makes the contents of a file durable, whichever program wrote it.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Moves a file, and atomically replaces an existing `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name; fails with `AlreadyExists` if `to` is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates one directory; its parent MUST exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Starts one of the writer's threads. This is not a file operation, but the system may refuse it in the same way.
    fn start_thread(
        &self,
        name: &'static str,
        work: Box<dyn FnOnce() + Send>,
    ) -> io::Result<JoinHandle<()>> {
        Builder::new().name(name.to_owned()).spawn(work)
    }
}

/// A file that is being written from its start.
pub trait DiskFile: Send {
    /// Writes all of `bytes` after what was written before.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the contents durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Creates, writes and syncs a file: afterwards its contents are durable, but not its name.
pub(super) fn write_synced(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = disk.create(path)?;
    file.write(contents)?;
    file.sync()
}

/// Creates and writes a file that no durable state depends on.
pub(super) fn write_unsynced(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    disk.create(path)?.write(contents)
}

/// Removes a file if it exists.
pub(super) fn remove_if_present(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Creates a directory and the missing ones above it, down from `root`, and makes each new entry durable.
pub(super) fn create_dirs_synced(disk: &dyn Disk, root: &Path, path: &Path) -> io::Result<()> {
    if path == root || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(root);
    create_dirs_synced(disk, root, parent)?;
    match disk.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    disk.sync_dir(parent)
}
