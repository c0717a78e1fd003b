//! The places for temporary files: in memory if there is room, and on the disk for tests of durability and locks.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The space that all tests together need, several at a time, with a margin: they use about a gigabyte.
const ROOM: u64 = 4 << 30;

/// A temporary directory. Thousands of small repositories are made in them, with a git that syncs everything.
pub fn temporary() -> TempDir {
    TempDir::new_in(place()).unwrap()
}

/// A temporary directory on the disk, unless `TMPDIR` names another place: for tests that depend on the behaviour of a
/// disk.
pub fn temporary_on_disk() -> TempDir {
    TempDir::new_in(std::env::temp_dir()).unwrap()
}

/// The directory of temporary directories: `TMPDIR`, else memory if there is enough, else the system's.
pub fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let is_given = std::env::var_os("TMPDIR").is_some_and(|given| !given.is_empty());
        if !is_given && has_room(memory) && TempDir::new_in(memory).is_ok() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        }
    })
}

fn has_room(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) >= ROOM)
}

/// Copies a directory with all that is in it, to one that is made if it is not there.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}
