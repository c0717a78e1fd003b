//! The state directory of the trail: `chiffon-audit/` in the common git directory.
//!
//! Owns the names and formats of its files. All of them except the operator's, `config.toml`, `policy.toml` and
//! `used-policies.toml`, can be deleted while no process of this program runs: the trail itself is in git.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gix::ObjectId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk::{self, Disk};
use crate::error::{IoContext, TrailError};
use crate::place::shared_repository;
use crate::{Layout, Placement};

/// The directory `chiffon-audit/` of one repository.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    common_dir: PathBuf,
    root: PathBuf,
}

/// The identity of the trail, set by `init` or by the first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The full name of the ref that holds the trail.
    pub(crate) reference: String,
    pub(crate) placement: Placement,
    /// The layout that the operator or the placement sets; `None` if the number of entries decides.
    pub(crate) layout: Option<Layout>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    reference: String,
    placement: String,
    layout: Option<String>,
    /// Whether the operator chose the layout. Versions before 0.2 always wrote `flat`, without this member.
    layout_chosen: Option<bool>,
}

/// A commit that was reached on this machine, and the boot during which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) tip: ObjectId,
    pub(crate) boot: String,
    /// The time of the last trail commit at or before `tip`, in microseconds since the epoch.
    pub(crate) microseconds: i64,
}

impl StateDir {
    pub(crate) fn new(common_dir: &Path) -> StateDir {
        StateDir {
            common_dir: common_dir.to_owned(),
            root: common_dir.join("chiffon-audit"),
        }
    }

    pub(crate) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    pub(crate) fn flock_path(&self) -> PathBuf {
        self.root.join("lock")
    }
    pub(crate) fn waiting_path(&self) -> PathBuf {
        self.root.join("waiting")
    }
    /// The token file: the program's own lock files are links of it.
    pub(crate) fn token_path(&self) -> PathBuf {
        self.root.join("token")
    }
    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }
    /// The directory with an empty file for each pack of this program.
    pub(crate) fn packs_dir(&self) -> PathBuf {
        self.root.join("packs")
    }
    fn identity_path(&self) -> PathBuf {
        self.root.join("trail.toml")
    }
    /// The last tip that was durable when a receipt was given for it.
    pub(crate) fn acknowledged_path(&self) -> PathBuf {
        self.root.join("acknowledged")
    }
    /// The tip up to which index and work tree are known to be up to date.
    pub(crate) fn in_step_path(&self) -> PathBuf {
        self.root.join("in-step")
    }

    /// Creates the directory and the lock files, before anything is locked.
    pub(crate) fn create_root(&self, disk: &dyn Disk) -> Result<(), TrailError> {
        match disk.create_dir(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(error).doing("create", &self.root)
            }
            _ => Ok(()),
        }
    }

    /// Creates the missing files, under the lock; returns whether any was missing. [`StateDir::write_identity`] makes
    /// them durable.
    pub(crate) fn create_contents(&self, disk: &dyn Disk) -> Result<bool, TrailError> {
        let mut created = false;
        for dir in [self.tmp_dir(), self.packs_dir()] {
            match disk.create_dir(&dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => {
                    other.doing("create", &dir)?;
                    created = true;
                }
            }
        }
        if !self.token_path().exists() {
            disk.create(&self.token_path())
                .map(drop)
                .doing("create", &self.token_path())?;
            created = true;
        }
        shared_repository::follow_directory(&self.token_path());
        Ok(created)
    }

    pub(crate) fn read_identity(&self) -> Result<Option<Identity>, TrailError> {
        let path = self.identity_path();
        let Some(file) = StateDir::read_toml::<IdentityFile>(&path)? else {
            return Ok(None);
        };
        let invalid = |cause: String| TrailError::Unreadable {
            what: path.display().to_string(),
            cause,
        };
        check_reference(&file.reference).map_err(|error| invalid(error.to_string()))?;
        let layout = file.layout.as_deref().map(Layout::from_str);
        let layout = layout.transpose().map_err(invalid)?;
        let is_chosen = file.layout_chosen == Some(true);
        Ok(Some(Identity {
            placement: Placement::from_str(&file.placement).map_err(invalid)?,
            layout: layout.filter(|layout| is_chosen || *layout == Layout::Sharded),
            reference: file.reference,
        }))
    }

    /// Writes the identity, and makes it and the directory durable.
    ///
    /// If it were lost in a power cut, the next record could start on another branch. A lock file that survives without
    /// the token would be treated as another program's, and block every later flush.
    pub(crate) fn write_identity(
        &self,
        disk: &dyn Disk,
        identity: &Identity,
    ) -> Result<(), TrailError> {
        let file = IdentityFile {
            reference: identity.reference.clone(),
            placement: identity.placement.as_str().to_owned(),
            layout: identity.layout.map(|layout| layout.as_str().to_owned()),
            layout_chosen: identity.layout.map(|_| true),
        };
        self.replace_toml(disk, &self.identity_path(), &file)?;
        self.sync_common_dir(disk)
    }

    /// Reads a TOML file of the state directory; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`TrailError::Io`] if it cannot be read, [`TrailError::Unreadable`] if it cannot be parsed.
    pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TrailError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing("read", path),
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|error| TrailError::Unreadable {
                what: path.display().to_string(),
                cause: error.message().to_owned(),
            })
    }

    /// Replaces a TOML file of this directory. Durable on return. The caller holds the lock.
    pub(crate) fn replace_toml(
        &self,
        disk: &dyn Disk,
        path: &Path,
        contents: &impl Serialize,
    ) -> Result<(), TrailError> {
        let text =
            toml::to_string(contents).map_err(|error| TrailError::Invalid(error.to_string()))?;
        let name = path.file_name().unwrap_or_default();
        let temporary = self.tmp_dir().join(name);
        disk::remove_if_present(disk, &temporary).doing("remove", &temporary)?;
        disk::write_synced(disk, &temporary, text.as_bytes()).doing("write", &temporary)?;
        disk.rename(&temporary, path).doing("replace", path)?;
        disk.sync_dir(&self.root).doing("sync", &self.root)
    }

    /// Makes the entries of the common git directory durable.
    ///
    /// A person's git has written its index there without syncing it. Its contents are synced first: otherwise a power
    /// cut could leave an empty index.
    pub(crate) fn sync_common_dir(&self, disk: &dyn Disk) -> Result<(), TrailError> {
        let index = self.common_dir.join("index");
        if index.exists() {
            disk.sync_file(&index).doing("sync", &index)?;
        }
        disk.sync_dir(&self.common_dir)
            .doing("sync", &self.common_dir)
    }

    /// Reads a mark. A missing or torn mark counts as absent.
    pub(crate) fn read_mark(&self, path: &Path) -> Option<Mark> {
        let text = fs::read_to_string(path).ok()?;
        let mut words = text.lines().next()?.split(' ');
        let tip = ObjectId::from_hex(words.next()?.as_bytes()).ok()?;
        let boot = words.next()?.to_owned();
        let microseconds = words.next()?.parse().ok()?;
        // The line must be complete: a torn number would be another number.
        (text.ends_with('\n') && words.next().is_none()).then_some(Mark {
            tip,
            boot,
            microseconds,
        })
    }

    /// Replaces a mark without syncing it. An older mark only causes more work at the next start.
    pub(crate) fn write_mark(
        &self,
        disk: &dyn Disk,
        path: &Path,
        mark: &Mark,
    ) -> Result<(), TrailError> {
        let temporary = self.tmp_dir().join("mark");
        disk::remove_if_present(disk, &temporary).doing("remove", &temporary)?;
        let line = format!("{} {} {}\n", mark.tip, mark.boot, mark.microseconds);
        disk::write_unsynced(disk, &temporary, line.as_bytes()).doing("write", &temporary)?;
        disk.rename(&temporary, path).doing("replace", path)
    }
}

/// Checks the name of a trail's ref: a branch, `refs/heads/…`, valid for git.
pub(crate) fn check_reference(name: &str) -> Result<(), TrailError> {
    let valid = gix::validate::reference::name(name.into()).is_ok();
    if valid && name.starts_with("refs/heads/") && name.len() > "refs/heads/".len() {
        Ok(())
    } else {
        Err(TrailError::Invalid(format!(
            "the trail's ref must be a valid name below refs/heads/, not `{}`",
            name.escape_default()
        )))
    }
}

/// Identifies this boot of the machine, which tells whether unsynced data is still in the page cache.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(
        // Without an id every process counts as a new boot, and checks everything.
        |_| format!("unknown-{}", std::process::id()),
        |text| text.trim().to_owned(),
    )
}
