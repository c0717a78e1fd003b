//! The line on which submissions are decided and become durable. One thread calls the policy, in order, and another
//! waits for the disk, so that both work at the same time.
//!
//! Knows no store. Watches the policy: after faults on three different outcomes in a row, the policy is tried alone.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Inner;
use super::pulse::Stage;
use outcome::{Cause, Reporter};
use recorder::{Answer, Pending, Recorder, Report};
use store::{Kind, Lease, Queued, Sequence};

/// A submission on the line.
pub(super) struct LineItem {
    pub(super) queued: Queued,
    /// The lease under which it is tried.
    pub(super) lease: Lease,
}

/// A submission after an attempt.
pub(super) struct AttemptedSubmission {
    pub(super) sequence: Sequence,
    pub(super) task_id: String,
    pub(super) attempts: u32,
    pub(super) trace_id: Option<String>,
    pub(super) reporter: Option<Reporter>,
    pub(super) lease: Lease,
    /// `None`: it was not tried, because the policy was suspended meanwhile.
    pub(super) answer: Option<Answer>,
    pub(super) began: Instant,
}

/// After this many different failed outcomes in a row the policy is suspect.
const SUSPECT: usize = 3;

/// After panics on this many different outcomes in a row, the outcomes are no longer considered the cause.
const MAX_PANICS: usize = 5;

/// Starts the threads. They end when the sender is dropped and every submission on the line has been answered.
pub(super) fn start(
    inner: Arc<Inner>,
) -> std::io::Result<(Sender<LineItem>, UnboundedReceiver<AttemptedSubmission>)> {
    let (items, to_decide) = channel();
    let (decided, to_wait_for) = channel();
    let (attempted, answers) = unbounded_channel();
    let theirs = Arc::clone(&inner);
    std::thread::Builder::new()
        .name("outbox-decide".into())
        .spawn(move || decide(&inner, &to_decide, &decided))?;
    std::thread::Builder::new()
        .name("outbox-wait".into())
        .spawn(move || wait(&theirs, &to_wait_for, &attempted))?;
    Ok((items, answers))
}

/// A submission with its decision and place, if it got them.
type Decided = (AttemptedSubmission, Option<Pending>);

fn decide(inner: &Inner, items: &Receiver<LineItem>, decided: &Sender<Decided>) {
    // The consecutive outcomes that failed with the policy of this digest.
    let mut streak: (String, HashSet<Sequence>) = Default::default();
    let mut panics = Panics::new("outbox-decide");
    inner.committing.lower_priority();
    while let Ok(LineItem { mut queued, lease }) = items.recv() {
        inner.pulse.beat(Stage::Line);
        let opened = inner.open_queued(&mut queued);
        let mut attempted = AttemptedSubmission {
            sequence: queued.sequence,
            task_id: queued.task_id.to_string(),
            attempts: queued.attempts,
            trace_id: queued.trace_id,
            reporter: queued.reporter,
            lease,
            answer: None,
            began: Instant::now(),
        };
        if let Err(answer) = opened {
            attempted.answer = Some(*answer);
            if decided.send((attempted, None)).is_err() {
                return;
            }
            continue;
        }
        let report = match queued.kind {
            Kind::Outcome => Report::Outcome,
            Kind::WorkResult => Report::WorkResult,
        };
        let (document, reporter) = (queued.document.as_bytes(), attempted.reporter.as_ref());
        let submit = |recorder: &Recorder| recorder.submit_as(report, document, reporter);
        let work = || decide_one(inner, &mut streak, attempted.sequence, submit);
        let pending = panics.caught(inner, attempted.sequence, work);
        let pending = pending.unwrap_or_else(|| {
            attempted.answer = Some(defect(&attempted));
            None
        });
        if decided.send((attempted, pending)).is_err() {
            return;
        }
    }
}

/// `None`: the policy is in quarantine, and outcomes wait.
fn decide_one(
    inner: &Inner,
    streak: &mut (String, HashSet<Sequence>),
    sequence: Sequence,
    submit: impl FnOnce(&Recorder) -> Pending,
) -> Option<Pending> {
    if inner.is_held() {
        return None;
    }
    let in_force = inner.current_policy.now();
    let pending = submit(&in_force.recorder);
    let digest = in_force.policy_with_settings.policy.digest();
    if streak.0 != digest {
        *streak = (digest.to_owned(), HashSet::new());
    }
    match pending.answer().and_then(|answer| answer.cause) {
        Some(cause) if cause.is_policy_fault() => {
            streak.1.insert(sequence);
            if streak.1.len() >= SUSPECT {
                streak.1.clear();
                inner.suspect(&in_force);
            }
        }
        // A failure of the trail says nothing about the policy.
        Some(cause) if !cause.is_of_one_outcome() => {}
        _ => streak.1.clear(),
    }
    Some(pending)
}

fn wait(
    inner: &Inner,
    decided: &Receiver<Decided>,
    answers: &UnboundedSender<AttemptedSubmission>,
) {
    let mut panics = Panics::new("outbox-wait");
    while let Ok((mut attempted, pending)) = decided.recv() {
        if let Some(pending) = pending {
            let waited = panics.caught(inner, attempted.sequence, || pending.wait());
            attempted.answer = Some(waited.unwrap_or_else(|| defect(&attempted)));
        }
        inner.pulse.beat(Stage::Line);
        if answers.send(attempted).is_err() {
            return;
        }
    }
}

/// The consecutive outcomes on which a thread has panicked. One such outcome is blocked and retried later, as after a
/// policy fault. Too many in a row mean a defect of the host.
struct Panics {
    thread: &'static str,
    on: HashSet<Sequence>,
}

impl Panics {
    fn new(thread: &'static str) -> Panics {
        Panics {
            thread,
            on: HashSet::new(),
        }
    }

    /// The result of work on an outcome, unless it panics.
    fn caught<T>(
        &mut self,
        inner: &Inner,
        sequence: Sequence,
        work: impl FnOnce() -> T,
    ) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => {
                self.on.clear();
                Some(done)
            }
            Err(_) => {
                inner.panicked(self.thread);
                self.on.insert(sequence);
                if self.on.len() >= MAX_PANICS {
                    inner.give_up("the host panics on every outcome");
                }
                None
            }
        }
    }
}

fn defect(attempted: &AttemptedSubmission) -> Answer {
    Answer {
        cause: Some(Cause::Defect),
        reason: Some(
            "the host has panicked while it worked on this outcome; its log says where".into(),
        ),
        ..Answer::unavailable(Some(attempted.task_id.clone()))
    }
}
