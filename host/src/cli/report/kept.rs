//! The report's section about refusals and conflicts: what the store kept, or why that is unknown.

use std::path::Path;

use crate::cli::Result;
use crate::cli::session::Session;
use crate::cli::store::{open_to_read, place, runtime};
use crate::clock::Timestamp;
use crate::config::{Private, Settings};
use crate::reports::{Kept, KeptNote};
use crate::store::{State, StoreError, StoreUrl, SubmissionState};
use crate::trail::Trail;

/// The most refusals and conflicts to list individually.
const LATEST: usize = 25;

/// Reads from the named store, or the one beside the trail, what was turned down in a time span.
///
/// # Errors
///
/// The named store cannot be read. If no store was named, the problem is only noted.
pub(super) fn kept(
    named: Option<&String>,
    repository: &Path,
    span: [Option<Timestamp>; 2],
    session: &Session,
) -> Result<Kept> {
    let settings = session.settings(Settings {
        store: named.cloned().map(Private),
        ..Settings::default()
    })?;
    let trail = Trail::open(repository, session.open_options(&settings));
    if let Some(url) = &settings.store {
        return Ok(ask(&place(url, &settings)?, trail.ok().as_ref(), span)?);
    }
    // Only if the writer itself would open the repository: a store that another user put beside a trail is not read.
    let missing = match trail {
        Err(error) => format!("a store: none is read beside a repository that is not your trail ({error})"),
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
        store.count_turned_down(since, until, LATEST).await
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
        State::Conflicting { reason, .. } => reason.clone(),
        State::Refused {
            violations, reason, ..
        } => {
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
