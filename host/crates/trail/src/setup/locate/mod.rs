//! Locating the trail of a repository that has no `trail.toml`: on a branch, on a remote-tracking ref, or nowhere yet.
//! Compares the trail with remote-tracking refs.
//!
//! Decides, and writes nothing. The first record stores the answer in `trail.toml`; until then each command decides the
//! same from the refs.

mod choice;
mod default_branch;
mod new_trail;
mod remotes;
mod renamed;
mod search;

pub(crate) use default_branch::default_branch;
pub use new_trail::OWN_REF;
pub(crate) use new_trail::own_ref_reason;

use gix::ObjectId;

use crate::Placement;
use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::state::{self, Identity};
use choice::MostComplete;
pub(crate) use remotes::{CUT_OFF, Remotes, UnfetchedBranches, short};
pub(crate) use renamed::{continues, renamed_to};
use search::{Search, TrailRef};

/// Where a trail is, or will start.
pub(crate) struct TrailLocation {
    pub(crate) identity: Identity,
    /// The remote-tracking ref that holds the trail, if the trail's own ref does not exist yet.
    pub(crate) adopts: Option<RemoteTip>,
    /// Whether no ref holds a trail.
    pub(crate) is_new: bool,
}

/// A remote-tracking ref and its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteTip {
    pub(crate) reference: String,
    pub(crate) tip: ObjectId,
}

/// Decides where the trail of a repository without a `trail.toml` is, or where the first record will start one.
///
/// # Errors
///
/// [`TrailError::SeveralTrails`] if refs hold trails that have diverged, [`TrailError::Unsupported`] if no ref is
/// suitable, and files that cannot be read.
pub(crate) fn decide(repository: &Repository) -> Result<TrailLocation, TrailError> {
    Ok(match find(repository)? {
        Some(found) => found,
        None => TrailLocation {
            identity: new_trail::identity(repository)?,
            adopts: None,
            is_new: true,
        },
    })
}

/// The ref that holds the trail, or else the one for the trail only, whatever is checked out. What may be there already is
/// left to the caller.
pub(crate) fn decide_apart(repository: &Repository) -> Result<TrailLocation, TrailError> {
    Ok(match find(repository)? {
        Some(found) => found,
        None => TrailLocation {
            identity: new_trail::apart(),
            adopts: None,
            is_new: true,
        },
    })
}

/// Finds the ref that holds the trail; `None` if no ref does.
pub(crate) fn find(repository: &Repository) -> Result<Option<TrailLocation>, TrailError> {
    let remotes = Remotes::read(repository);
    let mut search = Search::new(repository);
    let local = search.below(&["refs/heads/".to_owned()])?;
    if !local.is_empty() {
        let chosen = choice::of_branches(repository, &remotes, &local)?;
        if let Some(found) = on_default_branch(repository, &remotes, &mut search, chosen)? {
            return Ok(Some(found));
        }
        return Ok(Some(TrailLocation {
            identity: identity_of(repository, &remotes, &chosen.reference, chosen)?,
            adopts: None,
            is_new: false,
        }));
    }
    let tracked = search.below(&remotes.namespaces())?;
    if !tracked.is_empty() {
        let chosen = choice::of_tracked(repository, &remotes, &tracked)?;
        let reference = remotes.branch(&chosen.reference);
        state::check_reference(&reference)?;
        return Ok(Some(TrailLocation {
            identity: identity_of(repository, &remotes, &reference, chosen)?,
            adopts: Some(chosen.remote_tip()),
            is_new: false,
        }));
    }
    // The trail may be on a ref that cannot be read.
    search.unreadable()?;
    Ok(None)
}

/// Finds the trail on the default branch of a remote, if it contains the trail of a branch here and has more. The
/// branch here was then created before the trail went on.
fn on_default_branch(
    repository: &Repository,
    remotes: &Remotes,
    search: &mut Search<'_>,
    branch: &TrailRef,
) -> Result<Option<TrailLocation>, TrailError> {
    if remotes.is_default_branch(repository, &branch.reference) {
        return Ok(None);
    }
    let is_default = |name: &str| remotes.is_default_branch(repository, name);
    let mut ahead = search.tracking(remotes, is_default)?;
    let mut failed = None;
    ahead.retain(|remote| {
        let is_ahead = branch
            .contains(remote, repository)
            .and_then(|has| Ok(!has && remote.contains(branch, repository)?));
        is_ahead.unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if ahead.is_empty() {
        return Ok(None);
    }
    let chosen = choice::of_tracked(repository, remotes, &ahead)?;
    let reference = remotes.branch(&chosen.reference);
    let is_here = repository.read_ref(&reference)?.is_some();
    Ok(Some(TrailLocation {
        identity: identity_of(repository, remotes, &reference, chosen)?,
        adopts: (!is_here).then(|| chosen.remote_tip()),
        is_new: false,
    }))
}

/// Finds the remote-tracking ref to start the trail's ref at, if that does not exist yet.
///
/// # Errors
///
/// [`TrailError::SeveralTrails`] if several remotes have the ref, and their trails have diverged.
pub(crate) fn find_adoptable(
    repository: &Repository,
    reference: &str,
) -> Result<Option<RemoteTip>, TrailError> {
    let remotes = Remotes::read(repository);
    let mut search = Search::new(repository);
    let tracked = search.tracking(&remotes, |branch| branch == reference)?;
    if tracked.is_empty() {
        search.unreadable()?;
        return Ok(None);
    }
    choice::of_tracked(repository, &remotes, &tracked).map(|chosen| Some(chosen.remote_tip()))
}

/// The tips of a branch's remote-tracking refs, whatever they hold, without duplicates.
pub(crate) fn tracked_tips(
    repository: &Repository,
    branch: &str,
) -> Result<Vec<ObjectId>, TrailError> {
    let remotes = Remotes::read(repository);
    let refs = Search::new(repository).refs(&remotes.namespaces())?;
    let tracked = refs
        .into_iter()
        .filter(|(name, _)| remotes.branch(name) == branch);
    let mut tips = Vec::new();
    for (_, tip) in tracked {
        if !tips.contains(&tip) {
            tips.push(tip);
        }
    }
    Ok(tips)
}

/// What the remote-tracking refs of the trail's ref have that the trail lacks.
pub(crate) enum RemoteDifference {
    Nothing,
    /// A remote has everything that is here, and more.
    Ahead(RemoteTip),
    /// The trails here and at remotes have diverged.
    Diverged(Vec<DivergedTrail>),
}

/// A trail that has diverged from the one here.
pub(crate) struct DivergedTrail {
    pub(crate) reference: String,
    /// The root tree of the trail's tip.
    pub(crate) tree: ObjectId,
}

/// Compares the trail on `reference`, which is at `tip`, with the same ref at remotes.
pub(crate) fn compare_with_remotes(
    repository: &Repository,
    reference: &str,
    tip: ObjectId,
) -> Result<RemoteDifference, TrailError> {
    let remotes = Remotes::read(repository);
    let mut search = Search::new(repository);
    let mut tracked = search.tracking(&remotes, |branch| branch == reference)?;
    tracked.retain(|remote| remote.tip != tip);
    if tracked.is_empty() {
        return Ok(RemoteDifference::Nothing);
    }
    let Some(here) = search.inspect(reference, tip)? else {
        // The branch is behind the first commit of the trail.
        let chosen = choice::of_tracked(repository, &remotes, &tracked)?;
        return Ok(RemoteDifference::Ahead(chosen.remote_tip()));
    };
    let mut lacking = Vec::new();
    for remote in tracked {
        if !here.contains(&remote, repository)? {
            lacking.push(remote);
        }
    }
    if lacking.is_empty() {
        return Ok(RemoteDifference::Nothing);
    }
    let MostComplete {
        most_complete,
        diverged,
    } = choice::most_complete(repository, &lacking)?;
    if diverged.is_empty() && most_complete.contains(&here, repository)? {
        return Ok(RemoteDifference::Ahead(most_complete.remote_tip()));
    }
    Ok(RemoteDifference::Diverged(
        lacking
            .iter()
            .map(|remote| DivergedTrail {
                reference: remote.reference.clone(),
                tree: remote.tree,
            })
            .collect(),
    ))
}

/// The identity of the trail on a ref. The other files in its tree show the placement.
fn identity_of(
    repository: &Repository,
    remotes: &Remotes,
    reference: &str,
    trail: &TrailRef,
) -> Result<Identity, TrailError> {
    let is_for_people = || -> Result<bool, TrailError> {
        Ok(repository.is_checked_out(reference)?
            || remotes.is_default_branch(repository, reference)
            || trail.has_other_files(repository)?)
    };
    if !repository.is_bare() {
        // Otherwise a branch in a person's work tree would be treated as that of a bare repository.
        repository.check_work_tree_known(reference)?;
    }
    let placement = if !repository.is_bare() && is_for_people()? {
        Placement::Checkout
    } else {
        Placement::Ref
    };
    Ok(Identity {
        reference: reference.to_owned(),
        placement,
        layout: None,
    })
}
