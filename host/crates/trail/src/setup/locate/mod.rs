//! Where the trail of a repository is that has no `trail.toml`: on a branch, on a remote-tracking ref, or nowhere yet; and
//! what remote-tracking refs have that a trail lacks.
//!
//! Decides, and writes nothing. The answer is kept in `trail.toml` at the first record; until then each command decides
//! alike from the refs.

mod choice;
mod default_branch;
mod new_trail;
mod remotes;
mod search;

pub(crate) use default_branch::default_branch;
pub(crate) use new_trail::own_ref_reason;

use gix::ObjectId;

use crate::Placement;
use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::place::state::{self, Identity};
use choice::MostComplete;
pub(crate) use remotes::{Remotes, short};
use search::{Search, TrailRef};

/// Where a trail is, or begins.
pub(crate) struct TrailLocation {
    pub(crate) identity: Identity,
    /// The ref that holds the trail, where that is not the trail's own yet.
    pub(crate) adopts: Option<RemoteTip>,
    /// No ref holds a trail.
    pub(crate) is_new: bool,
}

/// A remote-tracking ref, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteTip {
    pub(crate) reference: String,
    pub(crate) tip: ObjectId,
}

/// Decides where the trail of a repository without a `trail.toml` is, or where the first record begins one.
///
/// # Errors
///
/// [`TrailError::SeveralTrails`] where refs hold trails that have parted, [`TrailError::Unsupported`] where no ref fits, and
/// what cannot be read.
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

/// Where a ref holds the trail already; none if no ref does.
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
    // A ref that cannot be read may be the trail's.
    search.unreadable()?;
    Ok(None)
}

/// Where the trail is if a remote's default branch has all that a branch here has, and more: the branch here left that one before
/// the trail went on.
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

/// The remote-tracking ref that the trail's own ref is to begin at, where that ref is not there yet.
///
/// # Errors
///
/// [`TrailError::SeveralTrails`] where several remotes have the ref, and their trails have parted.
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

/// What remote-tracking refs of the trail's ref have that the trail lacks.
pub(crate) enum RemoteDifference {
    Nothing,
    /// A remote has all that is here, and more.
    Ahead(RemoteTip),
    /// The trail here and those at remotes have parted.
    Diverged(Vec<DivergedTrail>),
}

/// A trail that has parted from the one here.
pub(crate) struct DivergedTrail {
    pub(crate) reference: String,
    /// The root tree of its tip.
    pub(crate) tree: ObjectId,
}

/// Compares the trail on `reference`, which is at `tip`, with what remotes have of it.
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
        // A branch that lies behind the commit on which the trail was begun.
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
        apart,
    } = choice::most_complete(repository, &lacking)?;
    if apart.is_empty() && most_complete.contains(&here, repository)? {
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

/// What a trail is that a ref holds: its placement shows in what lies beside its entries.
fn identity_of(
    repository: &Repository,
    remotes: &Remotes,
    reference: &str,
    held: &TrailRef,
) -> Result<Identity, TrailError> {
    let is_for_people = || -> Result<bool, TrailError> {
        Ok(repository.is_checked_out(reference)?
            || remotes.is_default_branch(repository, reference)
            || held.has_other_files(repository)?)
    };
    if !repository.is_bare() {
        // Otherwise a branch under somebody's work tree would be taken for a bare repository's.
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
