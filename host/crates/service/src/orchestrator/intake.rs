//! Accepts outcomes, work results and plans into the outbox. They are durable in the store when the answer is sent;
//! git is not involved.

use std::sync::Arc;
use std::time::Instant;

use super::fingerprint::is_entry_of;
use super::settled::WaitState;
use super::work_result::{ForeignNames, WorkResult};
use super::{Inner, Orchestrator, plan};
use outcome::{Rejection, Reporter, TaskId, TaskOutcome, canonical_json, json};
use store::{Kind, LatePlan, Plan, Sequence, State, StoreError, Submission, Task};

/// The receipt of an ACCEPTED submission, which is durable in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The task's id.
    pub task_id: TaskId,
    /// The submission's number among all submissions.
    pub sequence: Sequence,
    /// Whether the same submission was accepted before.
    pub repeated: bool,
    /// Whether an earlier submission finished the task and seems to differ. The policy decides about this one too; a
    /// conflicting one is kept.
    pub differs: bool,
    /// Its state so far.
    pub state: State,
}

/// The origin of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The authenticated reporter; the commit names it. The first report of an outcome counts.
    pub reporter: Option<Reporter>,
    /// The report's trace id, unless the outcome names one.
    pub trace_id: Option<String>,
    /// The address that the report came from, for the log.
    pub peer: Option<Arc<str>>,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is not an outcome; submitting it again cannot help.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// The store cannot accept it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It is not a plan.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// The task is already finished.
    #[error("the task is finished ({status}): its plan can no longer change")]
    Finished {
        /// The final status.
        status: String,
    },
    /// The store cannot accept it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AcceptError> for PlanError {
    fn from(error: AcceptError) -> PlanError {
        match error {
            AcceptError::Refused(rejection) => PlanError::Refused(rejection),
            AcceptError::Store(error) => PlanError::Store(error),
        }
    }
}

/// How often to rebuild a result because its plan changed meanwhile. Each time another client has changed the plan,
/// so this only ends a loop that would not end otherwise.
const MAX_PLANS: usize = 20;

impl Orchestrator {
    /// Accepts an outcome document. On return it is durable in the store, and will be committed.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; nothing was accepted.
    pub async fn accept(&self, document: &[u8], origin: Origin) -> Result<Receipt, AcceptError> {
        let inner = self.inner();
        let outcome = TaskOutcome::read(document, &inner.current_policy.limits())?;
        let trace_id = outcome.metadata.as_deref().and_then(trace_of);
        let trace_id = trace_id.or(origin.trace_id);
        let (reporter, peer) = (origin.reporter, origin.peer);
        let text = as_text(document);
        let sealed = match inner.options.sealer {
            Some(_) => {
                let canonical = outcome.canonical();
                let task_id = &outcome.task_id;
                let sealing = inner.seal_submission(task_id, &text, None, &canonical);
                match sealing.await {
                    // Its key is erased. What the entry still says may be the same.
                    Err(AcceptError::Refused(rejection)) => {
                        let found = inner.recorded_so(task_id, &text).await?;
                        return found.ok_or(AcceptError::Refused(rejection));
                    }
                    sealed => sealed?,
                }
            }
            None => None,
        };
        let (fingerprint, former) = match &sealed {
            Some(sealed) => inner.fingerprints(Kind::Outcome, |to| to(&sealed.canonical)),
            None => inner.fingerprints(Kind::Outcome, |to| outcome.canonical_to(to)),
        };
        let text = sealed.map_or(text, |sealed| sealed.text);
        let submission = |may_compare| Submission {
            task_id: outcome.task_id.clone(),
            status: outcome.status.as_str().to_owned(),
            kind: Kind::Outcome,
            text: text.clone(),
            document: None,
            fingerprint,
            former,
            may_compare,
            revision: None,
            trace_id: trace_id.clone(),
            reporter: reporter.clone(),
        };
        let (mut may_compare, mut rebound) = (true, false);
        loop {
            let taking = inner.take_in(submission(may_compare), peer.as_deref());
            match taking.await {
                // Another host has bound the store: check again which trail it belongs to.
                Err(StoreError::Rebound) if !rebound => rebound = true,
                Err(StoreError::Unremembered) if may_compare => {
                    let text = as_text(document);
                    if let Some(receipt) = inner.recorded_so(&outcome.task_id, &text).await? {
                        return Ok(receipt);
                    }
                    may_compare = false;
                }
                done => return Ok(done?),
            }
        }
    }

    /// Accepts the result of a task, which finishes the task; its outcome will be committed.
    ///
    /// The rest of the outcome comes from what was planned and dispatched; for an unknown task these members are
    /// null. A second, different result for a finished task is accepted too, and kept as a conflict.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; nothing was accepted. Git is never the cause.
    pub async fn handle_work_result(
        &self,
        report: &[u8],
        origin: Origin,
    ) -> Result<Receipt, AcceptError> {
        self.handle_foreign_result(report, &ForeignNames::default(), origin)
            .await
    }

    /// Accepts the result of a task, as [`Orchestrator::handle_work_result`] does, and records what its sender calls the
    /// task and its state.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; nothing was accepted. Git is never the cause.
    pub async fn handle_foreign_result(
        &self,
        report: &[u8],
        names: &ForeignNames,
        origin: Origin,
    ) -> Result<Receipt, AcceptError> {
        self.inner().accept_result(report, names, origin).await
    }

    /// Stores what was planned or dispatched for a task: a document for [`parse_plan`](super::parse_plan).
    ///
    /// # Errors
    ///
    /// [`PlanError`]; nothing was stored.
    pub async fn plan(&self, document: &[u8]) -> Result<Task, PlanError> {
        let mut plan = plan::parse(document, &self.inner().current_policy.limits())?;
        self.inner().may_use_store().await?;
        self.inner().seal_plan(&mut plan).await?;
        let task = self.inner().store.plan(plan).await?;
        match task.finished {
            Some(finished) => Err(PlanError::Finished {
                status: finished.status,
            }),
            None => Ok(task),
        }
    }

    /// Keeps a plan that arrived after its task had ended, beside the task. The first one stays.
    ///
    /// # Errors
    ///
    /// [`PlanError::Finished`] if another late plan is kept already.
    pub async fn plan_late(&self, document: &[u8]) -> Result<LatePlan, PlanError> {
        let inner = self.inner();
        let plan = plan::parse(document, &inner.current_policy.limits())?;
        inner.may_use_store().await?;
        let mut text = as_text(document);
        if let Some(sealed) = inner
            .seal_submission(&plan.task_id, &text, None, &[])
            .await?
        {
            text = sealed.text;
        }
        let kept = inner
            .store
            .keep_late_plan(&plan.task_id, text.clone())
            .await?;
        if canonical_json(&kept.text) == canonical_json(&text) {
            return Ok(kept);
        }
        let finished = inner
            .store
            .task(&plan.task_id)
            .await?
            .and_then(|task| task.finished);
        Err(PlanError::Finished {
            status: finished.map(|finished| finished.status).unwrap_or_default(),
        })
    }

    /// Waits, without a time limit, until a submission is closed (committed, conflicting, refused) or blocked.
    ///
    /// # Errors
    ///
    /// The store cannot report its state.
    pub async fn settled(&self, sequence: Sequence) -> Result<State, StoreError> {
        let found = self.inner().store.submission(sequence).await?;
        let found = found
            .ok_or_else(|| StoreError::Invalid(format!("there is no submission {sequence}")))?;
        match found.state.is_open() {
            true => self.settled_for(sequence, found.task_id.as_str()).await,
            false => Ok(found.state),
        }
    }

    /// The same for a submission of this task. A database that was set back may have given the number to another task since: then there is no such
    /// submission.
    ///
    /// # Errors
    ///
    /// The store cannot report its state.
    pub async fn settled_for(
        &self,
        sequence: Sequence,
        task_id: &str,
    ) -> Result<State, StoreError> {
        let inner = self.inner();
        loop {
            match inner.settlements.wait(sequence, task_id) {
                WaitState::Known(state) => return Ok(state),
                WaitState::Until(receiver) => match receiver.await {
                    Ok(State::Pending { .. }) => {}
                    Ok(state) => return Ok(state),
                    Err(_) => {
                        let found = inner.store.submission(sequence).await?;
                        let found = found.filter(|found| found.task_id.as_str() == task_id);
                        return found.map(|found| found.state).ok_or_else(|| {
                            StoreError::Invalid(format!("there is no submission {sequence}"))
                        });
                    }
                },
            }
        }
    }
}

impl Inner {
    pub(super) async fn accept_result(
        &self,
        report: &[u8],
        names: &ForeignNames,
        origin: Origin,
    ) -> Result<Receipt, AcceptError> {
        let result = WorkResult::parse(report, names, &self.current_policy.limits())?;
        let task_id = result.outcome().task_id.clone();
        let canonical = result.canonical();
        let mut may_compare = true;
        let trace_id = result.trace_id().or(origin.trace_id);
        for attempt in 1.. {
            let task = self.store.task(&task_id).await?;
            let revision = task.as_ref().map_or(0, |task| task.revision);
            let mut plan = task.map_or_else(|| Plan::new(task_id.clone()), |task| task.plan);
            self.open_plan(&mut plan).await?;
            let document = result.document(&plan);
            let text = as_text(report);
            let sealing = self.seal_submission(&task_id, &text, Some(&document), &canonical);
            let sealed = sealing.await?;
            let canonical = sealed
                .as_ref()
                .map_or(&canonical, |sealed| &sealed.canonical);
            let (fingerprint, former) = self.fingerprints(Kind::WorkResult, |to| to(canonical));
            let (text, sealed_document) = match sealed {
                Some(sealed) => (sealed.text, sealed.document.unwrap_or_default()),
                None => (text, document.clone()),
            };
            let submission = Submission {
                task_id: task_id.clone(),
                status: result.outcome().status.as_str().to_owned(),
                kind: Kind::WorkResult,
                text,
                document: Some(sealed_document),
                fingerprint,
                former,
                may_compare,
                revision: Some(revision),
                trace_id: trace_id.clone(),
                reporter: origin.reporter.clone(),
            };
            match self.take_in(submission, origin.peer.as_deref()).await {
                Err(StoreError::Changed) if attempt < MAX_PLANS => {}
                Err(StoreError::Rebound) if attempt == 1 => {}
                Err(StoreError::Unremembered) => {
                    if let Some(receipt) = self.recorded_so(&task_id, &document).await? {
                        return Ok(receipt);
                    }
                    may_compare = false;
                }
                done => return Ok(done?),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Accepts the host's own report of a task, unless the task has ended. Returns whether it was accepted.
    pub(super) async fn accept_unless_finished(
        &self,
        task_id: &TaskId,
        report: &str,
    ) -> Result<bool, AcceptError> {
        let task = self.store.task(task_id).await?;
        if task.is_some_and(|task| task.finished.is_some()) {
            return Ok(false);
        }
        let names = ForeignNames::default();
        let accepting = self.accept_result(report.as_bytes(), &names, Origin::default());
        accepting.await.map(|_| true)
    }

    pub(super) async fn take_in(
        &self,
        submission: Submission,
        peer: Option<&str>,
    ) -> Result<Receipt, StoreError> {
        let task_id = submission.task_id.clone();
        let trace_id = submission.trace_id.clone();
        let reporter = submission.reporter.clone();
        let began = Instant::now();
        self.may_use_store().await?;
        let accepted = self.store.accept(submission).await;
        if matches!(accepted, Err(StoreError::Rebound)) {
            self.invalidate_binding();
        }
        match &accepted {
            Ok(_) => self.store_works(),
            Err(StoreError::Changed | StoreError::Unremembered | StoreError::Rebound) => {}
            Err(error) => self.store_failed(error),
        }
        let accepted = accepted?;
        self.metrics.accept_time.record(began.elapsed());
        if !accepted.repeated {
            self.metrics.accepted.increment();
            self.wake.notify_one();
            let (task_id, trace_id) = (task_id.as_str(), trace_id.as_deref());
            let reporter = reporter.as_ref().map(Reporter::as_str);
            tracing::debug!(
                task_id,
                trace_id,
                reporter,
                peer,
                sequence = accepted.sequence.0,
                "accepted"
            );
        } else {
            self.note_repeated(&task_id, trace_id.as_deref(), accepted.sequence);
        }
        Ok(Receipt {
            task_id,
            sequence: accepted.sequence,
            repeated: accepted.repeated,
            differs: accepted.differs,
            state: accepted.state,
        })
    }

    fn note_repeated(&self, task_id: &TaskId, trace_id: Option<&str>, sequence: Sequence) {
        self.metrics.repeated.increment();
        let (task_id, sequence) = (task_id.as_str(), sequence.0);
        tracing::debug!(
            task_id,
            trace_id,
            sequence,
            "this submission was accepted before"
        );
    }

    /// For submissions whose fingerprints were erased after the commit: the receipt of the submission that became the
    /// task's entry, if it equals this document.
    async fn recorded_so(
        &self,
        task_id: &TaskId,
        document: &str,
    ) -> Result<Option<Receipt>, StoreError> {
        let Some(entry) = self.store.entry(task_id).await? else {
            return Ok(None);
        };
        let Some(text) = self.open_beside(task_id, entry.text, document).await else {
            return Ok(None);
        };
        if !is_entry_of(&text, document, &self.current_policy.limits()) {
            return Ok(None);
        }
        let submissions = self.store.submissions(task_id).await?;
        let committed = submissions
            .into_iter()
            .find(|found| matches!(found.state, State::Committed { .. }));
        Ok(committed.map(|found| {
            self.note_repeated(task_id, None, found.sequence);
            Receipt {
                task_id: task_id.clone(),
                sequence: found.sequence,
                repeated: true,
                differs: false,
                state: found.state,
            }
        }))
    }
}

/// The text of a parsed document.
fn as_text(parsed: &[u8]) -> String {
    let text = std::str::from_utf8(parsed).expect("what was parsed is UTF-8");
    text.to_owned()
}

/// The trace id from an outcome's metadata.
fn trace_of(metadata: &str) -> Option<String> {
    let members = json::members(metadata).ok()?;
    let (_, value) = members.iter().find(|(name, _)| name == "trace_id")?;
    let trace = json::string(value).ok()?;
    is_trace_id(&trace).then(|| trace.into_owned())
}

/// Whether a text is suitable as a trace id in logs and columns. Others are ignored.
pub fn is_trace_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
