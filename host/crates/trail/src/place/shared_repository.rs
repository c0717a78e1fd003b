//! `core.sharedRepository`: all users of a shared repository can write its files and directories.
//!
//! The rule is that of git's `path.c` (`adjust_shared_perm`): these permissions are added to those that the umask
//! leaves, or replace them.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::disk::{Disk, DiskFile};
use crate::place::git_config::boolean;

/// The value of `core.sharedRepository`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharingMode {
    /// The permissions that the umask leaves.
    No,
    /// At least these permissions.
    AtLeast(u32),
    /// Exactly these permissions.
    Exactly(u32),
}

impl SharingMode {
    /// Parses the setting's value. Git rejects the same values.
    pub(crate) fn parse(value: &str) -> Result<SharingMode, String> {
        let wrong = || format!("core.sharedRepository is `{}`", value.escape_default());
        Ok(match value.to_ascii_lowercase().as_str() {
            "" | "umask" => SharingMode::No,
            "group" => SharingMode::AtLeast(0o660),
            "all" | "world" | "everybody" => SharingMode::AtLeast(0o664),
            other => match (u32::from_str_radix(other, 8), boolean(other.as_bytes())) {
                (Ok(0), _) | (Err(_), Some(false)) => SharingMode::No,
                (Ok(1), _) | (Err(_), Some(true)) => SharingMode::AtLeast(0o660),
                (Ok(2), _) => SharingMode::AtLeast(0o664),
                (Ok(mode), _) if mode & 0o600 == 0o600 => SharingMode::Exactly(mode & 0o666),
                _ => return Err(wrong()),
            },
        })
    }

    /// The permissions for a file or directory that has `mode` now.
    fn mode(self, mode: u32, is_directory: bool) -> u32 {
        let (mut extra, kept) = match self {
            SharingMode::No => return mode,
            SharingMode::AtLeast(extra) => (extra, mode),
            SharingMode::Exactly(extra) => (extra, mode & !0o777),
        };
        if mode & 0o200 == 0 {
            extra &= !0o222;
        }
        if mode & 0o100 != 0 {
            extra |= (extra & 0o444) >> 2;
        }
        let mut new = kept | extra;
        if is_directory {
            new |= (new & 0o444) >> 2;
            // New files in the directory get its group, if the group has access.
            if new & 0o060 != 0 {
                new |= 0o2000;
            }
        }
        new
    }

    /// Sets the permissions of a file or directory. Files of another user are left alone.
    pub(crate) fn apply(self, path: &Path) -> io::Result<()> {
        if self == SharingMode::No {
            return Ok(());
        }
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            return Ok(());
        }
        let mode = metadata.mode() & 0o7777;
        let new = self.mode(mode, metadata.is_dir());
        if new == mode || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(new))
    }
}

/// Gives a file or directory that was created without [`Disk`], or found, the access permissions of its parent
/// directory. Failures are ignored: the file belongs to another user.
pub(crate) fn follow_directory(path: &Path) {
    let directory = path.parent().and_then(|parent| fs::metadata(parent).ok());
    let Some(directory) = directory.filter(|directory| directory.mode() & 0o020 != 0) else {
        return;
    };
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    let extra = directory.mode() & if metadata.is_dir() { 0o2077 } else { 0o066 };
    let mode = metadata.mode() & 0o7777;
    if mode | extra != mode && !metadata.is_symlink() {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode | extra));
    }
}

/// A disk that shares everything it creates below one directory.
struct SharedDisk {
    inner: Arc<dyn Disk>,
    sharing: SharingMode,
    /// The common git directory. Files in work trees are not shared, as in git.
    below: PathBuf,
}

/// Wraps the disk for a repository with this setting.
pub(crate) fn wrap(disk: Arc<dyn Disk>, sharing: SharingMode, below: &Path) -> Arc<dyn Disk> {
    if sharing == SharingMode::No {
        return disk;
    }
    Arc::new(SharedDisk {
        inner: disk,
        sharing,
        below: below.to_owned(),
    })
}

impl SharedDisk {
    fn share(&self, path: &Path) -> io::Result<()> {
        if path.starts_with(&self.below) {
            self.sharing.apply(path)
        } else {
            Ok(())
        }
    }
}

impl Disk for SharedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.inner.create(path)?;
        self.share(path)?;
        Ok(file)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.inner.append(path, bytes)?;
        self.share(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match self.inner.create_dir(path) {
            // The directory may be older than the setting.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let _ = self.share(path);
                Err(error)
            }
            made => made.and_then(|()| self.share(path)),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn start_thread(
        &self,
        name: &'static str,
        work: Box<dyn FnOnce() + Send>,
    ) -> io::Result<JoinHandle<()>> {
        self.inner.start_thread(name, work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_git_reads_them() {
        let check = |value: &str, expect: Option<SharingMode>| {
            assert_eq!(SharingMode::parse(value).ok(), expect, "{value}");
        };
        check("group", Some(SharingMode::AtLeast(0o660)));
        check("TRUE", Some(SharingMode::AtLeast(0o660)));
        check("1", Some(SharingMode::AtLeast(0o660)));
        check("all", Some(SharingMode::AtLeast(0o664)));
        check("9", Some(SharingMode::AtLeast(0o660)));
        check("umask", Some(SharingMode::No));
        check("", Some(SharingMode::No));
        check("off", Some(SharingMode::No));
        check("0640", Some(SharingMode::Exactly(0o640)));
        check("0777", Some(SharingMode::Exactly(0o666)));
        check("0400", None);
        check("sometimes", None);
    }

    #[test]
    fn the_umask_is_widened_or_replaced() {
        let group = SharingMode::AtLeast(0o660);
        assert_eq!(group.mode(0o600, false), 0o660);
        assert_eq!(group.mode(0o444, false), 0o444);
        assert_eq!(group.mode(0o755, true), 0o2775);
        assert_eq!(SharingMode::Exactly(0o640).mode(0o644, false), 0o640);
        assert_eq!(SharingMode::Exactly(0o640).mode(0o755, true), 0o2750);
        assert_eq!(SharingMode::Exactly(0o600).mode(0o755, true), 0o700);
    }
}
