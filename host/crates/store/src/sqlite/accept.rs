//! Accepts submissions in SQLite: the state that a transaction's accepts share, and each accept.
//!
//! The first submission finishes a task, so there is one row to write, whatever was planned.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::super::{Accepted, Sequence, State, StoreError, Submission};
use super::failure::Context as _;
use super::{bond, clock, outbox};
use outcome::Reporter;

/// The existing submissions of a task: whether there are any, and whether one still has its fingerprint.
const THERE: &str = "SELECT fingerprint IS NOT NULL FROM submissions WHERE task_id = ?1
    ORDER BY fingerprint DESC LIMIT 1";

const COMMITTED: &str =
    "SELECT EXISTS (SELECT 1 FROM submissions WHERE task_id = ?1 AND state = 'committed')";

const REVISION: &str = "SELECT revision FROM plans WHERE task_id = ?1";

const INSERT: &str = "INSERT OR FAIL INTO submissions (task_id, status, kind, text, document, fingerprint, keyed, trace_id,
    accepted_at, next_attempt, reporter) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)";

/// What the accepts of one transaction share: the time, and prepared statements.
pub(super) struct AcceptBatch<'c> {
    connection: &'c Connection,
    now: i64,
    epoch: i64,
    there: CachedStatement<'c>,
    insert: CachedStatement<'c>,
}

impl<'c> AcceptBatch<'c> {
    pub(super) fn begin(
        connection: &'c Connection,
        url: &str,
    ) -> Result<AcceptBatch<'c>, StoreError> {
        Ok(AcceptBatch {
            connection,
            now: clock::now(connection, url)?,
            epoch: bond::epoch(connection, url)?,
            there: connection.prepare_cached(THERE).context(url)?,
            insert: connection.prepare_cached(INSERT).context(url)?,
        })
    }

    /// Accepts a submission.
    pub(super) fn accept(
        &mut self,
        url: &str,
        submission: &Submission,
        required_epoch: Option<i64>,
    ) -> Result<Accepted, StoreError> {
        super::super::bond::check(required_epoch, self.epoch)?;
        let task_id = submission.task_id.as_str();
        let fingerprint = &submission.fingerprint;
        let there: Option<bool> = self
            .there
            .query_row([task_id], |row| row.get(0))
            .optional()
            .context(url)?;
        if there == Some(true)
            && let Some(found) = outbox::same(
                self.connection,
                url,
                task_id,
                &fingerprint.bytes,
                submission.former.as_ref(),
            )?
        {
            return Ok(Accepted {
                sequence: found.sequence,
                repeated: true,
                differs: false,
                state: found.state,
            });
        }
        if let Some(made_from) = submission.revision
            && made_from != self.revision(url, task_id)?
        {
            return Err(StoreError::Changed);
        }
        if there.is_some() && submission.may_compare && self.has_entry(url, task_id)? {
            return Err(StoreError::Unremembered);
        }
        self.insert
            .execute(params![
                task_id,
                submission.status,
                submission.kind.as_str(),
                submission.text,
                submission.document,
                fingerprint.bytes.as_slice(),
                fingerprint.keyed,
                submission.trace_id,
                self.now,
                submission.reporter.as_ref().map(Reporter::as_str),
            ])
            .context(url)?;
        Ok(Accepted {
            sequence: Sequence(self.connection.last_insert_rowid()),
            repeated: false,
            differs: there == Some(true),
            state: State::accepted(),
        })
    }

    /// Whether a submission of the task was committed.
    fn has_entry(&self, url: &str, task_id: &str) -> Result<bool, StoreError> {
        self.connection
            .prepare_cached(COMMITTED)
            .and_then(|mut statement| statement.query_row([task_id], |row| row.get(0)))
            .context(url)
    }

    /// The revision of a task's plan; 0 if it was never planned.
    fn revision(&self, url: &str, task_id: &str) -> Result<i64, StoreError> {
        self.connection
            .prepare_cached(REVISION)
            .and_then(|mut statement| statement.query_row([task_id], |row| row.get(0)).optional())
            .context(url)
            .map(Option::unwrap_or_default)
    }
}
