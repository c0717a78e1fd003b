//! From answers to the store: writes the result of each submission, many at once, and reports it to waiting callers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use super::line::AttemptedSubmission;
use super::pulse::Stage;
use super::settled::Key;
use super::supervise::supervised;
use super::{Inner, backoff};
use outcome::{Cause, Rejection, Reporter};
use recorder::{Answer, AnswerKind};
use store::{Entry, Sequence, Settlement, SettlementResult, State, StoreError};

/// The most results to write in one transaction: a few milliseconds of work, during which reporters wait.
const TOGETHER: usize = 128;

/// Starts the settler. It runs until the line has ended and every result is written.
pub(super) fn start(
    inner: &Arc<Inner>,
    answers: UnboundedReceiver<AttemptedSubmission>,
) -> JoinHandle<()> {
    let answers = Arc::new(Mutex::new(answers));
    let theirs = Arc::clone(inner);
    supervised(inner, "settler", move || {
        let (inner, answers) = (Arc::clone(&theirs), Arc::clone(&answers));
        async move { run(&inner, &mut *answers.lock().await).await }
    })
}

async fn run(inner: &Inner, answers: &mut UnboundedReceiver<AttemptedSubmission>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while answers.recv_many(&mut batch, TOGETHER).await > 0 {
        // An attempt made under one lease is not settled under another.
        let runs = group_runs(batch.drain(..), |attempted| &attempted.lease);
        let runs: Vec<_> = runs
            .into_iter()
            .map(|attempted| (InFlightGuard::of(inner, &attempted), attempted))
            .collect();
        for (in_flight, attempted) in runs {
            settle(inner, attempted).await;
            drop(in_flight);
        }
    }
    if !inner.is_stopping() {
        inner.give_up("the thread outbox-wait has ended");
    }
}

/// However settling ends, a submission that is still open is fed again; its entry is then found in the trail.
struct InFlightGuard<'a> {
    inner: &'a Inner,
    sequences: Vec<Sequence>,
}

impl<'a> InFlightGuard<'a> {
    fn of(inner: &'a Inner, attempted: &[AttemptedSubmission]) -> InFlightGuard<'a> {
        InFlightGuard {
            inner,
            sequences: attempted
                .iter()
                .map(|attempted| attempted.sequence)
                .collect(),
        }
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.inner.in_flight.done(&self.sequences);
    }
}

/// Runs of consecutive items with the same key.
fn group_runs<T, K: PartialEq>(
    items: impl Iterator<Item = T>,
    key: impl Fn(&T) -> &K,
) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| key(last) == key(&item)) => run.push(item),
            _ => runs.push(vec![item]),
        }
    }
    runs
}

async fn settle(inner: &Inner, attempted: Vec<AttemptedSubmission>) {
    let Some(first) = attempted.first() else {
        return;
    };
    let lease = first.lease.clone();
    let mut settlements = Vec::with_capacity(attempted.len());
    let mut states = Vec::with_capacity(attempted.len());
    let mut trail_failed = false;
    for attempted in attempted {
        let Some(answer) = &attempted.answer else {
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
            note_success(inner, &attempted, answer);
        }
        let result = settlement_result(&attempted, answer);
        if let Some(cause) = answer.cause {
            inner
                .metrics
                .states
                .not_committed(state_after(&result).name(), cause);
        }
        log(&attempted, answer, &result);
        let key = (attempted.sequence, attempted.task_id.clone());
        states.push((key, state_after(&result)));
        settlements.push(Settlement {
            sequence: attempted.sequence,
            result,
        });
    }
    write_results(inner, &lease, settlements, states).await;
}

/// Retries until the results are written or another host has taken over: a lost result is found again in the trail.
async fn write_results(
    inner: &Inner,
    lease: &store::Lease,
    settlements: Vec<Settlement>,
    states: Vec<(Key, State)>,
) {
    let mut failures = 0;
    let acknowledges = settlements
        .iter()
        .any(|settlement| matches!(settlement.result, SettlementResult::Committed(_)));
    // What stays open is found again in the trail.
    if acknowledges && !inner.wait_for_copies().await {
        return;
    }
    loop {
        inner.pulse.beat(Stage::Line);
        let result = match inner.may_settle(&settlements).await {
            Ok(()) => inner.store.settle(lease, settlements.clone()).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {
                inner.store_works();
                for (_, state) in &states {
                    inner.metrics.count_settled(state);
                }
                inner.settlements.tell(states);
                keep_recent(inner, settlements);
                inner.recorded.notify_waiters();
                return;
            }
            Err(error @ (StoreError::Rebound | StoreError::OtherTrail { .. })) => {
                inner.invalidate_binding();
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
fn keep_recent(inner: &Inner, settlements: Vec<Settlement>) {
    if !inner.recent.is_kept() {
        return;
    }
    for settlement in settlements {
        if let SettlementResult::Committed(entry) = settlement.result {
            inner.recent.note(*entry);
        }
    }
}

fn note_trouble(inner: &Inner, answer: &Answer) {
    let cause = answer.cause.unwrap_or(Cause::Io);
    let reason = answer.reason.as_deref().unwrap_or(cause.as_str());
    inner.trail_failed(cause, reason);
}

fn note_success(inner: &Inner, attempted: &AttemptedSubmission, answer: &Answer) {
    // Only a new entry proves a write: a recorded entry can be found even if the trail cannot be written.
    if answer.result != AnswerKind::Committed {
        return;
    }
    inner.metrics.record_time.record(attempted.began.elapsed());
    inner.trail_works();
}

fn settlement_result(attempted: &AttemptedSubmission, answer: &Answer) -> SettlementResult {
    let cause = answer.cause.unwrap_or(Cause::Io);
    let reason = answer.reason.clone();
    match answer.result {
        AnswerKind::Committed | AnswerKind::AlreadyRecorded => match found_entry(answer) {
            Ok(entry) => SettlementResult::Committed(Box::new(entry)),
            Err(reason) => SettlementResult::Blocked {
                cause: Cause::Unreadable,
                reason: Some(reason),
                retry_in: Some(backoff::OUTCOME.after(attempted.attempts + 1, fastrand::f64())),
            },
        },
        AnswerKind::Conflicting => SettlementResult::Conflicting {
            cause,
            reason: reason.unwrap_or_default(),
        },
        AnswerKind::Refused => SettlementResult::Refused {
            cause,
            violations: answer.violations.clone(),
            reason,
        },
        AnswerKind::Unavailable => {
            if cause.is_of_one_outcome() && cause != Cause::Changed {
                SettlementResult::Blocked {
                    cause,
                    reason,
                    retry_in: Some(backoff::OUTCOME.after(attempted.attempts + 1, fastrand::f64())),
                }
            } else {
                // The feeder waits for the trail; this submission is the next to be tried.
                SettlementResult::Pending {
                    cause,
                    reason,
                    retry_in: Duration::ZERO,
                }
            }
        }
    }
}

/// The durable entry that the recorder found in the trail.
fn found_entry(answer: &Answer) -> Result<Entry, String> {
    let bytes = answer.entry.as_deref().ok_or("its entry was not read")?;
    let path = answer.path.as_deref().ok_or("its entry has no path")?;
    let commit = answer
        .commit
        .as_deref()
        .ok_or("history is cut off before the commit that added its entry")?;
    Entry::read(commit, path, bytes, answer.reporter.as_ref()).map_err(|error| error.to_string())
}

fn state_after(result: &SettlementResult) -> State {
    match result {
        SettlementResult::Committed(entry) => State::Committed {
            commit: entry.commit.clone(),
            path: entry.path.clone(),
        },
        SettlementResult::Conflicting { cause, reason } => State::Conflicting {
            cause: Some(*cause),
            reason: reason.clone(),
        },
        SettlementResult::Refused {
            cause,
            violations,
            reason,
        } => State::Refused {
            cause: Some(*cause),
            violations: violations.clone(),
            reason: reason.clone(),
        },
        SettlementResult::Pending { cause, reason, .. } => State::Pending {
            cause: Some(*cause),
            reason: reason.clone(),
        },
        SettlementResult::Blocked { cause, reason, .. } => State::Blocked {
            cause: Some(*cause),
            reason: reason.clone(),
        },
    }
}

fn log(attempted: &AttemptedSubmission, answer: &Answer, result: &SettlementResult) {
    let task_id = attempted.task_id.as_str();
    let trace_id = attempted.trace_id.as_deref();
    let reporter = attempted.reporter.as_ref().map(Reporter::as_str);
    for line in &answer.policy_log {
        tracing::debug!(task_id, trace_id, level = ?line.level, said = line.message, "policy");
    }
    match result {
        SettlementResult::Committed(entry) if answer.unsigned => {
            tracing::warn!(
                task_id,
                trace_id,
                reporter,
                commit = entry.commit,
                signature = "unavailable",
                "committed unsigned"
            );
        }
        SettlementResult::Committed(entry) => {
            tracing::info!(
                task_id,
                trace_id,
                reporter,
                commit = entry.commit,
                "committed"
            );
        }
        SettlementResult::Conflicting { cause, reason } => {
            tracing::warn!(task_id, trace_id, reporter, %cause, reason, "conflicting");
        }
        SettlementResult::Refused {
            cause,
            reason,
            violations,
        } => {
            let violations = violations.clone();
            let violations = Rejection { violations }.to_string();
            tracing::warn!(task_id, trace_id, reporter, %cause, reason, violations, "refused");
        }
        SettlementResult::Pending { cause, reason, .. } => {
            tracing::debug!(task_id, trace_id, reporter, %cause, reason, "pending");
        }
        SettlementResult::Blocked { cause, reason, .. } => {
            tracing::warn!(task_id, trace_id, reporter, %cause, reason, "blocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::group_runs;

    #[test]
    fn attempts_under_different_leases_are_settled_separately() {
        let attempted = [(1, "a"), (1, "b"), (2, "c"), (1, "d"), (1, "e")];
        let apart = group_runs(attempted.into_iter(), |attempted| &attempted.0);
        let expected = [
            vec![(1, "a"), (1, "b")],
            vec![(2, "c")],
            vec![(1, "d"), (1, "e")],
        ];
        assert_eq!(apart, expected);
        assert!(group_runs(std::iter::empty::<i32>(), |number| number).is_empty());
    }
}
