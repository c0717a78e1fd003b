//! A branch that was renamed: its old name is gone, and one other branch holds what was acknowledged on it.

use gix::ObjectId;

use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::state::{Identity, StateDir};
use crate::setup::remote_trails::is_first_parent_ancestor;

/// The full name of the only branch whose first-parent history holds a commit; `None` if there is none, or several.
pub(crate) fn renamed_to(repository: &Repository, acknowledged: ObjectId) -> Option<String> {
    let branches = repository.branches().ok()?;
    let mut holders = branches
        .into_iter()
        .filter(|branch| holds(repository, branch, acknowledged));
    holders.next().filter(|_| holders.next().is_none())
}

/// Whether `reference` continues the trail of `identity`, whose ref is gone: the operator may follow a branch to its new
/// name.
pub(crate) fn continues(
    repository: &Repository,
    state: &StateDir,
    identity: &Identity,
    reference: &str,
) -> Result<bool, TrailError> {
    let mark = state.read_mark(&state.acknowledged_path());
    let is_gone = repository.read_ref(&identity.reference)?.is_none();
    Ok(is_gone && mark.is_some_and(|mark| holds(repository, reference, mark.tip)))
}

fn holds(repository: &Repository, branch: &str, commit: ObjectId) -> bool {
    let tip = repository.read_ref(branch).ok().flatten();
    tip.is_some_and(|tip| is_first_parent_ancestor(repository, Some(commit), tip).unwrap_or(false))
}
