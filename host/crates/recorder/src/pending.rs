//! A decided submission: whether its answer is final, and waiting until it is.

use outcome::{Reporter, TaskOutcome};
use trail::TrailError;

use super::{Answer, AnswerKind, Decision, MAX_DECISIONS, Recorder, Report};

/// A decided submission. If it got a place in the trail, the entry is not durable yet.
pub struct Pending {
    pub(super) recorder: Recorder,
    pub(super) document: Vec<u8>,
    pub(super) reporter: Option<Reporter>,
    pub(super) report: Report,
    pub(super) outcome: Option<Box<TaskOutcome>>,
    pub(super) decision: Decision,
}

impl Pending {
    /// Whether [`Pending::wait`] would return without waiting for the disk.
    pub fn is_ready(&self) -> bool {
        match &self.decision {
            Decision::Final(_) => true,
            Decision::Placed { ticket, .. } => ticket.is_settled(),
            Decision::Rests { snapshot, .. } => snapshot.is_settled(),
        }
    }

    /// The answer, if it does not depend on anything that must still become durable.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.decision {
            Decision::Final(answer) => Some(answer),
            _ => None,
        }
    }

    /// Calls `then` as soon as [`Pending::wait`] would return without waiting for the disk, which may be immediately.
    ///
    /// `then` MUST be quick and MUST NOT wait: it may run on the thread that makes entries durable. If another
    /// process has changed the trail, the decision is repeated, and then `wait` may still block.
    pub fn on_ready(&self, then: Box<dyn FnOnce() + Send>) {
        let ticket = match &self.decision {
            Decision::Final(_) => None,
            Decision::Placed { ticket, .. } => Some(ticket),
            Decision::Rests { snapshot, .. } => snapshot.depends_on(),
        };
        match ticket {
            Some(ticket) => ticket.on_settled(then),
            None => then(),
        }
    }

    /// Blocks until the answer is final and everything that it depends on is durable.
    pub fn wait(mut self) -> Answer {
        for _ in 0..MAX_DECISIONS {
            let Some(outcome) = &self.outcome else { break };
            let trail = &self.recorder.inner.trail;
            let failed = match self.decision {
                Decision::Final(answer) => return answer,
                Decision::Placed {
                    ticket,
                    entry,
                    decided,
                } => match ticket.wait() {
                    Ok(placed) => {
                        return Answer {
                            result: AnswerKind::Committed,
                            commit: Some(placed.commit),
                            path: Some(placed.path),
                            reference: Some(trail.reference().to_owned()),
                            entry: Some(entry),
                            reporter: self.reporter,
                            unsigned: placed.unsigned,
                            retry: false,
                            ..decided
                        };
                    }
                    Err(error) => error,
                },
                Decision::Rests {
                    snapshot,
                    opened,
                    mut answer,
                } => match trail.confirm(&outcome.task_id, &snapshot) {
                    Ok(()) => {
                        if let Ok(Some((path, commit))) = trail.locate(&outcome.task_id)
                            && let Ok(named) = commit
                                .as_deref()
                                .map(|commit| trail.reporter_of(commit))
                                .transpose()
                        {
                            answer.reporter = named.flatten();
                            answer.path = Some(path);
                            answer.reference = Some(trail.reference().to_owned());
                            answer.commit = commit;
                        }
                        if answer.result == AnswerKind::Conflicting {
                            let entry = opened.as_ref();
                            self.recorder.reconsider(outcome, trail, entry, &mut answer);
                        }
                        if answer.result == AnswerKind::AlreadyRecorded {
                            if let Err(error) = answer.check_recorded(trail) {
                                return Answer::failed(outcome, &error);
                            }
                            answer.entry = snapshot.entry;
                            answer.retry = false;
                        }
                        return answer;
                    }
                    Err(error) => error,
                },
            };
            self.decision = match failed {
                TrailError::Changed => self.recorder.decide(
                    outcome,
                    &self.document,
                    self.report,
                    self.reporter.as_ref(),
                ),
                error => Decision::Final(Answer::failed(outcome, &error)),
            };
        }
        match (self.decision, self.outcome) {
            (Decision::Final(answer), _) => answer,
            (_, Some(outcome)) => Answer::failed(&outcome, &TrailError::Changed),
            (_, None) => Answer::refused(None, Vec::new()),
        }
    }
}
