//! Documents that were refused on arrival, in PostgreSQL.

use deadpool_postgres::Object;

use super::super::{Accepted, RefusedDocument, Sequence, State, columns};
use super::failure::Failure;
use outcome::{Cause, Reporter};

const CHECK: &str = "SELECT trail_epoch, check_session($1) FROM meta FOR KEY SHARE";

// Until the end of the transaction, so that the same document is kept once although it comes twice at once.
const TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

const SAME: &str = "SELECT sequence FROM submissions WHERE task_id = $1 AND refused_on_arrival AND text = $2 LIMIT 1";

// Without a fingerprint, so that the same document is accepted once another rule is in force.
const INSERT: &str = "INSERT INTO submissions (task_id, status, kind, text, keyed, trace_id, accepted_at, reporter, state, cause,
        violations, closed_at, refused_on_arrival)
    SELECT $1, $2, $3, $4, false, $5, t.now, $6, 'refused', $7, $8, t.now, true FROM (SELECT now_micros() AS now) t
    RETURNING sequence";

/// Keeps a refused document, unless the same one was kept for the task before.
pub(super) async fn keep(
    client: &mut Object,
    mark: &str,
    refused: &RefusedDocument,
    required_epoch: Option<i64>,
) -> Result<Accepted, Failure> {
    let transaction = client.transaction().await?;
    let row = transaction
        .query_opt(&transaction.prepare_cached(CHECK).await?, &[&mark])
        .await?;
    let epoch = row.map_or(0, |row| row.get(0));
    super::super::bond::check(required_epoch, epoch)?;
    let task_id = refused.task_id.as_str();
    transaction
        .execute(&transaction.prepare_cached(TURN).await?, &[&task_id])
        .await?;
    let same = transaction
        .query_opt(
            &transaction.prepare_cached(SAME).await?,
            &[&task_id, &refused.text],
        )
        .await?;
    let (sequence, repeated) = match same {
        Some(row) => (row.get(0), true),
        None => {
            let violations = columns::violations(&refused.violations);
            let row = transaction
                .query_one(
                    &transaction.prepare_cached(INSERT).await?,
                    &[
                        &task_id,
                        &refused.status,
                        &refused.kind.as_str(),
                        &refused.text,
                        &refused.trace_id,
                        &refused.reporter.as_ref().map(Reporter::as_str),
                        &Cause::Document.as_str(),
                        &violations,
                    ],
                )
                .await?;
            (row.get(0), false)
        }
    };
    transaction.commit().await?;
    Ok(Accepted {
        sequence: Sequence(sequence),
        repeated,
        differs: false,
        state: State::refused_on_arrival(refused.violations.clone()),
    })
}
