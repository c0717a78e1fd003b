//! The git repository as the trail reads it: opened as hostile, never written here.
//!
//! Nothing that the repository's configuration names is executed: gix is opened isolated, hooks and filters are not
//! used, replace refs are off. `git_config` reads the values that are needed, as plain text.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::{CommitRef, Kind};

use crate::error::{IoContext, TrailError};
use crate::objects::loaded::LoadedBytes;
use crate::objects::tree::TreeSource;
use crate::place::git_config::{ConfigLocation, GitConfig, GitEnvironment};
use crate::place::ownership;
use crate::place::regular;
use crate::place::shared_repository::SharingMode;
use crate::place::supported;
use crate::place::work_trees::{self, MainWorkTree};
use crate::read::database::Objects;

/// An open repository.
pub(crate) struct Repository {
    pub(crate) config: GitConfig,
    environment: GitEnvironment,
    /// The directory that all work trees share. The state directory is below it.
    pub(crate) common_dir: PathBuf,
    /// The git directory of the work tree that was opened.
    pub(crate) git_dir: PathBuf,
    /// The work tree that was opened, if there is one.
    pub(crate) work_tree: Option<PathBuf>,
    pub(crate) main: MainWorkTree,
    pub(crate) hash: HashKind,
    pub(crate) shallow: bool,
    pub(crate) sharing: SharingMode,
    /// Counts the trees of this trail that are in memory.
    pub(crate) loaded: LoadedBytes,
    objects: Objects,
}

/// The parts of a commit that the trail needs.
#[derive(Clone, Debug)]
pub(crate) struct CommitInfo {
    pub(crate) tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    /// Committer time, in seconds since the epoch.
    pub(crate) seconds: i64,
    pub(crate) message: String,
}

impl Repository {
    /// Opens the repository whose work tree or git directory is exactly `dir`.
    pub(crate) fn open(dir: &Path, environment: &GitEnvironment) -> Result<Repository, TrailError> {
        regular::check(dir)?;
        let inner = gix::open::Options::isolated()
            .strict_config(true)
            // Ownership is checked below, as git does it.
            .with(gix::sec::Trust::Full)
            .config_overrides(["core.useReplaceRefs=false"])
            .open(dir)
            .map_err(|error| supported::refused(dir, &error))?;
        let local = inner.to_thread_local();
        let common_dir = absolute(local.common_dir())?;
        let git_dir = absolute(local.git_dir())?;
        let place = ConfigLocation {
            git_dir: &git_dir,
            common_dir: &common_dir,
        };
        let config = GitConfig::read(environment, place)?;
        supported::check_extensions(&local, &config)?;
        ownership::check(&local, &config, environment)?;
        let main = work_trees::find_main(&local, git_dir == common_dir, &common_dir)?;
        let work_tree = match &main {
            MainWorkTree::At(root) if git_dir == common_dir => Some(root.clone()),
            _ if git_dir == common_dir => None,
            _ => local.workdir().map(absolute).transpose()?,
        };
        let repository = Repository {
            git_dir,
            work_tree,
            main,
            hash: local.object_hash(),
            shallow: common_dir.join("shallow").exists(),
            sharing: config.sharing()?,
            loaded: LoadedBytes::default(),
            objects: Objects::open(common_dir.join("objects"), local.object_hash())?,
            common_dir,
            config,
            environment: environment.clone(),
        };
        Ok(repository)
    }

    pub(crate) fn objects_dir(&self) -> PathBuf {
        self.common_dir.join("objects")
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.work_tree.is_none()
    }

    /// `Name <email>` from git's configuration, if both are set.
    pub(crate) fn identity(&self) -> Option<String> {
        self.config.author()
    }

    /// Whether a filter has a program that changes files.
    pub(crate) fn has_filter(&self, filter: &str) -> bool {
        self.config.has_filter(filter)
    }

    /// The file of attributes that the operator's configuration names.
    pub(crate) fn attributes_file(&self, environment: &GitEnvironment) -> Option<PathBuf> {
        self.config.attributes_file(environment)
    }

    /// Whether `core.sparseCheckout` is set now in the work tree with this git directory.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if git would not read its configuration either.
    pub(crate) fn has_sparse_checkout(&self, git_dir: &Path) -> Result<bool, TrailError> {
        let place = ConfigLocation {
            git_dir,
            common_dir: &self.common_dir,
        };
        Ok(GitConfig::read(&self.environment, place)?.has_sparse_checkout())
    }

    /// The operator's setting for the first branch of new repositories.
    pub(crate) fn default_branch_of_operator(&self) -> Option<String> {
        self.config.default_branch()
    }

    /// Whether git keeps reflogs for branches, by `core.logAllRefUpdates`.
    pub(crate) fn keeps_reflogs(&self) -> bool {
        self.config.logs_ref_updates().unwrap_or(!self.is_bare())
    }

    /// Reads an object of a known kind.
    pub(crate) fn object(&self, kind: Kind, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
        self.objects.read(kind, id)
    }

    /// Reads a tree that will be needed soon.
    pub(crate) fn read_ahead(&self, id: &gix::oid) {
        self.objects.read_ahead(id);
    }

    /// Whether the object exists.
    pub(crate) fn has(&self, kind: Kind, id: &gix::oid) -> bool {
        self.objects.has(kind, id).unwrap_or(false)
    }

    pub(crate) fn commit(&self, id: &gix::oid) -> Result<CommitInfo, TrailError> {
        let raw = self.object(Kind::Commit, id)?;
        let unreadable = |cause: &dyn std::fmt::Display| TrailError::Unreadable {
            what: format!("commit {id}"),
            cause: cause.to_string(),
        };
        let whole;
        let commit = match CommitRef::from_bytes(&raw, self.hash) {
            // Git accepts a commit that ends after its headers as one without a message.
            Err(_) if !raw.windows(2).any(|pair| pair == b"\n\n") => {
                whole = [&raw[..], b"\n"].concat();
                CommitRef::from_bytes(&whole, self.hash)
            }
            commit => commit,
        };
        let commit = commit.map_err(|error| unreadable(&error))?;
        Ok(CommitInfo {
            tree: commit.tree(),
            parents: commit.parents().collect(),
            seconds: commit.time().map_err(|error| unreadable(&error))?.seconds,
            message: String::from_utf8_lossy(commit.message).into_owned(),
        })
    }
}

impl TreeSource for Repository {
    fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
        self.object(Kind::Tree, id)
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, TrailError> {
    path.canonicalize().doing("find", path)
}
