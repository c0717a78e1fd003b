//! The store: SQL beside the trail. What was planned, what was submitted and waits for git, and what git has recorded.
//!
//! Owns the promise that an accepted submission is durable and is kept until the host has found its entry in the trail.
//! Knows neither trail nor policy: it is told what was found. SQL is named only below this module.
//!
//! Three things lie in a store, and only the last can be made again:
//!
//! - *tasks*: what was planned and dispatched, and how it ended;
//! - *submissions*: every outcome as it came. Those that are open are the *outbox*;
//! - the *projection*: one row for each entry of the trail, for queries.
//!
//! How a submission flows: [`Store::accept`] (durable) → [`Store::due`] → recorder and trail → [`Store::settle`].

mod bond;
mod columns;
mod counts;
mod entry;
mod error;
mod lease;
mod listing;
mod postgres;
mod query;
mod sqlite;
mod submission;
mod task;
mod url;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use bond::Bond;
pub use entry::{Entry, NotAnEntry};
pub use error::StoreError;
pub use lease::{Lease, LeaseAnswer};
pub use listing::{Listed, Listing, StateName, States, TOGETHER};
pub use query::{Cursor, Filter, LIMIT_DEFAULT, LIMIT_MOST, Page, PageRequest};
pub use submission::{
    Accepted, Backlog, Fingerprint, Kind, Queued, Sequence, Settled, Settlement, State, Submission,
    SubmissionState, TurnedDown,
};
pub use task::{Finished, LatePlan, Plan, Task};
pub use url::{SCHEMA, StoreUrl, schema_name};

use outcome::TaskId;
use outcome::clock::Timestamp;
use postgres::PostgresStore;
use sqlite::SqliteStore;

/// What a method of a store answers, once the database has.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A submission that is closed as committed: its place, task, commit and path.
pub type Committed = (Sequence, String, String, String);

/// The most bytes of documents that [`Store::due`] answers with, but for the last one: a limit of rows alone would let a
/// thousand of the largest documents into memory at once.
pub const DUE_BYTES: usize = 16 << 20;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether a store that is not there yet is made. Only who accepts outcomes wants that.
    pub create: bool,
    /// Whether submissions are kept after they are committed. Otherwise they are erased: a policy that redacts would be
    /// pointless if the database kept the secret.
    pub keep_submissions: bool,
    /// How long a lock of another process on the database is waited for before the answer is `unavailable`.
    pub lock_wait: Duration,
    /// The most connections to a PostgreSQL database.
    pub pool: usize,
}

/// Connections of one process, where nobody says otherwise: some take submissions in, one settles, the others answer queries.
pub const POOL: usize = 8;

impl Default for Options {
    fn default() -> Options {
        Options {
            create: true,
            keep_submissions: false,
            // Longer than any transaction of ours, shorter than a caller's patience.
            lock_wait: Duration::from_secs(5),
            pool: POOL,
        }
    }
}

/// The connections of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreConnections {
    /// In use.
    pub busy: usize,
    /// Open, and not in use.
    pub idle: usize,
    /// How many there may be.
    pub most: usize,
    /// How many wait for one.
    pub waiting: usize,
}

/// With what a store tells submissions from each other.
#[derive(Clone)]
struct Keys {
    /// For the HMAC of whatever was accepted since version 3.
    key: [u8; 32],
    /// There are submissions from before.
    has_former: bool,
}

/// What an open store says of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Where it is, without a password.
    pub url: String,
    /// The database and its version.
    pub database: String,
    /// The version of the tables.
    pub schema: u32,
    /// The settings on which durability rests, as they were read back: name and value.
    pub durability: Vec<(String, String)>,
    /// What an operator should know and change, such as `full_page_writes` being off.
    pub warnings: Vec<String>,
}

/// Opens a store: SQLite or PostgreSQL, as the URL says. Must be called within a tokio runtime.
///
/// Migrates older tables. A database that is newer, not ours, truncated or no database is an error, and is not changed.
///
/// # Errors
///
/// [`StoreError::Missing`] where there is none and none is to be made; [`StoreError::Newer`], [`StoreError::Foreign`],
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

/// The statements with which a DBA makes a PostgreSQL store, where its own role may not: for psql. With a role, that owns the
/// schema and all that is in it.
///
/// # Errors
///
/// [`StoreError::Invalid`] if the schema cannot have that name.
pub fn statements_for_dba(schema: &str, role: Option<&str>) -> Result<String, StoreError> {
    Ok(postgres::statements_for_dba(&schema_name(schema)?, role))
}

/// A key that nobody can guess, for a store that has none yet: of four times 122 random bits.
fn fingerprint_key() -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix("fingerprint key");
    for _ in 0..4 {
        digest.update(Uuid::new_v4());
    }
    digest.finalize().into()
}

/// A store. Any number of tasks, threads and processes may use one at once.
///
/// Contract of every implementation; one test, `tests/store/contract`, holds them to it.
///
/// - A method that writes MUST NOT answer `Ok` before what it wrote would survive a power cut. Writes that arrive
///   together SHOULD share one transaction.
/// - A method that answers `Err` MUST have changed nothing, with one exception: where the connection was lost while a
///   transaction was being committed it may have taken effect. Every method can therefore be called again, unchanged.
/// - A lock that others hold MUST become [`StoreError::Unavailable`] after [`Options::lock_wait`], never a hang.
/// - Texts MUST come back byte for byte: no column may be of a type that rewrites JSON.
/// - A submission that is closed (committed, conflicting, refused) and a task that is finished MUST NOT change any more,
///   whoever tries: the database itself refuses it.
/// - Dropping a future MUST leave all or nothing of what it was to do.
pub trait Store: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &About;

    /// Asks the database for a sign of life, and whether it would be able to write now.
    fn ping(&self) -> Answer<'_, ()>;

    /// The connections of its pool, for a database that has one.
    fn connections(&self) -> Option<StoreConnections> {
        None
    }

    // The trail that it belongs to.

    /// The trail that it is bound to, and the newest commit that it has acknowledged.
    fn bond(&self) -> Answer<'_, Bond>;

    /// Binds it, unless its [epoch](Bond::epoch) is no longer the one before: `false`, and nothing is changed. The caller has
    /// found that it may belong to that trail.
    fn bind(&self, bond: Bond) -> Answer<'_, bool>;

    /// From now on nothing is accepted, settled or leased by this handle if the store's epoch is another:
    /// [`StoreError::Rebound`].
    fn hold_to(&self, epoch: i64);

    /// The store's random key for [`Fingerprint`]s. Anyone who can read the whole database has it.
    fn fingerprint_key(&self) -> &[u8; 32];

    /// Whether there may be submissions whose fingerprint was made without it: [`Submission::former`].
    fn has_former_fingerprints(&self) -> bool;

    // Tasks.

    /// Notes what was planned or dispatched. Members that are given replace what was noted before, the others stay.
    ///
    /// For a task that is finished it changes nothing and answers the task as it is: look at [`Task::finished`].
    fn plan(&self, plan: Plan) -> Answer<'_, Task>;

    /// What is known of a task; nothing if it was neither planned nor reported.
    fn task(&self, task_id: &TaskId) -> Answer<'_, Option<Task>>;

    /// Keeps a plan that arrived after its task had ended, unless one was kept before. Answers the one that is kept.
    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> Answer<'_, LatePlan>;

    /// The plan that arrived after the task had ended.
    fn late_plan(&self, task_id: &TaskId) -> Answer<'_, Option<LatePlan>>;

    // Into the outbox.

    /// Takes a submission in: finishes its task and puts it into the outbox, in one transaction. Unknown tasks are welcome.
    ///
    /// *The same again* (same task, same fingerprint) finds the submission that is there: [`Accepted::repeated`]. That can be
    /// told while it is open, for ever if it conflicted, and after it was committed if its fingerprint is
    /// [keyed](Fingerprint::keyed). Otherwise its fingerprint was erased with it, and the caller can compare it with the entry.
    /// What was refused is taken in once more, since another policy may be in force by now.
    ///
    /// *A different one for a finished task* is taken in as well, after the first: the policy decides, and what
    /// conflicts is kept. [`Accepted::differs`] says so at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Changed`] if the submission was made from a plan that is no longer the task's: make it again.
    /// [`StoreError::Unremembered`] if the task has an entry and it [may be compared](Submission::may_compare).
    /// [`StoreError::Rebound`] after [`Store::hold_to`].
    fn accept(&self, submission: Submission) -> Answer<'_, Accepted>;

    // Out of the outbox.

    /// What is to be tried now: open submissions after `after`, oldest first, at most `limit`, whose time has come.
    ///
    /// Submissions of one task come in order: one is not due while an earlier one of its task is pending, unless that
    /// earlier one is due itself and so comes before it in the same answer or a former one. A blocked one holds up
    /// nothing. What was answered stays due until it is settled: keep in mind what is under way, or ask with `after`. Ask
    /// from the beginning now and then: a place may be given before another and become visible after it.
    ///
    /// Fewer than `limit` come where their documents are more than [`DUE_BYTES`] together, but never none.
    fn due(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Queued>>;

    /// Says what became of submissions, all in one transaction. Each is open and was tried under `lease`.
    ///
    /// [`Settled::Committed`] closes a submission, adds its entry to the projection and erases its text unless
    /// [`Options::keep_submissions`]. The caller MUST have found that very entry in the trail, durable: no other word of
    /// a policy, a receipt or a person is enough. One that is closed already is left as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if the lease is no longer the current one; nothing is changed then. Somebody else commits.
    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> Answer<'_, ()>;

    /// Makes everything that is open due now, blocked ones too, such as after another policy was put in force. Answers how
    /// many were waiting.
    fn hurry(&self) -> Answer<'_, u64>;

    /// What has become of a submission.
    fn submission(&self, sequence: Sequence) -> Answer<'_, Option<SubmissionState>>;

    /// What has become of all submissions of a task, oldest first.
    fn submissions(&self, task_id: &TaskId) -> Answer<'_, Vec<SubmissionState>>;

    /// How many submissions a task has in each state that it has any in. Reads no text.
    fn states(&self, task_id: &TaskId) -> Answer<'_, Vec<States>>;

    /// Submissions of a task after `after`, oldest first: at most [`TOGETHER`], and no more once their texts have `bytes` bytes.
    /// None if there are no more.
    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> Answer<'_, Vec<SubmissionState>>;

    /// A page of submissions, the newest first, without their texts. Takes time for what it answers, however many others there
    /// are, but for a span of time.
    fn listed(&self, listing: &Listing) -> Answer<'_, Listed>;

    /// What was turned down from one moment to another, both included, by the time at which it was closed. `latest` says how
    /// many are told one by one.
    fn turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> Answer<'_, TurnedDown>;

    /// Deletes conflicts and refusals that were closed longer ago than that, the oldest first, at most `most`. Answers how many
    /// there were. What a task was finished by goes with them; a task of which nothing else was submitted is forgotten.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if the lease is no longer the current one; nothing is deleted then.
    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> Answer<'_, u64>;

    /// How much is open, and since when. Cheap enough to be asked for every second.
    fn backlog(&self) -> Answer<'_, Backlog>;

    // One committer.

    /// Takes the lease, or renews it. Whoever holds it may settle; everybody may accept.
    ///
    /// Time is the database's own. A lease that ran out is taken by whoever asks first, with a new and greater
    /// [fence](Lease::fence), its former holder included.
    fn lease(&self, owner: &str, term: Duration) -> Answer<'_, LeaseAnswer>;

    /// Gives the lease back. One that is no longer current is none of the caller's business, and stays.
    fn release(&self, lease: &Lease) -> Answer<'_, ()>;

    // Queries.

    /// A page of what was recorded, newest first.
    fn query(&self, filter: &Filter, page: &PageRequest) -> Answer<'_, Page>;

    /// What was recorded of a task, as far as the projection knows.
    fn entry(&self, task_id: &TaskId) -> Answer<'_, Option<Entry>>;

    // For `reconcile`.

    /// Submissions that are closed as committed after `after`, at most `limit`: place, task, commit and path.
    fn committed(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Committed>>;

    /// Entries in order of task id, from the first after `after`, at most `limit`.
    fn entries(&self, after: Option<&str>, limit: usize) -> Answer<'_, Vec<Entry>>;

    /// Adds entries that the caller has found in the trail, in the place of what the projection has for their tasks. Answers
    /// how many it did not have so.
    fn restore(&self, entries: Vec<Entry>) -> Answer<'_, u64>;

    /// Removes the rows of tasks from the projection. Answers how many there were.
    fn forget(&self, task_ids: Vec<String>) -> Answer<'_, u64>;

    /// Begins to make the projection again, beside the present one, which answers until then. Ends another that was begun.
    fn begin_rebuild(&self) -> Answer<'_, i64>;

    /// Adds entries to what is made again: each task once.
    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> Answer<'_, ()>;

    /// Puts what was made again in the place of the present projection, together with what was recorded since it was begun.
    /// Answers how many entries there are.
    fn finish_rebuild(&self, generation: i64) -> Answer<'_, u64>;
}
