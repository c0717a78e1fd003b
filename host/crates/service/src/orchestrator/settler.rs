//! From answers to the store: writes the result of each submission, many at once, and reports it to waiting callers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use super::line::Tried;
use super::pulse::Stage;
use super::supervise::supervised;
use super::{Inner, backoff};
use outcome::{Cause, Rejection, Reporter};
use recorder::{Answer, AnswerKind};
use store::{Entry, Sequence, Settled, Settlement, State, StoreError};

/// The most results to write in one transaction: a few milliseconds of work, during which reporters wait.
const TOGETHER: usize = 128;

/// Starts the settler. It runs until the line has ended and every result is written.
pub(super) fn start(inner: &Arc<Inner>, answers: UnboundedReceiver<Tried>) -> JoinHandle<()> {
    let answers = Arc::new(Mutex::new(answers));
    let theirs = Arc::clone(inner);
    supervised(inner, "settler", move || {
        let (inner, answers) = (Arc::clone(&theirs), Arc::clone(&answers));
        async move { run(&inner, &mut *answers.lock().await).await }
    })
}

async fn run(inner: &Inner, answers: &mut UnboundedReceiver<Tried>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while answers.recv_many(&mut batch, TOGETHER).await > 0 {
        // An attempt made under one lease is not settled under another.
        let runs = runs(batch.drain(..), |tried| &tried.lease);
        let runs: Vec<_> = runs
            .into_iter()
            .map(|tried| (UnderWay::of(inner, &tried), tried))
            .collect();
        for (under_way, tried) in runs {
            settle(inner, tried).await;
            drop(under_way);
        }
    }
    if !inner.is_stopping() {
        inner.give_up("the thread outbox-wait has ended");
    }
}

/// However settling ends, a submission that is still open is fed again; its entry is then found in the trail.
struct UnderWay<'a> {
    inner: &'a Inner,
    sequences: Vec<Sequence>,
}

impl<'a> UnderWay<'a> {
    fn of(inner: &'a Inner, tried: &[Tried]) -> UnderWay<'a> {
        UnderWay {
            inner,
            sequences: tried.iter().map(|tried| tried.sequence).collect(),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.inner.under_way.done(&self.sequences);
    }
}

/// Runs of consecutive items with the same key.
fn runs<T, K: PartialEq>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> &K) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| key(last) == key(&item)) => run.push(item),
            _ => runs.push(vec![item]),
        }
    }
    runs
}

async fn settle(inner: &Inner, tried: Vec<Tried>) {
    let Some(first) = tried.first() else { return };
    let lease = first.lease.clone();
    let mut settlements = Vec::with_capacity(tried.len());
    let mut told = Vec::with_capacity(tried.len());
    let mut trail_failed = false;
    for tried in tried {
        let Some(answer) = &tried.answer else {
            continue;
        };
        inner.metrics.policy_time.record(answer.policy_time);
        if answer.unsigned {
            inner.metrics.unsigned.increment();
            // Before any caller learns that it is committed.
            answer
                .commit
                .iter()
                .for_each(|commit| inner.unsigned.note(commit));
        }
        if answer.cause.is_some_and(Cause::is_policy_fault) {
            inner.metrics.policy_faults.increment();
        }
        if answer.cause == Some(Cause::Fenced) {
            // The new committer finds it in the store, as this host would in its next term.
            inner.was_fenced(Some(&lease));
            continue;
        }
        let whole_trail = answer.result == AnswerKind::Unavailable
            && !answer.cause.is_some_and(Cause::is_of_one_outcome);
        if whole_trail {
            note_trouble(inner, answer);
            // One attempt reports the trail's error. The others may not have been tried at all.
            if std::mem::replace(&mut trail_failed, true) {
                continue;
            }
        } else {
            note_success(inner, &tried, answer);
        }
        let settled = settled(&tried, answer);
        if let Some(cause) = answer.cause {
            inner
                .metrics
                .standing
                .not_committed(state(&settled).name(), cause);
        }
        log(&tried, answer, &settled);
        told.push((tried.sequence, state(&settled)));
        settlements.push(Settlement {
            sequence: tried.sequence,
            settled,
        });
    }
    write_down(inner, &lease, settlements, told).await;
}

/// Retries until the results are written or another host has taken over: a lost result is found again in the trail.
async fn write_down(
    inner: &Inner,
    lease: &store::Lease,
    settlements: Vec<Settlement>,
    told: Vec<(Sequence, State)>,
) {
    let mut failures = 0;
    loop {
        inner.pulse.beat(Stage::Line);
        let settled = match inner.may_settle(&settlements).await {
            Ok(()) => inner.store.settle(lease, settlements.clone()).await,
            Err(error) => Err(error),
        };
        match settled {
            Ok(()) => {
                inner.store_works();
                for (_, state) in &told {
                    inner.metrics.settled(state);
                }
                inner.settlements.tell(told);
                note_fresh(inner, settlements);
                inner.recorded.notify_waiters();
                return;
            }
            Err(error @ (StoreError::Rebound | StoreError::OtherTrail { .. })) => {
                inner.ask_again_whose_store();
                inner.store_failed(&error);
                inner.was_fenced(Some(lease));
                return;
            }
            Err(StoreError::Fenced) => {
                tracing::warn!(
                    "the lease was lost; outcomes in flight will be found again in the trail"
                );
                // Not a lease that was taken again meanwhile.
                inner
                    .lease
                    .send_if_modified(|held| held.take_if(|held| held.lease == *lease).is_some());
                return;
            }
            Err(error) => {
                inner.store_failed(&error);
                failures += 1;
                if inner.is_past_deadline() {
                    return;
                }
                let pause = backoff::STORE.after(failures, fastrand::f64());
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Keeps committed entries for followers.
fn note_fresh(inner: &Inner, settlements: Vec<Settlement>) {
    if !inner.fresh.is_kept() {
        return;
    }
    for settlement in settlements {
        if let Settled::Committed(entry) = settlement.settled {
            inner.fresh.note(*entry);
        }
    }
}

fn note_trouble(inner: &Inner, answer: &Answer) {
    let cause = answer.cause.unwrap_or(Cause::Io);
    let reason = answer.reason.as_deref().unwrap_or(cause.as_str());
    inner.trail_failed(cause, reason);
}

fn note_success(inner: &Inner, tried: &Tried, answer: &Answer) {
    // Only a new entry proves a write: a recorded entry can be found even if the trail cannot be written.
    if answer.result != AnswerKind::Committed {
        return;
    }
    inner.metrics.record_time.record(tried.began.elapsed());
    inner.trail_works();
}

fn settled(tried: &Tried, answer: &Answer) -> Settled {
    let cause = answer.cause.unwrap_or(Cause::Io);
    let reason = answer.reason.clone();
    match answer.result {
        AnswerKind::Committed | AnswerKind::AlreadyRecorded => match found(answer) {
            Ok(entry) => Settled::Committed(Box::new(entry)),
            Err(reason) => Settled::Blocked {
                cause: Cause::Unreadable,
                reason: Some(reason),
                retry_in: Some(backoff::OUTCOME.after(tried.attempts + 1, fastrand::f64())),
            },
        },
        AnswerKind::Conflicting => Settled::Conflicting {
            cause,
            reason: reason.unwrap_or_default(),
        },
        AnswerKind::Refused => Settled::Refused {
            cause,
            violations: answer.violations.clone(),
            reason,
        },
        AnswerKind::Unavailable => {
            if cause.is_of_one_outcome() && cause != Cause::Changed {
                Settled::Blocked {
                    cause,
                    reason,
                    retry_in: Some(backoff::OUTCOME.after(tried.attempts + 1, fastrand::f64())),
                }
            } else {
                // The feeder waits for the trail; this submission is the next to be tried.
                Settled::Pending {
                    cause,
                    reason,
                    retry_in: Duration::ZERO,
                }
            }
        }
    }
}

/// The durable entry that the recorder found in the trail.
fn found(answer: &Answer) -> Result<Entry, String> {
    let bytes = answer.entry.as_deref().ok_or("its entry was not read")?;
    let path = answer.path.as_deref().ok_or("its entry has no path")?;
    let commit = answer
        .commit
        .as_deref()
        .ok_or("history is cut off before the commit that added its entry")?;
    Entry::read(commit, path, bytes, answer.reporter.as_ref()).map_err(|error| error.to_string())
}

fn state(settled: &Settled) -> State {
    match settled {
        Settled::Committed(entry) => State::Committed {
            commit: entry.commit.clone(),
            path: entry.path.clone(),
        },
        Settled::Conflicting { cause, reason } => State::Conflicting {
            cause: Some(*cause),
            reason: reason.clone(),
        },
        Settled::Refused {
            cause,
            violations,
            reason,
        } => State::Refused {
            cause: Some(*cause),
            violations: violations.clone(),
            reason: reason.clone(),
        },
        Settled::Pending { cause, reason, .. } => State::Pending {
            cause: Some(*cause),
            reason: reason.clone(),
        },
        Settled::Blocked { cause, reason, .. } => State::Blocked {
            cause: Some(*cause),
            reason: reason.clone(),
        },
    }
}

fn log(tried: &Tried, answer: &Answer, settled: &Settled) {
    let task_id = tried.task_id.as_str();
    let trace_id = tried.trace_id.as_deref();
    let reporter = tried.reporter.as_ref().map(Reporter::as_str);
    for line in &answer.policy_log {
        tracing::debug!(task_id, trace_id, level = ?line.level, said = line.message, "policy");
    }
    match settled {
        Settled::Committed(entry) if answer.unsigned => {
            tracing::warn!(
                task_id,
                trace_id,
                reporter,
                commit = entry.commit,
                signature = "unavailable",
                "committed unsigned"
            );
        }
        Settled::Committed(entry) => {
            tracing::info!(
                task_id,
                trace_id,
                reporter,
                commit = entry.commit,
                "committed"
            );
        }
        Settled::Conflicting { cause, reason } => {
            tracing::warn!(task_id, trace_id, reporter, %cause, reason, "conflicting");
        }
        Settled::Refused {
            cause,
            reason,
            violations,
        } => {
            let violations = violations.clone();
            let violations = Rejection { violations }.to_string();
            tracing::warn!(task_id, trace_id, reporter, %cause, reason, violations, "refused");
        }
        Settled::Pending { cause, reason, .. } => {
            tracing::debug!(task_id, trace_id, reporter, %cause, reason, "pending");
        }
        Settled::Blocked { cause, reason, .. } => {
            tracing::warn!(task_id, trace_id, reporter, %cause, reason, "blocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn attempts_under_different_leases_are_settled_separately() {
        let tried = [(1, "a"), (1, "b"), (2, "c"), (1, "d"), (1, "e")];
        let apart = runs(tried.into_iter(), |tried| &tried.0);
        let expected = [
            vec![(1, "a"), (1, "b")],
            vec![(2, "c")],
            vec![(1, "d"), (1, "e")],
        ];
        assert_eq!(apart, expected);
        assert!(runs(std::iter::empty::<i32>(), |number| number).is_empty());
    }
}
