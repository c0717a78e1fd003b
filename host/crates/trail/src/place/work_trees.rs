//! The work trees of a repository: their locations, and the branches that they have checked out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, TrailError};
use crate::place::repository::{Repository, absolute};

/// The contents of a `HEAD` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Branch(String),
    Detached,
}

/// The main work tree, which belongs to the common git directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MainWorkTree {
    /// The repository is bare.
    None,
    /// Its place. If `core.worktree` names it, it may be missing.
    At(PathBuf),
    /// There is one in another place, which the git directory does not name.
    Unknown,
}

/// A work tree and its private git directory.
#[derive(Clone, Debug)]
pub(crate) struct WorkTree {
    pub(crate) git_dir: PathBuf,
    pub(crate) root: PathBuf,
    /// Whether its files cannot be seen now: its directory was deleted, or is on a disk that is not mounted. Its index
    /// is in the git directory, and belongs to the branch that it has checked out.
    pub(crate) is_absent: bool,
}

impl WorkTree {
    /// What makes git forget an absent work tree that is gone for good, in words.
    pub(crate) fn forget_remedy(&self) -> String {
        if !self.git_dir.join("commondir").exists() {
            let config = self.git_dir.join("config");
            format!("correct core.worktree in {}", config.display())
        } else if self.git_dir.join("locked").exists() {
            let root = self.root.display();
            format!("run `git worktree unlock {root}` and `git worktree prune`")
        } else {
            "run `git worktree prune`".to_owned()
        }
    }
}

impl Repository {
    /// Reads the `HEAD` of a work tree.
    pub(crate) fn head(git_dir: &Path) -> Result<Head, TrailError> {
        let path = git_dir.join("HEAD");
        let text = fs::read_to_string(&path).doing("read", &path)?;
        Ok(match text.strip_prefix("ref:") {
            Some(name) => Head::Branch(name.trim().to_owned()),
            None => Head::Detached,
        })
    }

    /// Whether a work tree has `reference` checked out. A work tree that git is creating or removing has nothing
    /// checked out.
    pub(crate) fn has_checked_out(
        &self,
        tree: &WorkTree,
        reference: &str,
    ) -> Result<bool, TrailError> {
        match Repository::head(&tree.git_dir) {
            Ok(head) => Ok(head == Head::Branch(reference.to_owned())),
            Err(TrailError::Io {
                kind: io::ErrorKind::NotFound,
                ..
            }) if tree.git_dir != self.common_dir => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fails if `reference` is, or may be, checked out in a work tree that cannot be found from here.
    pub(crate) fn check_work_tree_known(&self, reference: &str) -> Result<(), TrailError> {
        if self.main == MainWorkTree::Unknown
            && Repository::head(&self.common_dir)? == Head::Branch(reference.to_owned())
        {
            return Err(TrailError::Busy(format!(
                "{reference} is checked out in the main work tree, and {} does not name it: record from there, or set \
                 core.worktree, or core.bare if there is none",
                self.common_dir.display()
            )));
        }
        Ok(())
    }

    /// Whether there are linked work trees.
    pub(crate) fn has_linked_work_tree(&self) -> Result<bool, TrailError> {
        let trees = self.work_trees()?;
        let is_linked = |tree: &WorkTree| tree.git_dir != self.common_dir && !tree.is_absent;
        Ok(trees.iter().any(is_linked))
    }

    /// Whether a work tree that can be found has `reference` checked out.
    pub(crate) fn is_checked_out(&self, reference: &str) -> Result<bool, TrailError> {
        for tree in self.work_trees()? {
            if self.has_checked_out(&tree, reference)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All work trees of the repository, the main one first if its place is known. Each may be absent.
    pub(crate) fn work_trees(&self) -> Result<Vec<WorkTree>, TrailError> {
        let mut found = Vec::new();
        if let MainWorkTree::At(root) = &self.main {
            found.push(WorkTree {
                git_dir: self.common_dir.clone(),
                root: root.clone(),
                is_absent: !root.is_dir(),
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
            // `gitdir` holds the path of the work tree's `.git` file. Without it, git does not know the work tree either.
            let Ok(text) = fs::read_to_string(git_dir.join("gitdir")) else {
                continue;
            };
            let dot_git = git_dir.join(text.trim_end());
            if let Some(root) = dot_git.parent() {
                found.push(WorkTree {
                    root: root.to_owned(),
                    // An empty mount point is a directory, too.
                    is_absent: !dot_git.exists(),
                    git_dir,
                });
            }
        }
        Ok(found)
    }
}

/// Finds the work tree of the common git directory.
///
/// A git directory in another place than its work tree does not name it, and gix assumes its parent directory. That
/// directory must name the git directory too.
pub(crate) fn find_main(
    local: &gix::Repository,
    is_main: bool,
    common_dir: &Path,
) -> Result<MainWorkTree, TrailError> {
    let other = if is_main {
        None
    } else {
        local.main_repo().ok()
    };
    let main = other.as_ref().unwrap_or(local);
    let config = main.config_snapshot();
    let named = config.string("core.worktree").is_some();
    if (is_main || other.is_some())
        && let Some(root) = main.workdir()
    {
        if root.is_dir() {
            let root = absolute(root)?;
            if named || git_dir_of(&root).as_deref() == Some(common_dir) {
                return Ok(MainWorkTree::At(root));
            }
        } else if named {
            let root = std::path::absolute(root).doing("find", root)?;
            return Ok(MainWorkTree::At(root));
        }
    }
    let bare = config.boolean("core.bare").unwrap_or(false);
    Ok(if bare {
        MainWorkTree::None
    } else {
        MainWorkTree::Unknown
    })
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
