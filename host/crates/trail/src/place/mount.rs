//! The mounts of the repository: data that was written and not synced is lost when they go.
//!
//! After a power cut there is another kernel. After a disk was detached, or its file system shut down, the kernel is
//! the same and the mount is another.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, major, minor, statx};

use crate::place::repository::Repository;
use crate::place::state;

/// Identifies this boot of the machine together with the mounts of the git directory and of its work trees, as one
/// word.
pub(crate) fn boot_and_mounts(repository: &Repository) -> String {
    let trees = repository.work_trees().unwrap_or_default();
    let roots = trees.iter().map(|tree| tree.root.as_path());
    let mounts: BTreeSet<String> = roots
        .chain([repository.common_dir.as_path()])
        .map(mount_of)
        .collect();
    let mut word = state::boot_id();
    for mount in mounts {
        word.push('+');
        word.push_str(&mount);
    }
    word
}

/// Identifies the mount of a path.
///
/// If the file system has a directory in sysfs, that is created with each mount of the disk and is the same in every
/// container. Otherwise this is the number of the mount, which differs in each container: then more is checked than
/// needed.
fn mount_of(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else {
        return "unknown".to_owned();
    };
    let device = metadata.dev();
    let device = format!("{}:{}", major(device), minor(device));
    match in_sysfs(&device) {
        Some(number) => format!("{device}.{number:x}"),
        None => format!("{device}-{:x}", number(path)),
    }
}

fn in_sysfs(device: &str) -> Option<u64> {
    let link = fs::read_link(format!("/sys/dev/block/{device}")).ok()?;
    let name = link.file_name()?;
    let kinds = ["ext4", "xfs", "f2fs"];
    let mut directories = kinds
        .iter()
        .map(|kind| Path::new("/sys/fs").join(kind).join(name));
    directories.find_map(|directory| Some(fs::metadata(directory).ok()?.ino()))
}

/// The unique number of the mount, which the system never reuses. Before Linux 6.8 the number can be reused.
fn number(path: &Path) -> u64 {
    /// `STATX_MNT_ID_UNIQUE` of statx(2).
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let asked =
        |flags| statx(CWD, path, AtFlags::empty(), flags).map_or(0, |found| found.stx_mnt_id);
    match asked(UNIQUE) {
        0 => asked(StatxFlags::MNT_ID),
        number => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_word_that_stays_the_same() {
        for path in ["/", "/proc", "/dev"] {
            let word = mount_of(Path::new(path));
            assert!(!word.contains([' ', '\n']), "{word}");
            assert_eq!(word, mount_of(Path::new(path)));
        }
        assert_ne!(mount_of(Path::new("/")), mount_of(Path::new("/proc")));
    }
}
