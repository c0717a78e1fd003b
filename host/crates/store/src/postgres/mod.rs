//! The store in PostgreSQL: a pool of connections, and one task that takes submissions in.
//!
//! Owns how the contract's methods become PostgreSQL's transactions. No TLS: a Unix socket, the loopback or a tunnel.

mod accept;
mod bond;
mod connections;
mod failure;
mod late;
mod lease;
mod listing;
mod open;
mod outbox;
mod project;
mod query;
mod rebuild;
mod retire;
mod schema;
mod session;
mod tasks;

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::FutureExt as _;

use super::bond::Held;
use super::url::PostgresUrl;
use super::{
    About, Accepted, Answer, Backlog, Bond, Committed, Entry, Filter, Keys, LatePlan, Lease,
    LeaseAnswer, Listed, Listing, Options, Page, PageRequest, Plan, Queued, Sequence, Settlement,
    States, Store, StoreConnections, StoreError, Submission, SubmissionState, Task, TurnedDown,
    columns,
};
use accept::Entrance;
use connections::Connections;
use failure::Failure;
use outcome::TaskId;
use outcome::clock::Timestamp;

/// How long an answer may take. A server that has stopped without closing its connections answers never.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The same where somebody waits who reports: they do better to hear in time that nothing was accepted.
const REPORTERS_PATIENCE: Duration = Duration::from_secs(10);

/// What a DBA runs to make a store, where its own role may not: see [`schema::for_dba`].
pub(super) fn statements_for_dba(schema: &str, role: Option<&str>) -> String {
    schema::for_dba(schema, role)
}

/// A PostgreSQL database.
pub(super) struct PostgresStore {
    about: About,
    connections: Connections,
    entrance: Entrance,
    keys: Keys,
    keep_submissions: bool,
    held: Held,
}

impl PostgresStore {
    /// Opens the database, made and migrated as far as the options allow.
    pub(super) async fn open(
        url: &PostgresUrl,
        options: &Options,
    ) -> Result<PostgresStore, StoreError> {
        let (connections, about, keys) = open::open(url, options).await?;
        Ok(PostgresStore {
            entrance: Entrance::start(connections.clone(), about.url.clone(), options.pool),
            about,
            connections,
            keys,
            keep_submissions: options.keep_submissions,
            held: Held::default(),
        })
    }

    /// Under what it settles.
    fn within(&self) -> outbox::Within<'_> {
        outbox::Within {
            held: self.held.epoch(),
            mark: &self.connections.session.mark,
            keep_submissions: self.keep_submissions,
        }
    }

    async fn client(&self) -> Result<Object, Failure> {
        self.connections.get().await
    }

    fn answer<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> Answer<'a, T> {
        within(PATIENCE, work, &self.about.url).boxed()
    }

    /// As [`PostgresStore::answer`], for somebody who reports or asks.
    fn answer_reporter<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> Answer<'a, T> {
        within(REPORTERS_PATIENCE, work, &self.about.url).boxed()
    }

    /// As [`PostgresStore::answer`], for what takes as long as there are rows.
    fn patient_answer<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> Answer<'a, T> {
        let url = &self.about.url;
        work.map(|result| result.map_err(|failure| failure.into_store_error(url)))
            .boxed()
    }
}

/// What comes of work, if it comes in time.
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
    fn about(&self) -> &About {
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

    fn ping(&self) -> Answer<'_, ()> {
        self.answer(async {
            let client = self.client().await?;
            // Would be refused where nothing may be written.
            client
                .batch_execute("BEGIN READ WRITE; SELECT FROM meta FOR SHARE; COMMIT")
                .await?;
            Ok(())
        })
    }

    fn bond(&self) -> Answer<'_, Bond> {
        self.answer(async { bond::read(&self.client().await?).await })
    }

    fn bind(&self, bond: Bond) -> Answer<'_, bool> {
        self.answer(async move { bond::write(&self.client().await?, &bond).await })
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
        self.answer_reporter(async move { tasks::plan(&mut self.client().await?, &plan).await })
    }

    fn task(&self, task_id: &TaskId) -> Answer<'_, Option<Task>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move { tasks::task(&self.client().await?, &task_id).await })
    }

    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> Answer<'_, LatePlan> {
        let task_id = task_id.clone();
        self.answer_reporter(
            async move { late::keep(&self.client().await?, &task_id, &text).await },
        )
    }

    fn late_plan(&self, task_id: &TaskId) -> Answer<'_, Option<LatePlan>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move { late::find(&self.client().await?, &task_id).await })
    }

    fn accept(&self, submission: Submission) -> Answer<'_, Accepted> {
        self.entrance.accept(submission, self.held.epoch()).boxed()
    }

    fn due(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Queued>> {
        self.answer(async move {
            outbox::due(&self.client().await?, &self.about.url, after, limit).await
        })
    }

    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> Answer<'_, ()> {
        let lease = lease.clone();
        self.answer(async move {
            let mut client = self.client().await?;
            outbox::settle(&mut client, &lease, settlements, &self.within()).await
        })
    }

    fn hurry(&self) -> Answer<'_, u64> {
        self.answer(async { outbox::hurry(&self.client().await?).await })
    }

    fn submission(&self, sequence: Sequence) -> Answer<'_, Option<SubmissionState>> {
        self.answer_reporter(async move {
            outbox::submission(&self.client().await?, &self.about.url, sequence).await
        })
    }

    fn submissions(&self, task_id: &TaskId) -> Answer<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move {
            outbox::submissions(&self.client().await?, &self.about.url, &task_id).await
        })
    }

    fn states(&self, task_id: &TaskId) -> Answer<'_, Vec<States>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move { outbox::states(&self.client().await?, &task_id).await })
    }

    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> Answer<'_, Vec<SubmissionState>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move {
            let client = self.client().await?;
            outbox::submissions_after(&client, &self.about.url, &task_id, after, bytes).await
        })
    }

    fn listed(&self, listing: &Listing) -> Answer<'_, Listed> {
        let listing = listing.clone();
        self.answer_reporter(async move {
            listing::listed(&self.client().await?, &self.about.url, &listing).await
        })
    }

    fn turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> Answer<'_, TurnedDown> {
        let span = columns::span(since, until);
        self.answer(async move {
            outbox::turned_down(&self.client().await?, &self.about.url, span, latest).await
        })
    }

    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> Answer<'_, u64> {
        let lease = lease.clone();
        self.answer(async move {
            let mut client = self.client().await?;
            retire::retire(&mut client, &lease, &self.within(), older_than, most).await
        })
    }

    fn backlog(&self) -> Answer<'_, Backlog> {
        self.answer(async { outbox::backlog(&self.client().await?).await })
    }

    fn lease(&self, owner: &str, term: Duration) -> Answer<'_, LeaseAnswer> {
        let owner = owner.to_owned();
        let held = self.held.epoch();
        self.answer(async move { lease::take(&mut self.client().await?, &owner, term, held).await })
    }

    fn release(&self, lease: &Lease) -> Answer<'_, ()> {
        let lease = lease.clone();
        self.answer(async move { lease::release(&mut self.client().await?, &lease).await })
    }

    fn query(&self, filter: &Filter, page: &PageRequest) -> Answer<'_, Page> {
        let (filter, page) = (filter.clone(), page.clone());
        self.answer_reporter(async move {
            query::query(&mut self.client().await?, &filter, &page).await
        })
    }

    fn entry(&self, task_id: &TaskId) -> Answer<'_, Option<Entry>> {
        let task_id = task_id.clone();
        self.answer_reporter(async move {
            let client = self.client().await?;
            Ok(project::by_tasks(&client, &[task_id.as_str()]).await?.pop())
        })
    }

    fn committed(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Committed>> {
        self.answer(async move { outbox::committed(&self.client().await?, after, limit).await })
    }

    fn entries(&self, after: Option<&str>, limit: usize) -> Answer<'_, Vec<Entry>> {
        let task_id = after.unwrap_or_default().to_owned();
        self.answer(async move { project::after(&self.client().await?, &task_id, limit).await })
    }

    fn restore(&self, entries: Vec<Entry>) -> Answer<'_, u64> {
        self.answer(async move {
            let mut client = self.client().await?;
            let transaction = client.transaction().await?;
            let changed = project::add(&transaction, &entries).await?;
            transaction.commit().await?;
            Ok(changed)
        })
    }

    fn forget(&self, task_ids: Vec<String>) -> Answer<'_, u64> {
        self.answer(async move { project::forget(&mut self.client().await?, &task_ids).await })
    }

    fn begin_rebuild(&self) -> Answer<'_, i64> {
        self.answer(async { rebuild::begin_rebuild(&mut self.client().await?).await })
    }

    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> Answer<'_, ()> {
        self.answer(async move {
            rebuild::fill_rebuild(&mut self.client().await?, generation, &entries).await
        })
    }

    fn finish_rebuild(&self, generation: i64) -> Answer<'_, u64> {
        self.patient_answer(async move {
            rebuild::finish_rebuild(&mut self.client().await?, generation).await
        })
    }
}
