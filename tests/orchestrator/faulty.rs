//! A store that works, but for the calls that a test has panic: a defect in the task that makes the call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::TaskId;
use chiffon_audit_cli::store::{
    About, Accepted, Answer, Backlog, Bond, Committed, Entry, Filter, LatePlan, Lease, LeaseAnswer,
    Listed, Listing, Page, PageRequest, Plan, Queued, Sequence, Settlement, States, Store,
    StoreConnections, Submission, SubmissionState, Task, TurnedDown,
};

pub struct Faulty {
    inner: Arc<dyn Store>,
    /// How often each method still panics.
    left: Mutex<HashMap<&'static str, usize>>,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Faulty> {
        Arc::new(Faulty {
            inner,
            left: Mutex::default(),
        })
    }

    /// Has the next calls of a method panic.
    pub fn break_at(&self, method: &'static str, times: usize) {
        self.left.lock().unwrap().insert(method, times);
    }

    /// How many of them are still to come.
    pub fn left(&self, method: &str) -> usize {
        let left = self.left.lock().unwrap();
        left.get(method).copied().unwrap_or(0)
    }

    fn at<'a, T: 'a>(&'a self, method: &'static str, answer: Answer<'a, T>) -> Answer<'a, T> {
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
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.at("ping", self.inner.ping())
    }

    fn connections(&self) -> Option<StoreConnections> {
        self.inner.connections()
    }

    fn bond(&self) -> Answer<'_, Bond> {
        self.at("bond", self.inner.bond())
    }

    fn bind(&self, bond: Bond) -> Answer<'_, bool> {
        self.at("bind", self.inner.bind(bond))
    }

    fn hold_to(&self, epoch: i64) {
        self.inner.hold_to(epoch)
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        self.inner.fingerprint_key()
    }

    fn has_former_fingerprints(&self) -> bool {
        self.inner.has_former_fingerprints()
    }

    fn plan(&self, plan: Plan) -> Answer<'_, Task> {
        self.at("plan", self.inner.plan(plan))
    }

    fn task(&self, task_id: &TaskId) -> Answer<'_, Option<Task>> {
        self.at("task", self.inner.task(task_id))
    }

    fn keep_late_plan(&self, task_id: &TaskId, text: String) -> Answer<'_, LatePlan> {
        self.at("keep_late_plan", self.inner.keep_late_plan(task_id, text))
    }

    fn late_plan(&self, task_id: &TaskId) -> Answer<'_, Option<LatePlan>> {
        self.at("late_plan", self.inner.late_plan(task_id))
    }

    fn accept(&self, submission: Submission) -> Answer<'_, Accepted> {
        self.at("accept", self.inner.accept(submission))
    }

    fn due(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Queued>> {
        self.at("due", self.inner.due(after, limit))
    }

    fn settle(&self, lease: &Lease, settlements: Vec<Settlement>) -> Answer<'_, ()> {
        self.at("settle", self.inner.settle(lease, settlements))
    }

    fn hurry(&self) -> Answer<'_, u64> {
        self.at("hurry", self.inner.hurry())
    }

    fn submission(&self, sequence: Sequence) -> Answer<'_, Option<SubmissionState>> {
        self.at("submission", self.inner.submission(sequence))
    }

    fn submissions(&self, task_id: &TaskId) -> Answer<'_, Vec<SubmissionState>> {
        self.at("submissions", self.inner.submissions(task_id))
    }

    fn states(&self, task_id: &TaskId) -> Answer<'_, Vec<States>> {
        self.at("states", self.inner.states(task_id))
    }

    fn submissions_after(
        &self,
        task_id: &TaskId,
        after: Option<Sequence>,
        bytes: usize,
    ) -> Answer<'_, Vec<SubmissionState>> {
        self.at(
            "submissions_after",
            self.inner.submissions_after(task_id, after, bytes),
        )
    }

    fn listed(&self, listing: &Listing) -> Answer<'_, Listed> {
        self.at("listed", self.inner.listed(listing))
    }

    fn turned_down(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        latest: usize,
    ) -> Answer<'_, TurnedDown> {
        self.at("turned_down", self.inner.turned_down(since, until, latest))
    }

    fn retire(&self, lease: &Lease, older_than: Duration, most: usize) -> Answer<'_, u64> {
        self.at("retire", self.inner.retire(lease, older_than, most))
    }

    fn backlog(&self) -> Answer<'_, Backlog> {
        self.at("backlog", self.inner.backlog())
    }

    fn lease(&self, owner: &str, term: Duration) -> Answer<'_, LeaseAnswer> {
        self.at("lease", self.inner.lease(owner, term))
    }

    fn release(&self, lease: &Lease) -> Answer<'_, ()> {
        self.at("release", self.inner.release(lease))
    }

    fn query(&self, filter: &Filter, page: &PageRequest) -> Answer<'_, Page> {
        self.at("query", self.inner.query(filter, page))
    }

    fn entry(&self, task_id: &TaskId) -> Answer<'_, Option<Entry>> {
        self.at("entry", self.inner.entry(task_id))
    }

    fn committed(&self, after: Option<Sequence>, limit: usize) -> Answer<'_, Vec<Committed>> {
        self.at("committed", self.inner.committed(after, limit))
    }

    fn entries(&self, after: Option<&str>, limit: usize) -> Answer<'_, Vec<Entry>> {
        self.at("entries", self.inner.entries(after, limit))
    }

    fn restore(&self, entries: Vec<Entry>) -> Answer<'_, u64> {
        self.at("restore", self.inner.restore(entries))
    }

    fn forget(&self, task_ids: Vec<String>) -> Answer<'_, u64> {
        self.at("forget", self.inner.forget(task_ids))
    }

    fn begin_rebuild(&self) -> Answer<'_, i64> {
        self.at("begin_rebuild", self.inner.begin_rebuild())
    }

    fn fill_rebuild(&self, generation: i64, entries: Vec<Entry>) -> Answer<'_, ()> {
        self.at("fill_rebuild", self.inner.fill_rebuild(generation, entries))
    }

    fn finish_rebuild(&self, generation: i64) -> Answer<'_, u64> {
        self.at("finish_rebuild", self.inner.finish_rebuild(generation))
    }
}
