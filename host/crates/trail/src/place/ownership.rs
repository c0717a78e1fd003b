//! The owner of the repository: git uses another user's repository only if the operator allows it, and so does the
//! trail.
//!
//! The rule is that of git's `setup.c`: the `.git` file, the work tree and the git directory must belong to the current
//! user, or `safe.directory` must name the work tree, or the git directory if there is no work tree.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::TrailError;
use crate::place::git_config::{GitConfig, GitEnvironment};

/// Fails if another user owns the repository, and the operator's configuration does not call it safe.
pub(crate) fn check(
    repository: &gix::Repository,
    config: &GitConfig,
    environment: &GitEnvironment,
) -> Result<(), TrailError> {
    let work_tree = repository.workdir().filter(|root| root.exists());
    let git_file = work_tree
        .map(|root| root.join(".git"))
        .filter(|path| path.is_file());
    let mut parts = [git_file.as_deref(), work_tree, Some(repository.git_dir())]
        .into_iter()
        .flatten();
    let Some(foreign) = parts.find(|part| !is_own(part, environment)) else {
        return Ok(());
    };
    let asked = work_tree.unwrap_or(repository.git_dir());
    let asked = asked.canonicalize().unwrap_or_else(|_| asked.to_owned());
    if config.is_safe_directory(environment, &asked) {
        return Ok(());
    }
    Err(TrailError::Unsupported(format!(
        "{} is not owned by the current user; `git config --global --add safe.directory {}` trusts it, and so do the \
         variables GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0={1}",
        foreign.display(),
        asked.display()
    )))
}

fn is_own(path: &Path, environment: &GitEnvironment) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    let user = rustix::process::geteuid().as_raw();
    // Under `sudo`, a repository of the user who called it counts as the current user's.
    metadata.uid() == user || user == 0 && environment.sudo_user == Some(metadata.uid())
}
