//! Asks the policy that decided an entry whether a submission is the same outcome.
//!
//! Without this, a changed policy or setting would turn every redelivery into a conflict: the new policy compares with the
//! entry that it would make itself. Only policies that an operator of this machine has used, and those that the program
//! includes, are asked: a commit that was fetched may name a policy that always says yes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::policies::{TrailPolicies, included};
use super::{Answer, AnswerKind, EntrySnapshot, Recorder};
use outcome::TaskOutcome;
use outcome::clock::Timestamp;
use policy::{Engine, Policy, PolicySettings, Verdict};
use trail::{DecidedBy, Provenance, Trail};

/// The answer of the policy that decided an entry, about a submission.
pub(crate) enum Opinion {
    /// It is the outcome that the entry was made of.
    Same,
    /// It is another outcome.
    Different,
    /// The policy was not asked, or did not answer. The sentence says why.
    NotAsked(String),
}

/// The former policies of one recorder. Each is loaded once, on first use.
#[derive(Default)]
pub(crate) struct FormerPolicies {
    loaded: Mutex<HashMap<DecidedBy, (Policy, PolicySettings)>>,
}

/// A submission whose task has an entry.
pub(crate) struct Redelivery<'a> {
    pub(crate) trail: &'a Trail,
    pub(crate) engine: &'a Engine,
    pub(crate) outcome: &'a TaskOutcome,
    pub(crate) entry: &'a Arc<[u8]>,
    /// The commit that added the entry.
    pub(crate) commit: &'a str,
    pub(crate) now: Timestamp,
}

impl FormerPolicies {
    /// Asks who decided the entry. `current` has given its answer and is not asked again.
    pub(crate) fn ask(&self, redelivery: &Redelivery<'_>, current: &DecidedBy) -> Opinion {
        let Redelivery { trail, outcome, .. } = redelivery;
        let decided_by = match trail.decided_by(redelivery.commit) {
            Ok(decided_by) => decided_by,
            Err(error) => return Opinion::NotAsked(error.to_string()),
        };
        if decided_by == *current || decided_by.policy.is_empty() {
            return Opinion::Different;
        }
        if let Err(why) = is_trusted(trail, &decided_by) {
            return Opinion::NotAsked(why);
        }
        let (policy, settings) = match self.load(redelivery, &decided_by) {
            Ok(loaded) => loaded,
            Err(why) => return Opinion::NotAsked(why),
        };
        let entry = redelivery.entry;
        let readable = Box::new(EntrySnapshot(Some(Arc::clone(entry))));
        let call = policy.call(outcome, readable, redelivery.now, &settings);
        let verdict = call.verdict;
        match verdict.and_then(|verdict| verdict.check_against_trail(outcome, Some(entry))) {
            Ok(Verdict::AlreadyRecorded) => Opinion::Same,
            Ok(_) => Opinion::Different,
            Err(fault) => Opinion::NotAsked(format!(
                "the policy {} that decided the entry failed: {fault}",
                decided_by.policy
            )),
        }
    }

    /// Loads a former policy with its settings. The error says why it is not available; a later fetch may bring it.
    fn load(
        &self,
        redelivery: &Redelivery<'_>,
        decided_by: &DecidedBy,
    ) -> Result<(Policy, PolicySettings), String> {
        let loaded = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded().get(decided_by) {
            return Ok(known.clone());
        }
        // Compiling may take long. Others need not wait for it, even if one policy is then compiled twice.
        let found = find(redelivery, decided_by)?;
        loaded().insert(decided_by.clone(), found.clone());
        Ok(found)
    }
}

impl Recorder {
    /// The policy and settings of this recorder.
    pub(super) fn decided_by(&self) -> DecidedBy {
        let Provenance {
            policy, settings, ..
        } = &self.inner.provenance;
        DecidedBy {
            policy: policy.clone(),
            settings: settings.clone(),
        }
    }

    /// Asks the policy that decided the entry before an outcome counts as another one.
    pub(super) fn reconsider(
        &self,
        outcome: &TaskOutcome,
        trail: &Trail,
        entry: Option<&Arc<[u8]>>,
        answer: &mut Answer,
    ) {
        let inner = &*self.inner;
        let (Some(entry), Some(commit)) = (entry, &answer.commit) else {
            return;
        };
        let now = inner.trail.recording_time(inner.options.clock.now());
        let Ok(now) = now else { return };
        let redelivery = Redelivery {
            trail,
            engine: inner.policy.engine(),
            outcome,
            entry,
            commit,
            now,
        };
        match inner.former.ask(&redelivery, &self.decided_by()) {
            Opinion::Different => {}
            Opinion::Same => {
                answer.result = AnswerKind::AlreadyRecorded;
                answer.cause = None;
                answer.reason = None;
            }
            Opinion::NotAsked(why) => {
                if let Some(reason) = &mut answer.reason {
                    reason.push_str("; ");
                    reason.push_str(&why);
                }
            }
        }
    }
}

fn is_trusted(trail: &Trail, decided_by: &DecidedBy) -> Result<(), String> {
    let used = trail.used_policies().map_err(|error| error.to_string())?;
    let policy = &decided_by.policy;
    if used.is_distrusted(policy) {
        return Err(format!(
            "the policy {policy} that decided the entry was not asked, because it is distrusted on this machine"
        ));
    }
    let is_included =
        || decided_by.settings == PolicySettings::default().digest() && included(policy).is_some();
    if used.includes(decided_by) || is_included() {
        return Ok(());
    }
    Err(format!(
        "the policy {policy} that decided the entry was not asked, because it was not in force with these settings on \
         this machine"
    ))
}

fn find(
    redelivery: &Redelivery<'_>,
    decided_by: &DecidedBy,
) -> Result<(Policy, PolicySettings), String> {
    let DecidedBy { policy, settings } = decided_by;
    let mut policies = TrailPolicies::new(redelivery.trail, redelivery.engine);
    let missing = |what: &str, digest: &str| {
        format!(
            "{what} {digest} that decided the entry could not be asked, because it is not available"
        )
    };
    let found_policy = policies.policy(policy).map_err(|error| error.to_string())?;
    let found_settings = policies
        .settings(settings)
        .map_err(|error| error.to_string())?;
    let missing_secret = found_settings.as_ref().and_then(|settings| {
        let mut names = settings.missing_secrets();
        names.next().map(str::to_owned)
    });
    if let Some(name) = missing_secret {
        return Err(format!(
            "the policy {policy} that decided the entry could not be asked, because the value of its secret setting `{name}` is \
             not available on this machine"
        ));
    }
    Ok((
        found_policy.ok_or_else(|| missing("the policy", policy))?,
        found_settings.ok_or_else(|| missing("the policy with the settings", settings))?,
    ))
}
