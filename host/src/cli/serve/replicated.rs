//! `serve --replicated`: how this host takes part in a trail that several hosts hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::Result;
use crate::cli::doctor::machine::is_remote;
use crate::cli::exit::UsageError;
use crate::cli::replica::settings::fingerprints;
use crate::cli::session::Session;
use crate::config::Settings;
use crate::orchestrator::OpenTrail;
use crate::replication::{self, Replication, ReplicationError};
use crate::store::{Store, StoreUrl};
use crate::trail::Trail;

/// How a host takes part, before the store is open.
#[derive(Clone)]
pub struct ReplicatedPart {
    settings: BTreeMap<String, String>,
    copies: usize,
}

/// What the settings say about this host; `None` if the trail is its own alone.
///
/// # Errors
///
/// [`UsageError`] if the settings contradict each other or the repository.
pub fn replicated_part(
    settings: &Settings,
    trail: &Trail,
    store: &StoreUrl,
    session: &Session,
) -> Result<Option<ReplicatedPart>> {
    let wrong = |why: &str| Err(UsageError(why.to_owned()).into());
    let service = &settings.service;
    if service.replicated != Some(true) {
        if trail.membership()?.is_some() {
            return wrong(
                "this repository takes part in a replicated trail: start with --replicated, or take it out with `replica leave`",
            );
        }
        if service.copies.is_some_and(|copies| copies > 1) {
            return wrong("serve.copies needs serve.replicated");
        }
        return Ok(None);
    }
    if !matches!(store, StoreUrl::Postgres(_)) {
        return wrong(
            "--replicated needs a PostgreSQL store: --store postgres://USER@HOST/DATABASE",
        );
    }
    if is_remote(trail.common_dir()) {
        return wrong(
            "the repository is on a network file system, whose locks are not shared: a replicated trail needs a local disk",
        );
    }
    Ok(Some(ReplicatedPart {
        settings: fingerprints(settings, trail, session)?,
        copies: usize::try_from(service.copies.unwrap_or(1)).unwrap_or(usize::MAX),
    }))
}

/// Fails if the store has the log of a replicated trail: a host that ignores it would commit what the others never see.
pub async fn check_has_no_log(store: &dyn Store) -> Result<()> {
    let Some(log) = store.log() else {
        return Ok(());
    };
    match log.log_head().await? {
        None => Ok(()),
        Some(_) => Err(UsageError(
            "the store has the log of a replicated trail: start with --replicated in a repository that `replica clone` has made".into(),
        )
        .into()),
    }
}

impl ReplicatedPart {
    /// Attaches the log and brings the repository to its end. A repository that cannot follow the log still serves: it accepts, and says why it does
    /// not commit.
    pub async fn join(&self, store: &Arc<dyn Store>, open: &OpenTrail) -> Result<Replication> {
        let trail = open()?;
        let membership = match replication::take_part(store, &trail).await {
            Ok(membership) => membership,
            Err(ReplicationError::Trail(error)) => match trail.membership()? {
                Some(membership) => {
                    tracing::error!(%error, "this host cannot follow the log of the trail");
                    membership
                }
                None => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        };
        let system = rustix::system::uname();
        Ok(Replication {
            id: membership.id,
            host: system.nodename().to_string_lossy().into_owned(),
            settings: self.settings.clone(),
            copies: self.copies,
        })
    }
}
