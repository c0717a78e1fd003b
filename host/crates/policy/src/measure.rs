//! How fast a policy is, and what it uses: the same questions to it and to another, in turns.
//!
//! Owns the measuring. Fuel and memory are the same on every machine; time is this machine's, so that only a ratio of two policies
//! measured in turns can be compared with another day's.

use super::{Call, Policy, PolicySettings, Trial};
use outcome::TaskOutcome;
use outcome::clock::Timestamp;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The time of recording of every call: any would do.
const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// What policies are asked over and over.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// The outcomes.
    pub outcomes: Vec<TaskOutcome>,
    /// Whether each outcome is recorded already.
    pub again: bool,
}

/// What one policy did with a workload.
#[derive(Clone, Debug)]
pub struct Measured {
    /// How long each call took, the shortest first.
    pub durations: Vec<Duration>,
    /// The fuel of one pass over the workload: the median call and the largest.
    pub fuel: (u64, u64),
    /// The most memory that a call used.
    pub memory: usize,
    /// Calls that ended in a fault.
    pub faults: usize,
    /// The settings that the policy asked for.
    pub settings_read: BTreeSet<String>,
}

impl Measured {
    /// Calls in a second of computing, one after the other: from the mean.
    pub fn calls_per_second(&self) -> f64 {
        let total: Duration = self.durations.iter().sum();
        self.durations.len() as f64 / total.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time that so many of a hundred calls stay within.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.durations.len() * percent).div_ceil(100);
        let at = at.clamp(1, self.durations.len().max(1));
        self.durations.get(at - 1).copied().unwrap_or_default()
    }
}

/// The questions of one policy: existing entries are its own.
struct Questions<'a> {
    policy: &'a Policy,
    settings: &'a PolicySettings,
    asked: Vec<(&'a TaskOutcome, Option<Vec<u8>>)>,
}

impl<'a> Questions<'a> {
    fn new(policy: &'a Policy, settings: &'a PolicySettings, workload: &'a Workload) -> Self {
        let existing = |outcome| {
            let call = Trial::new(outcome, settings, NOW).run(policy);
            call.entry().map(<[u8]>::to_vec)
        };
        let asked = workload
            .outcomes
            .iter()
            .map(|outcome| (outcome, workload.again.then(|| existing(outcome)).flatten()))
            .collect();
        Questions {
            policy,
            settings,
            asked,
        }
    }

    fn ask(&self, at: usize) -> (Call, Duration) {
        let (outcome, existing) = &self.asked[at % self.asked.len()];
        let trial = Trial {
            existing: existing.as_deref(),
            ..Trial::new(outcome, self.settings, NOW)
        };
        let began = Instant::now();
        let call = trial.run(self.policy);
        (call, began.elapsed())
    }

    fn measured(&self, mut durations: Vec<Duration>) -> Measured {
        durations.sort_unstable();
        let calls: Vec<Call> = (0..self.asked.len()).map(|at| self.ask(at).0).collect();
        let mut fuel: Vec<u64> = calls.iter().map(|call| call.fuel).collect();
        fuel.sort_unstable();
        Measured {
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

/// How many calls one policy makes before it is the other's turn.
const TURN: usize = 50;

/// Asks both policies the workload's questions in turns, for at least `time` altogether and a full pass of each.
pub fn measure(
    policies: [(&Policy, &PolicySettings); 2],
    workload: &Workload,
    time: Duration,
) -> [Measured; 2] {
    let questions = policies.map(|(policy, settings)| Questions::new(policy, settings, workload));
    let mut durations = [Vec::new(), Vec::new()];
    let began = Instant::now();
    // The first turn warms caches and memory, and is not counted.
    for question in &questions {
        for at in 0..workload.outcomes.len().min(TURN) {
            question.ask(at);
        }
    }
    let mut at = 0;
    while began.elapsed() < time || at < workload.outcomes.len() {
        for (question, durations) in questions.iter().zip(&mut durations) {
            for turn in 0..TURN {
                durations.push(question.ask(at + turn).1);
                if began.elapsed() > time * 2 && at + turn + 1 >= workload.outcomes.len() {
                    break;
                }
            }
        }
        at += TURN;
    }
    let [first, second] = durations;
    [questions[0].measured(first), questions[1].measured(second)]
}

#[cfg(test)]
mod tests {
    use super::Measured;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn percentiles_are_calls_that_were_made() {
        let measured = |milliseconds: &[u64]| Measured {
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
