//! Submissions in PostgreSQL: which are due, their results, and their states.

use std::collections::HashMap;

use deadpool_postgres::{GenericClient, Object, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::columns::{self, SubmissionRow};
use super::super::{
    Backlog, CommittedSubmission, DUE_BYTES, Lease, Queued, Sequence, Settlement, SettlementResult,
    State, StateCount, SubmissionState, TOGETHER, TurnedDownCounts,
};
use super::failure::Failure;
use super::{bond, lease, project};
use outcome::clock::Timestamp;
use outcome::{Cause, TaskId};

/// The due submissions: their time has come, they were never tried, or the clock was set back since they were tried.
pub(super) async fn due(
    client: &impl GenericClient,
    url: &str,
    after: Option<Sequence>,
    limit: usize,
) -> Result<Vec<Queued>, Failure> {
    let due = |row: &str| {
        format!(
            "({row}.next_attempt <= $1 OR (({row}.attempted_at > $1 OR {row}.attempted_at IS NULL)
                AND {row}.next_attempt IS NOT NULL))"
        )
    };
    let sql = format!(
        "SELECT sequence, task_id, submitted, attempts, accepted_at, trace_id, reporter, kind FROM (
         SELECT *, sum(octet_length(submitted)) OVER (ORDER BY sequence) - octet_length(submitted) AS before FROM (
         SELECT sequence, task_id, coalesce(document, text) AS submitted, attempts, accepted_at, trace_id,
            reporter, kind
         FROM submissions s WHERE closed_at IS NULL AND sequence > $2 AND {}
            AND NOT EXISTS (SELECT 1 FROM submissions p WHERE p.task_id = s.task_id AND p.closed_at IS NULL
                AND p.sequence < s.sequence AND p.state = 'pending' AND NOT {})
         ORDER BY sequence LIMIT $3) AS due) AS summed WHERE before < {DUE_BYTES} ORDER BY sequence",
        due("s"),
        due("p"),
    );
    let now: i64 = now(client).await?;
    let after = after.map_or(i64::MIN, |after| after.0);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&now, &after, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Queued {
                sequence: Sequence(row.get(0)),
                task_id: columns::task_id(row.get(1), url)?,
                document: row.get(2),
                attempts: u32::try_from(row.get::<_, i64>(3)).unwrap_or(u32::MAX),
                accepted_at: Timestamp::from_microseconds(row.get(4)),
                trace_id: row.get(5),
                reporter: columns::reporter(row.get(6)),
                kind: columns::kind(row.get(7)),
            })
        })
        .collect()
}

async fn now(client: &impl GenericClient) -> Result<i64, Failure> {
    let statement = client.prepare_cached("SELECT now_micros()").await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

/// The results of submissions as columns, by the three ways to store them.
#[derive(Default)]
struct SettlementColumns {
    committed: CommittedColumns,
    closed: ClosedColumns,
    waiting: WaitingColumns,
}

#[derive(Default)]
struct CommittedColumns {
    sequences: Vec<i64>,
    commits: Vec<String>,
    paths: Vec<String>,
}

#[derive(Default)]
struct ClosedColumns {
    sequences: Vec<i64>,
    states: Vec<&'static str>,
    causes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    violations: Vec<Option<String>>,
}

#[derive(Default)]
struct WaitingColumns {
    sequences: Vec<i64>,
    states: Vec<&'static str>,
    causes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    nexts: Vec<Option<i64>>,
}

/// The conditions for settling.
pub(super) struct SettleContext<'a> {
    /// The epoch that the store must still have.
    pub(super) required_epoch: Option<i64>,
    /// The mark of sessions that this process has set up.
    pub(super) mark: &'a str,
    pub(super) keep_submissions: bool,
}

/// Stores the results of submissions.
pub(super) async fn settle(
    client: &mut Object,
    current: &Lease,
    settlements: Vec<Settlement>,
    within: &SettleContext<'_>,
) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    lease::check(&transaction, current, within).await?;
    let now = now(&transaction).await?;
    let mut lists = SettlementColumns::default();
    let mut found = Vec::new();
    for Settlement { sequence, result } in settlements {
        let stored = |text: String| columns::storable(Some(&text));
        match result {
            SettlementResult::Committed(entry) => {
                lists.committed.sequences.push(sequence.0);
                lists.committed.commits.push(entry.commit.clone());
                lists.committed.paths.push(entry.path.clone());
                found.push(*entry);
            }
            SettlementResult::Conflicting { cause, reason } => {
                let why = (cause, stored(reason));
                lists.close(sequence, "conflicting", why, None);
            }
            SettlementResult::Refused {
                cause,
                violations,
                reason,
            } => {
                let why = (cause, reason.and_then(stored));
                let violations = columns::violations(&violations);
                lists.close(sequence, "refused", why, Some(violations));
            }
            SettlementResult::Pending {
                cause,
                reason,
                retry_in,
            } => {
                let next = Some(columns::later(now, retry_in));
                let why = (cause, reason.and_then(stored));
                lists.wait(sequence, "pending", why, next);
            }
            SettlementResult::Blocked {
                cause,
                reason,
                retry_in,
            } => {
                let next = retry_in.map(|wait| columns::later(now, wait));
                let why = (cause, reason.and_then(stored));
                lists.wait(sequence, "blocked", why, next);
            }
        }
    }
    lists
        .write(&transaction, now, within.keep_submissions)
        .await?;
    bond::acknowledge(&transaction, &found).await?;
    project::add(&transaction, &found).await?;
    Ok(transaction.commit().await?)
}

impl SettlementColumns {
    fn close(
        &mut self,
        sequence: Sequence,
        state: &'static str,
        (cause, reason): (Cause, Option<String>),
        violations: Option<String>,
    ) {
        self.closed.sequences.push(sequence.0);
        self.closed.states.push(state);
        self.closed.causes.push(cause.as_str());
        self.closed.reasons.push(reason);
        self.closed.violations.push(violations);
    }

    fn wait(
        &mut self,
        sequence: Sequence,
        state: &'static str,
        (cause, reason): (Cause, Option<String>),
        next: Option<i64>,
    ) {
        self.waiting.sequences.push(sequence.0);
        self.waiting.states.push(state);
        self.waiting.causes.push(cause.as_str());
        self.waiting.reasons.push(reason);
        self.waiting.nexts.push(next);
    }

    async fn write(
        &self,
        transaction: &Transaction<'_>,
        now: i64,
        keep: bool,
    ) -> Result<(), Failure> {
        // A conflict is final, since entries are. A refused submission may be submitted again, to another policy.
        let (committed, closed, waiting) = (&self.committed, &self.closed, &self.waiting);
        let writes: [(&str, &[i64], Vec<&(dyn ToSql + Sync)>); 3] = [
            (
                "UPDATE submissions s SET state = 'committed', commit_id = t.commit_id, path = t.path, closed_at = $1,
                    attempted_at = $1, attempts = attempts + 1, cause = NULL, reason = NULL, text = CASE WHEN $5 THEN text END,
                    document = CASE WHEN $5 THEN document END, fingerprint = CASE WHEN $5 OR keyed THEN fingerprint END
                 FROM unnest($2::bigint[], $3::text[], $4::text[]) AS t (sequence, commit_id, path)
                 WHERE s.sequence = t.sequence AND s.closed_at IS NULL",
                &committed.sequences,
                vec![&now, &committed.sequences, &committed.commits, &committed.paths, &keep],
            ),
            (
                "UPDATE submissions s SET state = t.state, cause = t.cause, reason = t.reason, violations = t.violations, closed_at = $1,
                    attempted_at = $1, attempts = attempts + 1,
                    fingerprint = CASE WHEN t.state <> 'refused' THEN fingerprint END
                 FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
                    AS t (sequence, state, cause, violations, reason)
                 WHERE s.sequence = t.sequence AND s.closed_at IS NULL",
                &closed.sequences,
                vec![&now, &closed.sequences, &closed.states, &closed.causes, &closed.violations, &closed.reasons],
            ),
            (
                "UPDATE submissions s SET state = t.state, cause = t.cause, reason = t.reason, next_attempt = t.next, attempted_at = $1,
                    attempts = attempts + 1
                 FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[])
                    AS t (sequence, state, cause, next, reason)
                 WHERE s.sequence = t.sequence AND s.closed_at IS NULL",
                &waiting.sequences,
                vec![&now, &waiting.sequences, &waiting.states, &waiting.causes, &waiting.nexts, &waiting.reasons],
            ),
        ];
        for (sql, sequences, values) in writes {
            if !sequences.is_empty() {
                let statement = transaction.prepare_cached(sql).await?;
                transaction.execute(&statement, &values).await?;
            }
        }
        Ok(())
    }
}

/// Makes every open submission due now.
pub(super) async fn make_all_due(client: &impl GenericClient) -> Result<u64, Failure> {
    let now = now(client).await?;
    let waiting = client
        .execute(
            "UPDATE submissions SET next_attempt = $1, state = 'pending' WHERE closed_at IS NULL
                AND (next_attempt > $1 OR state = 'blocked')",
            &[&now],
        )
        .await?;
    Ok(waiting)
}

const COLUMNS: &str = "sequence, task_id, status, kind, state, cause, violations, attempts, accepted_at, next_attempt,
    closed_at, commit_id, path, text, trace_id, reporter, reason";

/// The columns for lists, without the documents, which may be large.
pub(super) const COLUMNS_WITHOUT_TEXT: &str =
    "sequence, task_id, status, kind, state, cause, violations, attempts,
    accepted_at, next_attempt, closed_at, commit_id, path, NULL::text, trace_id, reporter, reason";

pub(super) fn read(row: &Row) -> SubmissionRow {
    SubmissionRow {
        sequence: row.get(0),
        task_id: row.get(1),
        status: row.get(2),
        kind: row.get(3),
        state: row.get(4),
        cause: row.get(5),
        violations: row.get(6),
        attempts: row.get(7),
        accepted_at: row.get(8),
        next_attempt: row.get(9),
        closed_at: row.get(10),
        commit: row.get(11),
        path: row.get(12),
        text: row.get(13),
        trace_id: row.get(14),
        reporter: row.get(15),
        reason: row.get(16),
    }
}

async fn select(
    client: &impl GenericClient,
    url: &str,
    condition: &str,
    value: &(dyn ToSql + Sync),
) -> Result<Vec<SubmissionState>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM submissions WHERE {condition} ORDER BY sequence");
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[value]).await?;
    rows.iter()
        .map(|row| Ok(read(row).submission(url)?))
        .collect()
}

/// The state of a submission.
pub(super) async fn submission(
    client: &impl GenericClient,
    url: &str,
    sequence: Sequence,
) -> Result<Option<SubmissionState>, Failure> {
    Ok(select(client, url, "sequence = $1", &sequence.0)
        .await?
        .pop())
}

/// The states of all submissions of a task.
pub(super) async fn submissions(
    client: &impl GenericClient,
    url: &str,
    task_id: &TaskId,
) -> Result<Vec<SubmissionState>, Failure> {
    select(client, url, "task_id = $1", &task_id.as_str()).await
}

/// The number of a task's submissions in each state, and the newest of them.
pub(super) async fn count_states(
    client: &impl GenericClient,
    task_id: &TaskId,
) -> Result<Vec<StateCount>, Failure> {
    let sql =
        "SELECT state, count(*), max(sequence) FROM submissions WHERE task_id = $1 GROUP BY state";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&task_id.as_str()]).await?;
    let rows = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2)));
    Ok(StateCount::read(rows))
}

/// Submissions of a task after a sequence number, until their texts have this many bytes.
pub(super) async fn submissions_after(
    client: &impl GenericClient,
    url: &str,
    task_id: &TaskId,
    after: Option<Sequence>,
    bytes: usize,
) -> Result<Vec<SubmissionState>, Failure> {
    let after = after.map_or(i64::MIN, |after| after.0);
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    // The length of a text is known without reading it.
    let sql = format!(
        "SELECT {COLUMNS} FROM submissions WHERE sequence IN (SELECT sequence FROM (
            SELECT sequence, coalesce(sum(octet_length(text)) OVER (ORDER BY sequence
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
            FROM (SELECT sequence, text FROM submissions WHERE task_id = $1 AND sequence > $2
                ORDER BY sequence LIMIT {TOGETHER}) f) s WHERE before < $3::bigint)
         ORDER BY sequence"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client
        .query(&statement, &[&task_id.as_str(), &after, &bytes])
        .await?;
    let rows = rows.iter();
    rows.map(|row| Ok(read(row).submission(url)?)).collect()
}

/// The submissions of a time span that were refused or conflicted.
pub(super) async fn count_turned_down(
    client: &impl GenericClient,
    url: &str,
    [since, until]: [i64; 2],
    latest: usize,
) -> Result<TurnedDownCounts, Failure> {
    const TURNED_DOWN: &str = "state IN ('conflicting', 'refused') AND closed_at BETWEEN $1 AND $2";
    let counts =
        format!("SELECT state, count(*) FROM submissions WHERE {TURNED_DOWN} GROUP BY state");
    let mut counted = Backlog::default();
    for row in client.query(&counts, &[&since, &until]).await? {
        counted.note(row.get(0), row.get(1));
    }
    let newest = format!(
        "SELECT {COLUMNS} FROM submissions WHERE {TURNED_DOWN} ORDER BY closed_at DESC, sequence DESC LIMIT {latest}"
    );
    let rows = client.query(&newest, &[&since, &until]).await?;
    let latest = rows.iter().map(|row| Ok(read(row).submission(url)?));
    Ok(TurnedDownCounts {
        refused: counted.refused,
        conflicting: counted.conflicting,
        latest: latest.collect::<Result<_, Failure>>()?,
    })
}

/// The submissions that are closed as committed.
pub(super) async fn committed(
    client: &impl GenericClient,
    after: Option<Sequence>,
    limit: usize,
) -> Result<Vec<CommittedSubmission>, Failure> {
    let after = after.map_or(i64::MIN, |after| after.0);
    let sql = format!(
        "SELECT sequence, task_id, commit_id, path FROM submissions WHERE sequence > $1 AND state = 'committed'
         ORDER BY sequence LIMIT {limit}"
    );
    let rows = client.query(&sql, &[&after]).await?;
    let read = |row: &Row| (Sequence(row.get(0)), row.get(1), row.get(2), row.get(3));
    Ok(rows.iter().map(read).collect())
}

/// The states of several submissions.
pub(super) async fn states_by_sequence(
    client: &impl GenericClient,
    url: &str,
    sequences: &[i64],
) -> Result<HashMap<i64, State>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS_WITHOUT_TEXT} FROM submissions WHERE sequence = ANY($1::bigint[])"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&sequences]).await?;
    rows.iter()
        .map(|row| {
            let found = read(row).submission(url)?;
            Ok((found.sequence.0, found.state))
        })
        .collect()
}

/// The number of submissions that are not in the trail.
pub(super) async fn backlog(client: &impl GenericClient) -> Result<Backlog, Failure> {
    let mut backlog = Backlog::default();
    let counts = client
        .prepare_cached(
            "SELECT state, count(*) FROM submissions WHERE closed_at IS NULL GROUP BY state
             UNION ALL
             SELECT state, count(*) FROM submissions WHERE state IN ('conflicting', 'refused') GROUP BY state",
        )
        .await?;
    for row in client.query(&counts, &[]).await? {
        backlog.note(row.get(0), row.get(1));
    }
    let oldest = client
        .prepare_cached(
            "SELECT accepted_at, now_micros() FROM submissions WHERE closed_at IS NULL AND state = 'pending'
             ORDER BY sequence LIMIT 1",
        )
        .await?;
    let oldest = client.query_opt(&oldest, &[]).await?;
    backlog.oldest_pending = oldest.map(|row| columns::elapsed(row.get(0), row.get(1)));
    Ok(backlog)
}
