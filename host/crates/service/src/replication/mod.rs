//! A trail that several hosts hold: joins the log of a store with the trail's refs.
//!
//! Knows store and trail, and how a trail is taken into a log. Believes neither: the trail checks what the log has.

mod log;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use uuid::Uuid;

pub use log::StoreLog;
pub use settings::{SettingsDifference, share_or_compare};

use store::{Replica, ReplicatedLog, Store, StoreError};
use trail::{Membership, Trail, TrailError};

/// A host that has said nothing for this long counts as absent.
pub const ABSENT: Duration = Duration::from_secs(10);

/// How a host takes part in a replicated trail.
#[derive(Clone, Debug)]
pub struct Replication {
    /// The id of its repository.
    pub id: String,
    /// The machine's host name.
    pub host: String,
    /// Fingerprints of what all hosts must share, by name.
    pub settings: BTreeMap<String, String>,
    /// How many hosts must have an entry before it is acknowledged as committed, this one included.
    pub copies: usize,
}

/// Why a trail cannot be replicated, or a host cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    /// The store cannot keep a log.
    #[error("{0} cannot keep the log of a replicated trail: name a PostgreSQL store")]
    NoLog(String),
    /// The store has no log.
    #[error(
        "{url} has no log of this trail: `chiffon-audit replica init` takes in a trail that has entries"
    )]
    NotBegun {
        /// The store's URL, without a password.
        url: String,
    },
    /// The store has the log of a trail.
    #[error("{url} has the log of a trail already; `replica clone` makes a repository of it")]
    Begun {
        /// The store's URL, without a password.
        url: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// The log of a store.
///
/// # Errors
///
/// [`ReplicationError::NoLog`] for SQLite.
pub fn log_of(store: &dyn Store) -> Result<&dyn ReplicatedLog, ReplicationError> {
    store
        .log()
        .ok_or_else(|| ReplicationError::NoLog(store.info().url.clone()))
}

/// Takes a trail into the store's log, which must be empty. Returns the name of this repository among those of the trail.
///
/// If it is interrupted, it can be repeated: what is in the log is not appended again.
///
/// # Errors
///
/// [`ReplicationError`].
pub async fn take_in(
    store: &Arc<dyn Store>,
    trail: &Trail,
) -> Result<Membership, ReplicationError> {
    let log = log_of(&**store)?;
    let before = trail.membership()?;
    if !log.begin_log().await? && before.is_none() {
        let url = store.info().url.clone();
        return Err(ReplicationError::Begun { url });
    }
    let (trail, joining) = (
        trail.clone(),
        StoreLog::of(store.clone(), Handle::current()),
    );
    blocking(move || {
        trail.attach_log(Arc::new(joining))?;
        if trail.tip()?.is_none() {
            let why = "the trail has no commit yet: `chiffon-audit init` begins it";
            return Err(TrailError::Invalid(why.into()).into());
        }
        let membership = trail.join(new_membership())?;
        // What the log lacks is appended, here everything.
        trail.catch_up()?;
        Ok(membership)
    })
    .await
}

/// Prepares a host to take part: attaches the log, and brings its repository to the log's end. A trail without entries begins the log.
///
/// # Errors
///
/// [`ReplicationError`].
pub async fn take_part(
    store: &Arc<dyn Store>,
    trail: &Trail,
) -> Result<Membership, ReplicationError> {
    let log = log_of(&**store)?;
    if log.log_head().await?.is_none_or(|head| head.seq == 0) {
        let counted = trail.clone();
        let has_entries = blocking(move || Ok(counted.decisions()?.next().is_some())).await?;
        if has_entries && trail.membership()?.is_none() {
            let url = store.info().url.clone();
            return Err(ReplicationError::NotBegun { url });
        }
        return take_in(store, trail).await;
    }
    let (trail, log) = (
        trail.clone(),
        StoreLog::of(store.clone(), Handle::current()),
    );
    blocking(move || {
        trail.attach_log(Arc::new(log))?;
        trail.catch_up()?;
        Ok(trail.join(new_membership())?)
    })
    .await
}

/// The ref that holds the trail, among those of a log.
pub fn trail_reference(head: &store::LogHead) -> Option<&str> {
    let names = head.tips.keys().map(String::as_str);
    names
        .into_iter()
        .find(|name| ![trail::POLICIES_REF, trail::CHECKPOINTS_REF].contains(name))
}

/// A new name for a repository.
pub fn new_membership() -> Membership {
    Membership {
        id: Uuid::new_v4().to_string(),
    }
}

/// How many records a host lacks.
pub fn lag(head: i64, replica: &Replica) -> i64 {
    head.saturating_sub(replica.report.applied).max(0)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReplicationError> + Send + 'static,
) -> Result<T, ReplicationError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(TrailError::Busy("the work on the trail did not end".into()).into())
    })
}
