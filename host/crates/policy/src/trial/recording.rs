//! A recording: one call with everything that the policy was given, requested and answered, so that it can be repeated.
//!
//! Owns the file format, which is public (`"recording": 1`), and the comparison of two calls. Reads and writes no
//! files.

use super::super::{Call, Policy, PolicySettings};
use super::{Contents, Exchange, HostFault, HostFunction, Trial};
use outcome::clock::Timestamp;
use outcome::{Limits, Statuses, TaskOutcome};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The version of the file format.
const VERSION: u32 = 1;

/// One recorded call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    recording: u32,
    policy: PolicyIdentity,
    outcome: Box<RawValue>,
    existing: Option<Contents>,
    settings: BTreeMap<String, String>,
    now: String,
    calls: Vec<Exchange>,
    result: CallResult,
}

/// The policy that was called.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PolicyIdentity {
    name: String,
    digest: String,
}

/// The result of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CallResult {
    result: String,
    reason: Option<String>,
    #[serde(default)]
    log: Vec<String>,
}

/// The status in a document.
#[derive(Deserialize)]
struct StatusMember {
    status: String,
}

/// Why a file cannot be used as a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is not a recording.
    #[error("is not a recording of a policy call: {0}")]
    Form(String),
    /// It was made by a later version of this program.
    #[error("is a recording of version {0}, and this program reads version 1")]
    Version(u32),
}

/// The input of a recorded call, to be repeated as a [`Trial`].
#[derive(Clone, Debug)]
pub struct Replay {
    /// The outcome of the recorded call.
    pub outcome: TaskOutcome,
    /// The task's entry at that time.
    pub existing: Option<Vec<u8>>,
    /// The policy's settings at that time.
    pub settings: PolicySettings,
    /// The time of recording.
    pub now: Timestamp,
    /// The host calls that failed.
    pub faults: Vec<HostFault>,
}

impl Replay {
    /// Converts the input to a trial.
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
    /// Creates a recording of a call. `document` is the outcome as it was submitted. The call must have been made with
    /// its exchanges recorded.
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
            policy: PolicyIdentity {
                name: policy.name().to_owned(),
                digest: policy.digest().to_owned(),
            },
            outcome: serde_json::from_str(text).map_err(|error| form(error.to_string()))?,
            existing: trial.existing.map(Contents::new),
            settings: settings_of(trial),
            now: trial.now.to_rfc3339(),
            calls: call.exchanges.clone(),
            result: CallResult::of(call),
        })
    }

    /// Creates a recording of another call with the same outcome, entry and time, and this trial's settings.
    pub fn record_again(&self, policy: &Policy, trial: &Trial<'_>, call: &Call) -> Recording {
        Recording {
            policy: PolicyIdentity {
                name: policy.name().to_owned(),
                digest: policy.digest().to_owned(),
            },
            settings: settings_of(trial),
            calls: call.exchanges.clone(),
            result: CallResult::of(call),
            ..self.clone()
        }
    }

    /// Parses the text of a recording.
    ///
    /// # Errors
    ///
    /// Why it is not a recording.
    pub fn parse(text: &[u8]) -> Result<Recording, RecordingError> {
        let recording: Recording = serde_json::from_slice(text)
            .map_err(|error| RecordingError::Form(error.to_string()))?;
        if recording.recording != VERSION {
            return Err(RecordingError::Version(recording.recording));
        }
        Ok(recording)
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("strings and numbers are JSON") + "\n"
    }

    /// Returns the input of the call, so that it can be repeated.
    ///
    /// # Errors
    ///
    /// `Form`, if the outcome, the entry or the time is malformed.
    pub fn replay(&self, limits: &Limits) -> Result<Replay, RecordingError> {
        let form = |error: String| RecordingError::Form(error);
        // Accept the outcome's status, which the operator may have added at that time.
        let added = serde_json::from_str(self.outcome.get())
            .ok()
            .and_then(|StatusMember { status }| Statuses::with(vec![status]).ok());
        let own = Limits {
            statuses: added.unwrap_or_default(),
            ..limits.clone()
        };
        let outcome = TaskOutcome::parse(self.outcome.get().as_bytes(), &own)
            .map_err(|rejection| form(format!("its outcome is invalid: {rejection}")))?;
        let existing = match &self.existing {
            None => None,
            Some(contents) => Some(
                contents
                    .bytes()
                    .ok_or_else(|| form("its entry is not complete".to_owned()))?,
            ),
        };
        let now = Timestamp::parse_rfc3339(&self.now)
            .ok_or_else(|| form("its time is invalid".to_owned()))?;
        Ok(Replay {
            outcome,
            existing,
            settings: PolicySettings::new(self.settings.clone()),
            now,
            faults: self.faults(),
        })
    }

    /// The host calls that failed, each with its number among the calls of its function.
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

    /// Where a repeated call differs from this one: the first different host call, or the answer. Empty if they are the
    /// same.
    ///
    /// The log is compared last, because another wording is the least important difference.
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
                (Some(then), None) => format!("host call {number} was {then} and is missing now"),
                (None, Some(now)) => format!("host call {number} is {now} and was missing"),
            };
            differences.push(text);
            break;
        }
        let actual = CallResult::of(call);
        let word = |actual: &CallResult| match &actual.reason {
            Some(reason) => format!("{} ({reason})", actual.result),
            None => actual.result.clone(),
        };
        if (&actual.result, &actual.reason) != (&self.result.result, &self.result.reason) {
            differences.push(format!(
                "the answer was {} and is {}",
                word(&self.result),
                word(&actual)
            ));
        }
        if actual.log != self.result.log {
            differences.push(format!(
                "the log was {:?} and is {:?}",
                self.result.log, actual.log
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

impl CallResult {
    fn of(call: &Call) -> CallResult {
        CallResult {
            result: call.result().to_owned(),
            reason: call.reason(),
            log: call.log.iter().map(ToString::to_string).collect(),
        }
    }
}
