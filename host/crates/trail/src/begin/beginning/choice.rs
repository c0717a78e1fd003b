//! Choosing among the refs that hold a trail: the one that has all that the others have.

use crate::begin::beginning::held::Held;
use crate::begin::beginning::remotes::{Remotes, short};
use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::work_trees::Head;

/// How one of several trails relates to the others.
pub(super) struct Foremost<'a> {
    /// Has all that those have which have not parted from it.
    pub(super) foremost: &'a Held,
    /// Those that have parted from it.
    pub(super) apart: Vec<&'a Held>,
}

/// The one that has all that the others have. `held` is not empty.
pub(super) fn foremost<'a>(
    repository: &Repository,
    held: &'a [Held],
) -> Result<Foremost<'a>, TrailError> {
    let mut foremost = &held[0];
    for other in &held[1..] {
        if !foremost.has_all_of(other, repository)? && other.has_all_of(foremost, repository)? {
            foremost = other;
        }
    }
    let mut apart = Vec::new();
    for other in held {
        if !foremost.has_all_of(other, repository)? {
            apart.push(other);
        }
    }
    Ok(Foremost { foremost, apart })
}

/// The branch that is the trail's: of those that have everything, the default branch, the one that is checked out, `audit`,
/// or the first. Where trails have parted, the one that is checked out.
pub(super) fn of_branches<'a>(
    repository: &Repository,
    remotes: &Remotes,
    held: &'a [Held],
) -> Result<&'a Held, TrailError> {
    let head = match Repository::head(&repository.git_dir)? {
        Head::Branch(name) => Some(name),
        Head::Detached => None,
    };
    let Foremost { foremost, apart } = foremost(repository, held)?;
    if !apart.is_empty() {
        let current = held
            .iter()
            .find(|held| Some(&held.reference) == head.as_ref());
        return current.ok_or_else(|| several(held));
    }
    let rank = |held: &&Held| {
        let name = held.reference.as_str();
        let is_default = remotes.is_default_branch(repository, name);
        (
            !is_default,
            Some(name) != head.as_deref(),
            name != "refs/heads/audit",
            name.to_owned(),
        )
    };
    let equal = equal_to(foremost, held, repository)?;
    Ok(equal.into_iter().min_by_key(rank).unwrap_or(foremost))
}

/// The remote-tracking ref that is the trail's: of those that have everything, one of a default branch, `audit`, or the
/// first, and of remotes `origin`.
pub(super) fn of_tracked<'a>(
    repository: &Repository,
    remotes: &Remotes,
    held: &'a [Held],
) -> Result<&'a Held, TrailError> {
    let Foremost { foremost, apart } = foremost(repository, held)?;
    if !apart.is_empty() {
        return Err(several(held));
    }
    let rank = |held: &&Held| {
        let branch = remotes.branch(&held.reference);
        (
            !remotes.is_default_branch(repository, &branch),
            branch != "refs/heads/audit",
            !held.reference.starts_with("refs/remotes/origin/"),
            held.reference.clone(),
        )
    };
    let equal = equal_to(foremost, held, repository)?;
    Ok(equal.into_iter().min_by_key(rank).unwrap_or(foremost))
}

/// Those that have all that the foremost has.
fn equal_to<'a>(
    foremost: &Held,
    held: &'a [Held],
    repository: &Repository,
) -> Result<Vec<&'a Held>, TrailError> {
    let mut equal = Vec::new();
    for held in held {
        if held.has_all_of(foremost, repository)? {
            equal.push(held);
        }
    }
    Ok(equal)
}

fn several(held: &[Held]) -> TrailError {
    /// A message tells no more names than this.
    const NAMES_MOST: usize = 5;
    let names: Vec<&str> = held
        .iter()
        .take(NAMES_MOST)
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
