//! Where a new trail starts, in a repository without a trail on any ref.
//!
//! It starts on the branch that is checked out, if that is the default branch and no other work tree exists. Other
//! branches are squashed and deleted when their work is done, and the trail would be lost with them. In that case it
//! starts on a separate ref.

use crate::Placement;
use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::state::{self, Identity};
use crate::place::work_trees::Head;
use crate::setup::locate::default_branch::default_branch;

/// The ref of a trail that does not start on the branch that is checked out.
pub const OWN_REF: &str = "refs/heads/audit";

/// The ref and placement of a new trail.
pub(super) fn identity(repository: &Repository) -> Result<Identity, TrailError> {
    let head = Repository::head(&repository.git_dir)?;
    let Head::Branch(reference) = head else {
        return Err(TrailError::Unsupported(format!(
            "HEAD is detached, so there is no branch to record on; `chiffon-audit init --ref {OWN_REF}` names one, \
             and `chiffon-audit doctor` explains more"
        )));
    };
    state::check_reference(&reference)?;
    if own_ref_reason(repository)?.is_some() {
        return identity_on_own_ref(repository);
    }
    // Otherwise a branch in a person's work tree would be treated as that of a bare repository.
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

/// The reason why a new trail does not start on the branch that is checked out; `None` if it does.
pub(crate) fn own_ref_reason(repository: &Repository) -> Result<Option<String>, TrailError> {
    let Head::Branch(head) = Repository::head(&repository.git_dir)? else {
        return Ok(None);
    };
    // A repository with linked work trees and no main one is bare, and its work trees are temporary.
    if repository.has_linked_work_tree()? {
        return Ok(Some(
            "the repository has linked work trees, whose branches are temporary".into(),
        ));
    }
    if repository.is_bare() {
        return Ok(None);
    }
    let short = |name: &str| name.trim_start_matches("refs/heads/").to_owned();
    Ok(match default_branch(repository)? {
        Some(default) if default == head => None,
        Some(default) => Some(format!(
            "`{}`, which is checked out, is not the default branch `{}`",
            short(&head),
            short(&default)
        )),
        None => Some(format!(
            "it is not known whether `{}`, which is checked out, is the default branch (`git remote set-head origin \
             --auto` or `init.defaultBranch` sets it)",
            short(&head)
        )),
    })
}

/// The identity of a trail on the separate ref, which must not exist yet.
fn identity_on_own_ref(repository: &Repository) -> Result<Identity, TrailError> {
    let taken = |what: &str| {
        TrailError::Invalid(format!(
            "a new trail would start on {OWN_REF}, but {what}; `chiffon-audit init --ref refs/heads/NAME` starts it \
             on another ref"
        ))
    };
    if repository.read_ref(OWN_REF)?.is_some() {
        return Err(taken("there is a branch with that name, without a trail"));
    }
    if let Err(TrailError::Invalid(why)) = repository.check_name_free(OWN_REF) {
        return Err(taken(&why));
    }
    Ok(apart())
}

/// The identity of a trail on the separate ref.
pub(super) fn apart() -> Identity {
    Identity {
        reference: OWN_REF.to_owned(),
        placement: Placement::Ref,
        layout: None,
    }
}
