//! A recording: one call with everything that the policy was given, asked and answered, so that it can be made again.
//!
//! Owns the file's form, which is public (`"recording": 1`), and the comparison of two runs. Reads and writes no file.

use super::super::{Call, Policy, PolicySettings};
use super::{Contents, Exchange, HostFault, HostFunction, Trial};
use outcome::clock::Timestamp;
use outcome::{Limits, Statuses, TaskOutcome};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The version of the form.
const VERSION: u32 = 1;

/// One recorded call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    recording: u32,
    policy: Recorded,
    outcome: Box<RawValue>,
    existing: Option<Contents>,
    settings: BTreeMap<String, String>,
    now: String,
    calls: Vec<Exchange>,
    result: Told,
}

/// Which policy it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    name: String,
    digest: String,
}

/// What became of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    result: String,
    reason: Option<String>,
    #[serde(default)]
    log: Vec<String>,
}

/// What a document says of its status.
#[derive(Deserialize)]
struct Status {
    status: String,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read as one.
    #[error("is no recording of a policy's call: {0}")]
    Form(String),
    /// It was made by a later version.
    #[error("is a recording of version {0}, and this program reads version 1")]
    Version(u32),
}

/// What a recording says that the policy is to be asked, ready to be used as a [`Trial`].
#[derive(Clone, Debug)]
pub struct Replay {
    /// The outcome.
    pub outcome: TaskOutcome,
    /// The task's entry then.
    pub existing: Option<Vec<u8>>,
    /// The settings then.
    pub settings: PolicySettings,
    /// The time then.
    pub now: Timestamp,
    /// The host calls that failed then.
    pub faults: Vec<HostFault>,
}

impl Replay {
    /// As a trial.
    pub fn trial(&self) -> Trial<'_> {
        Trial {
            outcome: &self.outcome,
            existing: self.existing.as_deref(),
            settings: &self.settings,
            now: self.now,
            faults: &self.faults,
        }
    }
}

impl Recording {
    /// What was asked and came of it. `document` is the outcome as it came; the call must have been run with its exchanges kept.
    ///
    /// # Errors
    ///
    /// `Form`, if the document is not JSON.
    pub fn new(
        policy: &Policy,
        document: &[u8],
        trial: &Trial<'_>,
        call: &Call,
    ) -> Result<Recording, RecordingError> {
        let form = |error: String| RecordingError::Form(error);
        let text = str::from_utf8(document).map_err(|error| form(error.to_string()))?;
        Ok(Recording {
            recording: VERSION,
            policy: Recorded {
                name: policy.name().to_owned(),
                digest: policy.digest().to_owned(),
            },
            outcome: serde_json::from_str(text).map_err(|error| form(error.to_string()))?,
            existing: trial.existing.map(Contents::new),
            settings: settings_of(trial),
            now: trial.now.to_rfc3339(),
            calls: call.exchanges.clone(),
            result: Told::of(call),
        })
    }

    /// The same questions with the trial's settings, and what has come of them now.
    pub fn again(&self, policy: &Policy, trial: &Trial<'_>, call: &Call) -> Recording {
        Recording {
            policy: Recorded {
                name: policy.name().to_owned(),
                digest: policy.digest().to_owned(),
            },
            settings: settings_of(trial),
            calls: call.exchanges.clone(),
            result: Told::of(call),
            ..self.clone()
        }
    }

    /// Reads a recording's file.
    ///
    /// # Errors
    ///
    /// Says why it is none.
    pub fn parse(text: &[u8]) -> Result<Recording, RecordingError> {
        let recording: Recording = serde_json::from_slice(text)
            .map_err(|error| RecordingError::Form(error.to_string()))?;
        if recording.recording != VERSION {
            return Err(RecordingError::Version(recording.recording));
        }
        Ok(recording)
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("strings and numbers are JSON") + "\n"
    }

    /// What the policy is to be asked again.
    ///
    /// # Errors
    ///
    /// `Form`, if the outcome, the entry or the time is none.
    pub fn replay(&self, limits: &Limits) -> Result<Replay, RecordingError> {
        let form = |error: String| RecordingError::Form(error);
        // A status that the operator had added then is none of this call's business.
        let added = serde_json::from_str(self.outcome.get())
            .ok()
            .and_then(|Status { status }| Statuses::with(vec![status]).ok());
        let own = Limits {
            statuses: added.unwrap_or_default(),
            ..limits.clone()
        };
        let outcome = TaskOutcome::parse(self.outcome.get().as_bytes(), &own)
            .map_err(|rejection| form(format!("its outcome is none: {rejection}")))?;
        let existing = match &self.existing {
            None => None,
            Some(contents) => Some(
                contents
                    .bytes()
                    .ok_or_else(|| form("its entry is not complete".to_owned()))?,
            ),
        };
        let now = Timestamp::parse_rfc3339(&self.now)
            .ok_or_else(|| form("its time is none".to_owned()))?;
        Ok(Replay {
            outcome,
            existing,
            settings: PolicySettings::new(self.settings.clone()),
            now,
            faults: self.faults(),
        })
    }

    /// The host calls that failed, each as the how-manieth of its function.
    fn faults(&self) -> Vec<HostFault> {
        let mut called = [0; HostFunction::ALL.len()];
        let mut faults = Vec::new();
        for exchange in &self.calls {
            let (Some(function), error) = exchange.failure() else {
                continue;
            };
            called[function as usize] += 1;
            faults.extend(error.map(|error| HostFault {
                function,
                nth: Some(called[function as usize]),
                error: error.clone(),
            }));
        }
        faults
    }

    /// Where a call that was made again differs from this one: the first host call, the answer; nothing if it is the same.
    ///
    /// What the policy logs is compared last: another wording is a difference, but the least of them.
    pub fn differences(&self, call: &Call) -> Vec<String> {
        let silent = |exchange: &&Exchange| !matches!(exchange, Exchange::Log { .. });
        let mut then = self.calls.iter().filter(silent);
        let mut now = call.exchanges.iter().filter(silent);
        let mut differences = Vec::new();
        for number in 1.. {
            let text = match (then.next(), now.next()) {
                (None, None) => break,
                (Some(then), Some(now)) if then == now => continue,
                (Some(then), Some(now)) if then.to_string() == now.to_string() => {
                    format!("host call {number}, {then}, has other contents")
                }
                (Some(then), Some(now)) => format!("host call {number} was {then} and is {now}"),
                (Some(then), None) => format!("host call {number} was {then} and is not made"),
                (None, Some(now)) => format!("host call {number} is {now} and was not made"),
            };
            differences.push(text);
            break;
        }
        let told = Told::of(call);
        let word = |told: &Told| match &told.reason {
            Some(reason) => format!("{} ({reason})", told.result),
            None => told.result.clone(),
        };
        if (&told.result, &told.reason) != (&self.result.result, &self.result.reason) {
            differences.push(format!(
                "the answer was {} and is {}",
                word(&self.result),
                word(&told)
            ));
        }
        if told.log != self.result.log {
            differences.push(format!(
                "the log was {:?} and is {:?}",
                self.result.log, told.log
            ));
        }
        differences
    }
}

fn settings_of(trial: &Trial<'_>) -> BTreeMap<String, String> {
    let settings = trial.settings.iter();
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl Told {
    fn of(call: &Call) -> Told {
        Told {
            result: call.result().to_owned(),
            reason: call.reason(),
            log: call.log.iter().map(ToString::to_string).collect(),
        }
    }
}
