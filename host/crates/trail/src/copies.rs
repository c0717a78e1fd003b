//! What a copy of the trail elsewhere needs: the refs that are copied, the remotes that git's configuration names, what
//! was fetched, and what a remote has confirmed.
//!
//! Connects to nothing. What a remote confirmed is remembered on this machine only, and is never evidence.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use serde::{Deserialize, Serialize};

use crate::error::{IoContext, TrailError};
use crate::place::state::StateDir;
use crate::write::flush::Flusher;
use crate::write::lock::{GitLock, WriterLock};
use crate::{CHECKPOINTS_REF, POLICIES_REF, Placement, Trail, TrailInner, disk};

/// The tips of refs, in hexadecimal, by the refs' full names.
pub type RefTips = BTreeMap<String, String>;

/// A remote that git's configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRemote {
    /// Its address.
    pub url: String,
    /// The address to push to, if it is another one.
    pub push_url: Option<String>,
}

/// The file of what remotes have confirmed.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmedFile {
    #[serde(default)]
    remote: Vec<Confirmed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    name: String,
    /// A digest of the address: another repository has confirmed nothing.
    url: String,
    tips: RefTips,
}

impl Trail {
    /// The refs that a copy needs, each after those that it depends on: the policies that entries name, the trail's own,
    /// and the checkpoints over its entries. They need not exist.
    pub fn copied_refs(&self) -> [&str; 3] {
        [POLICIES_REF, self.reference(), CHECKPOINTS_REF]
    }

    /// The tips of those refs that exist.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn copied_tips(&self) -> Result<RefTips, TrailError> {
        let repository = &self.shared().repository;
        let mut tips = RefTips::new();
        for name in self.copied_refs() {
            if let Some(tip) = repository.read_ref(name)? {
                tips.insert(name.to_owned(), tip.to_string());
            }
        }
        Ok(tips)
    }

    /// The name that the trail's ref has at a remote: a remote-tracking ref is a copy of a branch there.
    pub fn reference_at_remote(&self, remote: &str) -> String {
        let own = self.reads_from().unwrap_or(self.reference());
        match own.strip_prefix(&format!("refs/remotes/{remote}/")) {
            Some(branch) => format!("refs/heads/{branch}"),
            None => self.reference().to_owned(),
        }
    }

    /// Whether the trail's own ref exists.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn has_own_ref(&self) -> Result<bool, TrailError> {
        let shared = self.shared();
        let tip = shared.repository.read_ref(&shared.identity.reference)?;
        Ok(tip.is_some())
    }

    /// The directory of the object database.
    pub fn objects_dir(&self) -> PathBuf {
        self.shared().repository.objects_dir()
    }

    /// Git's name for the hash of the object ids.
    pub fn object_format(&self) -> &'static str {
        match self.shared().repository.hash {
            gix::hash::Kind::Sha256 => "sha256",
            _ => "sha1",
        }
    }

    /// Git's list of the commits whose parents are not here, in a shallow clone.
    pub fn shallow_file(&self) -> Option<PathBuf> {
        let file = self.shared().repository.common_dir.join("shallow");
        file.is_file().then_some(file)
    }

    /// The directory that relative addresses of remotes start at, as in git.
    pub fn top_directory(&self) -> &Path {
        let repository = &self.shared().repository;
        let tree = repository.work_tree.as_deref();
        tree.unwrap_or(&repository.common_dir)
    }

    /// Copies what operators of this machine have decided about policies to another git directory, which must have no
    /// trail yet.
    ///
    /// # Errors
    ///
    /// [`TrailError::Io`].
    pub fn copy_policy_decisions(&self, git_dir: &Path) -> Result<(), TrailError> {
        let to = StateDir::new(git_dir);
        let from = &self.shared().state;
        fs::create_dir_all(to.root()).doing("create", to.root())?;
        for (from, to) in from.policy_decisions().iter().zip(to.policy_decisions()) {
            match fs::copy(from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).doing("write", &to);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The remote with this name in git's configuration.
    pub fn git_remote(&self, name: &str) -> Option<GitRemote> {
        let config = &self.shared().repository.config;
        Some(GitRemote {
            url: config.of_remote(name, "url")?,
            push_url: config.of_remote(name, "pushurl"),
        })
    }

    /// The names of the remotes in git's configuration.
    pub fn git_remotes(&self) -> Vec<String> {
        self.shared().repository.config.remote_names()
    }

    /// The tips that the remote with this name and address digest was last known to have: those that it confirmed, or else
    /// those of its remote-tracking refs.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn confirmed_tips(&self, remote: &str, url: &str) -> Result<RefTips, TrailError> {
        let shared = self.shared();
        let file: ConfirmedFile =
            StateDir::read_toml(&shared.state.confirmed_path())?.unwrap_or_default();
        let mut all = file.remote.into_iter();
        if let Some(confirmed) = all.find(|one| one.name == remote && one.url == url) {
            return Ok(confirmed.tips);
        }
        let mut tips = RefTips::new();
        for name in self.copied_refs() {
            if let Some(tip) = shared.repository.read_ref(&tracking_ref(remote, name))? {
                tips.insert(name.to_owned(), tip.to_string());
            }
        }
        Ok(tips)
    }

    /// Remembers that the remote has these tips, and moves its remote-tracking refs there. After a power cut the former tips
    /// may be remembered, and only commits that are here.
    ///
    /// The commits MUST be here, or in `packs`, a directory of packs that are copied here first.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn confirm_tips(
        &self,
        remote: &str,
        url: &str,
        tips: &RefTips,
        packs: Option<&Path>,
    ) -> Result<(), TrailError> {
        let shared = self.shared();
        let disk = shared.disk.as_ref();
        shared.state.create_root(disk)?;
        // Before the lock: adding packs disturbs nobody, and may take long.
        if let Some(packs) = packs {
            shared.state.create_contents(disk)?;
            shared.take_packs(packs)?;
        }
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let confirmed = shared.confirm_locked(remote, url, tips);
        lock.release();
        confirmed
    }

    /// Moves the remote-tracking refs of a remote, and takes the packs with their commits. Does not remember that the remote
    /// confirmed them.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn track_tips(&self, remote: &str, tips: &RefTips, packs: &Path) -> Result<(), TrailError> {
        let shared = self.shared();
        let disk = shared.disk.as_ref();
        shared.state.create_root(disk)?;
        shared.state.create_contents(disk)?;
        shared.take_packs(packs)?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let tracked = shared.track_locked(remote, tips);
        lock.release();
        tracked
    }

    /// Moves the policies and the checkpoints here forward to these tips, which MUST continue what is here.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn advance_beside(&self, tips: &RefTips) -> Result<(), TrailError> {
        let shared = self.shared();
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let advanced = shared.advance_locked(tips);
        lock.release();
        advanced
    }
}

impl TrailInner {
    fn confirm_locked(&self, remote: &str, url: &str, tips: &RefTips) -> Result<(), TrailError> {
        self.state.create_contents(self.disk.as_ref())?;
        self.track_locked(remote, tips)?;
        let path = self.state.confirmed_path();
        let mut file: ConfirmedFile = StateDir::read_toml(&path)?.unwrap_or_default();
        if let Some(known) = file.remote.iter().find(|one| one.name == remote)
            && known.url == url
            && known.tips == *tips
        {
            return Ok(());
        }
        file.remote.retain(|one| one.name != remote);
        file.remote.push(Confirmed {
            name: remote.to_owned(),
            url: url.to_owned(),
            tips: tips.clone(),
        });
        let text =
            toml::to_string(&file).map_err(|error| TrailError::Invalid(error.to_string()))?;
        self.replace_synced(&path, text.as_bytes())
    }

    fn advance_locked(&self, tips: &RefTips) -> Result<(), TrailError> {
        if self.follows_log()? {
            return Ok(());
        }
        for reference in [POLICIES_REF, CHECKPOINTS_REF] {
            let tip = tips
                .get(reference)
                .map(|tip| ObjectId::from_hex(tip.as_bytes()));
            let Some(Ok(tip)) = tip else {
                continue;
            };
            let now = self.repository.read_ref(reference)?;
            if now == Some(tip) {
                continue;
            }
            if now.is_none() {
                self.repository.check_name_free(reference)?;
            }
            let flusher = Flusher {
                reference,
                placement: Placement::Ref,
                ..Flusher::of(self)
            };
            flusher.fast_forward(now, tip)?;
        }
        Ok(())
    }

    fn track_locked(&self, remote: &str, tips: &RefTips) -> Result<(), TrailError> {
        for (name, tip) in tips {
            let Ok(tip) = ObjectId::from_hex(tip.as_bytes()) else {
                continue;
            };
            let tracking = tracking_ref(remote, name);
            let now = self.repository.read_ref(&tracking)?;
            if now == Some(tip) {
                continue;
            }
            // A stale ref of a person's may block the name. What the remote confirmed is remembered all the same.
            if now.is_none() && self.repository.check_name_free(&tracking).is_err() {
                continue;
            }
            self.write_tracking_ref(&tracking, tip)?;
        }
        Ok(())
    }

    fn write_tracking_ref(&self, name: &str, tip: ObjectId) -> Result<(), TrailError> {
        let path = self.repository.common_dir.join(name);
        let lock = GitLock::acquire(self.disk.as_ref(), &self.state, &path, self.lock_wait)?;
        let written = self.replace_synced(&path, format!("{tip}\n").as_bytes());
        let released = lock.release();
        written.and(released)
    }

    /// Replaces a file whose name need not be durable: after a power cut, the old file or the new one is there.
    fn replace_synced(&self, path: &Path, contents: &[u8]) -> Result<(), TrailError> {
        let disk = self.disk.as_ref();
        let temporary = self.state.tmp_dir().join("confirmed");
        disk::remove_if_present(disk, &temporary).doing("remove", &temporary)?;
        disk::write_synced(disk, &temporary, contents).doing("write", &temporary)?;
        disk.rename(&temporary, path).doing("replace", path)
    }

    /// Copies packs into the object database: each pack before its index, because git looks for the index.
    fn take_packs(&self, packs: &Path) -> Result<(), TrailError> {
        let to = self.repository.objects_dir().join("pack");
        match self.disk.create_dir(&to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).doing("create", &to);
            }
            _ => {}
        }
        let entries = fs::read_dir(packs).doing("list", packs)?;
        let names = entries.map(|entry| Ok(entry.doing("list", packs)?.file_name()));
        let names = names.collect::<Result<Vec<_>, TrailError>>()?;
        let mut names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).collect();
        names.retain(|name| name.ends_with(".pack") || name.ends_with(".idx"));
        names.sort_by_key(|name| name.ends_with(".idx"));
        for name in names {
            let (from, to) = (packs.join(name), to.join(name));
            if to.exists() {
                continue;
            }
            self.disk.sync_file(&from).doing("sync", &from)?;
            // The repository that wrote them may still read them there.
            if self.disk.link(&from, &to).is_ok() {
                continue;
            }
            // The temporary directory may be on another file system.
            let beside = self
                .state
                .tmp_dir()
                .join(format!("{}-{name}", std::process::id()));
            fs::copy(&from, &beside).doing("write", &beside)?;
            self.disk.sync_file(&beside).doing("sync", &beside)?;
            self.disk.rename(&beside, &to).doing("replace", &to)?;
        }
        self.disk.sync_dir(&to).doing("sync", &to)
    }
}

impl StateDir {
    fn policy_decisions(&self) -> [PathBuf; 2] {
        [self.in_force_path(), self.used_policies_path()]
    }

    /// What remotes have confirmed.
    fn confirmed_path(&self) -> PathBuf {
        self.root().join("remotes.toml")
    }
}

/// The remote-tracking ref of a branch.
fn tracking_ref(remote: &str, branch: &str) -> String {
    let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    format!("refs/remotes/{remote}/{short}")
}
