//! Trials: a policy called with no trail, everything that it may learn given beforehand, and nothing done about its answer.
//!
//! Owns what is given to one. What the host would make of the answer is decided by the same code that records.

mod exchange;
mod host_fault;
mod recording;
mod resubmission;

pub(super) use exchange::Transcript;
pub use exchange::{Answer, Contents, Exchange, level_name};
pub use host_fault::{HostError, HostFault, HostFunction};
pub use recording::{Recording, RecordingError, Replay};
pub use resubmission::Resubmission;

use super::call::TrialOptions;
use super::{Call, Policy, PolicySettings, Snapshot};
use outcome::TaskOutcome;
use outcome::clock::Timestamp;

/// What a policy is asked, and everything that it may learn. Cheap to change and to run again.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// The outcome.
    pub outcome: &'a TaskOutcome,
    /// The task's entry on the trail, if it has one.
    pub existing: Option<&'a [u8]>,
    /// The operator's settings for the policy.
    pub settings: &'a PolicySettings,
    /// The time of recording.
    pub now: Timestamp,
    /// Host calls that fail.
    pub faults: &'a [HostFault],
}

impl<'a> Trial<'a> {
    /// A trial with no entry on the trail, no settings given and no host call that fails.
    pub fn new(
        outcome: &'a TaskOutcome,
        settings: &'a PolicySettings,
        now: Timestamp,
    ) -> Trial<'a> {
        Trial {
            outcome,
            existing: None,
            settings,
            now,
            faults: &[],
        }
    }

    /// Calls the policy, in an instance of its own as always.
    ///
    /// The verdict is what the recorder would act on: an `already-recorded` without an entry that bears it out is a fault.
    pub fn run(&self, policy: &Policy) -> Call {
        self.call(policy, None)
    }

    /// The same, with every host call kept in [`Call::exchanges`]. Costs copies of what is passed.
    pub fn run_with_exchanges(&self, policy: &Policy) -> Call {
        self.call(policy, Some(Transcript::default()))
    }

    fn call(&self, policy: &Policy, transcript: Option<Transcript>) -> Call {
        let snapshot = Box::new(EntrySnapshot(self.existing.map(<[u8]>::to_vec)));
        let trial_options = TrialOptions {
            faults: self.faults.to_vec(),
            transcript,
        };
        let mut call = policy.call_with_options(
            self.outcome,
            snapshot,
            self.now,
            self.settings,
            trial_options,
        );
        call.verdict = call
            .verdict
            .and_then(|verdict| verdict.check_against_trail(self.outcome, self.existing));
        call
    }
}

/// The trail of a trial.
struct EntrySnapshot(Option<Vec<u8>>);

impl Snapshot for EntrySnapshot {
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.clone())
    }
}
