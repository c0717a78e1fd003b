//! Where the tests put what they make: in memory where there is room, and on the disk what is about durability and locks.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// All of the tests together, several at a time, need about a gigabyte at most.
const ROOM: u64 = 4 << 30;

/// A temporary directory. Thousands of small repositories are made in them, by a git that is asked to write everything out.
pub fn temporary() -> TempDir {
    TempDir::new_in(place()).unwrap()
}

/// A temporary directory on the disk, unless `TMPDIR` leads elsewhere: for what a file system in memory does not do as a disk does.
pub fn temporary_on_disk() -> TempDir {
    TempDir::new_in(std::env::temp_dir()).unwrap()
}

/// The directory of temporary directories: what `TMPDIR` says, else memory if there is enough, else the system's.
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
