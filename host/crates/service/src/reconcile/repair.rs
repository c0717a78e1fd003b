//! Restores what can be restored: rows from the trail, and outcomes that the trail has lost, through the outbox.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::{EntryLocation, Layers, ReconcileError, Report, read_entry, rebuild};
use outcome::{Reporter, TaskId, without_timestamp};
use store::{Fingerprint, Kind, State, Submission};

const CHUNK: usize = 1000;

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// How many rows were added or corrected.
    pub rows: u64,
    /// Tasks whose outcome was put back into the outbox, for the committer to record again.
    pub returned: Vec<String>,
    /// Whether the projection was rebuilt. If a row is wrong, other data derived from it may be wrong too.
    pub is_rebuilt: bool,
    /// Tasks that cannot be restored.
    pub beyond: Vec<EntryLocation>,
}

impl RepairReport {
    /// Whether store and trail agree now: nothing must be recorded again, and nothing is lost.
    pub fn is_complete(&self) -> bool {
        self.beyond.is_empty() && self.returned.is_empty()
    }
}

/// Restores what can be restored.
///
/// A row without an entry, or a submission that was committed and has neither, is put back into the outbox. The text
/// comes from the row, or from the submission if it was kept, with its reporter. The policy decides it like any other
/// outcome, and it is recorded with its original time. Then an entry without a row gets one. If a row or the totals
/// are wrong, the whole projection is rebuilt, since other data derived from the row may be wrong too.
///
/// # Errors
///
/// Something cannot be read or written. Repeating the repair is safe.
pub async fn repair(layers: &Layers, report: &Report) -> Result<RepairReport, ReconcileError> {
    let mut repaired = RepairReport::default();
    // Before any row is deleted: a row may be the only copy left.
    for named in report.without_entry.iter().chain(&report.lost) {
        match remaining_submission(layers, named).await? {
            Some(submission) => {
                layers.store.accept(submission).await?;
                repaired.returned.push(named.task_id.clone());
            }
            None => repaired.beyond.push(named.clone()),
        }
    }
    if report.different.is_empty() && report.miscounted.is_none() {
        repaired.rows = add_rows(layers, report).await?;
    } else {
        rebuild(layers, &mut |_| {}).await?;
        repaired.rows = (report.without_row.len() + report.different.len()) as u64;
        repaired.is_rebuilt = true;
    }
    Ok(repaired)
}

/// Adds the missing rows for entries, and nothing else.
async fn add_rows(layers: &Layers, report: &Report) -> Result<u64, ReconcileError> {
    let mut wanted: HashSet<&str> = report
        .without_row
        .iter()
        .map(|named| named.task_id.as_str())
        .collect();
    let (mut chunk, mut rows) = (Vec::new(), 0);
    let mut history = layers.trail.history()?;
    while !wanted.is_empty()
        && let Some(logged) = history.next().transpose()?
    {
        if wanted.remove(logged.task_id.as_str()) {
            chunk.extend(read_entry(&logged));
        }
        if chunk.len() == CHUNK {
            rows += layers.store.restore(std::mem::take(&mut chunk)).await?;
        }
    }
    Ok(rows + layers.store.restore(chunk).await?)
}

/// The remains of an outcome that the trail has lost, as a submission.
async fn remaining_submission(
    layers: &Layers,
    named: &EntryLocation,
) -> Result<Option<Submission>, ReconcileError> {
    let Ok(task_id) = TaskId::parse(&named.task_id) else {
        return Ok(None);
    };
    let row = layers.store.entry(&task_id).await?;
    let of_row = row.and_then(|row| Some((without_timestamp(&row.text)?, row.reporter)));
    let left = match of_row {
        Some(left) => Some(left),
        None => committed_document(layers, &task_id).await?,
    };
    let Some((document, reporter)) = left else {
        return Ok(None);
    };
    let Some(status) = status_of(&document) else {
        return Ok(None);
    };
    // A separate kind of digest: the committed submission may still be known by the usual digest, and this is a new
    // one.
    let mut digest = Sha256::new_with_prefix("restored ");
    digest.update(&named.commit);
    digest.update(&document);
    Ok(Some(Submission {
        task_id,
        status,
        kind: Kind::Outcome,
        text: document,
        document: None,
        fingerprint: Fingerprint {
            bytes: digest.finalize().into(),
            keyed: false,
        },
        former: None,
        may_compare: false,
        revision: None,
        trace_id: None,
        reporter,
    }))
}

/// A committed document, and who reported it.
async fn committed_document(
    layers: &Layers,
    task_id: &TaskId,
) -> Result<Option<(String, Option<Reporter>)>, ReconcileError> {
    let submissions = layers.store.submissions(task_id).await?;
    Ok(submissions.into_iter().find_map(|found| {
        let is_document =
            matches!(found.state, State::Committed { .. }) && found.kind == Kind::Outcome;
        let document = found.text.filter(|_| is_document)?;
        Some((document, found.reporter))
    }))
}

fn status_of(document: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Status {
        status: String,
    }
    serde_json::from_str::<Status>(document)
        .ok()
        .map(|status| status.status)
}
