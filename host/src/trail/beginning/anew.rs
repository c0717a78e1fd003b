//! Where a new trail begins: a repository that holds no trail on any ref.

use crate::trail::Placement;
use crate::trail::error::TrailError;
use crate::trail::repository::Repository;
use crate::trail::state::{self, Identity};
use crate::trail::work_trees::Head;

/// The ref and placement of a trail that the first record begins.
pub(super) fn identity(repository: &Repository) -> Result<Identity, TrailError> {
    let head = Repository::head(&repository.git_dir)?;
    let Head::Branch(reference) = head else {
        return Err(TrailError::Unsupported(
            "HEAD is detached, so there is no branch to record on; `chiffon-audit init --ref refs/heads/audit` names one".into(),
        ));
    };
    state::check_reference(&reference)?;
    // Otherwise a branch under somebody's work tree would be taken for a bare repository's.
    repository.check_work_tree_known(&reference)?;
    let placement = if repository.is_bare() {
        Placement::Ref
    } else {
        Placement::Checkout
    };
    Ok(Identity {
        reference,
        placement,
        layout: None,
    })
}
