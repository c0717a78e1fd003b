//! Checks that a store belongs to a trail, and binds the two.
//!
//! A store is bound to the first trail that it is used with. A copy of a repository has the same name as the
//! original, so the last commit that the store has acknowledged must be in the trail, too. That check is sufficient,
//! because a commit identifies its whole history.

use store::{Bond, Store, StoreError};
use trail::{Trail, TrailError, TrailName};

/// An operator's request to bind a store to another trail. It names both trails, so that a copied command has no
/// effect elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebind {
    /// The trail that the store is bound to, or the last commit that it has acknowledged.
    pub from: String,
    /// The trail to bind the store to.
    pub to: String,
}

impl From<BindError> for StoreError {
    fn from(error: BindError) -> StoreError {
        match error {
            BindError::Store(error) => error,
            BindError::Trail(error) => StoreError::Unavailable(format!(
                "cannot check whether the store belongs to the trail: {error}"
            )),
        }
    }
}

/// Why a store and a trail are not used together.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The store cannot be read, or belongs to another trail.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// How often to retry if another process changes the bond meanwhile.
const MAX_TRIES: usize = 5;

/// Makes the store belong to the trail: binds it if it is unbound, or if `rebind` names both. From then on the store
/// refuses to write for this handle if its bond changes.
///
/// A trail without a commit binds nothing yet. Returns whether the store is bound.
///
/// # Errors
///
/// [`StoreError::OtherTrail`] if the store belongs to another trail; nothing is changed then.
pub async fn bind(
    store: &dyn Store,
    trail: &Trail,
    rebind: Option<&Rebind>,
) -> Result<bool, BindError> {
    for _ in 0..MAX_TRIES {
        let bond = store.bond().await?;
        let found = match_bond(trail, bond.clone()).await?;
        let wanted = match found {
            BondMatch::Same => {
                store.require_epoch(bond.epoch);
                return Ok(true);
            }
            BondMatch::Nothing => {
                store.require_epoch(bond.epoch);
                return Ok(false);
            }
            BondMatch::Unbound(name) => (name, bond.last.clone()),
            BondMatch::Other { name, is_copy } => {
                let is_meant =
                    rebind.is_some_and(|rebind| rebind.names_both(&bond, name.as_ref(), is_copy));
                match name.filter(|_| is_meant) {
                    Some(name) => (name, None),
                    None => return Err(refusal(store, trail, &bond, is_copy).await?.into()),
                }
            }
        };
        let (name, last) = wanted;
        let next = Bond {
            uuid: name.uuid,
            first_commit: Some(name.first_commit),
            last,
            epoch: bond.epoch + 1,
        };
        if store.bind(next.clone()).await? {
            if rebind.is_some() {
                tracing::warn!(
                    store = store.info().url,
                    trail = next.name(),
                    "the store was rebound"
                );
            }
            store.require_epoch(next.epoch);
            return Ok(true);
        }
    }
    Err(StoreError::Unavailable("the store is being bound by others".into()).into())
}

/// Checks that the store is unbound or belongs to the trail, and changes nothing: for commands that only read.
///
/// # Errors
///
/// [`StoreError::OtherTrail`].
pub async fn check(store: &dyn Store, trail: &Trail) -> Result<(), BindError> {
    let bond = store.bond().await?;
    match match_bond(trail, bond.clone()).await? {
        BondMatch::Other { is_copy, .. } => {
            Err(refusal(store, trail, &bond, is_copy).await?.into())
        }
        BondMatch::Same | BondMatch::Nothing | BondMatch::Unbound(_) => Ok(()),
    }
}

/// How a bond and a trail match.
enum BondMatch {
    Same,
    /// Neither has begun.
    Nothing,
    /// The store is unbound and may belong to this trail.
    Unbound(TrailName),
    Other {
        name: Option<TrailName>,
        /// Whether the names match but the last acknowledged commit is missing.
        is_copy: bool,
    },
}

async fn match_bond(trail: &Trail, bond: Bond) -> Result<BondMatch, TrailError> {
    let trail = trail.clone();
    let looking = move || {
        // If a ref existed and is gone, its former trail is unknown.
        if trail.tip()?.is_none() && trail.has_begun()? {
            return Err(TrailError::Unreadable {
                what: format!("the ref {}", trail.reference()),
                cause: "it is not there".into(),
            });
        }
        let is_named = bond.first_commit.is_some();
        if let Some(last) = &bond.last {
            // Another host of a replicated trail may have committed it a moment ago.
            if trail.is_replicated() && !trail.holds(last)? {
                trail.catch_up()?;
            }
            if trail.holds(last)? {
                // Reading the whole history is unnecessary: a commit identifies everything before it.
                let name = match is_named {
                    true => None,
                    false => trail.name()?,
                };
                return Ok(name.map_or(BondMatch::Same, BondMatch::Unbound));
            }
            let name = trail.name()?;
            let is_copy = is_named && name.as_ref().is_some_and(|name| is_bound_to(&bond, name));
            return Ok(BondMatch::Other { name, is_copy });
        }
        let name = trail.name()?;
        Ok(match name {
            None if !is_named => BondMatch::Nothing,
            Some(name) if !is_named => BondMatch::Unbound(name),
            Some(name) if is_bound_to(&bond, &name) => BondMatch::Same,
            name => BondMatch::Other {
                name,
                is_copy: false,
            },
        })
    };
    let looked = tokio::task::spawn_blocking(looking).await;
    looked.unwrap_or_else(|error| {
        Err(TrailError::Busy(format!(
            "the trail could not be read: {error}"
        )))
    })
}

fn is_bound_to(bond: &Bond, trail: &TrailName) -> bool {
    match (&bond.uuid, &trail.uuid) {
        (Some(uuid), Some(of_trail)) => uuid == of_trail,
        (None, None) => bond.first_commit.as_ref() == Some(&trail.first_commit),
        _ => false,
    }
}

impl Rebind {
    /// Whether the request names both the store's trail and the one that is here. A copy has the original's name, so
    /// for a copy the request must name the missing commit.
    fn names_both(&self, bond: &Bond, here: Option<&TrailName>, is_copy: bool) -> bool {
        let names_last = bond.last.as_ref() == Some(&self.from);
        let names_bound = [&bond.uuid, &bond.first_commit]
            .into_iter()
            .flatten()
            .any(|name| *name == self.from);
        let names_here =
            here.is_some_and(|here| here.as_str() == self.to || here.first_commit == self.to);
        names_here && (names_last || names_bound && !is_copy)
    }
}

/// The error that names both trails and says how to bind them.
async fn refusal(
    store: &dyn Store,
    trail: &Trail,
    bond: &Bond,
    is_copy: bool,
) -> Result<StoreError, TrailError> {
    let named = {
        let trail = trail.clone();
        tokio::task::spawn_blocking(move || trail.name()).await
    };
    let here = named.unwrap_or(Ok(None))?;
    let last = bond.last.as_deref().unwrap_or_default();
    let (bound, from) = match &bond.first_commit {
        None => (format!("a trail with the commit {last}"), last),
        Some(_) if is_copy => (
            format!("the trail {} with the commit {last}", bond.name()),
            last,
        ),
        Some(_) => (format!("the trail {}", bond.name()), bond.name()),
    };
    let found = match &here {
        None => "no trail yet".to_owned(),
        Some(_) if is_copy => {
            "that trail without this commit (an older copy, or its ref was set back)".to_owned()
        }
        Some(here) => format!("the trail {here}"),
    };
    let advice = match &here {
        None => "Name another store.".to_owned(),
        Some(here) if is_copy => format!(
            "Bring the repository up to date, or make the store belong to it as it is: `reconcile --rebind {from} {here}`"
        ),
        Some(here) => format!(
            "Name another store, or make this one belong to this repository: `reconcile --rebind {from} {here}`"
        ),
    };
    Ok(StoreError::OtherTrail {
        url: store.info().url.clone(),
        bound,
        found,
        advice,
    })
}
