//! The git repository as the trail reads it: opened as hostile, never written here.
//!
//! Nothing that the repository's configuration names is executed: gix is opened isolated, hooks and filters are never
//! asked for, `GIT_*` is ignored, replace refs are off. Only `user.name` and `user.email` are taken from configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::{CommitRef, Find, Kind};

use super::error::{IoContext, TrailError};
use super::tree::TreeSource;

/// An open repository.
pub(super) struct Repository {
    inner: gix::ThreadSafeRepository,
    /// The directory that all work trees share; the trail's state lives below it.
    pub(super) common_dir: PathBuf,
    /// The git directory of the work tree that was opened.
    pub(super) git_dir: PathBuf,
    /// The work tree that was opened, if there is one.
    pub(super) work_tree: Option<PathBuf>,
    main: Main,
    pub(super) hash: HashKind,
    pub(super) shallow: bool,
    readers: Mutex<Vec<gix::odb::HandleArc>>,
}

/// What the trail needs to know of a commit.
#[derive(Clone, Debug)]
pub(super) struct CommitInfo {
    pub(super) tree: ObjectId,
    pub(super) parents: Vec<ObjectId>,
    /// Committer time, seconds since the epoch.
    pub(super) seconds: i64,
    pub(super) message: String,
}

/// What a `HEAD` file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Branch(String),
    Detached,
}

/// The work tree of the common git directory itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Main {
    /// It is bare.
    None,
    At(PathBuf),
    /// There must be one, and it lies apart: the git directory does not say where.
    Unknown,
}

/// A work tree and its private git directory.
#[derive(Clone, Debug)]
pub(super) struct WorkTree {
    pub(super) git_dir: PathBuf,
    pub(super) root: PathBuf,
}

impl Repository {
    /// Opens the repository at `dir` or above it.
    pub(super) fn discover(dir: &Path) -> Result<Repository, TrailError> {
        let options = gix::discover::upwards::Options {
            trust: gix::discover::upwards::TrustPolicy::Required(gix::sec::Trust::Reduced),
            ..Default::default()
        };
        let (path, _) = gix::discover::upwards_opts(dir, options)
            .map_err(|_| TrailError::NoRepository(dir.to_owned()))?;
        let (git_dir, work_tree) = path.into_repository_and_work_tree_directories();
        Repository::open(work_tree.as_deref().unwrap_or(&git_dir))
    }

    /// Opens the repository whose work tree or git directory is exactly `dir`.
    pub(super) fn open(dir: &Path) -> Result<Repository, TrailError> {
        let permissions = gix::open::Permissions {
            config: gix::open::permissions::Config {
                // For `user.name` and `user.email`: ~/.gitconfig and its XDG twin. Includes stay off, since one
                // switch rules the repository's file too, and that could name any file of this machine.
                git: true,
                user: true,
                ..gix::open::permissions::Config::isolated()
            },
            env: gix::open::permissions::Environment {
                home: gix::sec::Permission::Allow,
                xdg_config_home: gix::sec::Permission::Allow,
                ..gix::open::permissions::Environment::isolated()
            },
            ..gix::open::Permissions::isolated()
        };
        let inner = gix::open::Options::isolated()
            .permissions(permissions)
            .strict_config(true)
            .bail_if_untrusted(true)
            .config_overrides(["core.useReplaceRefs=false"])
            // gix's default of 32 fails where a repository has more packs.
            .object_store_slots(gix::odb::store::init::Slots::Given(1024))
            .open(dir)
            .map_err(|error| refused(dir, &error))?;
        let local = inner.to_thread_local();
        let common_dir = absolute(local.common_dir())?;
        check_extensions(&local)?;
        let git_dir = absolute(local.git_dir())?;
        let main = find_main(&local, git_dir == common_dir, &common_dir)?;
        let work_tree = match &main {
            Main::At(root) if git_dir == common_dir => Some(root.clone()),
            _ if git_dir == common_dir => None,
            _ => local.workdir().map(absolute).transpose()?,
        };
        let repository = Repository {
            git_dir,
            work_tree,
            main,
            hash: local.object_hash(),
            shallow: common_dir.join("shallow").exists(),
            common_dir,
            inner,
            readers: Mutex::new(Vec::new()),
        };
        Ok(repository)
    }

    /// Says what stands in the way of recording here, beyond what [`Repository::open`] refuses.
    pub(super) fn check_writable(&self) -> Result<(), TrailError> {
        let alternates = self.common_dir.join("objects/info/alternates");
        if fs::read(&alternates).is_ok_and(|text| !text.trim_ascii().is_empty()) {
            return Err(TrailError::Unsupported(
                "its object database borrows from another one (objects/info/alternates), whose objects it cannot keep; \
                 `git repack -a -d && rm .git/objects/info/alternates` makes it whole"
                    .into(),
            ));
        }
        let grafts = self.common_dir.join("info/grafts");
        if fs::read(&grafts).is_ok_and(|text| !text.trim_ascii().is_empty()) {
            return Err(TrailError::Unsupported(
                "info/grafts changes what git shows of its history".into(),
            ));
        }
        Ok(())
    }

    /// Fails if a replace ref hides one of these objects from plain git.
    pub(super) fn check_not_replaced(&self, ids: &[ObjectId]) -> Result<(), TrailError> {
        for id in ids {
            let name = format!("refs/replace/{id}");
            if self.read_ref(&name)?.is_some() {
                return Err(TrailError::Unsupported(format!(
                    "{name} hides an object of the trail from plain git"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn objects_dir(&self) -> PathBuf {
        self.common_dir.join("objects")
    }

    pub(super) fn is_bare(&self) -> bool {
        self.work_tree.is_none()
    }

    /// `Name <email>` from git's configuration, if both are there and fit a commit.
    pub(super) fn identity(&self) -> Option<String> {
        let local = self.inner.to_thread_local();
        let config = local.config_snapshot();
        let name = config.string("user.name")?.to_string();
        let email = config.string("user.email")?.to_string();
        let fits =
            |text: &str| !text.trim().is_empty() && !text.contains(['<', '>', '\n', '\0', '\r']);
        (fits(&name) && fits(&email)).then(|| format!("{} <{}>", name.trim(), email.trim()))
    }

    /// The value of `core.logAllRefUpdates` as git takes it for branches.
    pub(super) fn keeps_reflogs(&self) -> bool {
        let local = self.inner.to_thread_local();
        let value = local
            .config_snapshot()
            .string("core.logAllRefUpdates")
            .map(|value| value.to_string());
        match value.as_deref() {
            Some("false" | "no" | "off" | "0") => false,
            Some(_) => true,
            None => !self.is_bare(),
        }
    }

    /// Reads an object of a known kind.
    pub(super) fn object(&self, kind: Kind, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
        self.try_object(kind, id)?
            .ok_or_else(|| TrailError::Unreadable {
                what: format!("{kind} {id}"),
                cause: "it is not in the object database".into(),
            })
    }

    /// Reads an object of a known kind; `None` if it is not there.
    pub(super) fn try_object(
        &self,
        kind: Kind,
        id: &gix::oid,
    ) -> Result<Option<Vec<u8>>, TrailError> {
        let reader = self
            .readers
            .lock()
            .expect("no reader panics while it holds the pool")
            .pop();
        let reader = reader.unwrap_or_else(|| self.new_reader());
        let mut buffer = Vec::new();
        let unreadable = |cause: String| TrailError::Unreadable {
            what: format!("{kind} {id}"),
            cause,
        };
        let found = match reader.try_find(id, &mut buffer) {
            Ok(Some(data)) if data.kind == kind => Ok(true),
            Ok(Some(data)) => Err(unreadable(format!("it is a {}", data.kind))),
            Ok(None) => Ok(false),
            Err(error) => Err(unreadable(error.to_string())),
        };
        self.readers
            .lock()
            .expect("no reader panics while it holds the pool")
            .push(reader);
        Ok(found?.then_some(buffer))
    }

    fn new_reader(&self) -> gix::odb::HandleArc {
        // Trees are deltas of their predecessors: keep bases, up to 16 MiB, so that a chain is not resolved again and
        // again.
        self.inner.objects.to_cache_arc().with_pack_cache(|| {
            Box::new(gix::odb::pack::cache::lru::MemoryCappedHashmap::new(
                16 << 20,
            ))
        })
    }

    pub(super) fn commit(&self, id: &gix::oid) -> Result<CommitInfo, TrailError> {
        let raw = self.object(Kind::Commit, id)?;
        let unreadable = |cause: &dyn std::fmt::Display| TrailError::Unreadable {
            what: format!("commit {id}"),
            cause: cause.to_string(),
        };
        let commit = CommitRef::from_bytes(&raw, self.hash).map_err(|error| unreadable(&error))?;
        Ok(CommitInfo {
            tree: commit.tree(),
            parents: commit.parents().collect(),
            seconds: commit.time().map_err(|error| unreadable(&error))?.seconds,
            message: String::from_utf8_lossy(commit.message).into_owned(),
        })
    }

    /// The commit that a ref names; `None` if there is no such ref.
    ///
    /// Reads the loose file first and packed-refs after it, as git does.
    pub(super) fn read_ref(&self, name: &str) -> Result<Option<ObjectId>, TrailError> {
        let path = self.common_dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let text = text.trim_end();
                if text.starts_with("ref:") {
                    return Err(TrailError::Unsupported(format!("{name} is a symbolic ref")));
                }
                ObjectId::from_hex(text.as_bytes())
                    .map(Some)
                    .map_err(|_| TrailError::Unreadable {
                        what: name.to_owned(),
                        cause: "it does not hold an object id".into(),
                    })
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::IsADirectory
                ) =>
            {
                self.read_packed_ref(name)
            }
            Err(error) => Err(error).doing("read", &path),
        }
    }

    fn read_packed_ref(&self, name: &str) -> Result<Option<ObjectId>, TrailError> {
        let Some(text) = self.packed_refs()? else {
            return Ok(None);
        };
        let hex = self.hash.len_in_hex();
        let line = text.split(|byte| *byte == b'\n').find(|line| {
            line.len() == hex + 1 + name.len()
                && line[hex] == b' '
                && line[hex + 1..] == *name.as_bytes()
        });
        line.map(|line| {
            ObjectId::from_hex(&line[..hex]).map_err(|_| TrailError::Unreadable {
                what: "packed-refs".into(),
                cause: format!("{name} has no object id"),
            })
        })
        .transpose()
    }

    fn packed_refs(&self) -> Result<Option<Vec<u8>>, TrailError> {
        let path = self.common_dir.join("packed-refs");
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing("read", &path),
        }
    }

    /// What the `HEAD` of a work tree says.
    pub(super) fn head(git_dir: &Path) -> Result<Head, TrailError> {
        let path = git_dir.join("HEAD");
        let text = fs::read_to_string(&path).doing("read", &path)?;
        Ok(match text.strip_prefix("ref:") {
            Some(name) => Head::Branch(name.trim().to_owned()),
            None => Head::Detached,
        })
    }

    /// Fails if `reference` is, or may be, checked out in a work tree that cannot be found from here.
    pub(super) fn check_work_tree_known(&self, reference: &str) -> Result<(), TrailError> {
        if self.main == Main::Unknown
            && Repository::head(&self.common_dir)? == Head::Branch(reference.to_owned())
        {
            return Err(TrailError::Busy(format!(
                "{reference} is checked out in the main work tree, and {} does not say where that is: record from \
                 there, or set core.worktree, or core.bare if there is none",
                self.common_dir.display()
            )));
        }
        Ok(())
    }

    /// Fails if git has a ref that cannot exist beside one of this name, because one would be a directory of the other.
    pub(super) fn check_name_free(&self, reference: &str) -> Result<(), TrailError> {
        let taken = |name: &str| {
            TrailError::Invalid(format!(
                "the trail's ref cannot be {reference}, because there is {name}"
            ))
        };
        let above = reference
            .match_indices('/')
            .map(|(at, _)| &reference[..at])
            .skip(2);
        for name in above {
            if self.read_ref(name)?.is_some() {
                return Err(taken(name));
            }
        }
        if let Some(name) = self.any_ref_below(reference)? {
            return Err(taken(&name));
        }
        Ok(())
    }

    fn any_ref_below(&self, reference: &str) -> Result<Option<String>, TrailError> {
        let mut dirs = vec![self.common_dir.join(reference)];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                } else if let Ok(name) = entry.path().strip_prefix(&self.common_dir) {
                    return Ok(Some(name.display().to_string()));
                }
            }
        }
        let prefix = [reference.as_bytes(), b"/"].concat();
        let name_at = self.hash.len_in_hex() + 1;
        Ok(self.packed_refs()?.and_then(|text| {
            text.split(|byte| *byte == b'\n')
                .filter_map(|line| line.get(name_at..))
                .find(|name| name.starts_with(&prefix))
                .map(|name| String::from_utf8_lossy(name).into_owned())
        }))
    }

    /// Every work tree of the repository that can be found, the main one first.
    pub(super) fn work_trees(&self) -> Result<Vec<WorkTree>, TrailError> {
        let mut found = Vec::new();
        if let Main::At(root) = &self.main {
            found.push(WorkTree {
                git_dir: self.common_dir.clone(),
                root: root.clone(),
            });
        }
        let linked = self.common_dir.join("worktrees");
        let entries = match fs::read_dir(&linked) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error).doing("list", &linked),
        };
        for entry in entries {
            let git_dir = entry.doing("list", &linked)?.path();
            // `gitdir` holds the path of the work tree's `.git` file; a work tree that is gone has nothing to keep in step.
            let Ok(text) = fs::read_to_string(git_dir.join("gitdir")) else {
                continue;
            };
            let dot_git = git_dir.join(text.trim_end());
            if let Some(root) = dot_git.parent().filter(|root| root.is_dir()) {
                found.push(WorkTree {
                    git_dir,
                    root: root.to_owned(),
                });
            }
        }
        Ok(found)
    }
}

impl TreeSource for Repository {
    fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
        self.object(Kind::Tree, id)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, TrailError> {
    path.canonicalize().doing("find", path)
}

/// Where the work tree of the common git directory is.
///
/// A git directory apart from its work tree does not say, and gix takes its parent for it: what is there must say so too.
fn find_main(
    local: &gix::Repository,
    is_main: bool,
    common_dir: &Path,
) -> Result<Main, TrailError> {
    let other = if is_main {
        None
    } else {
        local.main_repo().ok()
    };
    let main = other.as_ref().unwrap_or(local);
    let config = main.config_snapshot();
    let named = config.string("core.worktree").is_some();
    if (is_main || other.is_some())
        && let Some(root) = main.workdir().filter(|root| root.is_dir())
    {
        let root = absolute(root)?;
        if named || git_dir_of(&root).as_deref() == Some(common_dir) {
            return Ok(Main::At(root));
        }
    }
    let bare = config.boolean("core.bare").unwrap_or(false);
    Ok(if bare { Main::None } else { Main::Unknown })
}

/// The git directory that the `.git` of a work tree is or names.
fn git_dir_of(root: &Path) -> Option<PathBuf> {
    let dot_git = root.join(".git");
    if dot_git.is_dir() {
        return dot_git.canonicalize().ok();
    }
    let text = fs::read_to_string(&dot_git).ok()?;
    let named = text.strip_prefix("gitdir:")?.trim();
    root.join(named).canonicalize().ok()
}

/// What gix refuses, in our words.
fn refused(dir: &Path, error: &dyn std::error::Error) -> TrailError {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        cause = format!("{cause}: {deeper}");
        source = deeper.source();
    }
    let config = [dir.join(".git/config"), dir.join("config")]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if config.contains("refstorage") {
        return TrailError::Unsupported(
            "its refs are stored as a reftable (extensions.refStorage)".into(),
        );
    }
    let version = config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "repositoryformatversion").then(|| value.trim().to_owned())
    });
    if let Some(version) = version.filter(|version| version != "0" && version != "1") {
        return TrailError::Unsupported(format!("core.repositoryFormatVersion is {version}"));
    }
    if !dir.join(".git").exists() && !dir.join("HEAD").exists() {
        return TrailError::NoRepository(dir.to_owned());
    }
    TrailError::Unsupported(cause)
}

/// Git refuses a repository with an extension that it does not know; so does the trail.
fn check_extensions(repository: &gix::Repository) -> Result<(), TrailError> {
    const KNOWN: [&str; 5] = [
        "noop",
        "noop-v1",
        "objectformat",
        "preciousobjects",
        "worktreeconfig",
    ];
    let config = repository.config_snapshot();
    let version = config.integer("core.repositoryFormatVersion").unwrap_or(0);
    if !(0..=1).contains(&version) {
        return Err(TrailError::Unsupported(format!(
            "core.repositoryFormatVersion is {version}"
        )));
    }
    let mut remotes = config
        .plumbing()
        .sections_by_name("remote")
        .into_iter()
        .flatten();
    let is_promisor = remotes.any(|section| {
        // A key without a value is true.
        section
            .body()
            .value_implicit("promisor")
            .is_some_and(|value| {
                let text = value.map(|value| value.to_string().to_ascii_lowercase());
                !matches!(text.as_deref(), Some("false" | "no" | "off" | "0" | ""))
            })
    });
    if is_promisor {
        return Err(TrailError::Unsupported(
            "it is a partial clone (remote.<name>.promisor), which lacks objects".into(),
        ));
    }
    let Some(sections) = config.plumbing().sections_by_name("extensions") else {
        return Ok(());
    };
    for section in sections {
        for name in section.body().value_names() {
            let name = name.to_string().to_ascii_lowercase();
            if name == "refstorage" {
                let value = section
                    .body()
                    .value("refStorage")
                    .map(|value| value.to_string());
                if value.as_deref() != Some("files") {
                    return Err(TrailError::Unsupported(format!(
                        "its refs are stored as `{}` (extensions.refStorage)",
                        value.unwrap_or_default()
                    )));
                }
            } else if name == "partialclone" {
                return Err(TrailError::Unsupported(
                    "it is a partial clone (extensions.partialClone), which lacks objects".into(),
                ));
            } else if !KNOWN.contains(&name.as_str()) && !name.starts_with("relativeworktrees") {
                return Err(TrailError::Unsupported(format!(
                    "it has the unknown extension `{name}`"
                )));
            }
        }
    }
    Ok(())
}
