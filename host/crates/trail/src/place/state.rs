//! The trail's own files beside git's: `chiffon-audit/` in the common git directory.
//!
//! Owns their names and formats. All of them but what the operator said, `config.toml` and `policy.toml`, can be deleted while
//! no process of ours runs: the trail itself is in git.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gix::ObjectId;
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

/// What the trail is: fixed by `init` or by the first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The ref that holds the trail, in full.
    pub(crate) reference: String,
    pub(crate) placement: Placement,
    /// The layout that the operator has chosen, or the placement; `None` where the number of entries decides.
    pub(crate) layout: Option<Layout>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    reference: String,
    placement: String,
    layout: Option<String>,
    /// Versions before 0.2 wrote `flat` where nobody had chosen it too, and not this.
    layout_chosen: Option<bool>,
}

/// A point of the trail that was reached on this machine, and during which of its boots.
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
    /// The registered file that lock files of ours are links of.
    pub(crate) fn token_path(&self) -> PathBuf {
        self.root.join("token")
    }
    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }
    /// Holds one empty file for each pack that we made.
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
    /// The tip up to which index and work tree are known to be in step.
    pub(crate) fn in_step_path(&self) -> PathBuf {
        self.root.join("in-step")
    }

    /// Creates what is missing, before anything is locked.
    pub(crate) fn create_root(&self, disk: &dyn Disk) -> Result<(), TrailError> {
        match disk.create_dir(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(error).doing("create", &self.root)
            }
            _ => Ok(()),
        }
    }

    /// Creates what is missing, under the lock; says whether anything was. [`StateDir::write_identity`] makes it durable.
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
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing("read", &path),
        };
        let invalid = |cause: String| TrailError::Unreadable {
            what: path.display().to_string(),
            cause,
        };
        let file: IdentityFile =
            toml::from_str(&text).map_err(|error| invalid(error.message().to_owned()))?;
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

    /// Records what the trail is, and makes it and the directory durable.
    ///
    /// If it were lost in a power cut, the next record could begin on another branch; and a lock file of ours that
    /// outlived one without its token would block every later flush as a stranger's.
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
        let text =
            toml::to_string(&file).map_err(|error| TrailError::Invalid(error.to_string()))?;
        let temporary = self.tmp_dir().join("trail.toml");
        disk::remove_if_present(disk, &temporary).doing("remove", &temporary)?;
        disk::write_synced(disk, &temporary, text.as_bytes()).doing("write", &temporary)?;
        disk.rename(&temporary, &self.identity_path())
            .doing("replace", &self.identity_path())?;
        disk.sync_dir(&self.root).doing("sync", &self.root)?;
        self.sync_common_dir(disk)
    }

    /// Makes the entries of the common git directory durable.
    ///
    /// A person's git has put its index there without syncing it: its contents come first, or a power cut could leave
    /// an index that is there for certain and empty.
    pub(crate) fn sync_common_dir(&self, disk: &dyn Disk) -> Result<(), TrailError> {
        let index = self.common_dir.join("index");
        if index.exists() {
            disk.sync_file(&index).doing("sync", &index)?;
        }
        disk.sync_dir(&self.common_dir)
            .doing("sync", &self.common_dir)
    }

    /// Reads a mark; one that is missing or torn counts as absent.
    pub(crate) fn read_mark(&self, path: &Path) -> Option<Mark> {
        let text = fs::read_to_string(path).ok()?;
        let mut words = text.lines().next()?.split(' ');
        let tip = ObjectId::from_hex(words.next()?.as_bytes()).ok()?;
        let boot = words.next()?.to_owned();
        let microseconds = words.next()?.parse().ok()?;
        // The line must be whole: the end of a torn number would be another number.
        (text.ends_with('\n') && words.next().is_none()).then_some(Mark {
            tip,
            boot,
            microseconds,
        })
    }

    /// Replaces a mark. Not synced: an older mark costs work at the next start and nothing else.
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

/// A trail's ref is a branch: `refs/heads/…`, valid for git.
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

/// Identifies this boot of the machine, so that what is in the page cache can be told from what survived a power cut.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(
        // Without one every process counts as a boot of its own, and checks everything.
        |_| format!("unknown-{}", std::process::id()),
        |text| text.trim().to_owned(),
    )
}
