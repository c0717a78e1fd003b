//! Checks of the machine: the file systems that hold the trail and the store, and git locks that are held or left
//! behind.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use super::Finding;
use crate::clock::Timestamp;
use crate::trail::Trail;

/// File systems by Linux's numbers (statfs(2)), with a warning for those that are not suitable.
const KINDS: &[(u64, &str, Option<&str>)] = &[
    (0xef53, "ext4", None),
    (0x5846_5342, "xfs", None),
    (0x9123_683e, "btrfs", None),
    (0x2fc1_2fc1, "zfs", None),
    (0xf2f5_2010, "f2fs", None),
    (0x0102_1994, "tmpfs", Some(IN_MEMORY)),
    (0x8584_58f6, "ramfs", Some(IN_MEMORY)),
    (
        0x794c_7630,
        "overlay",
        Some("it is deleted with its container"),
    ),
    (0x6969, "nfs", Some(REMOTE)),
    (0xff53_4d42, "cifs", Some(REMOTE)),
    (0xfe53_4d42, "smb", Some(REMOTE)),
    (0x6573_5546, "fuse", Some(REMOTE)),
    (0x0102_1997, "9p", Some(REMOTE)),
];

const IN_MEMORY: &str = "it is memory: nothing there survives a power cut";
const REMOTE: &str = "its locks and syncs may not be reliable: use a local disk";

/// Less free space than this deserves a warning: a day's entries, or a burst that waits while git fails.
const MIN_ROOM: u64 = 100 << 20;

/// Whether a path is on a network file system.
pub fn is_remote(path: &Path) -> bool {
    let Ok(kind) = statfs(path) else {
        return false;
    };
    let number = (kind.f_type as u64) & 0xffff_ffff;
    KINDS
        .iter()
        .any(|(known, _, but)| *known == number && *but == Some(REMOTE))
}

/// Describes the file system under a path.
pub fn file_system(path: &Path) -> (Finding, String) {
    let (Ok(kind), Ok(room)) = (statfs(path), statvfs(path)) else {
        return (
            Finding::Bad,
            format!("{}: cannot query its file system", path.display()),
        );
    };
    let number = (kind.f_type as u64) & 0xffff_ffff;
    let known = KINDS.iter().find(|(known, ..)| *known == number);
    let name = known.map_or_else(|| format!("{number:#x}"), |(_, name, _)| (*name).into());
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let text = format!("{} on {name}, {} MiB free", path.display(), free >> 20);
    if room.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return (Finding::Bad, format!("{text}; it is mounted read-only"));
    }
    if room.f_files > 0 && room.f_favail == 0 {
        return (
            Finding::Bad,
            format!("{text}; it has no room for another file"),
        );
    }
    if free == 0 {
        return (Finding::Bad, format!("{text}; it is full"));
    }
    if let Some((_, _, Some(but))) = known {
        return (Finding::Warning, format!("{text}; {but}"));
    }
    if free < MIN_ROOM {
        return (Finding::Warning, format!("{text}; that is not much"));
    }
    (Finding::Good, text)
}

/// A lock that is older than this hardly belongs to a running program: git holds one for moments.
const LONG: i64 = 60;

/// Git's locks that block recording. If the trail could be checked, our own locks from a crash are already removed.
pub fn locks(trail: &Trail, now: Timestamp) -> Vec<(Finding, String)> {
    trail
        .git_locks()
        .into_iter()
        .filter_map(|path| {
            let metadata = path.symlink_metadata().ok()?;
            let name = path.strip_prefix(trail.common_dir()).unwrap_or(&path);
            let name = name.display();
            let age = (now.microseconds() / 1_000_000).saturating_sub(metadata.mtime()).max(0);
            let finding = if age < LONG {
                Finding::Warning
            } else {
                Finding::Bad
            };
            let says = format!(
                "{name} has been there for {age} s: another program holds it, or died and left it behind; meanwhile outcomes wait. \
                 If no git runs in {}, remove it",
                trail.common_dir().display()
            );
            Some((finding, says))
        })
        .collect()
}
