//! Choosing among the refs that hold a trail: the one that contains all others.

use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::work_trees::Head;
use crate::setup::locate::remotes::{Remotes, short};
use crate::setup::locate::search::TrailRef;

/// The most complete of several trails.
pub(super) struct MostComplete<'a> {
    /// Contains every trail that has not diverged from it.
    pub(super) most_complete: &'a TrailRef,
    /// The trails that have diverged from it.
    pub(super) diverged: Vec<&'a TrailRef>,
}

/// Finds the trail that contains the others. `trails` MUST NOT be empty.
pub(super) fn most_complete<'a>(
    repository: &Repository,
    trails: &'a [TrailRef],
) -> Result<MostComplete<'a>, TrailError> {
    let mut most_complete = &trails[0];
    for other in &trails[1..] {
        if !most_complete.contains(other, repository)?
            && other.contains(most_complete, repository)?
        {
            most_complete = other;
        }
    }
    let mut diverged = Vec::new();
    for other in trails {
        if !most_complete.contains(other, repository)? {
            diverged.push(other);
        }
    }
    Ok(MostComplete {
        most_complete,
        diverged,
    })
}

/// Chooses the trail's branch. Of the complete ones it is the default branch, the one that is checked out, `audit`, or
/// the first. If the trails have diverged, it is the one that is checked out.
pub(super) fn of_branches<'a>(
    repository: &Repository,
    remotes: &Remotes,
    trails: &'a [TrailRef],
) -> Result<&'a TrailRef, TrailError> {
    let head = match Repository::head(&repository.git_dir)? {
        Head::Branch(name) => Some(name),
        Head::Detached => None,
    };
    let MostComplete {
        most_complete,
        diverged,
    } = most_complete(repository, trails)?;
    if !diverged.is_empty() {
        let current = trails
            .iter()
            .find(|trail| Some(&trail.reference) == head.as_ref());
        return current.ok_or_else(|| several_trails_error(trails));
    }
    let rank = |trail: &&TrailRef| {
        let name = trail.reference.as_str();
        let is_default = remotes.is_default_branch(repository, name);
        (
            !is_default,
            Some(name) != head.as_deref(),
            name != "refs/heads/audit",
            name.to_owned(),
        )
    };
    let equal = equal_to(most_complete, trails, repository)?;
    Ok(equal.into_iter().min_by_key(rank).unwrap_or(most_complete))
}

/// Chooses the trail's remote-tracking ref. Of the complete ones it is that of a default branch, `audit`, or the first,
/// and of `origin` before other remotes.
pub(super) fn of_tracked<'a>(
    repository: &Repository,
    remotes: &Remotes,
    trails: &'a [TrailRef],
) -> Result<&'a TrailRef, TrailError> {
    let MostComplete {
        most_complete,
        diverged,
    } = most_complete(repository, trails)?;
    if !diverged.is_empty() {
        return Err(several_trails_error(trails));
    }
    let rank = |trail: &&TrailRef| {
        let branch = remotes.branch(&trail.reference);
        (
            !remotes.is_default_branch(repository, &branch),
            branch != "refs/heads/audit",
            !trail.reference.starts_with("refs/remotes/origin/"),
            trail.reference.clone(),
        )
    };
    let equal = equal_to(most_complete, trails, repository)?;
    Ok(equal.into_iter().min_by_key(rank).unwrap_or(most_complete))
}

/// The trails that contain everything that the most complete one has.
fn equal_to<'a>(
    most_complete: &TrailRef,
    trails: &'a [TrailRef],
    repository: &Repository,
) -> Result<Vec<&'a TrailRef>, TrailError> {
    let mut equal = Vec::new();
    for trail in trails {
        if trail.contains(most_complete, repository)? {
            equal.push(trail);
        }
    }
    Ok(equal)
}

fn several_trails_error(trails: &[TrailRef]) -> TrailError {
    /// The most names in a message.
    const MAX_NAMES: usize = 5;
    let names: Vec<&str> = trails
        .iter()
        .take(MAX_NAMES)
        .map(|trail| trail.reference.as_str())
        .collect();
    let first = names[0];
    TrailError::SeveralTrails {
        refs: names.join(", "),
        choose: if first.starts_with("refs/heads/") {
            format!("git checkout {}", short(first))
        } else {
            format!("git branch audit {first}")
        },
    }
}
