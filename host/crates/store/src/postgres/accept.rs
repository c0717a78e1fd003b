//! Taking submissions in: what arrives together shares a transaction and one round trip, and is answered when it is durable.
//!
//! What comes while a transaction is under way need not wait for its end: over a network several are on their way at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::super::waiting::{Room, Waiting};
use super::super::{Accepted, Sequence, State, StoreError, Submission};
use super::connections::Connections;
use super::failure::Failure;
use super::outbox;
use outcome::Reporter;

/// The most submissions in one transaction: bounds how long one waits for those before it.
const BATCH_MOST: usize = 512;

/// The most bytes of submissions in one transaction, but for the last: they are in memory more than once meanwhile.
const BATCH_BYTES: usize = 4 << 20;

/// The most submissions that wait. More would only wait longer than their callers do.
const QUEUE_MOST: usize = 16_384;

/// The most transactions that are on their way at once.
const AT_ONCE: usize = 4;

/// How long those that come while a transaction is under way are gathered for the next: a database on the same machine has
/// answered by then, and the next has all that came meanwhile.
const GATHER: Duration = Duration::from_millis(3);

/// How often a transaction is begun again that another host's has ended.
const TRIES_MOST: usize = 5;

/// A submission, and whoever waits for it.
struct Job {
    submission: Submission,
    held: Option<i64>,
    _room: Waiting,
    answer: oneshot::Sender<Result<Accepted, StoreError>>,
}

/// The way in. The task behind it ends with the last of these.
pub(super) struct Entrance {
    queue: mpsc::Sender<Job>,
    url: Arc<str>,
    room: Room,
}

impl Entrance {
    pub(super) fn start(connections: Connections, url: String, pool: usize) -> Entrance {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE_MOST);
        let url: Arc<str> = url.into();
        let shown = url.clone();
        tokio::spawn(async move {
            // One connection is left for others, where there are several.
            let most = AT_ONCE.min(pool.saturating_sub(1)).max(1);
            let under_way = Arc::new(Semaphore::new(most));
            let ended = Arc::new(Notify::new());
            let mut began = Instant::now();
            let mut next: Option<Job> = None;
            loop {
                let first = match next.take() {
                    Some(job) => Some(job),
                    None => jobs.recv().await,
                };
                let Some(first) = first else { return };
                if first.answer.is_closed() {
                    continue;
                }
                while under_way.available_permits() < most
                    && let Some(rest) = GATHER.checked_sub(began.elapsed())
                {
                    tokio::select! {
                        () = ended.notified() => {}
                        () = tokio::time::sleep(rest) => {}
                    }
                }
                let Ok(turn) = under_way.clone().acquire_owned().await else {
                    return;
                };
                let batch = gather(first, &mut jobs, &mut next);
                began = Instant::now();
                let (connections, url, ended) = (connections.clone(), url.clone(), ended.clone());
                tokio::spawn(async move {
                    take_in(&connections, &url, batch).await;
                    drop(turn);
                    ended.notify_one();
                });
            }
        });
        Entrance {
            queue,
            url: shown,
            room: Room::default(),
        }
    }

    pub(super) async fn accept(
        &self,
        submission: Submission,
        held: Option<i64>,
    ) -> Result<Accepted, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            _room: self.room.enter(&submission)?,
            submission,
            held,
            answer,
        };
        let gone = || StoreError::Stopped;
        match self.queue.try_send(job) {
            // Its own patience, however many are before it; one that is not under way by then is not taken in.
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

/// The first and what waits behind it, as much as one transaction takes. What keeps to another bond begins the next one.
fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>, next: &mut Option<Job>) -> Vec<Job> {
    let mut bytes = first.submission.text.len();
    let mut batch = vec![first];
    while batch.len() < BATCH_MOST
        && bytes < BATCH_BYTES
        && let Ok(job) = jobs.try_recv()
    {
        // The caller has been told that it takes too long.
        if job.answer.is_closed() {
            continue;
        }
        if job.held != batch[0].held {
            *next = Some(job);
            break;
        }
        bytes += job.submission.text.len();
        batch.push(job);
    }
    batch
}

/// Takes a batch in and tells those who wait.
async fn take_in(connections: &Connections, url: &str, batch: Vec<Job>) {
    let held = batch.first().and_then(|job| job.held);
    let (submissions, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        // Room is made when the answer is given.
        .map(|job| (job.submission, (job.answer, job._room)))
        .unzip();
    let taking = take(connections, url, held, &submissions);
    match super::within(super::REPORTERS_PATIENCE, taking, url).await {
        Ok(results) => {
            for ((answer, _), result) in answers.into_iter().zip(results) {
                // The caller may be gone; what was taken in stays.
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
    held: Option<i64>,
    submissions: &[Submission],
) -> Result<Results, Failure> {
    // In the order of their tasks, in which locks are taken. Within the batch the first of those that say the same stands for the
    // others.
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
        match attempt(&client, &connections.session.mark, url, held, &unique).await {
            Err(failure) if failure.is_of_concurrency() && tries < TRIES_MOST => {}
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

/// One transaction of one statement. The commit point is its end.
async fn attempt(
    client: &Object,
    mark: &str,
    url: &str,
    held: Option<i64>,
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
                &held,
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
        // All were of tasks that nobody had reported.
        let taken = |place: Option<i64>| Ok(taken(place.ok_or_else(lost)?, false));
        return Ok(places.into_iter().map(taken).collect());
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
        false => outbox::standing(client, url, &repeated).await?,
    };
    let results = answers.into_iter().zip(places).zip(differ);
    let result = |((answer, place), differs): ((&str, Option<i64>), bool)| match answer {
        "taken" => Ok(taken(place.ok_or_else(lost)?, differs)),
        "repeated" => {
            let place = place.ok_or_else(lost)?;
            Ok(Accepted {
                sequence: Sequence(place),
                repeated: true,
                differs: false,
                state: states.get(&place).cloned().ok_or_else(lost)?,
            })
        }
        "changed" => Err(StoreError::Changed),
        "unremembered" => Err(StoreError::Unremembered),
        _ => Err(lost()),
    };
    Ok(results.map(result).collect())
}

fn taken(sequence: i64, differs: bool) -> Accepted {
    Accepted {
        sequence: Sequence(sequence),
        repeated: false,
        differs,
        state: State::accepted(),
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("a submission has no answer".into())
}
