//! A store that works, except that chosen calls panic: a defect in the task that makes the call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::TaskId;
use chiffon_audit_cli::store::{
    Accepted, Backlog, Bond, CommittedSubmission, Entry, Filter, LatePlan, Lease, LeaseAnswer,
    Page, PageRequest, Plan, Queued, RefusedDocument, Sequence, Settlement, StateCount, Store,
    StoreConnections, StoreFuture, StoreInfo, Submission, SubmissionPage, SubmissionQuery,
    SubmissionState, Task, TurnedDownCounts, UnfinishedTasks,
};

pub struct Faulty {
    inner: Arc<dyn Store>,
    /// How many times each method will still panic.
    left: Mutex<HashMap<&'static str, usize>>,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Faulty> {
        Arc::new(Faulty {
            inner,
            left: Mutex::default(),
        })
    }

    /// Makes the next calls of a method panic.
    pub fn break_at(&self, method: &'static str, times: usize) {
        self.left.lock().unwrap().insert(method, times);
    }

    /// How many panics of a method are left.
    pub fn left(&self, method: &str) -> usize {
        let left = self.left.lock().unwrap();
        left.get(method).copied().unwrap_or(0)
    }

    fn at<'a, T: 'a>(
        &'a self,
        method: &'static str,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        let breaks = {
            let mut left = self.left.lock().unwrap();
            let left = left.entry(method).or_default();
            let breaks = *left > 0;
            *left = left.saturating_sub(1);
            breaks
        };
        Box::pin(async move {
            assert!(!breaks, "{method} is broken");
            answer.await
        })
    }
}

impl Store for Faulty {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.at("ping", self.inner.ping())
    }

    fn connections(&self) -> Option<StoreConnections> {
        self.inner.connections()
    }

    fn bond(&self) -> StoreFuture<'_, Bond> {
        self.at("bond", self.inner.bond())
    }

    fn bind(&self, bond: Bond) -> StoreFuture<'_, bool> {
        self.at("bind", self.inner.bind(bond))
    }

    fn require_epoch(&self, epoch: i64) {
        self.inner.require_epoch(epoch)
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        self.inner.fingerprint_key()
    }

    fn has_former_fingerprints(&self) -> bool {
        self.inner.has_former_fingerprints()
    }

    fn plan(&self, plan: Plan) -> StoreFuture<'_, Task> {
        self.at("plan", self.inner.plan(plan))
    }

    fn task(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Task>> {
        self.at("task", self.inner.task(task_id))
    }

    fn unfinished(
        &self,
        age: Duration,
        after: Option<(Timestamp, TaskId)>,
        limit: u32,
    ) -> StoreFuture<'_, UnfinishedTasks> {
        self.at("unfinished", self.inner.unfinished(age, after, limit))
    }

    fn count_announced_without_entry(&self) -> StoreFuture<'_, u64> {
        self.inner.count_announced_without_entry()
    }

    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> StoreFuture<'_, LatePlan> {
        self.at("keep_late_plan", self.inner.keep_late_plan(task_id, text))
    }

    fn late_plan(&self, task_id: &TaskId) -> StoreFuture<'_, Option<LatePlan>> {
        self.at("late_plan", self.inner.late_plan(task_id))
    }

    fn accept(&self, submission: Submission) -> StoreFuture<'_, Accepted> {
        self.at("accept", self.inner.accept(submission))
    }

    fn keep_refused(&self, refused: RefusedDocument) -> StoreFuture<'_, Accepted> {
        self.at("keep_refused", self.inner.keep_refused(refused))
    }

    fn due(&self, after: Option<Sequence>, limit: usize) -> StoreFuture<'_, Vec<Queued>> {
        self.at("due", self.inner.due(after, limit))
    }

    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> StoreFuture<'_, ()> {
        self.at("settle", self.inner.settle(lease, settlements))
    }

    fn make_all_due(&self) -> StoreFuture<'_, u64> {
        self.at("hurry", self.inner.make_all_due())
    }

    fn submission(&self, sequence: Sequence) -> StoreFuture<'_, Option<SubmissionState>> {
        self.at("submission", self.inner.submission(sequence))
    }

    fn submissions(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<SubmissionState>> {
        self.at("submissions", self.inner.submissions(task_id))
    }

    fn count_states(&self, task_id: &TaskId) -> StoreFuture<'_, Vec<StateCount>> {
        self.at("states", self.inner.count_states(task_id))
    }

    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> StoreFuture<'_, Vec<SubmissionState>> {
        self.at(
            "submissions_after",
            self.inner.submissions_after(task_id, after, bytes),
        )
    }

    fn list_submissions(&self, listing: &SubmissionQuery) -> StoreFuture<'_, SubmissionPage> {
        self.at("listed", self.inner.list_submissions(listing))
    }

    fn count_turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> StoreFuture<'_, TurnedDownCounts> {
        self.at(
            "turned_down",
            self.inner.count_turned_down(since, until, latest),
        )
    }

    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> StoreFuture<'_, u64> {
        self.at("retire", self.inner.retire(lease, older_than, most))
    }

    fn backlog(&self) -> StoreFuture<'_, Backlog> {
        self.at("backlog", self.inner.backlog())
    }

    fn lease(&self, owner: &str, term: Duration) -> StoreFuture<'_, LeaseAnswer> {
        self.at("lease", self.inner.lease(owner, term))
    }

    fn release(&self, lease: &Lease) -> StoreFuture<'_, ()> {
        self.at("release", self.inner.release(lease))
    }

    fn query(&self, filter: &Filter, page: &PageRequest) -> StoreFuture<'_, Page> {
        self.at("query", self.inner.query(filter, page))
    }

    fn entry(&self, task_id: &TaskId) -> StoreFuture<'_, Option<Entry>> {
        self.at("entry", self.inner.entry(task_id))
    }

    fn committed(
        &self,
        after: Option<Sequence>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<CommittedSubmission>> {
        self.at("committed", self.inner.committed(after, limit))
    }

    fn entries(&self, after: Option<&str>, limit: usize) -> StoreFuture<'_, Vec<Entry>> {
        self.at("entries", self.inner.entries(after, limit))
    }

    fn restore(&self, entries: Vec<Entry>) -> StoreFuture<'_, u64> {
        self.at("restore", self.inner.restore(entries))
    }

    fn forget(&self, task_ids: Vec<String>) -> StoreFuture<'_, u64> {
        self.at("forget", self.inner.forget(task_ids))
    }

    fn begin_rebuild(&self) -> StoreFuture<'_, i64> {
        self.at("begin_rebuild", self.inner.begin_rebuild())
    }

    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> StoreFuture<'_, ()> {
        self.at("fill_rebuild", self.inner.fill_rebuild(generation, entries))
    }

    fn finish_rebuild(&self, generation: i64) -> StoreFuture<'_, u64> {
        self.at("finish_rebuild", self.inner.finish_rebuild(generation))
    }
}
