//! Documents that were refused on arrival, in SQLite.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::{Accepted, RefusedDocument, Sequence, State, StoreError, columns};
use super::failure::Context as _;
use super::{bond, clock};
use outcome::{Cause, Reporter};

const SAME: &str = "SELECT sequence FROM submissions WHERE task_id = ?1 AND refused_on_arrival = 1 AND text = ?2 LIMIT 1";

// Without a fingerprint, so that the same document is accepted once another rule is in force.
const INSERT: &str = "INSERT INTO submissions (task_id, status, kind, text, keyed, trace_id, accepted_at, reporter, state, cause,
        violations, closed_at, refused_on_arrival)
    VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, 'refused', ?8, ?9, ?6, 1)";

/// Keeps a refused document, unless the same one was kept for the task before.
pub(super) fn keep(
    connection: &Connection,
    url: &str,
    refused: &RefusedDocument,
    required_epoch: Option<i64>,
) -> Result<Accepted, StoreError> {
    super::super::bond::check(required_epoch, bond::epoch(connection, url)?)?;
    let task_id = refused.task_id.as_str();
    let same: Option<i64> = connection
        .prepare_cached(SAME)
        .and_then(|mut statement| {
            let read = |row: &rusqlite::Row<'_>| row.get(0);
            statement
                .query_row(params![task_id, refused.text], read)
                .optional()
        })
        .context(url)?;
    if let Some(sequence) = same {
        return Ok(kept(sequence, true, refused));
    }
    let now = clock::now(connection, url)?;
    connection
        .prepare_cached(INSERT)
        .and_then(|mut statement| {
            statement.execute(params![
                task_id,
                refused.status,
                refused.kind.as_str(),
                refused.text,
                refused.trace_id,
                now,
                refused.reporter.as_ref().map(Reporter::as_str),
                Cause::Document.as_str(),
                columns::violations(&refused.violations),
            ])
        })
        .context(url)?;
    Ok(kept(connection.last_insert_rowid(), false, refused))
}

fn kept(sequence: i64, repeated: bool, refused: &RefusedDocument) -> Accepted {
    Accepted {
        sequence: Sequence(sequence),
        repeated,
        differs: false,
        state: State::refused_on_arrival(refused.violations.clone()),
    }
}
