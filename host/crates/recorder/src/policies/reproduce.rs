//! Repeats every decision of a trail: the policy and settings that decided must make the same bytes from the entry at
//! its recorded time.

use std::collections::BTreeMap;

use super::{PoliciesError, RecordedOutcome, TrailPolicies, workers};
use policy::{Engine, Policy, PolicySettings, SecretSetting, Trial, Verdict};
use sealing::Sealer;
use trail::{Decision, Trail, TrailError};

/// The result of repeating one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reproduction {
    /// The policy made the same bytes.
    Same,
    /// The policy made a different entry, or none.
    Differs {
        /// The commit that recorded the entry.
        commit: String,
        /// The task.
        task_id: String,
        /// How they differ.
        reason: String,
    },
    /// The decision cannot be repeated.
    NotShown(NotShown),
}

/// Why a decision cannot be repeated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotShown {
    /// The policy is not kept, and this program does not include it.
    Policy(String),
    /// The settings are not kept.
    Settings(String),
    /// The values of these secret settings are not available.
    Secret(String),
    /// Sealed members of the entry were erased.
    Erased,
    /// The entry has sealed members, and no keys are given.
    Sealed,
    /// The entry cannot be given to a policy.
    Entry {
        /// The id of the task.
        task_id: String,
        /// Why the entry is unsuitable.
        reason: String,
    },
}

/// The results for all decisions.
#[derive(Clone, Debug, Default)]
pub struct ReproduceReport {
    /// How many entries there are.
    pub entries: u64,
    /// How many were reproduced, byte for byte.
    pub same: u64,
    /// How many came out differently.
    pub differs: u64,
    /// The first different one, in the order of the trail.
    pub first: Option<Reproduction>,
    /// What could not be shown, and for how many entries. Unreadable entries are counted, and the first ones are
    /// named.
    pub not_shown: BTreeMap<NotShown, u64>,
}

/// At most this many unreadable entries are named; otherwise the list could be as long as the trail.
const MAX_NAMED: usize = 100;

struct ReproduceInput {
    decision: Decision,
    policy: Result<(Policy, PolicySettings), NotShown>,
}

/// Repeats these decisions of a trail, in reverse order: in the order of [`Trail::decisions`] the oldest comes first.
/// `secrets` are values of secret settings besides those known on this machine. `sealer` opens and seals again what is
/// sealed. `progress` receives the number done.
///
/// # Errors
///
/// The trail cannot be read, or a kept policy cannot be loaded.
pub fn reproduce(
    trail: &Trail,
    engine: &Engine,
    secrets: Vec<SecretSetting>,
    sealer: Option<&Sealer>,
    mut decisions: Vec<Decision>,
    mut progress: impl FnMut(u64),
) -> Result<ReproduceReport, PoliciesError> {
    let mut trail_policies = TrailPolicies::new(trail, engine).with_secrets(secrets);
    let questions = std::iter::from_fn(|| decisions.pop()).map(|decision| {
        let policy = find(&mut trail_policies, &decision)?;
        Ok::<_, PoliciesError>(ReproduceInput { decision, policy })
    });
    let mut found = ReproduceReport::default();
    workers::answer_each(
        questions,
        |input| answer(trail, sealer, input),
        |answer: Result<Reproduction, TrailError>| {
            found.take(answer?);
            progress(found.entries);
            Ok(())
        },
    )?;
    Ok(found)
}

fn find(
    trail_policies: &mut TrailPolicies<'_>,
    decision: &Decision,
) -> Result<Result<(Policy, PolicySettings), NotShown>, PoliciesError> {
    let Some(policy) = trail_policies.policy(&decision.policy)? else {
        return Ok(Err(NotShown::Policy(decision.policy.clone())));
    };
    Ok(match trail_policies.settings(&decision.settings)? {
        Some(settings) => {
            let missing: Vec<&str> = settings.missing_secrets().collect();
            if missing.is_empty() {
                Ok((policy, settings))
            } else {
                Err(NotShown::Secret(missing.join(", ")))
            }
        }
        None => Err(NotShown::Settings(decision.settings.clone())),
    })
}

fn answer(
    trail: &Trail,
    sealer: Option<&Sealer>,
    input: ReproduceInput,
) -> Result<Reproduction, TrailError> {
    let Decision {
        commit, task_id, ..
    } = input.decision;
    let differs = |reason: String| Reproduction::Differs {
        commit,
        task_id: task_id.to_string(),
        reason,
    };
    let (policy, settings) = match input.policy {
        Ok(policy) => policy,
        Err(not_shown) => return Ok(Reproduction::NotShown(not_shown)),
    };
    let Some(entry) = trail.snapshot(&task_id)?.entry else {
        return Ok(differs("its entry is no longer in the trail".to_owned()));
    };
    let opened = match open(sealer, task_id.as_str(), &entry) {
        Ok(opened) => opened,
        Err(not_shown) => return Ok(Reproduction::NotShown(not_shown)),
    };
    let clear = opened
        .as_ref()
        .map_or(&entry[..], |opened| opened.as_bytes());
    let recorded = match RecordedOutcome::read(clear) {
        Ok(recorded) => recorded,
        Err(reason) => {
            return Ok(Reproduction::NotShown(NotShown::Entry {
                task_id: task_id.to_string(),
                reason,
            }));
        }
    };
    let call = Trial::new(&recorded.outcome, &settings, recorded.time).run(&policy);
    let verdict = match (call.verdict, sealer, opened) {
        (
            Ok(Verdict::Commit {
                entry: again,
                subject,
            }),
            Some(sealer),
            Some(opened),
        ) => {
            let again = seal_again(sealer, &entry, &opened, again);
            Ok(Verdict::Commit {
                entry: again,
                subject,
            })
        }
        (verdict, ..) => verdict,
    };
    Ok(match verdict {
        Ok(Verdict::Commit { entry: again, .. }) if again[..] == entry[..] => Reproduction::Same,
        Ok(Verdict::Commit { entry: again, .. }) => differs(difference(&entry, &again)),
        Ok(Verdict::Refused(violations)) => {
            let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
            differs(format!("the policy refuses it: {}", messages.join("; ")))
        }
        Ok(Verdict::Unavailable(reason)) => differs(format!("the policy: {reason}")),
        Ok(Verdict::AlreadyRecorded | Verdict::Conflicting(_)) => {
            differs("the policy considers it already recorded".to_owned())
        }
        Err(fault) => differs(fault.to_string()),
    })
}

/// The entry in clear text; `None` if nothing of it is sealed.
fn open(sealer: Option<&Sealer>, task: &str, entry: &[u8]) -> Result<Option<String>, NotShown> {
    let Some(text) = std::str::from_utf8(entry)
        .ok()
        .filter(|text| sealing::is_sealed(text))
    else {
        return Ok(None);
    };
    let opened = sealer.ok_or(NotShown::Sealed)?.open(task, text);
    let opened = opened.map_err(|error| NotShown::Entry {
        task_id: task.to_owned(),
        reason: error.to_string(),
    })?;
    match opened.erased.is_empty() {
        true => Ok(Some(opened.text)),
        false => Err(NotShown::Erased),
    }
}

/// Seals what the policy made now as the recorded entry is sealed. Values that are not the recorded ones stay clear, and
/// so differ.
fn seal_again(sealer: &Sealer, entry: &[u8], opened: &str, again: Vec<u8>) -> Vec<u8> {
    let texts = (std::str::from_utf8(entry), std::str::from_utf8(&again));
    match texts {
        (Ok(entry), Ok(made)) if made == opened => {
            let task = outcome::TaskOutcome::recover_task_id(made.as_bytes()).unwrap_or_default();
            let sealed = sealer.seal_like(&task, entry, made);
            sealed.map_or(again, String::into_bytes)
        }
        _ => again,
    }
}

/// Where two entries start to differ, without quoting either.
fn difference(entry: &[u8], again: &[u8]) -> String {
    let at = entry
        .iter()
        .zip(again)
        .position(|(one, other)| one != other)
        .unwrap_or(entry.len().min(again.len()));
    let line = 1 + entry[..at].iter().filter(|byte| **byte == b'\n').count();
    format!(
        "the policy makes different bytes from it, starting at line {line} (byte {at}; {} bytes were recorded, {} are made now)",
        entry.len(),
        again.len()
    )
}

impl ReproduceReport {
    fn take(&mut self, result: Reproduction) {
        self.entries += 1;
        match result {
            Reproduction::Same => self.same += 1,
            Reproduction::Differs { .. } => {
                self.differs += 1;
                self.first.get_or_insert(result);
            }
            Reproduction::NotShown(mut why) => {
                if let NotShown::Entry { reason, .. } = &mut why
                    && self.not_shown.len() >= MAX_NAMED
                {
                    why = NotShown::Entry {
                        task_id: "(others)".to_owned(),
                        reason: std::mem::take(reason),
                    };
                }
                *self.not_shown.entry(why).or_default() += 1;
            }
        }
    }
}
