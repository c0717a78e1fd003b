//! Detects a stalled pipeline: each stage counts its steps, and a watch notices a count that does not change.
//!
//! The watch measures time only by its own checks. A stopped process or a sleeping machine has not stalled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Inner, Orchestrator};

/// A stage of the pipeline whose steps end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// From the outbox onto the line.
    Feeder,
    /// From the line to the store: policy, trail, settling. It has work while submissions are in flight.
    Line,
    /// Renewing the lease, which writes to the store.
    Lease,
}

const STAGES: [Stage; 3] = [Stage::Feeder, Stage::Line, Stage::Lease];

/// The step counts of each stage.
#[derive(Default)]
pub(super) struct Pulse {
    steps: [AtomicU64; STAGES.len()],
}

impl Pulse {
    /// Counts a finished step.
    pub(super) fn beat(&self, stage: Stage) {
        self.steps[stage as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self, stage: Stage) -> u64 {
        self.steps[stage as usize].load(Ordering::Relaxed)
    }
}

/// A stage that has work and makes no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The stage's name.
    pub stage: &'static str,
    /// How long it has made no progress.
    pub time: Duration,
}

/// Watches an orchestrator from outside, on a thread that shares nothing with the pipeline.
pub struct StallWatch {
    inner: Arc<Inner>,
    looked: Instant,
    stages: [UnchangedCount; STAGES.len()],
}

/// How long a count has not changed.
#[derive(Default)]
struct UnchangedCount {
    count: u64,
    time: Duration,
}

/// A check that is later than this was itself delayed, and proves nothing about the pipeline.
const LATE: Duration = Duration::from_secs(2);

impl UnchangedCount {
    fn look(&mut self, count: u64, has_work: bool, since_last_look: Duration) -> Duration {
        if !has_work || self.count != count {
            *self = UnchangedCount {
                count,
                time: Duration::ZERO,
            };
        } else {
            self.time += since_last_look.min(LATE);
        }
        self.time
    }
}

impl Orchestrator {
    /// Creates a watch for this orchestrator.
    pub fn stall_watch(&self) -> StallWatch {
        StallWatch {
            inner: Arc::clone(self.inner()),
            looked: Instant::now(),
            stages: Default::default(),
        }
    }
}

impl StallWatch {
    /// Must be called at least every second. Returns the stage that has been still for longest.
    pub fn look(&mut self) -> Stall {
        let since_last_look = self.looked.elapsed();
        self.looked = Instant::now();
        let inner = &self.inner;
        let trail = inner.current_policy.now().recorder.trail().progress();
        let mut longest = Stall {
            stage: "",
            time: Duration::ZERO,
        };
        // On shutdown, the feeder and the lease end before the line, which has its own time limit.
        let goes_on = !inner.is_stopping();
        for (stage, still) in STAGES.into_iter().zip(&mut self.stages) {
            let steps = inner.pulse.steps(stage);
            let (name, count, has_work) = match stage {
                // It may be waiting for a check of the trail.
                Stage::Feeder => ("feeder", steps.wrapping_add(trail), goes_on),
                Stage::Line => ("line", steps.wrapping_add(trail), inner.in_flight.len() > 0),
                Stage::Lease => ("lease", steps, goes_on),
            };
            let time = still.look(count, has_work && !inner.has_ended(), since_last_look);
            if time > longest.time {
                longest = Stall { stage: name, time };
            }
        }
        longest
    }

    /// Stores the result for status requests.
    pub fn note(&self, stall: Option<Stall>) {
        if self.inner.given_up.borrow().is_some() {
            return;
        }
        let reason = stall.map(|Stall { stage, time }| {
            format!(
                "the {stage} has made no progress for {} s although there is work",
                time.as_secs()
            )
        });
        self.inner.health.set_stalled(reason, self.inner.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_that_stays_while_there_is_work_is_a_stall() {
        let second = Duration::from_secs(1);
        let mut still = UnchangedCount::default();
        assert_eq!(still.look(1, true, second), Duration::ZERO);
        assert_eq!(still.look(1, true, second), second);
        assert_eq!(still.look(1, true, second), 2 * second);
        // A process that was stopped for an hour has checked once, not for an hour.
        assert_eq!(still.look(1, true, 3600 * second), 2 * second + LATE);
        assert_eq!(still.look(2, true, second), Duration::ZERO);
        assert_eq!(still.look(2, true, second), second);
        assert_eq!(still.look(2, false, second), Duration::ZERO);
    }
}
