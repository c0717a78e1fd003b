//! Temporary directories that only this user can enter, and those that killed processes have left.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// A temporary directory. A lock shows that its process lives.
pub(crate) struct PrivateDirectory {
    dir: TempDir,
    _lock: File,
}

/// How the names of the directories begin.
const PREFIX: &str = "chiffon-audit-push-";

/// The file whose lock shows that the process lives.
const LOCK: &str = "in-use";

/// How old a directory without a lock must be: a process makes the directory first.
const UNFINISHED: Duration = Duration::from_secs(600);

impl PrivateDirectory {
    /// Creates one below the system's directory for temporary files, or below `otherwise` if that cannot be written.
    /// Removes those that killed processes have left in the same places.
    pub(crate) fn create(otherwise: Option<&Path>) -> io::Result<PrivateDirectory> {
        remove_abandoned(&std::env::temp_dir());
        let mut made = tempfile::Builder::new();
        let made = made.prefix(PREFIX);
        let dir = made.tempdir().or_else(|error| match otherwise {
            Some(otherwise) => {
                remove_abandoned(otherwise);
                made.tempdir_in(otherwise)
            }
            None => Err(error),
        })?;
        let lock = File::create(dir.path().join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(PrivateDirectory { dir, _lock: lock })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn remove_abandoned(directory: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.is_dir() && metadata.uid() == own && is_abandoned(&path, &metadata) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn is_abandoned(path: &Path, metadata: &fs::Metadata) -> bool {
    match File::open(path.join(LOCK)) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(_) => {
            let modified = metadata.modified().ok();
            let age = modified.and_then(|modified| modified.elapsed().ok());
            age > Some(UNFINISHED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOCK, PREFIX, PrivateDirectory, remove_abandoned};

    #[test]
    fn what_a_killed_process_has_left_is_removed_and_what_is_in_use_stays() {
        let place = tempfile::tempdir().expect("a directory");
        let left = place.path().join(format!("{PREFIX}left"));
        std::fs::create_dir(&left).expect("a directory");
        std::fs::write(left.join(LOCK), "").expect("a file");
        let used = PrivateDirectory::create(None).expect("a directory");
        let parent = used.path().parent().expect("a parent").to_owned();
        remove_abandoned(place.path());
        remove_abandoned(&parent);
        assert!(!left.exists());
        assert!(used.path().exists());
    }
}
