//! Accepts submissions. Those that arrive together share a transaction and one round trip, and are answered when it is
//! durable.
//!
//! Submissions that arrive during a transaction need not wait for its end: over a network, several are sent at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::super::admission::{WaitingLimit, WaitingPermit};
use super::super::{Accepted, Sequence, State, StoreError, Submission};
use super::connections::Connections;
use super::failure::Failure;
use super::outbox;
use outcome::Reporter;

/// The most submissions in one transaction. It limits how long one waits for those before it.
const MAX_BATCH: usize = 512;

/// The most bytes of submissions in one transaction, not counting the last: they are in memory more than once
/// meanwhile.
const BATCH_BYTES: usize = 4 << 20;

/// The most submissions that wait. Further ones would only wait longer than their callers do.
const MAX_QUEUE: usize = 16_384;

/// The most transactions in flight at once.
const AT_ONCE: usize = 4;

/// How long submissions that arrive during a transaction are collected for the next one. A database on the same machine
/// has answered by then, and the next transaction has all that arrived meanwhile.
const GATHER: Duration = Duration::from_millis(3);

/// How often to repeat a transaction that was aborted because of another host's.
const MAX_TRIES: usize = 5;

/// A submission, and the channel to its caller.
struct PendingAccept {
    submission: Submission,
    required_epoch: Option<i64>,
    _permit: WaitingPermit,
    answer: oneshot::Sender<Result<Accepted, StoreError>>,
}

/// The queue for submissions. Its task ends when the last copy is dropped.
pub(super) struct AcceptQueue {
    queue: mpsc::Sender<PendingAccept>,
    url: Arc<str>,
    waiting_limit: WaitingLimit,
}

impl AcceptQueue {
    pub(super) fn start(connections: Connections, url: String, pool: usize) -> AcceptQueue {
        let (queue, mut jobs) = mpsc::channel::<PendingAccept>(MAX_QUEUE);
        let url: Arc<str> = url.into();
        let shown = url.clone();
        tokio::spawn(async move {
            // If there are several connections, one is left for other work.
            let most = AT_ONCE.min(pool.saturating_sub(1)).max(1);
            let slots = Arc::new(Semaphore::new(most));
            let ended = Arc::new(Notify::new());
            let mut began = Instant::now();
            let mut next: Option<PendingAccept> = None;
            loop {
                let first = match next.take() {
                    Some(job) => Some(job),
                    None => jobs.recv().await,
                };
                let Some(first) = first else { return };
                if first.answer.is_closed() {
                    continue;
                }
                while slots.available_permits() < most
                    && let Some(rest) = GATHER.checked_sub(began.elapsed())
                {
                    tokio::select! {
                        () = ended.notified() => {}
                        () = tokio::time::sleep(rest) => {}
                    }
                }
                let Ok(slot) = slots.clone().acquire_owned().await else {
                    return;
                };
                let batch = next_batch(first, &mut jobs, &mut next);
                began = Instant::now();
                let (connections, url, ended) = (connections.clone(), url.clone(), ended.clone());
                tokio::spawn(async move {
                    accept_batch(&connections, &url, batch).await;
                    drop(slot);
                    ended.notify_one();
                });
            }
        });
        AcceptQueue {
            queue,
            url: shown,
            waiting_limit: WaitingLimit::default(),
        }
    }

    pub(super) async fn accept(
        &self,
        submission: Submission,
        required_epoch: Option<i64>,
    ) -> Result<Accepted, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = PendingAccept {
            _permit: self.waiting_limit.enter(&submission)?,
            submission,
            required_epoch,
            answer,
        };
        let gone = || StoreError::Stopped;
        match self.queue.try_send(job) {
            // Each submission has its own time limit, however many precede it. One that is not sent by then is not
            // accepted.
            Ok(()) => {
                let answer = async { Ok(answered.await.map_err(|_| gone())?) };
                super::within(super::REPORTERS_PATIENCE, answer, &self.url).await?
            }
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Unavailable(
                "too many writes wait for the store".into(),
            )),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        }
    }
}

/// Collects the first submission and those behind it, up to the limits of one transaction. One that requires another
/// bond starts the next transaction.
fn next_batch(
    first: PendingAccept,
    jobs: &mut mpsc::Receiver<PendingAccept>,
    next: &mut Option<PendingAccept>,
) -> Vec<PendingAccept> {
    let mut bytes = first.submission.text.len();
    let mut batch = vec![first];
    while batch.len() < MAX_BATCH
        && bytes < BATCH_BYTES
        && let Ok(job) = jobs.try_recv()
    {
        // The caller has already been told that it took too long.
        if job.answer.is_closed() {
            continue;
        }
        if job.required_epoch != batch[0].required_epoch {
            *next = Some(job);
            break;
        }
        bytes += job.submission.text.len();
        batch.push(job);
    }
    batch
}

/// Accepts a batch and sends the results to the callers.
async fn accept_batch(connections: &Connections, url: &str, batch: Vec<PendingAccept>) {
    let required_epoch = batch.first().and_then(|job| job.required_epoch);
    let (submissions, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        // The permits are dropped when the answers are given.
        .map(|job| (job.submission, (job.answer, job._permit)))
        .unzip();
    let taking = take(connections, url, required_epoch, &submissions);
    match super::within(super::REPORTERS_PATIENCE, taking, url).await {
        Ok(results) => {
            for ((answer, _), result) in answers.into_iter().zip(results) {
                // The caller may be gone; what was accepted stays.
                let _ = answer.send(result);
            }
        }
        Err(error) => {
            for (answer, _) in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

type Results = Vec<Result<Accepted, StoreError>>;

async fn take(
    connections: &Connections,
    url: &str,
    required_epoch: Option<i64>,
    submissions: &[Submission],
) -> Result<Results, Failure> {
    // In the order of their tasks, which is the order of locks. The first of equal submissions represents the others in
    // the batch.
    let mut order: Vec<usize> = (0..submissions.len()).collect();
    order.sort_by_key(|at| submissions[*at].task_id.as_str());
    let mut firsts: HashMap<(&str, &[u8; 32]), usize> = HashMap::with_capacity(order.len());
    let mut unique: Vec<&Submission> = Vec::with_capacity(order.len());
    let mut places = vec![0; order.len()];
    for at in order {
        let submission = &submissions[at];
        let key = (submission.task_id.as_str(), &submission.fingerprint.bytes);
        places[at] = *firsts.entry(key).or_insert_with(|| {
            unique.push(submission);
            unique.len() - 1
        });
    }
    let mut seen = vec![false; unique.len()];
    let mut tries = 0;
    let results = loop {
        tries += 1;
        let client = connections.get().await?;
        match attempt(
            &client,
            &connections.session.mark,
            url,
            required_epoch,
            &unique,
        )
        .await
        {
            Err(failure) if failure.is_retryable() && tries < MAX_TRIES => {}
            done => break done?,
        }
    };
    Ok(places
        .into_iter()
        .map(|place| {
            let is_first = !std::mem::replace(&mut seen[place], true);
            match &results[place] {
                Ok(accepted) if !is_first => Ok(Accepted {
                    repeated: true,
                    differs: false,
                    ..accepted.clone()
                }),
                result => result.clone(),
            }
        })
        .collect())
}

/// Runs one transaction of one statement. The end of the statement is the commit point.
async fn attempt(
    client: &Object,
    mark: &str,
    url: &str,
    required_epoch: Option<i64>,
    submissions: &[&Submission],
) -> Result<Results, Failure> {
    macro_rules! column {
        ($of:expr) => {
            submissions.iter().map($of).collect::<Vec<_>>()
        };
    }
    let statement = client
        .prepare_cached(
            "SELECT * FROM accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .await?;
    let row = client
        .query_one(
            &statement,
            &[
                &mark,
                &required_epoch,
                &column!(|submission| submission.task_id.as_str()),
                &column!(|submission| submission.status.as_str()),
                &column!(|submission| submission.kind.as_str()),
                &column!(|submission| submission.text.as_str()),
                &column!(|submission| submission.document.as_deref()),
                &column!(|submission| submission.fingerprint.bytes.as_slice()),
                &column!(|submission| submission.former.as_ref().map(<[u8; 32]>::as_slice)),
                &column!(|submission| submission.fingerprint.keyed),
                &column!(|submission| submission.revision),
                &column!(|submission| submission.may_compare),
                &column!(|submission| submission.trace_id.as_deref()),
                &column!(|submission| submission.reporter.as_ref().map(Reporter::as_str)),
            ],
        )
        .await?;
    let places: Vec<Option<i64>> = row.get(0);
    let answers: Option<Vec<&str>> = row.get(1);
    let Some(answers) = answers else {
        // None of the tasks had been reported before.
        let accepted = |place: Option<i64>| Ok(accepted(place.ok_or_else(closed_error)?, false));
        return Ok(places.into_iter().map(accepted).collect());
    };
    let differ: Vec<bool> = row.get(2);
    let repeated: Vec<i64> = places
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer == "repeated")
        .filter_map(|(place, _)| *place)
        .collect();
    let states: HashMap<i64, State> = match repeated.is_empty() {
        true => HashMap::new(),
        false => outbox::states_by_sequence(client, url, &repeated).await?,
    };
    let results = answers.into_iter().zip(places).zip(differ);
    let result = |((answer, place), differs): ((&str, Option<i64>), bool)| match answer {
        "taken" => Ok(accepted(place.ok_or_else(closed_error)?, differs)),
        "repeated" => {
            let place = place.ok_or_else(closed_error)?;
            Ok(Accepted {
                sequence: Sequence(place),
                repeated: true,
                differs: false,
                state: states.get(&place).cloned().ok_or_else(closed_error)?,
            })
        }
        "changed" => Err(StoreError::Changed),
        "unremembered" => Err(StoreError::Unremembered),
        _ => Err(closed_error()),
    };
    Ok(results.map(result).collect())
}

fn accepted(sequence: i64, differs: bool) -> Accepted {
    Accepted {
        sequence: Sequence(sequence),
        repeated: false,
        differs,
        state: State::accepted(),
    }
}

fn closed_error() -> StoreError {
    StoreError::Unavailable("a submission has no answer".into())
}
