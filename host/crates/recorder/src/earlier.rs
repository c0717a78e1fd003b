//! The answer to an outcome whose task has an entry in a predecessor.

use outcome::TaskOutcome;
use trail::EarlierEntry;

use super::{Answer, AnswerKind, Recorder};

impl Recorder {
    /// Completes an answer that the policy gave from the entry of a predecessor. That trail has ended, so the entry is
    /// durable and stays.
    pub(super) fn answer_from_earlier(
        &self,
        outcome: &TaskOutcome,
        earlier: &EarlierEntry,
        mut answer: Answer,
    ) -> Answer {
        let trail = &earlier.trail;
        if let Some(commit) = &earlier.commit {
            answer.reporter = trail.reporter_of(commit).ok().flatten();
        }
        answer.path = Some(earlier.path.clone());
        answer.reference = Some(trail.reference().to_owned());
        answer.commit = earlier.commit.clone();
        if answer.result == AnswerKind::Conflicting {
            self.reconsider(outcome, trail, Some(&earlier.entry), &mut answer);
        }
        match answer.result {
            AnswerKind::AlreadyRecorded => {
                if let Err(error) = answer.check_recorded(trail) {
                    return Answer::failed(outcome, &error);
                }
                answer.entry = Some(earlier.entry.clone());
                answer.retry = false;
            }
            AnswerKind::Conflicting => {
                let there = format!(
                    "the entry is in {}, which this trail continues",
                    earlier.origin
                );
                answer.reason = Some(match answer.reason.take() {
                    Some(reason) => format!("{reason}; {there}"),
                    None => there,
                });
            }
            _ => {}
        }
        answer
    }
}
