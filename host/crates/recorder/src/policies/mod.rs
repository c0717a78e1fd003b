//! A trail's policies: which one is in force, how one is put in force, and how past ones are found again.
//!
//! Connects policies and the trail for everything except a single outcome, which belongs to the recorder. The trail
//! decides where things are kept, and the policy module defines what a component is.

mod backtest;
mod gate;
mod recorded;
mod reproduce;
mod secret_file;
mod workers;

use std::collections::HashMap;

pub use backtest::{Backtest, BacktestEntry, Comparison};
pub use gate::{Examination, Objection, activate, activate_despite, examine};
pub use recorded::RecordedOutcome;
pub use reproduce::{NotShown, ReproduceReport, Reproduction, reproduce};

pub use secret_file::{MissingKey, SecretFileError, read_secret_setting};

use outcome::clock::Timestamp;
use outcome::digest::sha256;
use policy::{self, Engine, LoadError, Policy, PolicySettings, SecretSetting};
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
    /// The value of a secret setting that was put in force here is no longer where it was.
    #[error(
        "the value of the secret setting {names} is not available: its file is gone, or it or its key has changed; activate the \
         policy again"
    )]
    Secret {
        /// The names of the settings.
        names: String,
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
    let missing: Vec<&str> = settings.missing_secrets().collect();
    if !missing.is_empty() {
        return Err(PoliciesError::Secret {
            names: missing.join(", "),
        });
    }
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
    if !settings.is_empty() {
        files.push((PolicyFileKind::Settings, canonical.as_bytes()));
    }
    if files.is_empty() {
        return Ok(());
    }
    trail.keep_policy_files(&files, now)
}

/// The policies that are kept with a trail, each loaded once, on first use.
pub struct TrailPolicies<'a> {
    trail: &'a Trail,
    engine: &'a Engine,
    policies: HashMap<String, Option<Policy>>,
    settings: HashMap<String, Option<PolicySettings>>,
    /// Secret settings that are given, beside those whose files are known on this machine.
    secrets: Vec<SecretSetting>,
}

impl<'a> TrailPolicies<'a> {
    /// Creates a reader for the policies of this trail.
    pub fn new(trail: &'a Trail, engine: &'a Engine) -> TrailPolicies<'a> {
        TrailPolicies {
            trail,
            engine,
            policies: HashMap::new(),
            settings: HashMap::new(),
            secrets: Vec::new(),
        }
    }

    /// The same, with the values of these secrets.
    #[must_use]
    pub fn with_secrets(self, secrets: Vec<SecretSetting>) -> TrailPolicies<'a> {
        TrailPolicies { secrets, ..self }
    }

    /// The value of the secret with this tag: given, or in a file that was used on this machine.
    fn secret(&self, tag: &str) -> Option<String> {
        let given = self.secrets.iter().find(|secret| secret.tag() == tag);
        if let Some(secret) = given {
            return secret.clone().into_value();
        }
        let used = self.trail.used_policies().ok()?;
        secret_file::value_of(used.secret_file(tag)?, tag)
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

    /// The settings with this digest; `None` if they are not kept. The values of secrets that are not available are missing.
    ///
    /// # Errors
    ///
    /// They are kept and cannot be read.
    pub fn settings(&mut self, digest: &str) -> Result<Option<PolicySettings>, PoliciesError> {
        if let Some(settings) = self.settings.get(digest) {
            return Ok(settings.clone());
        }
        let settings = match self.trail.policy_file(PolicyFileKind::Settings, digest)? {
            Some(bytes) => {
                Some(
                    PolicySettings::parse(&bytes).ok_or_else(|| PoliciesError::Settings {
                        digest: digest.to_owned(),
                    })?,
                )
            }
            None => Some(PolicySettings::default()).filter(|none| none.digest() == digest),
        };
        let settings = settings.map(|settings| settings.unlock(|tag| self.secret(tag)));
        self.settings.insert(digest.to_owned(), settings.clone());
        Ok(settings)
    }
}

/// The name and the component of the included policy with this digest. The built-in one is `built-in`.
pub(crate) fn included(digest: &str) -> Option<(String, &'static [u8])> {
    let builtin = Policy::builtin_component();
    if sha256(builtin) == digest {
        return Some(("built-in".to_owned(), builtin));
    }
    let mut bundled = Policy::bundled().iter();
    let found = bundled.find(|(_, component)| sha256(component) == digest);
    found.map(|(name, component)| (format!("builtin:{name}"), *component))
}

/// The component of the policy with this digest, if this program includes it.
pub fn included_component(digest: &str) -> Option<&'static [u8]> {
    included(digest).map(|(_, component)| component)
}

/// The included policy with this digest.
fn included_policy(engine: &Engine, digest: &str) -> Result<Option<Policy>, LoadError> {
    included(digest)
        .map(|(name, component)| Policy::load(engine, &name, component))
        .transpose()
}

/// The name in messages of a policy without a file: the start of its digest.
fn short_digest(digest: &str) -> String {
    digest.get(..19).unwrap_or(digest).to_owned()
}
