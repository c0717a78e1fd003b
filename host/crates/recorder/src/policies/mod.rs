//! Policies and the trail that they decide for: which one is in force, how one is put in force, and how those that decided in
//! the past are found again.
//!
//! Owns the joint of the two for everything but a single outcome, which is the recorder's. What is kept where is the trail's;
//! what a component is, the policy module's.

mod backtest;
mod recorded;
mod reproduce;
mod workers;

use std::collections::{BTreeMap, HashMap};

pub use backtest::{Backtest, Outcome as Backtested, Trying};
pub use recorded::Recorded;
pub use reproduce::{NotShown, Reproduced, Result as ReproduceResult, reproduce};

use outcome::clock::Timestamp;
use outcome::digest::sha256;
use policy::{self, Engine, LoadError, Policy, PolicySettings};
use trail::{InForce, Kept, Trail, TrailError};

/// A policy with the settings that it decides by.
#[derive(Clone, Debug)]
pub struct Deciding {
    /// The policy.
    pub policy: Policy,
    /// Its settings.
    pub settings: PolicySettings,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// The trail cannot be read or written.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The component cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Something that was put in force here is not kept with the trail any more.
    #[error(
        "{what} {digest} is in force on this trail and is not on {reference}: fetch that ref, or activate a policy again",
        reference = trail::POLICIES_REF
    )]
    Missing {
        /// `the policy` or `the settings`.
        what: &'static str,
        /// Its digest.
        digest: String,
    },
    /// Kept settings are not what settings look like.
    #[error("the settings {digest} that are kept with the trail are no JSON object of strings")]
    Settings {
        /// Their digest.
        digest: String,
    },
}

impl PoliciesError {
    /// Whether trying again, later and unchanged, may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, PoliciesError::Trail(error) if error.may_pass())
    }
}

/// The policy that was put in force on this trail, on this machine; `None` if none was, which means the built-in one.
///
/// # Errors
///
/// Where one is in force and cannot be had: then nothing may be decided by another.
pub fn in_force(trail: &Trail, engine: &Engine) -> Result<Option<Deciding>, PoliciesError> {
    let Some(InForce {
        component,
        settings,
        ..
    }) = trail.in_force()?
    else {
        return Ok(None);
    };
    let mut shelf = Shelf::new(trail, engine);
    let missing = |what, digest: &str| PoliciesError::Missing {
        what,
        digest: digest.to_owned(),
    };
    let policy = shelf
        .policy(&component)?
        .ok_or_else(|| missing("the policy", &component))?;
    let settings = shelf
        .settings(&settings)?
        .ok_or_else(|| missing("the settings", &settings))?;
    Ok(Some(Deciding { policy, settings }))
}

/// Keeps a policy and its settings with the trail, so that they can be seen and run when they are long replaced. On return they
/// are durable.
///
/// The built-in policy is not kept, since this program has it; nor are settings of which there are none.
///
/// # Errors
///
/// Those of the trail.
pub fn keep(
    trail: &Trail,
    policy: &Policy,
    settings: &PolicySettings,
    now: Timestamp,
) -> Result<(), TrailError> {
    let canonical = settings.canonical();
    let mut files = Vec::new();
    if !policy.is_builtin() {
        files.push((Kept::Component, policy.bytes()));
    }
    if settings.iter().next().is_some() {
        files.push((Kept::Settings, canonical.as_bytes()));
    }
    if files.is_empty() {
        return Ok(());
    }
    trail.keep(&files, now)
}

/// Keeps a policy and its settings with the trail and puts them in force: from now on they decide in every recorder that is
/// opened on this trail on this machine. The built-in policy without settings is what is in force by itself.
///
/// Whether the policy keeps to its contract is the caller's to find out before.
///
/// # Errors
///
/// Those of the trail; what was in force before is in force then.
pub fn activate(
    trail: &Trail,
    policy: &Policy,
    settings: &PolicySettings,
    now: Timestamp,
) -> Result<(), TrailError> {
    keep(trail, policy, settings, now)?;
    let in_force = InForce {
        component: policy.digest().to_owned(),
        settings: settings.digest(),
        since: now.to_rfc3339(),
    };
    let is_default = policy.is_builtin() && settings.iter().next().is_none();
    trail.put_in_force((!is_default).then_some(&in_force))
}

/// The policies that are kept with a trail, each loaded once, when it is first asked for.
pub struct Shelf<'a> {
    trail: &'a Trail,
    engine: &'a Engine,
    policies: HashMap<String, Option<Policy>>,
    settings: HashMap<String, Option<PolicySettings>>,
}

impl<'a> Shelf<'a> {
    /// The shelf of this trail.
    pub fn new(trail: &'a Trail, engine: &'a Engine) -> Shelf<'a> {
        Shelf {
            trail,
            engine,
            policies: HashMap::new(),
            settings: HashMap::new(),
        }
    }

    /// The policy with this digest; `None` if it is neither kept nor one that comes with this program.
    ///
    /// # Errors
    ///
    /// Where it is kept and cannot be read or loaded.
    pub fn policy(&mut self, digest: &str) -> Result<Option<Policy>, PoliciesError> {
        if let Some(policy) = self.policies.get(digest) {
            return Ok(policy.clone());
        }
        let policy = match self.trail.kept(Kept::Component, digest)? {
            Some(bytes) => Some(Policy::load(self.engine, &short(digest), &bytes)?),
            None => own(self.engine, digest)?,
        };
        self.policies.insert(digest.to_owned(), policy.clone());
        Ok(policy)
    }

    /// The settings with this digest; `None` if they are not kept.
    ///
    /// # Errors
    ///
    /// Where they are kept and cannot be read.
    pub fn settings(&mut self, digest: &str) -> Result<Option<PolicySettings>, PoliciesError> {
        if let Some(settings) = self.settings.get(digest) {
            return Ok(settings.clone());
        }
        let settings = match self.trail.kept(Kept::Settings, digest)? {
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

/// The policy that comes with this program and has this digest.
fn own(engine: &Engine, digest: &str) -> Result<Option<Policy>, LoadError> {
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

/// What messages call a policy that has no file: the beginning of its digest.
fn short(digest: &str) -> String {
    digest.get(..19).unwrap_or(digest).to_owned()
}
