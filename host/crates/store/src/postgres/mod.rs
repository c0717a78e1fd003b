//! The store in PostgreSQL: a pool of connections, and one task that accepts submissions.
//!
//! Owns how the contract's methods become PostgreSQL's transactions.

mod accept;
mod announced;
mod bond;
mod connections;
mod failure;
mod late;
mod lease;
mod listing;
mod log;
mod open;
mod outbox;
mod project;
mod query;
mod rebuild;
mod refused;
mod retire;
mod schema;
mod session;
mod tasks;
mod tls;

use std::future::Future;
use std::time::Duration;

use futures_util::future::FutureExt as _;

use super::bond::RequiredBond;
use super::url::PostgresUrl;
use super::{
    Accepted, Backlog, Bond, CommittedSubmission, Entry, Filter, FingerprintKeys, LatePlan, Lease,
    LeaseAnswer, Options, Page, PageRequest, Plan, Queued, RefusedDocument, ReplicatedLog,
    Sequence, Settlement, StateCount, Store, StoreConnections, StoreError, StoreFuture, StoreInfo,
    Submission, SubmissionPage, SubmissionQuery, SubmissionState, Task, TurnedDownCounts,
    UnfinishedTasks, columns,
};
use accept::AcceptQueue;
use connections::{Connection, Connections};
use failure::Failure;
use outcome::TaskId;
use outcome::clock::Timestamp;

/// How long an answer may take. A server that has stopped without closing its connections never answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer may take if a reporter waits for it. Reporters should learn in time that nothing was accepted.
const REPORTERS_PATIENCE: Duration = Duration::from_secs(10);

/// The version of the tables that this program works with.
pub(super) const VERSION: u32 = schema::VERSION;

/// The statements with which a DBA creates a store if its own role may not; see [`schema::for_dba`].
pub(super) fn statements_for_dba(schema: &str, role: Option<&str>) -> String {
    schema::for_dba(schema, role)
}

/// A store in a PostgreSQL database.
pub(super) struct PostgresStore {
    about: StoreInfo,
    connections: Connections,
    accept_queue: AcceptQueue,
    keys: FingerprintKeys,
    keep_submissions: bool,
    required_epoch: RequiredBond,
}

impl PostgresStore {
    /// Opens the database, and creates or migrates the store if the options allow it.
    pub(super) async fn open(
        url: &PostgresUrl,
        options: &Options,
    ) -> Result<PostgresStore, StoreError> {
        let (connections, about, keys) = open::open(url, options).await?;
        Ok(PostgresStore {
            accept_queue: AcceptQueue::start(connections.clone(), about.url.clone(), options.pool),
            about,
            connections,
            keys,
            keep_submissions: options.keep_submissions,
            required_epoch: RequiredBond::default(),
        })
    }

    /// The conditions for settling.
    fn within(&self) -> outbox::SettleContext<'_> {
        outbox::SettleContext {
            required_epoch: self.required_epoch.epoch(),
            mark: &self.connections.session.mark,
            keep_submissions: self.keep_submissions,
        }
    }

    async fn client(&self) -> Result<Connection, Failure> {
        self.connections.get().await
    }

    fn answer<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        within(PATIENCE, work, &self.about.url).boxed()
    }

    /// Like [`PostgresStore::answer`], for requests of reporters and readers.
    fn answer_reporter<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        within(REPORTERS_PATIENCE, work, &self.about.url).boxed()
    }

    /// Like [`PostgresStore::answer`], for work that takes time in proportion to the number of rows.
    fn patient_answer<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        let url = &self.about.url;
        work.map(|result| result.map_err(|failure| failure.into_store_error(url)))
            .boxed()
    }
}

/// Returns the result of the work, or an error if it takes too long.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Failure>>,
    url: &str,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result.map_err(|failure| failure.into_store_error(url)),
        Err(_) => Err(StoreError::Unavailable(format!(
            "{url} has not answered for {} s",
            patience.as_secs()
        ))),
    }
}

impl Store for PostgresStore {
    fn info(&self) -> &StoreInfo {
        &self.about
    }

    fn connections(&self) -> Option<StoreConnections> {
        let status = self.connections.status();
        let (open, idle) = (status.size, status.available);
        Some(StoreConnections {
            busy: open.saturating_sub(idle),
            idle,
            most: status.max_size,
            waiting: status.waiting,
        })
    }

    fn log(&self) -> Option<&dyn ReplicatedLog> {
        Some(self)
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.answer(async {
            let client = self.client().await?;
            // A statement that the database refuses if it is read-only.
            client
                .batch_execute("BEGIN READ WRITE; SELECT FROM meta FOR SHARE; COMMIT")
                .await?;
            Ok(())
        })
    }

    fn bond(&self) -> StoreFuture<'_, Bond> {
        self.answer(async { bond::read(&*self.client().await?).await })
    }

    fn bind(&self, bond: Bond) -> StoreFuture<'_, bool> {
        self.answer(async move { bond::write(&*self.client().await?, &bond).await })
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
        self.answer_reporter(async move { tasks::plan(&mut *self.client().await?, &plan).await })
    }

    fn task(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Task>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move { tasks::task(&*self.client().await?, &task_id).await })
    }

    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> StoreFuture<'_, LatePlan> {
        let task_id = task_id.clone();
        self.answer_reporter(
            async move { late::keep(&*self.client().await?, &task_id, &text).await },
        )
    }

    fn late_plan(&self, task_id: &TaskId) -> StoreFuture<'_, Option<LatePlan>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move { late::find(&*self.client().await?, &task_id).await })
    }

    fn unfinished(
        &self,
        age: Duration,
        after: Option<(Timestamp, TaskId)>,
        limit: u32,
    ) -> StoreFuture<'_, UnfinishedTasks> {
        self.answer_reporter(async move {
            let client = self.client().await?;
            announced::unfinished(&*client, &self.info().url, age, after.as_ref(), limit).await
        })
    }

    fn count_announced_without_entry(&self) -> StoreFuture<'_, u64> {
        self.answer_reporter(
            async move { announced::count_without_entry(&*self.client().await?).await },
        )
    }

    fn keep_refused(&self, refused: RefusedDocument) -> StoreFuture<'_, Accepted> {
        let required_epoch = self.required_epoch.epoch();
        self.answer_reporter(async move {
            let mut client = self.client().await?;
            let mark = &self.connections.session.mark;
            refused::keep(&mut client, mark, &refused, required_epoch).await
        })
    }

    fn accept(&self, submission: Submission) -> StoreFuture<'_, Accepted> {
        self.accept_queue
            .accept(submission, self.required_epoch.epoch())
            .boxed()
    }

    fn due(&self, after: Option<Sequence>, limit: usize) -> StoreFuture<'_, Vec<Queued>> {
        self.answer(async move {
            outbox::due(&*self.client().await?, &self.about.url, after, limit).await
        })
    }

    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> StoreFuture<'_, ()> {
        let lease = lease.clone();
        self.answer(async move {
            let mut client = self.client().await?;
            outbox::settle(&mut client, &lease, settlements, &self.within()).await
        })
    }

    fn make_all_due(&self) -> StoreFuture<'_, u64> {
        self.answer(async { outbox::make_all_due(&*self.client().await?).await })
    }

    fn submission(&self, sequence: Sequence) -> StoreFuture<'_, Option<SubmissionState>> {
        self.answer_reporter(async move {
            outbox::submission(&*self.client().await?, &self.about.url, sequence).await
        })
    }

    fn submissions(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move {
            outbox::submissions(&*self.client().await?, &self.about.url, &task_id).await
        })
    }

    fn count_states(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<StateCount>> {
        let task_id = task_id.clone();
        self.answer_reporter(
            async move { outbox::count_states(&*self.client().await?, &task_id).await },
        )
    }

    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> StoreFuture<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move {
            let client = self.client().await?;
            outbox::submissions_after(&*client, &self.about.url, &task_id, after, bytes).await
        })
    }

    fn list_submissions(&self, listing: &SubmissionQuery) -> StoreFuture<'_, SubmissionPage> {
        let listing = listing.clone();
        self.answer_reporter(async move {
            listing::list_submissions(&*self.client().await?, &self.about.url, &listing).await
        })
    }

    fn count_turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> StoreFuture<'_, TurnedDownCounts> {
        let span = columns::span(since, until);
        self.answer(async move {
            outbox::count_turned_down(&*self.client().await?, &self.about.url, span, latest).await
        })
    }

    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> StoreFuture<'_, u64> {
        let lease = lease.clone();
        self.answer(async move {
            let mut client = self.client().await?;
            retire::retire(&mut client, &lease, &self.within(), older_than, most).await
        })
    }

    fn backlog(&self) -> StoreFuture<'_, Backlog> {
        self.answer(async { outbox::backlog(&*self.client().await?).await })
    }

    fn lease(&self, owner: &str, term: Duration) -> StoreFuture<'_, LeaseAnswer> {
        let owner = owner.to_owned();
        let required_epoch = self.required_epoch.epoch();
        self.answer(async move {
            lease::take(&mut *self.client().await?, &owner, term, required_epoch).await
        })
    }

    fn release(&self, lease: &Lease) -> StoreFuture<'_, ()> {
        let lease = lease.clone();
        self.answer(async move { lease::release(&mut *self.client().await?, &lease).await })
    }

    fn query(&self, filter: &Filter, page: &PageRequest) -> StoreFuture<'_, Page> {
        let (filter, page) = (filter.clone(), page.clone());
        self.answer_reporter(async move {
            query::query(&mut *self.client().await?, &filter, &page).await
        })
    }

    fn entry(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Entry>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move {
            let client = self.client().await?;
            Ok(project::by_tasks(&*client, &[task_id.as_str()])
                .await?
                .pop())
        })
    }

    fn committed(
        &self,
        after: Option<Sequence>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<CommittedSubmission>> {
        self.answer(async move { outbox::committed(&*self.client().await?, after, limit).await })
    }

    fn entries(&self, after: Option<&str>, limit: usize) -> StoreFuture<'_, Vec<Entry>> {
        let task_id = after.unwrap_or_default().to_owned();
        self.answer(async move { project::after(&*self.client().await?, &task_id, limit).await })
    }

    fn restore(&self, entries: Vec<Entry>) -> StoreFuture<'_, u64> {
        self.answer(async move {
            let mut client = self.client().await?;
            let transaction = client.transaction().await?;
            let changed = project::add(&transaction, &entries).await?;
            transaction.commit().await?;
            Ok(changed)
        })
    }

    fn forget(&self, task_ids: Vec<String>) -> StoreFuture<'_, u64> {
        self.answer(async move { project::forget(&mut *self.client().await?, &task_ids).await })
    }

    fn begin_rebuild(&self) -> StoreFuture<'_, i64> {
        self.answer(async { rebuild::begin_rebuild(&mut *self.client().await?).await })
    }

    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> StoreFuture<'_, ()> {
        self.answer(async move {
            rebuild::fill_rebuild(&mut *self.client().await?, generation, &entries).await
        })
    }

    fn finish_rebuild(&self, generation: i64) -> StoreFuture<'_, u64> {
        self.patient_answer(async move {
            rebuild::finish_rebuild(&mut *self.client().await?, generation).await
        })
    }
}
