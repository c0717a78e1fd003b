//! The store in a SQLite file: one writing thread a process, readers beside it, any number of processes.
//!
//! Owns how the contract's methods become SQLite's transactions. WAL and `synchronous=FULL`, read back at the start.

mod accept;
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
mod retire;
mod schema;
mod tasks;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::FutureExt as _;
use rusqlite::Connection;

use super::bond::Held;
use super::waiting::Room;
use super::{
    About, Accepted, Answer, Backlog, Bond, Committed, Entry, Filter, Keys, LatePlan, Lease,
    LeaseAnswer, Listed, Listing, Options, Page, PageRequest, Plan, Queued, Sequence, Settlement,
    States, Store, StoreError, Submission, SubmissionState, Task, TurnedDown, columns,
};
use failure::Context as _;
use outcome::TaskId;
use outcome::clock::Timestamp;
use writer::Writer;

/// A SQLite file.
pub(super) struct SqliteStore {
    about: About,
    /// For messages.
    url: Arc<str>,
    // Dropped before the writer, whose connection then is the last and puts the log into the database.
    readers: Arc<Readers>,
    writer: Writer,
    keep_submissions: bool,
    held: Held,
    keys: Keys,
    room: Room,
}

struct Readers {
    path: PathBuf,
    url: String,
    lock_wait: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// A connection that nobody uses, or one more.
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
    /// Opens the file, made and migrated as far as the options allow.
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
            held: Held::default(),
            keys,
            room: Room::default(),
        })
    }

    /// Writes in the writer's transaction. `work` may be called again, after what it did was undone.
    fn write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        let url = Arc::clone(&self.url);
        self.writer
            .write(move |within| work(within.connection, &url))
            .boxed()
    }

    /// Reads one snapshot, on a thread where waiting for a disk holds up nobody.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        let readers = Arc::clone(&self.readers);
        let reading = move || {
            let connection = readers.take()?;
            let url = &readers.url;
            connection.execute_batch("BEGIN").context(url)?;
            let result = work(&connection, url);
            let ended = connection.execute_batch("COMMIT");
            // One that failed may be the sign of a file that is not there any more.
            if result.is_ok()
                && ended.is_ok()
                && let Ok(mut idle) = readers.idle.lock()
            {
                idle.push(connection);
            }
            result
        };
        // Begun when it is first polled, as a write is: whoever makes the future need not be in the runtime yet.
        async move {
            tokio::task::spawn_blocking(reading)
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("a read did not end".into())))
        }
        .boxed()
    }
}

impl Store for SqliteStore {
    fn about(&self) -> &About {
        &self.about
    }

    fn ping(&self) -> Answer<'_, ()> {
        // Really writes: on a read-only file an empty transaction of a writer succeeds.
        self.write(|connection, url| {
            connection
                .execute("UPDATE meta SET one = one", [])
                .map(drop)
                .context(url)
        })
    }

    fn bond(&self) -> Answer<'_, Bond> {
        self.read(bond::read)
    }

    fn bind(&self, bond: Bond) -> Answer<'_, bool> {
        self.write(move |connection, url| bond::write(connection, url, &bond))
    }

    fn hold_to(&self, epoch: i64) {
        self.held.to(epoch);
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        &self.keys.key
    }

    fn has_former_fingerprints(&self) -> bool {
        self.keys.has_former
    }

    fn plan(&self, plan: Plan) -> Answer<'_, Task> {
        self.write(move |connection, url| tasks::plan(connection, url, &plan))
    }

    fn task(&self, task_id: &TaskId) -> Answer<'_, Option<Task>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| tasks::task(connection, url, &task_id))
    }

    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> Answer<'_, LatePlan> {
        let task_id = task_id.clone();
        self.write(move |connection, url| late::keep(connection, url, &task_id, &text))
    }

    fn late_plan(&self, task_id: &TaskId) -> Answer<'_, Option<LatePlan>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| late::find(connection, url, &task_id))
    }

    fn accept(&self, submission: Submission) -> Answer<'_, Accepted> {
        let (url, held) = (Arc::clone(&self.url), self.held.epoch());
        let waiting = match self.room.enter(&submission) {
            Ok(waiting) => waiting,
            Err(error) => return async { Err(error) }.boxed(),
        };
        let accepting = self
            .writer
            .write(move |within| within.accepting(&url)?.accept(&url, &submission, held));
        async move {
            let _until_it_is_answered = waiting;
            accepting.await
        }
        .boxed()
    }

    fn due(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Queued>> {
        self.read(move |connection, url| outbox::due(connection, url, after, limit))
    }

    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> Answer<'_, ()> {
        let (lease, keep) = (lease.clone(), self.keep_submissions);
        let held = self.held.epoch();
        self.write(move |connection, url| {
            bond::check(connection, url, held)?;
            outbox::settle(connection, url, &lease, &settlements, keep)
        })
    }

    fn hurry(&self) -> Answer<'_, u64> {
        self.write(outbox::hurry)
    }

    fn submission(&self, sequence: Sequence) -> Answer<'_, Option<SubmissionState>> {
        self.read(move |connection, url| outbox::submission(connection, url, sequence))
    }

    fn submissions(&self, task_id: &TaskId) -> Answer<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| outbox::submissions(connection, url, &task_id))
    }

    fn states(&self, task_id: &TaskId) -> Answer<'_, Vec<States>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| outbox::states(connection, url, &task_id))
    }

    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> Answer<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| {
            outbox::submissions_after(connection, url, &task_id, after, bytes)
        })
    }

    fn listed(&self, listing: &Listing) -> Answer<'_, Listed> {
        let listing = listing.clone();
        self.read(move |connection, url| listing::listed(connection, url, &listing))
    }

    fn turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> Answer<'_, TurnedDown> {
        let span = columns::span(since, until);
        self.read(move |connection, url| outbox::turned_down(connection, url, span, latest))
    }

    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> Answer<'_, u64> {
        let lease = lease.clone();
        self.write(move |connection, url| retire::retire(connection, url, &lease, older_than, most))
    }

    fn backlog(&self) -> Answer<'_, Backlog> {
        self.read(outbox::backlog)
    }

    fn lease(&self, owner: &str, term: Duration) -> Answer<'_, LeaseAnswer> {
        let (owner, held) = (owner.to_owned(), self.held.epoch());
        self.write(move |connection, url| {
            bond::check(connection, url, held)?;
            lease::take(connection, url, &owner, term)
        })
    }

    fn release(&self, lease: &Lease) -> Answer<'_, ()> {
        let lease = lease.clone();
        self.write(move |connection, url| lease::release(connection, url, &lease))
    }

    fn query(&self, filter: &Filter, page: &PageRequest) -> Answer<'_, Page> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |connection, url| query::query(connection, url, &filter, &page))
    }

    fn entry(&self, task_id: &TaskId) -> Answer<'_, Option<Entry>> {
        let task_id = task_id.clone();
        self.read(move |connection, url| project::by_task(connection, url, task_id.as_str()))
    }

    fn committed(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Committed>> {
        self.read(move |connection, url| outbox::committed(connection, url, after, limit))
    }

    fn entries(&self, after: Option<&str>, limit: usize) -> Answer<'_, Vec<Entry>> {
        let task_id = after.unwrap_or_default().to_owned();
        self.read(move |connection, url| project::after(connection, url, &task_id, limit))
    }

    fn restore(&self, entries: Vec<Entry>) -> Answer<'_, u64> {
        self.write(move |connection, url| project::add(connection, url, &entries))
    }

    fn forget(&self, task_ids: Vec<String>) -> Answer<'_, u64> {
        self.write(move |connection, url| project::forget(connection, url, &task_ids))
    }

    fn begin_rebuild(&self) -> Answer<'_, i64> {
        self.write(project::begin_rebuild)
    }

    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> Answer<'_, ()> {
        self.write(move |connection, url| {
            project::fill_rebuild(connection, url, generation, &entries)
        })
    }

    fn finish_rebuild(&self, generation: i64) -> Answer<'_, u64> {
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
