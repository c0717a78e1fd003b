//! Tries a policy that is not in force on everything that a trail has recorded: what would be different, and what
//! would not be recorded.
//!
//! Changes nothing. Memory use does not grow with the trail.

use super::{PoliciesError, RecordedOutcome, workers};
use outcome::clock::Timestamp;
use outcome::{Limits, TaskId, TaskOutcome, Violation};
use policy::{Policy, PolicySettings, Trial, Verdict};
use trail::Trail;

/// The inputs of a backtest.
pub struct Backtest<'a> {
    /// The trail to read.
    pub trail: &'a Trail,
    /// The new policy.
    pub policy: &'a Policy,
    /// The new policy's settings.
    pub settings: &'a PolicySettings,
    /// Only entries recorded at this time or later.
    pub since: Option<Timestamp>,
    /// The limits on submissions.
    pub limits: &'a Limits,
}

/// The result for one entry.
#[derive(Debug)]
pub struct BacktestEntry {
    /// The task.
    pub task_id: TaskId,
    /// Whether the original submission was tried, rather than the entry.
    pub from_submission: bool,
    /// The recorded entry.
    pub recorded: Vec<u8>,
    /// What the new policy would do.
    pub outcome: Comparison,
    /// The settings that the new policy asked for.
    pub settings_read: Vec<String>,
}

/// What the new policy would do with an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It makes the same bytes.
    Same,
    /// It makes the same members and values in another form or order.
    Moved(Vec<u8>),
    /// It makes a different entry.
    Differs(Vec<u8>),
    /// The policy refuses it.
    Refused(Vec<Violation>),
    /// The policy fails, or is unavailable.
    Failed(String),
    /// The entry cannot be given to a policy.
    Unreadable(String),
}

struct BacktestInput {
    task_id: TaskId,
    entry: Vec<u8>,
    submission: Option<String>,
}

impl Backtest<'_> {
    /// Tries the policy on each entry of the trail's tip. `submission` finds what was submitted for a task, if it is
    /// still known. `take` receives the results, ordered by the entries' paths.
    ///
    /// # Errors
    ///
    /// The trail or a submission cannot be read, or `take` fails.
    pub fn run<E: From<PoliciesError>>(
        &self,
        mut submission: impl FnMut(&TaskId) -> Result<Option<String>, E>,
        take: impl FnMut(Option<BacktestEntry>) -> Result<(), E>,
    ) -> Result<(), E> {
        let entries = self.trail.entries().map_err(PoliciesError::Trail)?;
        let questions = entries.map(|entry| {
            let (task_id, entry) = entry.map_err(PoliciesError::Trail)?;
            let submission = submission(&task_id)?;
            Ok(BacktestInput {
                task_id,
                entry,
                submission,
            })
        });
        workers::answer_each(questions, |input| self.compare(input), take)
    }

    /// Returns `None` for entries before the time span.
    fn compare(&self, input: BacktestInput) -> Option<BacktestEntry> {
        let BacktestInput {
            task_id,
            entry,
            submission,
        } = input;
        let recorded = RecordedOutcome::read(&entry);
        if let (Some(since), Ok(recorded)) = (self.since, &recorded)
            && recorded.time < since
        {
            return None;
        }
        let submitted = submission
            .and_then(|document| TaskOutcome::parse(document.as_bytes(), self.limits).ok())
            .filter(|submitted| submitted.task_id == task_id);
        let from_submission = submitted.is_some();
        let (outcome, settings_read) = match recorded {
            Err(reason) => (Comparison::Unreadable(reason), Vec::new()),
            Ok(recorded) => {
                let outcome = submitted.as_ref().unwrap_or(&recorded.outcome);
                self.decide(outcome, recorded.time, &entry)
            }
        };
        Some(BacktestEntry {
            task_id,
            from_submission,
            recorded: entry,
            outcome,
            settings_read,
        })
    }

    /// What the new policy does with one outcome, and the settings that it asks for.
    fn decide(
        &self,
        outcome: &TaskOutcome,
        time: Timestamp,
        recorded: &[u8],
    ) -> (Comparison, Vec<String>) {
        let call = Trial::new(outcome, self.settings, time).run(self.policy);
        let settings_read = call.settings_read().map(str::to_owned).collect();
        let outcome = match call.verdict {
            Ok(Verdict::Commit { entry, .. }) if entry == recorded => Comparison::Same,
            Ok(Verdict::Commit { entry, .. }) => {
                let canonical_outcome =
                    |entry: &[u8]| Some(RecordedOutcome::read(entry).ok()?.outcome.canonical());
                if canonical_outcome(&entry)
                    .is_some_and(|new| Some(new) == canonical_outcome(recorded))
                {
                    Comparison::Moved(entry)
                } else {
                    Comparison::Differs(entry)
                }
            }
            Ok(Verdict::Refused(violations)) => Comparison::Refused(violations),
            Ok(Verdict::Unavailable(reason)) => Comparison::Failed(reason),
            Ok(Verdict::AlreadyRecorded | Verdict::Conflicting(_)) => {
                Comparison::Failed("the policy considers it already recorded".to_owned())
            }
            Err(fault) => Comparison::Failed(fault.to_string()),
        };
        (outcome, settings_read)
    }
}
