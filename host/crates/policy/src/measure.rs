//! Measures how fast a policy is and what it uses, by calling it and another policy with the same inputs in turns.
//!
//! Owns the measurement. Fuel and memory are the same on every machine. Time is not, so only the ratio of two policies
//! that are measured in turns can be compared with another day's.

use super::{Call, Policy, PolicySettings, Trial};
use outcome::TaskOutcome;
use outcome::clock::Timestamp;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The time of recording in every call; its value does not matter.
const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// Inputs that policies are called with repeatedly.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The name of the workload.
    pub name: String,
    /// The outcomes to call the policy with.
    pub outcomes: Vec<TaskOutcome>,
    /// Whether each outcome is already recorded.
    pub again: bool,
}

/// The measured figures of one policy for one workload.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The duration of each call, shortest first.
    pub durations: Vec<Duration>,
    /// The fuel of the median call and of the largest, over one pass of the workload.
    pub fuel: (u64, u64),
    /// The largest memory of any call, in bytes.
    pub memory: usize,
    /// The number of calls that ended in a fault.
    pub faults: usize,
    /// The settings that the policy asked for.
    pub settings_read: BTreeSet<String>,
}

impl Measurement {
    /// Calls per second on one core, from the mean duration.
    pub fn calls_per_second(&self) -> f64 {
        let total: Duration = self.durations.iter().sum();
        self.durations.len() as f64 / total.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The duration that this percentage of the calls did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.durations.len() * percent).div_ceil(100);
        let at = at.clamp(1, self.durations.len().max(1));
        self.durations.get(at - 1).copied().unwrap_or_default()
    }
}

/// The calls of one policy. Existing entries are those that the policy itself made.
struct WorkloadCalls<'a> {
    policy: &'a Policy,
    settings: &'a PolicySettings,
    inputs: Vec<(&'a TaskOutcome, Option<Vec<u8>>)>,
}

impl<'a> WorkloadCalls<'a> {
    fn new(policy: &'a Policy, settings: &'a PolicySettings, workload: &'a Workload) -> Self {
        let existing = |outcome| {
            let call = Trial::new(outcome, settings, NOW).run(policy);
            call.entry().map(<[u8]>::to_vec)
        };
        let inputs = workload
            .outcomes
            .iter()
            .map(|outcome| (outcome, workload.again.then(|| existing(outcome)).flatten()))
            .collect();
        WorkloadCalls {
            policy,
            settings,
            inputs,
        }
    }

    fn call(&self, at: usize) -> (Call, Duration) {
        let (outcome, existing) = &self.inputs[at % self.inputs.len()];
        let trial = Trial {
            existing: existing.as_deref(),
            ..Trial::new(outcome, self.settings, NOW)
        };
        let began = Instant::now();
        let call = trial.run(self.policy);
        (call, began.elapsed())
    }

    fn measurement(&self, mut durations: Vec<Duration>) -> Measurement {
        durations.sort_unstable();
        let calls: Vec<Call> = (0..self.inputs.len()).map(|at| self.call(at).0).collect();
        let mut fuel: Vec<u64> = calls.iter().map(|call| call.fuel).collect();
        fuel.sort_unstable();
        Measurement {
            durations,
            fuel: (
                fuel.get(fuel.len() / 2).copied().unwrap_or_default(),
                fuel.last().copied().unwrap_or_default(),
            ),
            memory: calls
                .iter()
                .map(|call| call.memory)
                .max()
                .unwrap_or_default(),
            faults: calls.iter().filter(|call| call.verdict.is_err()).count(),
            settings_read: calls
                .iter()
                .flat_map(Call::settings_read)
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// How many calls one policy makes before the other's turn.
const TURN: usize = 50;

/// Calls both policies with the workload's inputs in turns, for at least `time` in total and one full pass for each.
pub fn measure(
    policies: [(&Policy, &PolicySettings); 2],
    workload: &Workload,
    time: Duration,
) -> [Measurement; 2] {
    let calls = policies.map(|(policy, settings)| WorkloadCalls::new(policy, settings, workload));
    let mut durations = [Vec::new(), Vec::new()];
    let began = Instant::now();
    // The first turn warms caches and memory, and is not counted.
    for calls_of_policy in &calls {
        for at in 0..workload.outcomes.len().min(TURN) {
            calls_of_policy.call(at);
        }
    }
    let mut at = 0;
    while began.elapsed() < time || at < workload.outcomes.len() {
        for (calls_of_policy, durations) in calls.iter().zip(&mut durations) {
            for turn in 0..TURN {
                durations.push(calls_of_policy.call(at + turn).1);
                if began.elapsed() > time * 2 && at + turn + 1 >= workload.outcomes.len() {
                    break;
                }
            }
        }
        at += TURN;
    }
    let [first, second] = durations;
    [calls[0].measurement(first), calls[1].measurement(second)]
}

#[cfg(test)]
mod tests {
    use super::Measurement;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn percentiles_are_calls_that_were_made() {
        let measured = |milliseconds: &[u64]| Measurement {
            durations: milliseconds
                .iter()
                .map(|ms| Duration::from_millis(*ms))
                .collect(),
            fuel: (0, 0),
            memory: 0,
            faults: 0,
            settings_read: BTreeSet::new(),
        };
        let ten = measured(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 100]);
        assert_eq!(ten.percentile(50), Duration::from_millis(5));
        assert_eq!(ten.percentile(90), Duration::from_millis(9));
        assert_eq!(ten.percentile(99), Duration::from_millis(100));
        assert_eq!(measured(&[7]).percentile(1), Duration::from_millis(7));
        assert_eq!(measured(&[]).percentile(50), Duration::ZERO);
        assert!((measured(&[1, 3]).calls_per_second() - 500.0).abs() < 1e-6);
    }
}
