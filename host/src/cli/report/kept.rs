//! What a report tells of refusals and conflicts: what the store kept, or what is missing to know.

use std::path::Path;

use crate::cli::session::Session;
use crate::cli::store::{open_to_read, place, runtime};
use crate::clock::Timestamp;
use crate::config::{Private, Settings};
use crate::reports::{Kept, KeptNote};
use crate::store::{State, StoreError, StoreUrl, SubmissionState};
use crate::trail::Trail;

/// So many are told one by one.
const LATEST: usize = 25;

/// Asks the store that was named, or else the one beside the trail, what was turned down in a span of time.
///
/// # Errors
///
/// The store that was named cannot be asked. Where none was named, that is only said.
pub(super) fn kept(
    named: Option<&String>,
    repository: &Path,
    span: [Option<Timestamp>; 2],
    session: &Session,
) -> anyhow::Result<Kept> {
    let settings = session.settings(Settings {
        store: named.cloned().map(Private),
        ..Settings::default()
    })?;
    let trail = Trail::open(repository, session.open_options(&settings));
    if let Some(url) = &settings.store {
        return Ok(ask(&place(url, &settings)?, trail.ok().as_ref(), span)?);
    }
    // Only where the writer itself would open the repository: what somebody else put beside a trail is not read.
    let missing = match trail {
        Err(error) => format!("a store: there is none beside what is no trail of yours ({error})"),
        Ok(trail) => match ask(
            &StoreUrl::beside_trail(trail.common_dir()),
            Some(&trail),
            span,
        ) {
            Ok(kept) => return Ok(kept),
            Err(StoreError::Missing(_)) => {
                "a store: refusals and conflicts are kept by the service's database, not in the trail; `--store URL` names it".to_owned()
            }
            Err(error) => format!("the store: {error}"),
        },
    };
    Ok(Kept::NotShown { missing })
}

fn ask(
    url: &StoreUrl,
    trail: Option<&Trail>,
    [since, until]: [Option<Timestamp>; 2],
) -> Result<Kept, StoreError> {
    let runtime = runtime().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let found = runtime.block_on(async {
        let store = open_to_read(url, trail).await?;
        store.turned_down(since, until, LATEST).await
    })?;
    Ok(Kept::Shown {
        store: url.to_string(),
        refused: found.refused,
        conflicting: found.conflicting,
        latest: found.latest.into_iter().map(note).collect(),
    })
}

fn note(submission: SubmissionState) -> KeptNote {
    let reason = match &submission.state {
        State::Conflicting { reason } => reason.clone(),
        State::Refused { violations, reason } => {
            let each = violations.iter().map(ToString::to_string);
            let all: Vec<String> = reason.iter().cloned().chain(each).collect();
            all.join("; ")
        }
        _ => String::new(),
    };
    KeptNote {
        time: submission
            .closed_at
            .unwrap_or(submission.accepted_at)
            .to_rfc3339(),
        task_id: submission.task_id.to_string(),
        kind: submission.state.name().to_owned(),
        reason,
        reporter: submission.reporter.map(|name| name.to_string()),
    }
}
