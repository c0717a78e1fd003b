//! The policy in force: replaced between two calls, tried before use, and suspended when it is broken.
//!
//! A call ends with the policy that it started with: each decision holds its [`PolicyInForce`].

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use outcome::clock::Timestamp;
use outcome::{Limits, TaskOutcome};
use policy::{Policy, PolicySettings, Snapshot, Verdict};
use recorder::policies::PolicyWithSettings;
use recorder::{self, Recorder};
use trail::Trail;

/// The policy in force with its recorder.
pub struct PolicyInForce {
    /// The recorder that joins policy and trail.
    pub recorder: Recorder,
    /// The policy and its settings.
    pub policy_with_settings: PolicyWithSettings,
    /// When it was put in force.
    pub since: Timestamp,
    /// Whether it only replaces one in quarantine.
    pub stands_in: bool,
}

impl PolicyInForce {
    /// The objections that an operator overrode to put this policy in force. Empty if that cannot be read.
    pub fn overridden(&self) -> Vec<String> {
        let noted = self.recorder.trail().in_force().ok().flatten();
        noted
            .filter(|noted| {
                noted.component == self.policy_with_settings.policy.digest()
                    && noted.settings == self.policy_with_settings.settings.digest()
            })
            .map(|noted| noted.overridden)
            .unwrap_or_default()
    }
}

pub(super) struct CurrentPolicy {
    options: RwLock<recorder::Options>,
    /// The same as in the options.
    limits: RwLock<Arc<Limits>>,
    now: RwLock<Arc<PolicyInForce>>,
    /// Serialises changes.
    changing: Mutex<()>,
}

impl CurrentPolicy {
    pub(super) fn new(
        trail: Trail,
        policy_with_settings: PolicyWithSettings,
        options: recorder::Options,
    ) -> CurrentPolicy {
        let since = options.clock.now();
        let in_force = join(trail, policy_with_settings, &options, since, false);
        CurrentPolicy {
            limits: RwLock::new(Arc::new(options.limits.clone())),
            options: RwLock::new(options),
            now: RwLock::new(Arc::new(in_force)),
            changing: Mutex::new(()),
        }
    }

    pub(super) fn now(&self) -> Arc<PolicyInForce> {
        self.now
            .read()
            .expect("nothing panics while it holds what is in force")
            .clone()
    }

    fn options(&self) -> recorder::Options {
        let options = self.options.read();
        options.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rules for documents.
    pub(super) fn limits(&self) -> Arc<Limits> {
        let limits = self.limits.read();
        limits.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next outcome on, these members do not decide whether two outcomes are the same.
    pub(super) fn set_delivery(&self, delivery: recorder::Delivery) {
        {
            let options = self.options.write();
            let mut options = options.unwrap_or_else(PoisonError::into_inner);
            options.delivery = delivery;
        }
        self.change(|before| {
            join(
                before.recorder.trail().clone(),
                before.policy_with_settings.clone(),
                &self.options(),
                before.since,
                before.stands_in,
            )
        });
    }

    /// Holds documents to other rules, from the next one on.
    pub(super) fn set_limits(&self, limits: Limits) {
        {
            let options = self.options.write();
            let mut options = options.unwrap_or_else(PoisonError::into_inner);
            options.limits = limits.clone();
        }
        // First who decides: what comes under wider rules must not be refused by the former.
        self.change(|before| {
            join(
                before.recorder.trail().clone(),
                before.policy_with_settings.clone(),
                &self.options(),
                before.since,
                before.stands_in,
            )
        });
        let now = self.limits.write();
        *now.unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// Makes another policy decide, from the next call on.
    pub(super) fn switch(&self, policy_with_settings: PolicyWithSettings, stands_in: bool) {
        self.change(|before| {
            let trail = before.recorder.trail().clone();
            let options = self.options();
            let since = options.clock.now();
            join(trail, policy_with_settings, &options, since, stands_in)
        });
    }

    /// Makes another handle of the trail record, from the next call on.
    pub(super) fn reopen(&self, trail: Trail) {
        self.change(|before| {
            let policy_with_settings = before.policy_with_settings.clone();
            join(
                trail,
                policy_with_settings,
                &self.options(),
                before.since,
                before.stands_in,
            )
        });
    }

    fn change(&self, next: impl FnOnce(&PolicyInForce) -> PolicyInForce) {
        let _changing = self
            .changing
            .lock()
            .expect("nothing panics while it changes");
        let next = Arc::new(next(&self.now()));
        let before = std::mem::replace(
            &mut *self
                .now
                .write()
                .expect("nothing panics while it holds what is in force"),
            next,
        );
        // Not under the lock: dropping the last handle of a trail waits for its queue.
        drop(before);
    }
}

fn join(
    trail: Trail,
    policy_with_settings: PolicyWithSettings,
    options: &recorder::Options,
    since: Timestamp,
    stands_in: bool,
) -> PolicyInForce {
    let options = recorder::Options {
        settings: policy_with_settings.settings.clone(),
        ..options.clone()
    };
    PolicyInForce {
        recorder: Recorder::new(trail, policy_with_settings.policy.clone(), options),
        policy_with_settings,
        since,
        stands_in,
    }
}

/// Outcomes to try a policy with before it decides for real: the smallest one, and one with every field.
const TRIALS: [&str; 2] = [
    r#"{"task_id":"trial-1","status":"completed"}"#,
    r#"{"task_id":"trial-2","status":"failed","plan_id":"plan","plan_steps":["one","two"],
        "dispatch_info":{"agent_pool":"pool","agent_id":"agent","dispatch_timestamp":"2026-01-21T09:59:00Z"},
        "execution_result":{"outcome":{"output":"text","error_message":null,"list":[1,2.50,true]},
            "resources_used":{"duration_ms":12,"exit_code":1},"services_touched":["a","b"],
            "start_time":"2026-01-21T09:59:02Z","end_time":"2026-01-21T10:00:00Z"},
        "metadata":{"trace_id":"trace"}}"#,
];

/// Tries a policy in the sandbox on outcomes that are not recorded.
///
/// # Errors
///
/// What the policy did: it faulted, or did not recognise its own entry.
pub fn smoke_test(
    policy: &Policy,
    settings: &PolicySettings,
    now: Timestamp,
) -> Result<(), String> {
    try_out(policy, settings, now, || {})
}

/// Does the same as [`smoke_test`], and calls back after each policy call, which may take as long as its limit.
pub(super) fn try_out(
    policy: &Policy,
    settings: &PolicySettings,
    now: Timestamp,
    called: impl Fn(),
) -> Result<(), String> {
    for trial in TRIALS {
        let outcome = TaskOutcome::parse(trial.as_bytes(), &Limits::default())
            .map_err(|error| error.to_string())?;
        let call = |entry: Option<Vec<u8>>, now| {
            let verdict = policy
                .call(&outcome, Box::new(SampleSnapshot(entry)), now, settings)
                .verdict;
            called();
            verdict.map_err(|fault| format!("on a trial outcome: {fault}"))
        };
        let Verdict::Commit { entry, .. } = call(None, now)? else {
            // A policy may refuse an outcome.
            continue;
        };
        let later = Timestamp::from_microseconds(now.microseconds().saturating_add(1_000_000));
        match call(Some(entry), later)? {
            Verdict::AlreadyRecorded => {}
            verdict => {
                let did = match verdict {
                    Verdict::Commit { .. } => "asked to commit it again".to_owned(),
                    Verdict::Conflicting(reason) => format!("answered `conflicting`: {reason}"),
                    Verdict::Unavailable(reason) => format!("answered `unavailable`: {reason}"),
                    _ => "refused it".to_owned(),
                };
                return Err(format!(
                    "on a trial outcome that it had recorded itself, the policy {did}"
                ));
            }
        }
    }
    Ok(())
}

struct SampleSnapshot(Option<Vec<u8>>);

impl Snapshot for SampleSnapshot {
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.clone())
    }
}
