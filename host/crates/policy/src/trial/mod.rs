//! Trials: policy calls without a trail. Everything that the policy can learn is given in advance, and its answer has
//! no effect.
//!
//! Owns the input of a trial. The same code as for recording decides what the host would do with the answer.

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

/// The input of a trial: the outcome, and everything that the policy can learn. Cheap to change and to run again.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// The outcome to decide.
    pub outcome: &'a TaskOutcome,
    /// The task's entry in the trail, if it has one.
    pub existing: Option<&'a [u8]>,
    /// The operator's settings for the policy.
    pub settings: &'a PolicySettings,
    /// The time of recording.
    pub now: Timestamp,
    /// Host calls that are made to fail.
    pub faults: &'a [HostFault],
}

impl<'a> Trial<'a> {
    /// Creates a trial without an entry in the trail, without settings and without failing host calls.
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

    /// Calls the policy, in a separate instance as always.
    ///
    /// The verdict is what the recorder would act on: an `already-recorded` that no entry confirms is a fault.
    pub fn run(&self, policy: &Policy) -> Call {
        self.run_with(policy, TrialOptions::default())
    }

    /// Does the same, and records every host call in [`Call::exchanges`], which copies everything that is passed.
    pub fn run_with_exchanges(&self, policy: &Policy) -> Call {
        let options = TrialOptions {
            transcript: Some(Transcript::default()),
            ..TrialOptions::default()
        };
        self.run_with(policy, options)
    }

    /// Does the same with these options; the trial's faults are added to them.
    pub(super) fn run_with(&self, policy: &Policy, mut trial_options: TrialOptions) -> Call {
        let snapshot = Box::new(EntrySnapshot(self.existing.map(<[u8]>::to_vec)));
        trial_options.faults.extend_from_slice(self.faults);
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

/// A snapshot that holds the trial's entry.
struct EntrySnapshot(Option<Vec<u8>>);

impl Snapshot for EntrySnapshot {
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.clone())
    }
}
