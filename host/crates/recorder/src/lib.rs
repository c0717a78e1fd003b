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
pub mod erasures;
mod former;
mod keyed;
mod pending;
pub mod policies;
mod readable;
mod sameness;
mod sealed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outcome::clock::{Clock, Timestamp};
use outcome::continuation::is_reserved;
use outcome::{self, Cause, Reporter, TaskId, TaskOutcome, Violation};
use policy::{self, Call, LogLine, Policy, PolicySettings, Recording, Trial, Verdict};
use sealing::Sealer;
use trail::{Earlier, NewEntry, Provenance, Snapshot, Ticket, Trail, TrailError};

use former::FormerPolicies;

pub use answer::{Answer, AnswerKind};
pub use delivery::{Delivery, Report};
pub use keyed::keyed_digest;
pub use pending::Pending;
pub use sealed::KeyPreparer;

use readable::EntrySnapshot;
use sealed::SealedDecision;

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
    /// Seals members of entries, if the operator wants that.
    pub sealer: Option<Arc<Sealer>>,
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

enum Decision {
    Final(Answer),
    Placed {
        ticket: Ticket,
        entry: Arc<[u8]>,
        decided: Answer,
    },
    Rests {
        snapshot: Snapshot,
        /// The existing entry in clear text.
        opened: Option<Arc<[u8]>>,
        answer: Answer,
    },
}

impl Decision {
    fn answer_mut(&mut self) -> &mut Answer {
        match self {
            Decision::Final(answer)
            | Decision::Placed {
                decided: answer, ..
            }
            | Decision::Rests { answer, .. } => answer,
        }
    }
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
                Ok(mut decision) => {
                    self.remove_secrets(outcome, document, decision.answer_mut());
                    return decision;
                }
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
        let opened = entry
            .as_ref()
            .map(|entry| self.open_existing(outcome, entry, now));
        let opened = match opened.transpose() {
            Ok(opened) => opened,
            Err(answer) => return Ok(Decision::Final(*answer)),
        };
        let erased = opened
            .as_ref()
            .map_or(&[] as &[String], |opened| &opened.erased);
        let entry = opened.as_ref().map(|opened| Arc::clone(&opened.entry));
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
                let sealed = self.seal_decision(outcome, document, entry, &subject, now);
                let SealedDecision { entry, document } = match sealed {
                    Ok(sealed) => sealed,
                    Err(refusal) => return Ok(Decision::Final(*refusal)),
                };
                let keyed = options
                    .secret
                    .as_deref()
                    .map(|secret| keyed_digest(secret, &document));
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
                if !erased.is_empty() {
                    let erased = erased.join(", ");
                    answer.reason = Some(format!("erased members were not compared: {erased}"));
                }
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
            None => Decision::Rests {
                snapshot,
                opened: entry,
                answer,
            },
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
