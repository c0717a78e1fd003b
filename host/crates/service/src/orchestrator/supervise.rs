//! Tasks that must keep running. A panic is reported and counted, and the task restarted; a task that keeps panicking
//! ends the host's work.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use super::{Inner, Trouble};
use outcome::Cause;
use outcome::clock::Timestamp;

/// How long a restarted task is still reported as failed, so that periodic checks notice it.
const TOLD: Duration = Duration::from_secs(60);

/// A task that fails this often within [`TOLD`] will keep failing.
const MAX_FAILURES: usize = 5;

/// The pause between a failure and the restart.
const PAUSE: Duration = Duration::from_millis(200);

/// Recent failures, and whether the host has given up.
#[derive(Default)]
pub(super) struct Failures {
    inner: Mutex<RecentFailures>,
}

#[derive(Default)]
struct RecentFailures {
    failures: Vec<(Instant, &'static str)>,
    last: Option<Trouble>,
    count: u64,
}

impl Failures {
    fn inner(&self) -> MutexGuard<'_, RecentFailures> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a failure. Returns whether the task keeps failing.
    fn note(&self, task: &'static str, time: Timestamp) -> bool {
        let mut recent = self.inner();
        let now = Instant::now();
        recent
            .failures
            .retain(|(when, _)| now.duration_since(*when) < TOLD);
        recent.failures.push((now, task));
        recent.count += 1;
        recent.last = Some(Trouble {
            cause: Cause::TaskFailed,
            reason: format!("the task {task} has panicked and was restarted"),
            since: time,
        });
        let times = recent.failures.iter().filter(|(_, name)| *name == task);
        times.count() >= MAX_FAILURES
    }

    /// The last failure, for a minute.
    pub(super) fn recent(&self) -> Option<Trouble> {
        let recent = self.inner();
        let (when, _) = recent.failures.last()?;
        recent.last.clone().filter(|_| when.elapsed() < TOLD)
    }

    /// The number of failures.
    pub(super) fn count(&self) -> u64 {
        self.inner().count
    }
}

impl Inner {
    /// Reports that a task has panicked and continues. The panic hook has logged the panic itself. Returns whether
    /// the task keeps panicking.
    pub(super) fn panicked(&self, task: &'static str) -> bool {
        tracing::error!(task, "a task has panicked; it is restarted");
        self.failures.note(task, self.now())
    }

    /// Declares that this host can no longer work: its owner must end it.
    pub(super) fn give_up(&self, reason: &str) {
        if self.given_up.borrow().is_some() {
            return;
        }
        tracing::error!(reason, "this host gives up");
        self.health.set_stalled(Some(reason.to_owned()), self.now());
        // Last, so that a listener finds the reason in this host's state, too.
        self.given_up.send_replace(Some(reason.to_owned()));
    }
}

/// Runs a task until it returns, restarting it after each panic.
pub(super) fn supervised<F>(
    inner: &Arc<Inner>,
    task: &'static str,
    mut run: impl FnMut() -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send,
{
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        while AssertUnwindSafe(run()).catch_unwind().await.is_err() {
            if inner.panicked(task) {
                inner.give_up(&format!("the task {task} keeps panicking"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_keeps_failing_is_distinguished_from_one_that_failed_once() {
        let failures = Failures::default();
        let time = Timestamp::from_seconds(1);
        assert!(failures.recent().is_none());
        assert!(!failures.note("follow", time));
        for _ in 1..MAX_FAILURES {
            assert!(!failures.note("feeder", time));
        }
        let last = failures.recent().map(|trouble| trouble.cause);
        assert_eq!(last, Some(Cause::TaskFailed));
        assert!(failures.note("feeder", time));
        assert_eq!(failures.count(), 6);
    }
}
