//! Taking submissions in: what arrives together shares a transaction, and is answered when it is durable.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::{Object, Pool};
use tokio::sync::{mpsc, oneshot};

use super::super::{Accepted, Sequence, State, StoreError, Submission};
use super::failure::Failure;
use super::outbox;

/// The most submissions in one transaction: bounds how long one waits for those before it.
const BATCH_MOST: usize = 512;

/// The most submissions that wait. More would only wait longer than their callers do.
const QUEUE_MOST: usize = 16_384;

/// How often a transaction is begun again that another host's has ended.
const TRIES_MOST: usize = 5;

/// A submission, and whoever waits for it.
struct Job {
    submission: Submission,
    answer: oneshot::Sender<Result<Accepted, StoreError>>,
}

/// The way in. The task behind it ends with the last of these.
pub(super) struct Entrance {
    queue: mpsc::Sender<Job>,
}

impl Entrance {
    pub(super) fn start(pool: Pool, url: String) -> Entrance {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE_MOST);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while jobs.recv_many(&mut batch, BATCH_MOST).await > 0 {
                let taken = std::mem::take(&mut batch);
                let (submissions, answers): (Vec<_>, Vec<_>) = taken
                    .into_iter()
                    .map(|job| (job.submission, job.answer))
                    .unzip();
                let taking = take_in(&pool, &submissions);
                let result = super::within(super::REPORTERS_PATIENCE, taking, &url).await;
                match result {
                    Ok(results) => {
                        for (answer, result) in answers.into_iter().zip(results) {
                            // Whoever asked may be gone; what was taken in stays.
                            let _ = answer.send(result);
                        }
                    }
                    Err(error) => {
                        // All that came meanwhile has waited for the same, and would wait as long again.
                        let others = std::iter::from_fn(|| jobs.try_recv().ok());
                        let others = others.map(|job| job.answer).take(QUEUE_MOST);
                        for answer in answers.into_iter().chain(others) {
                            let _ = answer.send(Err(error.clone()));
                        }
                    }
                }
            }
        });
        Entrance { queue }
    }

    pub(super) async fn accept(&self, submission: Submission) -> Result<Accepted, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Stopped;
        match self.queue.try_send(Job { submission, answer }) {
            Ok(()) => answered.await.map_err(|_| gone())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Unavailable(
                "too many writes wait for the store".into(),
            )),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        }
    }
}

type Results = Vec<Result<Accepted, StoreError>>;

async fn take_in(pool: &Pool, submissions: &[Submission]) -> Result<Results, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut client = pool.get().await?;
        match attempt(&mut client, submissions).await {
            Ok(Some(results)) => return Ok(results),
            // Another host has taken in the same at the same time: now it is there to be found.
            Ok(None) if tries < TRIES_MOST => {}
            Err(failure) if failure.is_of_concurrency() && tries < TRIES_MOST => {}
            Ok(None) => {
                return Err(StoreError::Unavailable("other hosts take in the same".into()).into());
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// What is known of a task when a batch begins.
#[derive(Default)]
struct Known {
    exists: bool,
    /// A submission of the batch is taken in already.
    has_first: bool,
    revision: i64,
    is_finished: bool,
    fingerprints: HashMap<Vec<u8>, Accepted>,
}

/// One transaction; nothing if another host's has got in between.
async fn attempt(
    client: &mut Object,
    submissions: &[Submission],
) -> Result<Option<Results>, Failure> {
    let transaction = client.transaction().await?;
    // In order, so that two hosts take their locks in the same order.
    let mut known: BTreeMap<&str, Known> = submissions
        .iter()
        .map(|submission| (submission.task_id.as_str(), Known::default()))
        .collect();
    let ids: Vec<&str> = known.keys().copied().collect();
    let tasks = transaction
        .prepare_cached(
            "SELECT task_id, revision, finished_at IS NOT NULL FROM tasks WHERE task_id = ANY($1)
             ORDER BY task_id FOR UPDATE",
        )
        .await?;
    for row in transaction.query(&tasks, &[&ids]).await? {
        if let Some(known) = known.get_mut(row.get::<_, &str>(0)) {
            known.exists = true;
            (known.revision, known.is_finished) = (row.get(1), row.get(2));
        }
    }
    for (fingerprint, found) in outbox::remembered(&transaction, &ids).await? {
        if let Some(known) = known.get_mut(found.task_id.as_str()) {
            let accepted = Accepted {
                sequence: found.sequence,
                repeated: true,
                differs: false,
                state: found.state,
            };
            known.fingerprints.insert(fingerprint, accepted);
        }
    }
    let mut results: Vec<Option<Result<Accepted, StoreError>>> = Vec::new();
    let mut fresh: Vec<(usize, &Submission)> = Vec::new();
    // Within the batch the first of a task counts as the one before.
    let mut firsts: HashMap<(&str, &[u8; 32]), usize> = HashMap::new();
    let mut repeats: Vec<(usize, usize)> = Vec::new();
    for (at, submission) in submissions.iter().enumerate() {
        let task_id = submission.task_id.as_str();
        let bytes = &submission.fingerprint.bytes;
        let known = known.entry(task_id).or_default();
        results.push(None);
        if let Some(accepted) = known.fingerprints.get(bytes.as_slice()) {
            results[at] = Some(Ok(accepted.clone()));
        } else if let Some(first) = firsts.get(&(task_id, bytes)) {
            repeats.push((at, *first));
        } else if submission
            .revision
            .is_some_and(|made_from| made_from != known.revision)
        {
            results[at] = Some(Err(StoreError::Changed));
        } else {
            let differs = known.is_finished && !known.fingerprints.is_empty() || known.has_first;
            known.has_first = true;
            results[at] = Some(Ok(Accepted {
                sequence: Sequence(0),
                repeated: false,
                differs,
                state: State::Pending { cause: None },
            }));
            firsts.insert((task_id, bytes), at);
            fresh.push((at, submission));
        }
    }
    if !fresh.is_empty() {
        let unknown = known
            .values()
            .filter(|known| known.has_first && !known.exists);
        if finish_tasks(&transaction, &fresh).await? != unknown.count() {
            // A task that was not there to be locked is there by now, with a plan that the documents may lack.
            return Ok(None);
        }
        let sequences = insert(&transaction, &fresh).await?;
        if sequences.len() != fresh.len() {
            return Ok(None);
        }
        for ((at, _), sequence) in fresh.iter().zip(sequences) {
            if let Some(Ok(accepted)) = &mut results[*at] {
                accepted.sequence = sequence;
            }
        }
    }
    // The commit point.
    transaction.commit().await?;
    for (at, first) in repeats {
        if let Some(Ok(accepted)) = &results[first] {
            results[at] = Some(Ok(Accepted {
                repeated: true,
                differs: false,
                ..accepted.clone()
            }));
        }
    }
    let lost = || Err(StoreError::Unavailable("a submission has no answer".into()));
    Ok(Some(
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(lost))
            .collect(),
    ))
}

/// Answers how many tasks it has made.
async fn finish_tasks(
    transaction: &deadpool_postgres::Transaction<'_>,
    fresh: &[(usize, &Submission)],
) -> Result<usize, Failure> {
    let mut firsts: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, submission) in fresh {
        firsts
            .entry(submission.task_id.as_str())
            .or_insert(&submission.status);
    }
    let (ids, statuses): (Vec<&str>, Vec<&str>) = firsts.into_iter().unzip();
    let insert = transaction
        .prepare_cached(
            "INSERT INTO tasks (task_id, created_at, finished_status, finished_at)
             SELECT task_id, now_micros(), status, now_micros() FROM unnest($1::text[], $2::text[]) AS t (task_id, status)
             ORDER BY task_id COLLATE \"C\" ON CONFLICT DO NOTHING",
        )
        .await?;
    let inserted = transaction.execute(&insert, &[&ids, &statuses]).await? as usize;
    if inserted == ids.len() {
        return Ok(inserted);
    }
    let update = transaction
        .prepare_cached(
            "UPDATE tasks SET finished_status = t.status, finished_at = now_micros()
             FROM unnest($1::text[], $2::text[]) AS t (task_id, status)
             WHERE tasks.task_id = t.task_id AND tasks.finished_at IS NULL",
        )
        .await?;
    transaction.execute(&update, &[&ids, &statuses]).await?;
    Ok(inserted)
}

async fn insert(
    transaction: &deadpool_postgres::Transaction<'_>,
    fresh: &[(usize, &Submission)],
) -> Result<Vec<Sequence>, Failure> {
    macro_rules! column {
        ($of:expr) => {
            fresh
                .iter()
                .map(|(_, submission)| $of(*submission))
                .collect::<Vec<_>>()
        };
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO submissions (task_id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, accepted_at,
                next_attempt)
             SELECT task_id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, now, now
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::boolean[],
                $8::text[], $9::text[]) WITH ORDINALITY
                AS s (task_id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, place),
                now_micros() AS n (now)
             ORDER BY place ON CONFLICT DO NOTHING RETURNING sequence",
        )
        .await?;
    let rows = transaction
        .query(
            &statement,
            &[
                &column!(|submission: &Submission| submission.task_id.to_string()),
                &column!(|submission: &Submission| submission.status.clone()),
                &column!(|submission: &Submission| submission.kind.as_str()),
                &column!(|submission: &Submission| submission.text.clone()),
                &column!(|submission: &Submission| submission.document.clone()),
                &column!(|submission: &Submission| submission.fingerprint.bytes.to_vec()),
                &column!(|submission: &Submission| submission.fingerprint.keyed),
                &column!(|submission: &Submission| submission.trace_id.clone()),
                &column!(|submission: &Submission| submission
                    .reporter
                    .as_ref()
                    .map(ToString::to_string)),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| Sequence(row.get(0))).collect())
}
