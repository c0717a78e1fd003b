//! The store: an SQL database next to the trail. It holds what was planned, what was submitted and waits for git, and
//! what git has recorded.
//!
//! Owns the promise that an accepted submission is durable and is kept until the host has found its entry in the trail.
//! Knows neither trail nor policy: the caller reports what it has found. Only this crate contains SQL.
//!
//! A store has three parts. Only the last can be rebuilt from the trail:
//!
//! - *tasks*: what was planned and dispatched, and how it ended;
//! - *submissions*: every outcome exactly as it was submitted. The open ones are the *outbox*;
//! - the *projection*: one row for each entry of the trail, for queries.
//!
//! The path of a submission: [`Store::accept`] (durable) → [`Store::due`] → recorder and trail → [`Store::settle`].

mod admission;
mod bond;
mod columns;
mod counts;
mod entry;
mod error;
mod lease;
mod listing;
mod log;
mod postgres;
mod query;
mod sqlite;
mod submission;
mod task;
mod url;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use bond::Bond;
pub use entry::{Entry, NotAnEntry};
pub use error::StoreError;
pub use lease::{Lease, LeaseAnswer};
pub use listing::{StateCount, StateName, SubmissionPage, SubmissionQuery, TOGETHER};
pub use log::{AppendAnswer, LogHead, LogRecord, Replica, ReplicaReport, ReplicatedLog};
pub use query::{Cursor, DEFAULT_LIMIT, Filter, MAX_LIMIT, Page, PageRequest};
pub use submission::{
    Accepted, Backlog, Fingerprint, Kind, Queued, RefusedDocument, Sequence, Settlement,
    SettlementResult, State, Submission, SubmissionState, TurnedDownCounts,
};
pub use task::{AnnouncedTask, Finished, LatePlan, Plan, Task, UnfinishedTasks};
pub use url::{SCHEMA, StoreUrl, schema_name};

use outcome::TaskId;
use outcome::clock::Timestamp;
use postgres::PostgresStore;
use sqlite::SqliteStore;

/// The result of a store's method, once the database has answered.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A submission that is closed as committed: its sequence number, task, commit and path.
pub type CommittedSubmission = (Sequence, String, String, String);

/// The most bytes of documents that [`Store::due`] returns, not counting the last. A limit on rows alone would allow a
/// thousand of the largest documents in memory at once.
pub const DUE_BYTES: usize = 16 << 20;

/// The versions of a SQLite store's tables that can be opened. Older ones are brought to the newest.
pub const SQLITE_VERSIONS: RangeInclusive<u32> = 1..=sqlite::VERSION;

/// The same for a PostgreSQL store.
pub const POSTGRES_VERSIONS: RangeInclusive<u32> = 1..=postgres::VERSION;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether to create the store if it does not exist. Only a host that accepts outcomes sets this.
    pub create: bool,
    /// Whether to keep submissions after they are committed. Otherwise they are erased: a policy that redacts would be
    /// pointless if the database kept the secret.
    pub keep_submissions: bool,
    /// How long to wait for a lock of another process on the database before the answer is `unavailable`.
    pub lock_wait: Duration,
    /// The most connections to a PostgreSQL database.
    pub pool: usize,
}

/// The default number of connections for a process: some accept submissions, one settles, the others answer queries.
pub const POOL: usize = 8;

impl Default for Options {
    fn default() -> Options {
        Options {
            create: true,
            keep_submissions: false,
            // Longer than any transaction of this program, but shorter than a caller waits.
            lock_wait: Duration::from_secs(5),
            pool: POOL,
        }
    }
}

/// The number of connections in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreConnections {
    /// Connections in use.
    pub busy: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// The limit.
    pub most: usize,
    /// Tasks that wait for a connection.
    pub waiting: usize,
}

/// The keys with which a store recognises equal submissions.
#[derive(Clone)]
struct FingerprintKeys {
    /// The HMAC key for everything accepted since version 3 of the tables.
    key: [u8; 32],
    /// Whether there are submissions from before version 3.
    has_former: bool,
}

/// Describes an open store.
#[derive(Clone, Debug)]
pub struct StoreInfo {
    /// Its URL, without a password.
    pub url: String,
    /// The database and its version.
    pub database: String,
    /// The version of its tables.
    pub schema: u32,
    /// The settings that make it durable, as they were read back: name and value.
    pub durability: Vec<(String, String)>,
    /// What an operator should change, such as `full_page_writes` being off.
    pub warnings: Vec<String>,
}

/// Opens a store: SQLite or PostgreSQL, depending on the URL. Must be called within a tokio runtime.
///
/// Migrates older tables. A database that is newer, belongs to another program, or is damaged is an error and is not
/// changed.
///
/// # Errors
///
/// [`StoreError::Missing`] if it does not exist and may not be created; [`StoreError::Newer`], [`StoreError::Foreign`],
/// [`StoreError::Damaged`], [`StoreError::NotDurable`], [`StoreError::Invalid`], [`StoreError::Unavailable`].
pub async fn open(url: &StoreUrl, options: &Options) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        StoreUrl::Sqlite(path) => {
            let (path, options) = (path.clone(), options.clone());
            let opening = tokio::task::spawn_blocking(move || SqliteStore::open(&path, &options));
            let opened = opening
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("opening did not end".into())));
            Ok(Arc::new(opened?))
        }
        StoreUrl::Postgres(url) => Ok(Arc::new(PostgresStore::open(url, options).await?)),
    }
}

/// The statements, for psql, with which a DBA creates a PostgreSQL store if the store's own role may not. A given role
/// will own the schema and everything in it.
///
/// # Errors
///
/// [`StoreError::Invalid`] if a schema cannot have this name.
pub fn statements_for_dba(schema: &str, role: Option<&str>) -> Result<String, StoreError> {
    Ok(postgres::statements_for_dba(&schema_name(schema)?, role))
}

/// Generates a key for a new store from four times 122 random bits.
fn fingerprint_key() -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix("fingerprint key");
    for _ in 0..4 {
        digest.update(Uuid::new_v4());
    }
    digest.finalize().into()
}

/// A store. Any number of tasks, threads and processes may use it at once.
///
/// This is the contract of every implementation. One test, `tests/store/contract`, checks all of them.
///
/// - A method that writes MUST NOT return `Ok` before what it wrote would survive a power cut. Writes that arrive
///   together SHOULD share one transaction.
/// - A method that returns `Err` MUST have changed nothing, with one exception: if the connection was lost during a
///   commit, the transaction may have taken effect. So every method can be called again, unchanged.
/// - A lock of another process MUST result in [`StoreError::Unavailable`] after [`Options::lock_wait`], and never in a
///   hang.
/// - Texts MUST be returned byte for byte: no column may have a type that rewrites JSON.
/// - A closed submission (committed, conflicting, refused) and a finished task MUST NOT change any more, whichever
///   program tries: the database itself refuses it.
/// - If a future is dropped, either all or nothing of its work MUST take effect.
pub trait Store: Send + Sync {
    /// Describes the store.
    fn info(&self) -> &StoreInfo;

    /// Checks that the database answers and can write now.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// The connections of its pool, if the database has one.
    fn connections(&self) -> Option<StoreConnections> {
        None
    }

    /// The log of a replicated trail, if the database can keep one.
    fn log(&self) -> Option<&dyn ReplicatedLog> {
        None
    }

    // The trail that it belongs to.

    /// The trail that it is bound to, and the newest commit that it has acknowledged.
    fn bond(&self) -> StoreFuture<'_, Bond>;

    /// Binds it, unless its [epoch](Bond::epoch) has changed: then it returns `false` and changes nothing. The caller
    /// has checked that the store may belong to that trail.
    fn bind(&self, bond: Bond) -> StoreFuture<'_, bool>;

    /// From now on, this handle accepts, settles and leases nothing if the store has another epoch:
    /// [`StoreError::Rebound`].
    fn require_epoch(&self, epoch: i64);

    /// The store's random key for [`Fingerprint`]s. Anyone who can read the whole database can read it.
    fn fingerprint_key(&self) -> &[u8; 32];

    /// Whether there may be submissions whose fingerprint was made without the key: [`Submission::former`].
    fn has_former_fingerprints(&self) -> bool;

    // Tasks.

    /// Stores what was planned or dispatched. Given members replace earlier values; the others stay.
    ///
    /// If the task is finished, it changes nothing and returns the task as it is; see [`Task::finished`].
    fn plan(&self, plan: Plan) -> StoreFuture<'_, Task>;

    /// What is known about a task, or `None` if it was neither planned nor reported.
    fn task(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Task>>;

    /// Keeps a plan that arrived after its task had ended, unless one was kept before. Answers the one that is kept.
    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> StoreFuture<'_, LatePlan>;

    /// The plan that arrived after the task had ended.
    fn late_plan(&self, task_id: &TaskId) -> StoreFuture<'_, Option<LatePlan>>;

    /// Tasks that were announced at least this long ago and for which nothing was accepted, at most `limit`, oldest
    /// first; of them those after this time and task.
    fn unfinished(
        &self,
        age: Duration,
        after: Option<(Timestamp, TaskId)>,
        limit: u32,
    ) -> StoreFuture<'_, UnfinishedTasks>;

    /// How many announced tasks have no entry in the projection.
    fn count_announced_without_entry(&self) -> StoreFuture<'_, u64>;

    // Into the outbox.

    /// Accepts a submission: finishes its task and adds it to the outbox, in one transaction. The task need not be
    /// known.
    ///
    /// *The same submission* (same task, same fingerprint) finds the existing one: [`Accepted::repeated`]. It is
    /// recognised while it is open, for ever if it conflicted, and after it was committed if its fingerprint is
    /// [keyed](Fingerprint::keyed). Otherwise its fingerprint was erased with it, and the caller can compare it with
    /// the entry. A refused submission is accepted again, since another policy may be in force.
    ///
    /// *A different one for a finished task* is accepted too, after the first. The policy decides, and a conflicting
    /// one is kept. [`Accepted::differs`] reports it at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Changed`] if the submission was made from a plan that has changed: make it again.
    /// [`StoreError::Unremembered`] if the task has an entry and it [may be compared](Submission::may_compare).
    /// [`StoreError::Rebound`] after [`Store::require_epoch`].
    fn accept(&self, submission: Submission) -> StoreFuture<'_, Accepted>;

    /// Keeps a document that was refused on arrival, as a closed submission. The same one again finds the first:
    /// [`Accepted::repeated`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Rebound`] after [`Store::require_epoch`].
    fn keep_refused(&self, refused: RefusedDocument) -> StoreFuture<'_, Accepted>;

    // Out of the outbox.

    /// The open submissions that are due: at most `limit` after `after`, oldest first.
    ///
    /// Submissions of one task are returned in order: one is not due while an earlier one of its task is pending,
    /// unless that one is due itself and so precedes it in this answer or an earlier one. A blocked one delays no
    /// others. A returned submission stays due until it is settled, so the caller must remember what is in flight, or
    /// pass `after`. It should start from the beginning regularly: a sequence number may be assigned before another and
    /// become visible after it.
    ///
    /// Returns fewer than `limit` if their documents exceed [`DUE_BYTES`] in total, but at least one.
    fn due(&self, after: Option<Sequence>, limit: usize) -> StoreFuture<'_, Vec<Queued>>;

    /// Stores the results of submissions, all in one transaction. Each is open and was tried under `lease`.
    ///
    /// [`SettlementResult::Committed`] closes a submission, adds its entry to the projection, and erases its text
    /// unless [`Options::keep_submissions`] is set. The caller MUST have found exactly this entry in the trail,
    /// durable; a statement of a policy, a receipt or a person is not enough. A submission that is already closed does
    /// not change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if the lease is no longer current, because another host commits. Then nothing is changed.
    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> StoreFuture<'_, ()>;

    /// Makes every open submission due now, including blocked ones, for example after another policy was put in force.
    /// Returns how many were waiting.
    fn make_all_due(&self) -> StoreFuture<'_, u64>;

    /// The state of a submission.
    fn submission(&self, sequence: Sequence) -> StoreFuture<'_, Option<SubmissionState>>;

    /// The state of every submission of a task, oldest first.
    fn submissions(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<SubmissionState>>;

    /// The number of a task's submissions in each state that occurs. Reads no texts.
    fn count_states(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<StateCount>>;

    /// Submissions of a task after `after`, oldest first. At most [`TOGETHER`], and no more once their texts have
    /// `bytes` bytes. Empty if there are no more.
    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> StoreFuture<'_, Vec<SubmissionState>>;

    /// A page of submissions, newest first, without their texts. Its cost depends on the size of the page, not on the
    /// number of other submissions, unless a time span is given.
    fn list_submissions(&self, listing: &SubmissionQuery) -> StoreFuture<'_, SubmissionPage>;

    /// The number of submissions that were refused or conflicted, by the time at which they were closed, from `since`
    /// to `until`, both included. `latest` limits how many are returned themselves.
    fn count_turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> StoreFuture<'_, TurnedDownCounts>;

    /// Deletes conflicts and refusals that were closed longer ago than `older_than`, oldest first, at most `most`.
    /// Returns how many were deleted. If one of them had finished its task, that is deleted too; a task without another
    /// submission is deleted entirely.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if the lease is no longer current. Then nothing is deleted.
    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> StoreFuture<'_, u64>;

    /// How many submissions are open, and since when. Cheap enough to call every second.
    fn backlog(&self) -> StoreFuture<'_, Backlog>;

    // One committer.

    /// Takes the lease, or renews it. Only its holder may settle; every host may accept.
    ///
    /// Times are the database's own. An expired lease goes to the first host that requests it, with a new and greater
    /// [fence](Lease::fence), even if that is its former holder.
    fn lease(&self, owner: &str, term: Duration) -> StoreFuture<'_, LeaseAnswer>;

    /// Returns the lease. Does nothing if it is no longer current.
    fn release(&self, lease: &Lease) -> StoreFuture<'_, ()>;

    // Queries.

    /// A page of recorded entries, newest first.
    fn query(&self, filter: &Filter, page: &PageRequest) -> StoreFuture<'_, Page>;

    /// The entry of a task, if the projection has it.
    fn entry(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Entry>>;

    // For `reconcile`.

    /// Submissions that are closed as committed after `after`, at most `limit`.
    fn committed(
        &self,
        after: Option<Sequence>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<CommittedSubmission>>;

    /// Entries in order of task id, after `after`, at most `limit`.
    fn entries(&self, after: Option<&str>, limit: usize) -> StoreFuture<'_, Vec<Entry>>;

    /// Adds entries that the caller has found in the trail, and replaces the projection's rows for their tasks. Returns
    /// how many were missing or different.
    fn restore(&self, entries: Vec<Entry>) -> StoreFuture<'_, u64>;

    /// Removes the rows of tasks from the projection. Returns how many there were.
    fn forget(&self, task_ids: Vec<String>) -> StoreFuture<'_, u64>;

    /// Starts to rebuild the projection next to the present one, which answers queries meanwhile. Ends any other
    /// rebuild.
    fn begin_rebuild(&self) -> StoreFuture<'_, i64>;

    /// Adds entries to the rebuilt projection, each task once.
    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> StoreFuture<'_, ()>;

    /// Replaces the present projection by the rebuilt one, with what was recorded since the rebuild started. Returns
    /// the number of entries.
    fn finish_rebuild(&self, generation: i64) -> StoreFuture<'_, u64>;
}
