//! Choosing among the refs that hold a trail: the one that has all that the others have.

use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::work_trees::Head;
use crate::setup::locate::remotes::{Remotes, short};
use crate::setup::locate::search::TrailRef;

/// How one of several trails relates to the others.
pub(super) struct MostComplete<'a> {
    /// Has all that those have which have not parted from it.
    pub(super) most_complete: &'a TrailRef,
    /// Those that have parted from it.
    pub(super) apart: Vec<&'a TrailRef>,
}

/// The one that has all that the others have. `held` is not empty.
pub(super) fn most_complete<'a>(
    repository: &Repository,
    held: &'a [TrailRef],
) -> Result<MostComplete<'a>, TrailError> {
    let mut most_complete = &held[0];
    for other in &held[1..] {
        if !most_complete.contains(other, repository)?
            && other.contains(most_complete, repository)?
        {
            most_complete = other;
        }
    }
    let mut apart = Vec::new();
    for other in held {
        if !most_complete.contains(other, repository)? {
            apart.push(other);
        }
    }
    Ok(MostComplete {
        most_complete,
        apart,
    })
}

/// The branch that is the trail's: of those that have everything, the default branch, the one that is checked out, `audit`,
/// or the first. Where trails have parted, the one that is checked out.
pub(super) fn of_branches<'a>(
    repository: &Repository,
    remotes: &Remotes,
    held: &'a [TrailRef],
) -> Result<&'a TrailRef, TrailError> {
    let head = match Repository::head(&repository.git_dir)? {
        Head::Branch(name) => Some(name),
        Head::Detached => None,
    };
    let MostComplete {
        most_complete,
        apart,
    } = most_complete(repository, held)?;
    if !apart.is_empty() {
        let current = held
            .iter()
            .find(|held| Some(&held.reference) == head.as_ref());
        return current.ok_or_else(|| several_trails_error(held));
    }
    let rank = |held: &&TrailRef| {
        let name = held.reference.as_str();
        let is_default = remotes.is_default_branch(repository, name);
        (
            !is_default,
            Some(name) != head.as_deref(),
            name != "refs/heads/audit",
            name.to_owned(),
        )
    };
    let equal = equal_to(most_complete, held, repository)?;
    Ok(equal.into_iter().min_by_key(rank).unwrap_or(most_complete))
}

/// The remote-tracking ref that is the trail's: of those that have everything, one of a default branch, `audit`, or the
/// first, and of remotes `origin`.
pub(super) fn of_tracked<'a>(
    repository: &Repository,
    remotes: &Remotes,
    held: &'a [TrailRef],
) -> Result<&'a TrailRef, TrailError> {
    let MostComplete {
        most_complete,
        apart,
    } = most_complete(repository, held)?;
    if !apart.is_empty() {
        return Err(several_trails_error(held));
    }
    let rank = |held: &&TrailRef| {
        let branch = remotes.branch(&held.reference);
        (
            !remotes.is_default_branch(repository, &branch),
            branch != "refs/heads/audit",
            !held.reference.starts_with("refs/remotes/origin/"),
            held.reference.clone(),
        )
    };
    let equal = equal_to(most_complete, held, repository)?;
    Ok(equal.into_iter().min_by_key(rank).unwrap_or(most_complete))
}

/// Those that have all that the foremost has.
fn equal_to<'a>(
    most_complete: &TrailRef,
    held: &'a [TrailRef],
    repository: &Repository,
) -> Result<Vec<&'a TrailRef>, TrailError> {
    let mut equal = Vec::new();
    for held in held {
        if held.contains(most_complete, repository)? {
            equal.push(held);
        }
    }
    Ok(equal)
}

fn several_trails_error(held: &[TrailRef]) -> TrailError {
    /// A message tells no more names than this.
    const MAX_NAMES: usize = 5;
    let names: Vec<&str> = held
        .iter()
        .take(MAX_NAMES)
        .map(|held| held.reference.as_str())
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
