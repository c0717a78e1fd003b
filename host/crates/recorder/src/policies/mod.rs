//! A trail's policies: which one is in force, how one is put in force, and how past ones are found again.
//!
//! Connects policies and the trail for everything except a single outcome, which belongs to the recorder. The trail
//! decides where things are kept, and the policy module defines what a component is.

mod backtest;
mod recorded;
mod reproduce;
mod workers;

use std::collections::{BTreeMap, HashMap};

pub use backtest::{Backtest, BacktestEntry, Comparison};
pub use recorded::RecordedOutcome;
pub use reproduce::{NotShown, ReproduceReport, Reproduction, reproduce};

use outcome::clock::Timestamp;
use outcome::digest::sha256;
use policy::{self, Engine, LoadError, Policy, PolicySettings};
use trail::{PolicyFileKind, PolicyInForce, Trail, TrailError};

/// A policy with its settings.
#[derive(Clone, Debug)]
pub struct PolicyWithSettings {
    /// The policy itself.
    pub policy: Policy,
    /// The settings that it decides with.
    pub settings: PolicySettings,
}

/// Why a policy could not be found or put in force.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// The trail cannot be read or written.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The component cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A policy or settings that were put in force here are no longer kept with the trail.
    #[error(
        "{what} {digest} is in force on this trail and is not on {reference}: fetch that ref, or activate a policy again",
        reference = trail::POLICIES_REF
    )]
    Missing {
        /// `the policy` or `the settings`.
        what: &'static str,
        /// Its digest, in hexadecimal.
        digest: String,
    },
    /// The kept settings are not valid.
    #[error("the settings {digest} that are kept with the trail are not a JSON object of strings")]
    Settings {
        /// The digest of the settings.
        digest: String,
    },
}

impl PoliciesError {
    /// Whether trying the same again later may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, PoliciesError::Trail(error) if error.may_pass())
    }
}

/// The policy that was put in force on this trail, on this machine. `None` means the built-in one.
///
/// # Errors
///
/// A policy is in force and cannot be loaded. No other policy may decide then.
pub fn in_force(
    trail: &Trail,
    engine: &Engine,
) -> Result<Option<PolicyWithSettings>, PoliciesError> {
    let Some(PolicyInForce {
        component,
        settings,
        ..
    }) = trail.in_force()?
    else {
        return Ok(None);
    };
    let mut trail_policies = TrailPolicies::new(trail, engine);
    let missing = |what, digest: &str| PoliciesError::Missing {
        what,
        digest: digest.to_owned(),
    };
    let policy = trail_policies
        .policy(&component)?
        .ok_or_else(|| missing("the policy", &component))?;
    let settings = trail_policies
        .settings(&settings)?
        .ok_or_else(|| missing("the settings", &settings))?;
    Ok(Some(PolicyWithSettings { policy, settings }))
}

/// Keeps a policy and its settings with the trail, so that they can be inspected and run after they are replaced.
/// They are durable on return.
///
/// The built-in policy is not kept, since this program includes it. Empty settings are not kept either.
///
/// # Errors
///
/// Errors of the trail.
pub fn keep(
    trail: &Trail,
    policy: &Policy,
    settings: &PolicySettings,
    now: Timestamp,
) -> Result<(), TrailError> {
    let canonical = settings.canonical();
    let mut files = Vec::new();
    if !policy.is_builtin() {
        files.push((PolicyFileKind::Component, policy.bytes()));
    }
    if settings.iter().next().is_some() {
        files.push((PolicyFileKind::Settings, canonical.as_bytes()));
    }
    if files.is_empty() {
        return Ok(());
    }
    trail.keep_policy_files(&files, now)
}

/// Keeps a policy and its settings with the trail and puts them in force. From then on they decide in every recorder
/// that is opened on this trail on this machine. The built-in policy without settings is the default.
///
/// The caller must have checked that the policy keeps its contract.
///
/// # Errors
///
/// Errors of the trail; the previous policy stays in force then.
pub fn activate(
    trail: &Trail,
    policy: &Policy,
    settings: &PolicySettings,
    now: Timestamp,
) -> Result<(), TrailError> {
    keep(trail, policy, settings, now)?;
    let in_force = PolicyInForce {
        component: policy.digest().to_owned(),
        settings: settings.digest(),
        since: now.to_rfc3339(),
    };
    let is_default = policy.is_builtin() && settings.iter().next().is_none();
    trail.set_policy_in_force((!is_default).then_some(&in_force))
}

/// The policies that are kept with a trail, each loaded once, on first use.
pub struct TrailPolicies<'a> {
    trail: &'a Trail,
    engine: &'a Engine,
    policies: HashMap<String, Option<Policy>>,
    settings: HashMap<String, Option<PolicySettings>>,
}

impl<'a> TrailPolicies<'a> {
    /// Creates a shelf for this trail.
    pub fn new(trail: &'a Trail, engine: &'a Engine) -> TrailPolicies<'a> {
        TrailPolicies {
            trail,
            engine,
            policies: HashMap::new(),
            settings: HashMap::new(),
        }
    }

    /// The policy with this digest; `None` if it is neither kept nor included in this program.
    ///
    /// # Errors
    ///
    /// It is kept and cannot be read or loaded.
    pub fn policy(&mut self, digest: &str) -> Result<Option<Policy>, PoliciesError> {
        if let Some(policy) = self.policies.get(digest) {
            return Ok(policy.clone());
        }
        let policy = match self.trail.policy_file(PolicyFileKind::Component, digest)? {
            Some(bytes) => Some(Policy::load(self.engine, &short_digest(digest), &bytes)?),
            None => included_policy(self.engine, digest)?,
        };
        self.policies.insert(digest.to_owned(), policy.clone());
        Ok(policy)
    }

    /// The settings with this digest; `None` if they are not kept.
    ///
    /// # Errors
    ///
    /// They are kept and cannot be read.
    pub fn settings(&mut self, digest: &str) -> Result<Option<PolicySettings>, PoliciesError> {
        if let Some(settings) = self.settings.get(digest) {
            return Ok(settings.clone());
        }
        let settings = match self.trail.policy_file(PolicyFileKind::Settings, digest)? {
            Some(bytes) => Some(
                read_settings(&bytes).ok_or_else(|| PoliciesError::Settings {
                    digest: digest.to_owned(),
                })?,
            ),
            None => Some(PolicySettings::default()).filter(|none| none.digest() == digest),
        };
        self.settings.insert(digest.to_owned(), settings.clone());
        Ok(settings)
    }
}

/// The included policy with this digest.
fn included_policy(engine: &Engine, digest: &str) -> Result<Option<Policy>, LoadError> {
    let builtin = Policy::builtin(engine)?;
    if builtin.digest() == digest {
        return Ok(Some(builtin));
    }
    let mut bundled = Policy::bundled().iter();
    let found = bundled.find(|(_, component)| sha256(component) == digest);
    found
        .map(|(name, component)| Policy::load(engine, &format!("builtin:{name}"), component))
        .transpose()
}

fn read_settings(canonical: &[u8]) -> Option<PolicySettings> {
    let values: BTreeMap<String, String> = serde_json::from_slice(canonical).ok()?;
    Some(PolicySettings::new(values))
}

/// The name in messages of a policy without a file: the start of its digest.
fn short_digest(digest: &str) -> String {
    digest.get(..19).unwrap_or(digest).to_owned()
}
