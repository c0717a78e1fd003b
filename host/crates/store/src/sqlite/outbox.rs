//! Submissions in SQLite: which are due, their results, and their states.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::super::columns::{self, SubmissionRow};
use super::super::{
    Backlog, CommittedSubmission, DUE_BYTES, Lease, Queued, Sequence, Settlement, SettlementResult,
    StateCount, StoreError, SubmissionState, TOGETHER, TurnedDownCounts,
};
use super::failure::Context as _;
use super::{bond, clock, lease, project};
use outcome::clock::Timestamp;
use outcome::{Cause, TaskId};

/// The due submissions: their time has come, they were never tried, or the clock was set back since they were tried.
pub(super) fn due(
    connection: &Connection,
    url: &str,
    after: Option<Sequence>,
    limit: usize,
) -> Result<Vec<Queued>, StoreError> {
    let due = |row: &str| {
        format!(
            "({row}.next_attempt <= ?1 OR (({row}.attempted_at > ?1 OR {row}.attempted_at IS NULL)
                AND {row}.next_attempt IS NOT NULL))"
        )
    };
    let sql = format!(
        "SELECT sequence, task_id, coalesce(document, text), attempts, accepted_at, trace_id,
            reporter, kind
         FROM submissions s WHERE closed_at IS NULL AND sequence > ?2 AND {}
            AND NOT EXISTS (SELECT 1 FROM submissions p WHERE p.task_id = s.task_id AND p.closed_at IS NULL
                AND p.sequence < s.sequence AND p.state = 'pending' AND NOT {})
         ORDER BY sequence LIMIT ?3",
        due("s"),
        due("p"),
    );
    let now = clock::now(connection, url)?;
    let after = after.map_or(i64::MIN, |after| after.0);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql).context(url)?;
    let mut rows = statement.query(params![now, after, limit]).context(url)?;
    let mut queued = Vec::new();
    let mut bytes = 0;
    while bytes < DUE_BYTES
        && let Some(row) = rows.next().context(url)?
    {
        let task_id: String = row.get(1).context(url)?;
        let document: String = row.get(2).context(url)?;
        bytes += document.len();
        queued.push(Queued {
            sequence: Sequence(row.get(0).context(url)?),
            task_id: columns::task_id(&task_id, url)?,
            document,
            attempts: row.get(3).context(url)?,
            accepted_at: Timestamp::from_microseconds(row.get(4).context(url)?),
            trace_id: row.get(5).context(url)?,
            reporter: {
                let reporter: Option<String> = row.get(6).context(url)?;
                columns::reporter(reporter.as_deref())
            },
            kind: {
                let kind: String = row.get(7).context(url)?;
                columns::kind(&kind)
            },
        });
    }
    Ok(queued)
}

/// Stores the results of submissions.
pub(super) fn settle(
    connection: &Connection,
    url: &str,
    current: &Lease,
    settlements: &[Settlement],
    keep_submissions: bool,
) -> Result<(), StoreError> {
    lease::check(connection, url, current)?;
    let now = clock::now(connection, url)?;
    let mut found = Vec::new();
    for Settlement { sequence, result } in settlements {
        let submission = OpenSubmission {
            connection,
            sequence: *sequence,
            now,
        };
        match result {
            SettlementResult::Committed(entry) => {
                submission
                    .committed(&entry.commit, &entry.path, keep_submissions)
                    .context(url)?;
                found.push(&**entry);
            }
            SettlementResult::Conflicting { cause, reason } => {
                submission
                    .close("conflicting", *cause, Some(reason), None)
                    .context(url)?;
            }
            SettlementResult::Refused {
                cause,
                violations,
                reason,
            } => {
                let violations = columns::violations(violations);
                submission
                    .close("refused", *cause, reason.as_deref(), Some(&violations))
                    .context(url)?;
            }
            SettlementResult::Pending {
                cause,
                reason,
                retry_in,
            } => {
                submission
                    .wait("pending", *cause, reason.as_deref(), Some(*retry_in))
                    .context(url)?;
            }
            SettlementResult::Blocked {
                cause,
                reason,
                retry_in,
            } => {
                submission
                    .wait("blocked", *cause, reason.as_deref(), *retry_in)
                    .context(url)?;
            }
        }
    }
    bond::acknowledge(connection, url, &found)?;
    project::add(connection, url, found).map(drop)
}

/// An open submission whose result is being stored.
struct OpenSubmission<'a> {
    connection: &'a Connection,
    sequence: Sequence,
    now: i64,
}

impl OpenSubmission<'_> {
    fn committed(&self, commit: &str, path: &str, keep: bool) -> rusqlite::Result<()> {
        self.change(
            "UPDATE OR FAIL submissions SET state = 'committed', commit_id = ?3, path = ?4, closed_at = ?2, attempted_at = ?2,
                attempts = attempts + 1, cause = NULL, reason = NULL, text = iif(?5, text, NULL), document = iif(?5, document, NULL),
                fingerprint = iif(?5 OR keyed, fingerprint, NULL)
             WHERE sequence = ?1 AND closed_at IS NULL",
            params![self.sequence.0, self.now, commit, path, keep],
        )
    }

    /// Closes it. A conflict is final, since entries are. A refused submission may be submitted again, to another
    /// policy.
    fn close(
        &self,
        state: &str,
        cause: Cause,
        reason: Option<&str>,
        violations: Option<&str>,
    ) -> rusqlite::Result<()> {
        self.change(
            "UPDATE OR FAIL submissions SET state = ?3, cause = ?4, violations = ?5, reason = ?6, closed_at = ?2, attempted_at = ?2,
                attempts = attempts + 1, fingerprint = iif(?3 = 'refused', NULL, fingerprint)
             WHERE sequence = ?1 AND closed_at IS NULL",
            params![
                self.sequence.0,
                self.now,
                state,
                cause.as_str(),
                violations,
                reason
            ],
        )
    }

    fn wait(
        &self,
        state: &str,
        cause: Cause,
        reason: Option<&str>,
        retry_in: Option<Duration>,
    ) -> rusqlite::Result<()> {
        let next = retry_in.map(|wait| columns::later(self.now, wait));
        self.change(
            "UPDATE OR FAIL submissions SET state = ?3, cause = ?4, reason = ?6, next_attempt = ?5, attempted_at = ?2,
                attempts = attempts + 1
             WHERE sequence = ?1 AND closed_at IS NULL",
            params![
                self.sequence.0,
                self.now,
                state,
                cause.as_str(),
                next,
                reason
            ],
        )
    }

    fn change(&self, sql: &str, values: impl Params) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(sql)?
            .execute(values)
            .map(drop)
    }
}

/// Makes every open submission due now.
pub(super) fn make_all_due(connection: &Connection, url: &str) -> Result<u64, StoreError> {
    let now = clock::now(connection, url)?;
    let waiting = connection
        .execute(
            "UPDATE submissions SET next_attempt = ?1, state = 'pending' WHERE closed_at IS NULL
                AND (next_attempt > ?1 OR state = 'blocked')",
            [now],
        )
        .context(url)?;
    Ok(waiting as u64)
}

const COLUMNS: &str = "sequence, task_id, status, kind, state, cause, violations, attempts, accepted_at, next_attempt,
    closed_at, commit_id, path, text, trace_id, reporter, reason";

/// The columns for lists, without the documents, which may be large.
pub(super) const COLUMNS_WITHOUT_TEXT: &str =
    "sequence, task_id, status, kind, state, cause, violations, attempts,
    accepted_at, next_attempt, closed_at, commit_id, path, NULL, trace_id, reporter, reason";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<SubmissionRow> {
    Ok(SubmissionRow {
        sequence: row.get(0)?,
        task_id: row.get(1)?,
        status: row.get(2)?,
        kind: row.get(3)?,
        state: row.get(4)?,
        cause: row.get(5)?,
        violations: row.get(6)?,
        attempts: row.get(7)?,
        accepted_at: row.get(8)?,
        next_attempt: row.get(9)?,
        closed_at: row.get(10)?,
        commit: row.get(11)?,
        path: row.get(12)?,
        text: row.get(13)?,
        trace_id: row.get(14)?,
        reporter: row.get(15)?,
        reason: row.get(16)?,
    })
}

fn select(
    connection: &Connection,
    url: &str,
    condition: &str,
    values: impl Params,
) -> Result<Vec<SubmissionState>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM submissions WHERE {condition} ORDER BY sequence");
    let rows: Vec<SubmissionRow> = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_map(values, read)?.collect())
        .context(url)?;
    rows.into_iter().map(|row| row.submission(url)).collect()
}

/// The state of a submission.
pub(super) fn submission(
    connection: &Connection,
    url: &str,
    sequence: Sequence,
) -> Result<Option<SubmissionState>, StoreError> {
    Ok(select(connection, url, "sequence = ?1", [sequence.0])?.pop())
}

/// The states of all submissions of a task.
pub(super) fn submissions(
    connection: &Connection,
    url: &str,
    task_id: &TaskId,
) -> Result<Vec<SubmissionState>, StoreError> {
    select(connection, url, "task_id = ?1", [task_id.as_str()])
}

/// The number of a task's submissions in each state, and the newest of them.
pub(super) fn count_states(
    connection: &Connection,
    url: &str,
    task_id: &TaskId,
) -> Result<Vec<StateCount>, StoreError> {
    let sql =
        "SELECT state, count(*), max(sequence) FROM submissions WHERE task_id = ?1 GROUP BY state";
    let rows: Vec<(String, i64, i64)> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            statement.query_map([task_id.as_str()], read)?.collect()
        })
        .context(url)?;
    Ok(StateCount::read(rows))
}

/// Submissions of a task after a sequence number, until their texts have this many bytes.
pub(super) fn submissions_after(
    connection: &Connection,
    url: &str,
    task_id: &TaskId,
    after: Option<Sequence>,
    bytes: usize,
) -> Result<Vec<SubmissionState>, StoreError> {
    let after = after.map_or(i64::MIN, |after| after.0);
    let sql = format!(
        "SELECT {COLUMNS} FROM submissions WHERE task_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT {TOGETHER}"
    );
    let mut statement = connection.prepare_cached(&sql).context(url)?;
    let mut rows = statement
        .query(rusqlite::params![task_id.as_str(), after])
        .context(url)?;
    let (mut found, mut taken) = (Vec::new(), 0);
    while taken < bytes
        && let Some(row) = rows.next().context(url)?
    {
        let submission = read(row).context(url)?.submission(url)?;
        taken += submission.text.as_ref().map_or(0, String::len);
        found.push(submission);
    }
    Ok(found)
}

/// The submissions of a time span that were refused or conflicted.
pub(super) fn count_turned_down(
    connection: &Connection,
    url: &str,
    [since, until]: [i64; 2],
    latest: usize,
) -> Result<TurnedDownCounts, StoreError> {
    const TURNED_DOWN: &str = "state IN ('conflicting', 'refused') AND closed_at BETWEEN ?1 AND ?2";
    let counts =
        format!("SELECT state, count(*) FROM submissions WHERE {TURNED_DOWN} GROUP BY state");
    let mut counted = Backlog::default();
    let mut statement = connection.prepare_cached(&counts).context(url)?;
    let mut rows = statement.query([since, until]).context(url)?;
    while let Some(row) = rows.next().context(url)? {
        let (state, count): (String, i64) = (row.get(0).context(url)?, row.get(1).context(url)?);
        counted.note(&state, count);
    }
    let newest = format!(
        "SELECT {COLUMNS} FROM submissions WHERE {TURNED_DOWN} ORDER BY closed_at DESC, sequence DESC LIMIT ?3"
    );
    let latest = i64::try_from(latest).unwrap_or(i64::MAX);
    let rows: Vec<SubmissionRow> = connection
        .prepare_cached(&newest)
        .and_then(|mut statement| statement.query_map([since, until, latest], read)?.collect())
        .context(url)?;
    let latest = rows.into_iter().map(|row| row.submission(url));
    Ok(TurnedDownCounts {
        refused: counted.refused,
        conflicting: counted.conflicting,
        latest: latest.collect::<Result<_, _>>()?,
    })
}

/// The submissions that are closed as committed.
pub(super) fn committed(
    connection: &Connection,
    url: &str,
    after: Option<Sequence>,
    limit: usize,
) -> Result<Vec<CommittedSubmission>, StoreError> {
    let after = after.map_or(i64::MIN, |after| after.0);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = |row: &Row<'_>| Ok((Sequence(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?));
    connection
        .prepare_cached(
            "SELECT sequence, task_id, commit_id, path FROM submissions WHERE sequence > ?1 AND state = 'committed'
             ORDER BY sequence LIMIT ?2",
        )
        .and_then(|mut statement| statement.query_map([after, limit], read)?.collect())
        .context(url)
}

/// The submission of a task with this fingerprint.
pub(super) fn same(
    connection: &Connection,
    url: &str,
    task_id: &str,
    fingerprint: &[u8; 32],
    former: Option<&[u8; 32]>,
) -> Result<Option<SubmissionState>, StoreError> {
    Ok(select(
        connection,
        url,
        "task_id = ?1 AND fingerprint IN (?2, ?3)",
        params![
            task_id,
            fingerprint.as_slice(),
            former.map(<[u8; 32]>::as_slice)
        ],
    )?
    .pop())
}

/// The number of submissions that are not in the trail.
pub(super) fn backlog(connection: &Connection, url: &str) -> Result<Backlog, StoreError> {
    let mut backlog = Backlog::default();
    let counts = "SELECT state, count(*) FROM submissions WHERE closed_at IS NULL GROUP BY state
        UNION ALL
        SELECT state, count(*) FROM submissions WHERE state IN ('conflicting', 'refused') GROUP BY state";
    let mut statement = connection.prepare_cached(counts).context(url)?;
    let mut rows = statement.query([]).context(url)?;
    while let Some(row) = rows.next().context(url)? {
        let (state, count): (String, i64) = (row.get(0).context(url)?, row.get(1).context(url)?);
        backlog.note(&state, count);
    }
    let now = clock::now(connection, url)?;
    let oldest: Option<i64> = connection
        .prepare_cached(
            "SELECT accepted_at FROM submissions WHERE closed_at IS NULL AND state = 'pending' ORDER BY sequence LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .context(url)?;
    backlog.oldest_pending = oldest.map(|oldest| columns::elapsed(oldest, now));
    Ok(backlog)
}
