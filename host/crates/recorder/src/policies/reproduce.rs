//! Every decision of a trail made again: the policy and the settings that decided, called on their entry at its recorded time,
//! make the same bytes.

use std::collections::BTreeMap;

use super::{PoliciesError, Recorded, Shelf, workers};
use policy::{Engine, Policy, PolicySettings, Trial, Verdict};
use trail::{Decision, Trail, TrailError};

/// What came of making one decision again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Result {
    /// The same bytes.
    Same,
    /// Something else: what the policy makes now, or why it makes nothing.
    Differs {
        /// The commit that recorded the entry.
        commit: String,
        /// The task.
        task_id: String,
        /// What is different.
        reason: String,
    },
    /// It cannot be told.
    NotShown(NotShown),
}

/// Why a decision could not be made again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotShown {
    /// The policy is neither kept nor this program's own.
    Policy(String),
    /// The settings are not kept.
    Settings(String),
    /// The entry cannot be given to a policy.
    Entry {
        /// The task.
        task_id: String,
        /// Why.
        reason: String,
    },
}

/// What came of all of them.
#[derive(Clone, Debug, Default)]
pub struct Reproduced {
    /// How many entries there are.
    pub entries: u64,
    /// How many were made again, byte for byte.
    pub same: u64,
    /// How many came out otherwise.
    pub differs: u64,
    /// The first of those, in the order of the trail.
    pub first: Option<Result>,
    /// What could not be told, and of how many entries. Entries that cannot be read are counted, and the first is named.
    pub not_shown: BTreeMap<NotShown, u64>,
}

/// Entries that cannot be read are named up to this many; a trail of them would be a list as long as the trail.
const NAMED_MOST: usize = 100;

struct Question {
    decision: Decision,
    policy: std::result::Result<(Policy, PolicySettings), NotShown>,
}

/// Makes these decisions of a trail again, the last one first: as [`Trail::decisions`] has them, that is the oldest. `progress` is
/// told how many are done.
///
/// # Errors
///
/// Where the trail cannot be read, or a kept policy cannot be loaded.
pub fn reproduce(
    trail: &Trail,
    engine: &Engine,
    mut decisions: Vec<Decision>,
    mut progress: impl FnMut(u64),
) -> std::result::Result<Reproduced, PoliciesError> {
    let mut shelf = Shelf::new(trail, engine);
    let questions = std::iter::from_fn(|| decisions.pop()).map(|decision| {
        let policy = find(&mut shelf, &decision)?;
        Ok::<_, PoliciesError>(Question { decision, policy })
    });
    let mut found = Reproduced::default();
    workers::each(
        questions,
        |question| answer(trail, question),
        |answer: std::result::Result<Result, TrailError>| {
            found.take(answer?);
            progress(found.entries);
            Ok(())
        },
    )?;
    Ok(found)
}

fn find(
    shelf: &mut Shelf<'_>,
    decision: &Decision,
) -> std::result::Result<std::result::Result<(Policy, PolicySettings), NotShown>, PoliciesError> {
    let Some(policy) = shelf.policy(&decision.policy)? else {
        return Ok(Err(NotShown::Policy(decision.policy.clone())));
    };
    Ok(match shelf.settings(&decision.settings)? {
        Some(settings) => Ok((policy, settings)),
        None => Err(NotShown::Settings(decision.settings.clone())),
    })
}

fn answer(trail: &Trail, question: Question) -> std::result::Result<Result, TrailError> {
    let Decision {
        commit, task_id, ..
    } = question.decision;
    let differs = |reason: String| Result::Differs {
        commit,
        task_id: task_id.to_string(),
        reason,
    };
    let (policy, settings) = match question.policy {
        Ok(policy) => policy,
        Err(not_shown) => return Ok(Result::NotShown(not_shown)),
    };
    let Some(entry) = trail.snapshot(&task_id)?.entry else {
        return Ok(differs("its entry is not in the trail any more".to_owned()));
    };
    let recorded = match Recorded::read(&entry) {
        Ok(recorded) => recorded,
        Err(reason) => {
            return Ok(Result::NotShown(NotShown::Entry {
                task_id: task_id.to_string(),
                reason,
            }));
        }
    };
    let call = Trial::new(&recorded.outcome, &settings, recorded.time).run(&policy);
    Ok(match call.verdict {
        Ok(Verdict::Commit { entry: again, .. }) if again[..] == entry[..] => Result::Same,
        Ok(Verdict::Commit { entry: again, .. }) => differs(difference(&entry, &again)),
        Ok(Verdict::Refused(violations)) => {
            let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
            differs(format!("the policy refuses it: {}", said.join("; ")))
        }
        Ok(Verdict::Unavailable(reason)) => differs(format!("the policy: {reason}")),
        Ok(Verdict::AlreadyRecorded | Verdict::Conflicting(_)) => {
            differs("the policy takes it for recorded already".to_owned())
        }
        Err(fault) => differs(fault.to_string()),
    })
}

/// Where two entries begin to differ, without quoting either.
fn difference(entry: &[u8], again: &[u8]) -> String {
    let at = entry
        .iter()
        .zip(again)
        .position(|(one, other)| one != other)
        .unwrap_or(entry.len().min(again.len()));
    let line = 1 + entry[..at].iter().filter(|byte| **byte == b'\n').count();
    format!(
        "the policy makes other bytes of it, from line {line} on (byte {at}; {} bytes were recorded, {} are made now)",
        entry.len(),
        again.len()
    )
}

impl Reproduced {
    fn take(&mut self, result: Result) {
        self.entries += 1;
        match result {
            Result::Same => self.same += 1,
            Result::Differs { .. } => {
                self.differs += 1;
                self.first.get_or_insert(result);
            }
            Result::NotShown(mut why) => {
                if let NotShown::Entry { reason, .. } = &mut why
                    && self.not_shown.len() >= NAMED_MOST
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
