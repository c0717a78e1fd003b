//! The default branch of a repository: the one that others clone, and that is not deleted after a merge.

use std::fs;

use crate::checkpoints::CHECKPOINTS_REF;
use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::work_trees::Head;
use crate::policies::POLICIES_REF;

/// The full name of the default branch: the target of `origin/HEAD`, else `init.defaultBranch`, else `main` or
/// `master`, else the only branch. `None` if there are several branches and none of these.
///
/// A branch that is checked out and has no commit yet counts as a branch.
pub(crate) fn default_branch(repository: &Repository) -> Result<Option<String>, TrailError> {
    if let Some(name) = of_origin(repository) {
        return Ok(Some(name));
    }
    let unborn = match Repository::head(&repository.git_dir)? {
        Head::Branch(name) if repository.read_ref(&name)?.is_none() => Some(name),
        _ => None,
    };
    let named = repository.default_branch_of_operator();
    let candidates = named.as_deref().into_iter().chain(["main", "master"]);
    for short in candidates {
        let name = format!("refs/heads/{short}");
        if unborn.as_ref() == Some(&name) || repository.read_ref(&name)?.is_some() {
            return Ok(Some(name));
        }
    }
    let mut branches = repository.branches()?;
    branches.retain(|name| ![POLICIES_REF, CHECKPOINTS_REF].contains(&name.as_str()));
    branches.extend(unborn);
    let only = (branches.len() == 1).then(|| branches.remove(0));
    Ok(only)
}

/// The branch that `origin/HEAD` names.
fn of_origin(repository: &Repository) -> Option<String> {
    let head = repository.common_dir.join("refs/remotes/origin/HEAD");
    let text = fs::read_to_string(head).ok()?;
    let tracked = text.strip_prefix("ref:")?.trim();
    let short = tracked.strip_prefix("refs/remotes/origin/")?;
    (!short.is_empty()).then(|| format!("refs/heads/{short}"))
}
