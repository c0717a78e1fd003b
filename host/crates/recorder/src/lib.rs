//! From an outcome document to an answer: parse, call the policy, place the entry in the trail, wait until it is
//! durable.
//!
//! Connects policy and trail, which do not know each other. Also owns what is not left to a policy. An "already
//! recorded" is believed only if the trail confirms it. The policy is called again if an answer that it read has
//! changed.

mod answer;
pub mod continuation;
mod delivery;
mod earlier;
mod former;
mod keyed;
pub mod policies;
mod readable;
mod sameness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outcome::clock::{Clock, Timestamp};
use outcome::continuation::is_reserved;
use outcome::{self, Cause, Reporter, TaskId, TaskOutcome, Violation};
use policy::{self, Call, LogLine, Policy, PolicySettings, Recording, Trial, Verdict};
use trail::{Earlier, NewEntry, Provenance, Snapshot, Ticket, Trail, TrailError};

use former::FormerPolicies;

pub use answer::{Answer, AnswerKind};
pub use delivery::{Delivery, Report};
pub use keyed::keyed_digest;

use readable::EntrySnapshot;

/// What a recorder needs.
#[derive(Clone)]
pub struct Options {
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The limits on a document.
    pub limits: outcome::Limits,
    /// The operator's settings for the policy.
    pub settings: PolicySettings,
    /// HMAC key for the `Audit-Outcome` trailer, if configured.
    pub secret: Option<Vec<u8>>,
    /// What does not decide whether two outcomes are the same.
    pub delivery: Delivery,
}

/// Records outcomes. Several threads may share one recorder.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
    with_exchanges: bool,
}

struct Inner {
    trail: Trail,
    policy: Policy,
    options: Options,
    provenance: Provenance,
    /// Whether the policy and its settings are kept with the trail.
    kept: AtomicBool,
    former: FormerPolicies,
}

/// A decided submission. If it got a place in the trail, the entry is not durable yet.
pub struct Pending {
    recorder: Recorder,
    document: Vec<u8>,
    reporter: Option<Reporter>,
    report: Report,
    outcome: Option<Box<TaskOutcome>>,
    decision: Decision,
}

enum Decision {
    Final(Answer),
    Placed {
        ticket: Ticket,
        entry: Arc<[u8]>,
        decided: Answer,
    },
    Rests {
        snapshot: Snapshot,
        answer: Answer,
    },
}

/// How often an outcome is decided again because the trail changed meanwhile. Each time another process has recorded
/// or moved something, so this only ends a loop that would not end otherwise.
const MAX_DECISIONS: usize = 100;

/// The violation reported for a reserved id.
const RESERVED_ID: &str =
    "must not begin with `chiffon-audit.` in upper or lower case: these ids are reserved";

impl Recorder {
    /// Creates a recorder for a trail and a policy.
    pub fn new(trail: Trail, policy: Policy, options: Options) -> Recorder {
        let provenance = Provenance {
            interface: policy.built_for().to_owned(),
            policy: policy.digest().to_owned(),
            settings: options.settings.digest(),
            outcome: None,
            reporter: None,
        };
        Recorder {
            inner: Arc::new(Inner {
                trail,
                policy,
                options,
                provenance,
                kept: AtomicBool::new(false),
                former: FormerPolicies::default(),
            }),
            with_exchanges: false,
        }
    }

    /// Makes answers include [`Answer::recording`].
    #[must_use]
    pub fn recording(self) -> Recorder {
        Recorder {
            with_exchanges: true,
            ..self
        }
    }

    /// The trail that is recorded to.
    pub fn trail(&self) -> &Trail {
        &self.inner.trail
    }

    /// Records one outcome. Blocks until the answer is final and everything that it depends on is durable.
    pub fn record(&self, document: &[u8]) -> Answer {
        self.submit(document).wait()
    }

    /// Decides one outcome without a reporter, as [`Recorder::submit_from`] does.
    pub fn submit(&self, document: &[u8]) -> Pending {
        self.submit_from(document, None)
    }

    /// Decides one outcome and gives its entry a place, without waiting for the disk. The commit names the reporter,
    /// if given; an existing entry keeps the reporter that its commit names.
    ///
    /// Entries get their places in the order of the calls.
    pub fn submit_from(&self, document: &[u8], reporter: Option<&Reporter>) -> Pending {
        self.submit_as(Report::Outcome, document, reporter)
    }

    /// Does the same for an outcome that was made from this kind of report.
    pub fn submit_as(
        &self,
        report: Report,
        document: &[u8],
        reporter: Option<&Reporter>,
    ) -> Pending {
        let (outcome, decision) = match TaskOutcome::parse(document, &self.inner.options.limits) {
            Ok(outcome) if report != Report::Own && is_reserved(outcome.task_id.as_str()) => {
                let violation = Violation::new("/task_id", RESERVED_ID);
                let task_id = Some(outcome.task_id.to_string());
                (
                    None,
                    Decision::Final(Answer::refused(task_id, vec![violation])),
                )
            }
            Ok(outcome) => {
                let decision = self.decide(&outcome, document, report, reporter);
                (Some(Box::new(outcome)), decision)
            }
            Err(rejection) => {
                let task_id = TaskOutcome::recover_task_id(document);
                (
                    None,
                    Decision::Final(Answer::refused(task_id, rejection.violations)),
                )
            }
        };
        // Only a decision that may have to be repeated needs the document.
        let document = if matches!(decision, Decision::Final(_)) {
            Vec::new()
        } else {
            document.to_vec()
        };
        Pending {
            recorder: self.clone(),
            document,
            reporter: reporter.cloned(),
            report,
            outcome,
            decision,
        }
    }

    /// Announces the documents that will be submitted next, in this order, so that the trail can read what they need
    /// in advance.
    pub fn expect<'a>(&self, documents: impl Iterator<Item = &'a [u8]>) {
        let tasks = documents.filter_map(TaskOutcome::recover_task_id);
        let tasks = tasks.filter_map(|task| TaskId::parse(&task).ok());
        self.inner.trail.expect(tasks.collect());
    }

    fn decide(
        &self,
        outcome: &TaskOutcome,
        document: &[u8],
        report: Report,
        reporter: Option<&Reporter>,
    ) -> Decision {
        for _ in 0..MAX_DECISIONS {
            match self.attempt(outcome, document, report, reporter) {
                Ok(decision) => return decision,
                Err(TrailError::Changed) => {}
                Err(error) => return Decision::Final(Answer::failed(outcome, &error)),
            }
        }
        Decision::Final(Answer::failed(outcome, &TrailError::Changed))
    }

    fn attempt(
        &self,
        outcome: &TaskOutcome,
        document: &[u8],
        report: Report,
        reporter: Option<&Reporter>,
    ) -> Result<Decision, TrailError> {
        let Inner {
            trail,
            policy,
            options,
            provenance,
            ..
        } = &*self.inner;
        let now = trail.recording_time(options.clock.now())?;
        let snapshot = trail.snapshot(&outcome.task_id)?;
        // A task is recorded once across all trails that continue each other.
        let asked = match snapshot.entry {
            Some(_) => Earlier::NoPredecessor,
            None => trail.find_earlier(&outcome.task_id)?,
        };
        let predecessors_asked = !matches!(asked, Earlier::NoPredecessor);
        let earlier = match asked {
            Earlier::Entry(earlier) => Some(earlier),
            Earlier::NoEntry | Earlier::NoPredecessor => None,
        };
        let entry = match &earlier {
            Some(earlier) => Some(Arc::clone(&earlier.entry)),
            None => snapshot.entry.clone(),
        };
        let readable = Box::new(EntrySnapshot(entry.clone()));
        let existing = entry.as_deref();
        let mut answer = Answer::unavailable(Some(outcome.task_id.to_string()));
        let mut call = if self.with_exchanges {
            policy.call_with_exchanges(outcome, readable, now, &options.settings)
        } else {
            policy.call(outcome, readable, now, &options.settings)
        };
        call.verdict = call
            .verdict
            .and_then(|verdict| verdict.check_against_trail(outcome, existing));
        if self.with_exchanges {
            let asked = Trial {
                existing,
                ..Trial::new(outcome, &options.settings, now)
            };
            let recording = Recording::new(policy, document, &asked, &call);
            answer.recording = recording.ok().map(Box::new);
        }
        answer.settings_read = call.settings_read().map(str::to_owned).collect();
        let Call {
            host_calls,
            calls,
            backtrace,
            verdict,
            log,
            duration,
            ..
        } = call;
        answer.policy_log = log;
        answer.policy_time = duration;
        let verdict = match verdict {
            Ok(Verdict::Conflicting(_)) if self.says_the_same(document, report, existing, now) => {
                Ok(Verdict::AlreadyRecorded)
            }
            verdict => verdict,
        };
        match verdict {
            Ok(Verdict::Commit { entry, subject }) => {
                trail.check_no_filter(&outcome.task_id)?;
                self.keep_policy(now)?;
                let keyed = options
                    .secret
                    .as_deref()
                    .map(|secret| keyed_digest(secret, document));
                let provenance = Provenance {
                    outcome: keyed,
                    reporter: reporter.cloned(),
                    ..provenance.clone()
                };
                let kept: Arc<[u8]> = entry.as_slice().into();
                let append = NewEntry {
                    task_id: &outcome.task_id,
                    entry,
                    subject,
                    provenance: &provenance,
                    time: now,
                    predecessors_asked,
                };
                let ticket = trail.append(append)?;
                return Ok(Decision::Placed {
                    ticket,
                    entry: kept,
                    decided: answer,
                });
            }
            Ok(Verdict::AlreadyRecorded) => {
                answer.result = AnswerKind::AlreadyRecorded;
                // Not left to a policy: two tasks whose original ids differ are never the same.
                let other = existing.and_then(|entry| delivery::other_source(document, entry));
                if let Some(reason) = other {
                    answer.result = AnswerKind::Conflicting;
                    answer.cause = Some(Cause::Differs);
                    answer.reason = Some(reason);
                    answer.retry = false;
                }
            }
            Ok(Verdict::Conflicting(reason)) => {
                answer.result = AnswerKind::Conflicting;
                answer.cause = Some(Cause::Differs);
                answer.reason = Some(format!("policy: {reason}"));
                answer.retry = false;
            }
            Ok(Verdict::Refused(violations)) => {
                answer.result = AnswerKind::Refused;
                answer.cause = Some(Cause::PolicyRefused);
                answer.violations = violations;
                answer.reason = Some("policy refused the outcome".into());
                answer.retry = false;
                return Ok(Decision::Final(answer));
            }
            Ok(Verdict::Unavailable(reason)) => {
                answer.cause = Some(Cause::PolicyUnavailable);
                answer.reason = Some(format!("policy: {reason}"));
                return Ok(Decision::Final(answer));
            }
            Err(fault) => {
                answer.cause = Some(fault.cause());
                let failure = policy.describe_failure_after(host_calls, &calls);
                answer.reason = Some(format!("{fault}; {failure}"));
                answer.policy_log.extend(backtrace.iter().flat_map(|text| {
                    // For the policy's author: shown with the policy's log.
                    text.lines().map(LogLine::from_host)
                }));
                return Ok(Decision::Final(answer));
            }
        }
        Ok(match earlier {
            Some(earlier) => Decision::Final(self.answer_from_earlier(outcome, &earlier, answer)),
            None => Decision::Rests { snapshot, answer },
        })
    }

    /// Keeps the policy with the trail, so that it can be run again: durable before the first entry that names it.
    fn keep_policy(&self, now: Timestamp) -> Result<(), TrailError> {
        let inner = &*self.inner;
        if !inner.kept.load(Ordering::Acquire) {
            let Inner { trail, policy, .. } = inner;
            policies::keep(trail, policy, &inner.options.settings, now)?;
            if !policy.is_builtin() || !inner.options.settings.is_empty() {
                // The operator of this machine has chosen it, for one invocation or for longer.
                trail.note_used(&self.decided_by())?;
            }
            inner.kept.store(true, Ordering::Release);
        }
        Ok(())
    }
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
                            let entry = snapshot.entry.as_ref();
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
