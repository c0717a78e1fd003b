//! The state of a service's regular checkpoints, for operators: when the last was kept, and any trouble.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Orchestrator, Trouble};
use outcome::Cause;
use outcome::clock::Timestamp;

/// One failed or slow checkpoint is not an alarm yet; two missing ones are.
const MISSING: u32 = 2;

/// Receives the results of `PeriodicCheckpoints`.
pub struct CheckpointWatch {
    every: Duration,
    state: Mutex<State>,
}

struct State {
    /// When the last one was kept, and the number of entries that it covers.
    kept: Option<(Timestamp, u64)>,
    /// Since when there is no newer one.
    since: Instant,
    since_time: Timestamp,
    failed: Option<Trouble>,
}

/// The state of the checkpoints.
#[derive(Clone, Debug)]
pub struct CheckpointStatus {
    /// When this process last kept one, and the number of entries that it covers.
    pub kept: Option<(Timestamp, u64)>,
    /// The time since then, or since this process started trying.
    pub age: Duration,
    /// Why a newer one is missing, most importantly a rollback.
    pub trouble: Option<Trouble>,
}

impl CheckpointWatch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a checkpoint was kept.
    pub fn kept(&self, time: Timestamp, entries: u64) {
        let mut state = self.state();
        state.kept = Some((time, entries));
        state.since = Instant::now();
        state.since_time = time;
        state.failed = None;
    }

    /// Records that none was kept, because the trail does not extend the last one or for another reason.
    pub fn failed(&self, time: Timestamp, is_rolled_back: bool, reason: &str) {
        let mut state = self.state();
        let cause = match is_rolled_back {
            true => Cause::RolledBack,
            false => Cause::Checkpoint,
        };
        let since = match &state.failed {
            Some(before) if before.cause == cause => before.since,
            _ => time,
        };
        state.failed = Some(Trouble {
            cause,
            reason: reason.to_owned(),
            since,
        });
    }

    fn status(&self) -> CheckpointStatus {
        let state = self.state();
        let age = state.since.elapsed();
        let is_late = age > self.every.saturating_mul(MISSING);
        let late = || Trouble {
            cause: Cause::Checkpoint,
            reason: format!(
                "no checkpoint was kept for {} s, and one is due every {} s",
                age.as_secs(),
                self.every.as_secs()
            ),
            since: state.since_time,
        };
        CheckpointStatus {
            kept: state.kept,
            age,
            trouble: state.failed.clone().or_else(|| is_late.then(late)),
        }
    }
}

impl Orchestrator {
    /// Watches checkpoints that are due at this interval from now on.
    pub fn watch_checkpoints(&self, every: Duration) -> Arc<CheckpointWatch> {
        let begin = || {
            Arc::new(CheckpointWatch {
                every,
                state: Mutex::new(State {
                    kept: None,
                    since: Instant::now(),
                    since_time: self.now(),
                    failed: None,
                }),
            })
        };
        Arc::clone(self.inner().checkpoints.get_or_init(begin))
    }

    /// The state of the checkpoints, if this process makes them. Updates the gauges.
    pub(super) fn checkpoints(&self) -> Option<CheckpointStatus> {
        let status = self.inner().checkpoints.get()?.status();
        self.inner().metrics.checkpoint(&status);
        Some(status)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use super::{CheckpointWatch, State};
    use outcome::Cause;
    use outcome::clock::Timestamp;

    fn checkpoint_watch(every: Duration) -> CheckpointWatch {
        CheckpointWatch {
            every,
            state: Mutex::new(State {
                kept: None,
                since: Instant::now(),
                since_time: Timestamp::from_seconds(0),
                failed: None,
            }),
        }
    }

    #[test]
    fn a_roll_back_is_an_alarm_until_a_checkpoint_is_kept_again() {
        let checkpoint_watch = checkpoint_watch(Duration::from_secs(600));
        assert!(checkpoint_watch.status().trouble.is_none());
        checkpoint_watch.failed(Timestamp::from_seconds(1), true, "rolled back");
        checkpoint_watch.failed(Timestamp::from_seconds(2), true, "rolled back");
        let trouble = checkpoint_watch.status().trouble.expect("it failed");
        assert_eq!(
            (trouble.cause, trouble.since),
            (Cause::RolledBack, Timestamp::from_seconds(1))
        );
        checkpoint_watch.kept(Timestamp::from_seconds(3), 7);
        let status = checkpoint_watch.status();
        assert!(status.trouble.is_none());
        assert_eq!(status.kept, Some((Timestamp::from_seconds(3), 7)));
    }

    #[test]
    fn a_checkpoint_that_hangs_is_an_alarm_without_a_failure() {
        let checkpoint_watch = checkpoint_watch(Duration::ZERO);
        checkpoint_watch.state().since = Instant::now() - Duration::from_millis(5);
        let trouble = checkpoint_watch.status().trouble.expect("it is late");
        assert_eq!(trouble.cause, Cause::Checkpoint);
    }
}
