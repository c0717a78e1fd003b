//! Finding the work tree that has the trail's branch checked out, and a person's operation that is in progress there.

use std::fs;
use std::path::Path;

use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::work_trees::WorkTree;

/// Fails if `reference` is checked out. A *ref* trail changes no work tree, so that one's index would be outdated, and
/// the person's next commit would remove the entries. Git itself refuses to push or fetch into such a branch.
pub(crate) fn check_not_checked_out(
    repository: &Repository,
    reference: &str,
) -> Result<(), TrailError> {
    repository.check_work_tree_known(reference)?;
    for tree in repository.work_trees()? {
        if repository.has_checked_out(&tree, reference)? {
            let short = reference.trim_start_matches("refs/heads/");
            let remedy = if tree.is_absent {
                format!(
                    "it is absent, and its index would be outdated when it is back; if it is gone for good, {}",
                    tree.forget_remedy()
                )
            } else {
                "switch to another branch there".to_owned()
            };
            return Err(TrailError::Busy(format!(
                "`{short}` is checked out in {}, which this trail does not update: {remedy}",
                tree.root.display()
            )));
        }
    }
    Ok(())
}

/// Finds the work tree that has `reference` checked out, and checks that no operation is in progress there.
pub(super) fn checked_out(
    repository: &Repository,
    reference: &str,
) -> Result<Option<WorkTree>, TrailError> {
    repository.check_work_tree_known(reference)?;
    let mut found: Option<WorkTree> = None;
    for tree in repository.work_trees()? {
        let on_branch = repository.has_checked_out(&tree, reference)?;
        if tree.is_absent {
            // No operation can continue in an absent work tree, so none blocks the trail.
            found = found.or_else(|| on_branch.then_some(tree));
            continue;
        }
        if let Some(operation) = operation_in_progress(&tree.git_dir, reference, on_branch) {
            let short = reference.trim_start_matches("refs/heads/");
            return Err(TrailError::Busy(format!(
                "a {operation} is in progress on `{short}` in {}",
                tree.root.display()
            )));
        }
        if on_branch && found.as_ref().is_none_or(|found| found.is_absent) {
            found = Some(tree);
        }
    }
    Ok(found)
}

fn operation_in_progress(git_dir: &Path, reference: &str, on_branch: bool) -> Option<&'static str> {
    // A rebase and a bisect detach HEAD and note the branch to return to.
    let notes = |file: &str| {
        fs::read_to_string(git_dir.join(file)).is_ok_and(|text| {
            text.trim() == reference || format!("refs/heads/{}", text.trim()) == reference
        })
    };
    if notes("rebase-merge/head-name") || notes("rebase-apply/head-name") {
        return Some("rebase");
    }
    if git_dir.join("BISECT_LOG").exists() && (on_branch || notes("BISECT_START")) {
        return Some("bisect");
    }
    let there = |file: &str| on_branch && git_dir.join(file).exists();
    [
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("rebase-apply", "`git am`"),
        // Between two of several picks this is the only file.
        ("sequencer", "cherry-pick or revert"),
    ]
    .into_iter()
    .find(|(file, _)| there(file))
    .map(|(_, operation)| operation)
}
