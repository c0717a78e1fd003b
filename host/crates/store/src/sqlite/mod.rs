//! The store in a SQLite file: one writing thread per process, readers next to it, and any number of processes.
//!
//! Owns how the contract's methods become SQLite's transactions. WAL and `synchronous=FULL` are set and read back at
//! the start.

mod accept;
mod announced;
mod bond;
mod clock;
mod failure;
mod files;
mod late;
mod lease;
mod listing;
mod open;
mod outbox;
mod project;
mod query;
mod refused;
mod retire;
mod schema;
mod tasks;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::FutureExt as _;
use rusqlite::Connection;

use super::admission::WaitingLimit;
use super::bond::RequiredBond;
use super::{
    Accepted, Backlog, Bond, CommittedSubmission, Entry, Filter, FingerprintKeys, LatePlan, Lease,
    LeaseAnswer, Options, Page, PageRequest, Plan, Queued, RefusedDocument, Sequence, Settlement,
    StateCount, Store, StoreError, StoreFuture, StoreInfo, Submission, SubmissionPage,
    SubmissionQuery, SubmissionState, Task, TurnedDownCounts, UnfinishedTasks, columns,
};
use failure::Context as _;
use outcome::TaskId;
use outcome::clock::Timestamp;
use writer::Writer;

/// The version of the tables that this program works with.
pub(super) const VERSION: u32 = schema::VERSION;

/// A store in a SQLite file.
pub(super) struct SqliteStore {
    about: StoreInfo,
    /// The URL, for messages.
    url: Arc<str>,
    // Dropped before the writer, whose connection is then the last one and checkpoints the log into the database.
    readers: Arc<Readers>,
    writer: Writer,
    keep_submissions: bool,
    required_epoch: RequiredBond,
    keys: FingerprintKeys,
    waiting_limit: WaitingLimit,
}

struct Readers {
    path: PathBuf,
    url: String,
    lock_wait: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Takes an idle connection, or opens another one.
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().map(|mut idle| idle.pop());
        if let Ok(Some(connection)) = idle {
            return Ok(connection);
        }
        let connection = open::connect(&self.path, self.lock_wait)?;
        connection
            .pragma_update(None, "query_only", true)
            .context(&self.url)?;
        Ok(connection)
    }
}

impl SqliteStore {
    /// Opens the file, and creates or migrates the store if the options allow it.
    pub(super) fn open(path: &Path, options: &Options) -> Result<SqliteStore, StoreError> {
        let (connection, about, keys) = open::open(path, options)?;
        Ok(SqliteStore {
            readers: Arc::new(Readers {
                path: path.to_owned(),
                url: about.url.clone(),
                lock_wait: options.lock_wait,
                idle: Mutex::new(Vec::new()),
            }),
            writer: Writer::start(connection, path.to_owned(), options.lock_wait)?,
            url: about.url.as_str().into(),
            about,
            keep_submissions: options.keep_submissions,
            required_epoch: RequiredBond::default(),
            keys,
            waiting_limit: WaitingLimit::default(),
        })
    }

    /// Writes in the writer's transaction. `work` may be called again after its changes were undone.
    fn write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let url = Arc::clone(&self.url);
        self.writer
            .write(move |within| work(within.connection, &url))
            .boxed()
    }

    /// Reads one snapshot, on a thread that may wait for a disk.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let readers = Arc::clone(&self.readers);
        let reading = move || {
            let connection = readers.take()?;
            let url = &readers.url;
            connection.execute_batch("BEGIN").context(url)?;
            let result = work(&connection, url);
            let ended = connection.execute_batch("COMMIT");
            // After a failure the file may no longer be the same.
            if result.is_ok()
                && ended.is_ok()
                && let Ok(mut idle) = readers.idle.lock()
            {
                idle.push(connection);
            }
            result
        };
        // Started by the first poll, as a write is: the caller that creates the future need not be in the runtime.
        async move {
            tokio::task::spawn_blocking(reading)
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("a read did not end".into())))
        }
        .boxed()
    }
}

impl Store for SqliteStore {
    fn info(&self) -> &StoreInfo {
        &self.about
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        // Writes a row: on a read-only file, an empty write transaction succeeds.
        self.write(|connection, url| {
            connection
                .execute("UPDATE meta SET one = one", [])
                .map(drop)
                .context(url)
        })
    }

    fn bond(&self) -> StoreFuture<'_, Bond> {
        self.read(bond::read)
    }

    fn bind(&self, bond: Bond) -> StoreFuture<'_, bool> {
        self.write(move |connection, url| bond::write(connection, url, &bond))
    }

    fn require_epoch(&self, epoch: i64) {
        self.required_epoch.to(epoch);
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        &self.keys.key
    }

    fn has_former_fingerprints(&self) -> bool {
        self.keys.has_former
    }

    fn plan(&self, plan: Plan) -> StoreFuture<'_, Task> {
        self.write(move |connection, url| tasks::plan(connection, url, &plan))
    }

    fn task(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Task>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| tasks::task(connection, url, &task_id))
    }

    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> StoreFuture<'_, LatePlan> {
        let task_id = task_id.clone();
        self.write(move |connection, url| late::keep(connection, url, &task_id, &text))
    }

    fn late_plan(&self, task_id: &TaskId) -> StoreFuture<'_, Option<LatePlan>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| late::find(connection, url, &task_id))
    }

    fn unfinished(
        &self,
        age: Duration,
        after: Option<(Timestamp, TaskId)>,
        limit: u32,
    ) -> StoreFuture<'_, UnfinishedTasks> {
        self.read(move |connection, url| {
            announced::unfinished(connection, url, age, after.as_ref(), limit)
        })
    }

    fn count_announced_without_entry(&self) -> StoreFuture<'_, u64> {
        self.read(announced::count_without_entry)
    }

    fn keep_refused(&self, refused: RefusedDocument) -> StoreFuture<'_, Accepted> {
        let required_epoch = self.required_epoch.epoch();
        self.write(move |connection, url| refused::keep(connection, url, &refused, required_epoch))
    }

    fn accept(&self, submission: Submission) -> StoreFuture<'_, Accepted> {
        let (url, required_epoch) = (Arc::clone(&self.url), self.required_epoch.epoch());
        let waiting = match self.waiting_limit.enter(&submission) {
            Ok(waiting) => waiting,
            Err(error) => return async { Err(error) }.boxed(),
        };
        let accept_batch = self.writer.write(move |within| {
            within
                .accept_batch(&url)?
                .accept(&url, &submission, required_epoch)
        });
        async move {
            let _until_it_is_answered = waiting;
            accept_batch.await
        }
        .boxed()
    }

    fn due(&self, after: Option<Sequence>, limit: usize) -> StoreFuture<'_, Vec<Queued>> {
        self.read(move |connection, url| outbox::due(connection, url, after, limit))
    }

    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> StoreFuture<'_, ()> {
        let (lease, keep) = (lease.clone(), self.keep_submissions);
        let required_epoch = self.required_epoch.epoch();
        self.write(move |connection, url| {
            bond::check(connection, url, required_epoch)?;
            outbox::settle(connection, url, &lease, &settlements, keep)
        })
    }

    fn make_all_due(&self) -> StoreFuture<'_, u64> {
        self.write(outbox::make_all_due)
    }

    fn submission(&self, sequence: Sequence) -> StoreFuture<'_, Option<SubmissionState>> {
        self.read(move |connection, url| outbox::submission(connection, url, sequence))
    }

    fn submissions(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| outbox::submissions(connection, url, &task_id))
    }

    fn count_states(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<StateCount>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| outbox::count_states(connection, url, &task_id))
    }

    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> StoreFuture<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| {
            outbox::submissions_after(connection, url, &task_id, after, bytes)
        })
    }

    fn list_submissions(&self, listing: &SubmissionQuery) -> StoreFuture<'_, SubmissionPage> {
        let listing = listing.clone();
        self.read(move |connection, url| listing::list_submissions(connection, url, &listing))
    }

    fn count_turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> StoreFuture<'_, TurnedDownCounts> {
        let span = columns::span(since, until);
        self.read(move |connection, url| outbox::count_turned_down(connection, url, span, latest))
    }

    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> StoreFuture<'_, u64> {
        let lease = lease.clone();
        self.write(move |connection, url| retire::retire(connection, url, &lease, older_than, most))
    }

    fn backlog(&self) -> StoreFuture<'_, Backlog> {
        self.read(outbox::backlog)
    }

    fn lease(&self, owner: &str, term: Duration) -> StoreFuture<'_, LeaseAnswer> {
        let (owner, required_epoch) = (owner.to_owned(), self.required_epoch.epoch());
        self.write(move |connection, url| {
            bond::check(connection, url, required_epoch)?;
            lease::take(connection, url, &owner, term)
        })
    }

    fn release(&self, lease: &Lease) -> StoreFuture<'_, ()> {
        let lease = lease.clone();
        self.write(move |connection, url| lease::release(connection, url, &lease))
    }

    fn query(&self, filter: &Filter, page: &PageRequest) -> StoreFuture<'_, Page> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |connection, url| query::query(connection, url, &filter, &page))
    }

    fn entry(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Entry>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| project::by_task(connection, url, task_id.as_str()))
    }

    fn committed(
        &self,
        after: Option<Sequence>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<CommittedSubmission>> {
        self.read(move |connection, url| outbox::committed(connection, url, after, limit))
    }

    fn entries(&self, after: Option<&str>, limit: usize) -> StoreFuture<'_, Vec<Entry>> {
        let task_id = after.unwrap_or_default().to_owned();
        self.read(move |connection, url| project::after(connection, url, &task_id, limit))
    }

    fn restore(&self, entries: Vec<Entry>) -> StoreFuture<'_, u64> {
        self.write(move |connection, url| project::add(connection, url, &entries))
    }

    fn forget(&self, task_ids: Vec<String>) -> StoreFuture<'_, u64> {
        self.write(move |connection, url| project::forget(connection, url, &task_ids))
    }

    fn begin_rebuild(&self) -> StoreFuture<'_, i64> {
        self.write(project::begin_rebuild)
    }

    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> StoreFuture<'_, ()> {
        self.write(move |connection, url| {
            project::fill_rebuild(connection, url, generation, &entries)
        })
    }

    fn finish_rebuild(&self, generation: i64) -> StoreFuture<'_, u64> {
        async move {
            for step in project::rebuild_steps(generation) {
                self.write(move |connection, url| {
                    project::rebuild_step(connection, url, generation, &step)
                })
                .await?;
            }
            self.write(move |connection, url| project::finish_rebuild(connection, url, generation))
                .await
        }
        .boxed()
    }
}
