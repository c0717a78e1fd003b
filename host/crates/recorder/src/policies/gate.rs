//! The gate that a policy passes before it is put in force, the same for the command line and the service.
//!
//! Owns the conditions: the policy keeps the contract, and it asks for every setting that it is given. An operator may
//! override them; what was overridden is recorded with the policy in force.

use std::fmt;

use super::{PolicyWithSettings, keep};
use outcome::Limits;
use outcome::clock::Timestamp;
use policy::{Claim, Contract, Policy, PolicySettings, Report, SettingsSchema};
use trail::{PolicyInForce, Trail, TrailError};

/// The result of examining a policy with its settings.
#[derive(Debug)]
pub struct Examination {
    /// The result of each claim of the contract.
    pub report: Report,
    /// The settings that the policy was given and never asked for: their names may be misspelt.
    pub unread_settings: Vec<String>,
    /// What the settings that the policy declares do not allow, one sentence for each problem.
    pub problems: Vec<String>,
}

/// A reason not to put a policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// A claim of the contract is broken.
    Broken {
        /// What must hold.
        title: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A setting is not one that the policy declares.
    Setting(String),
    /// The policy did not ask for a setting.
    UnreadSetting {
        /// The setting's name.
        name: String,
        /// The settings that the policy asks for.
        asked: Vec<String>,
    },
}

impl fmt::Display for Objection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Objection::Broken { title, detail } => {
                write!(out, "it breaks the contract ({title}): {detail}")
            }
            Objection::Setting(problem) => out.write_str(problem),
            Objection::UnreadSetting { name, asked } => {
                let asked = match asked.as_slice() {
                    [] => "none".to_owned(),
                    asked => asked.join(", "),
                };
                write!(
                    out,
                    "it did not ask for the setting `{name}`: is the name misspelt? It asked for {asked}"
                )
            }
        }
    }
}

/// Tries the contract on a policy with its settings, and notes which settings it asks for. Changes nothing.
///
/// Calls the policy several thousand times. `called` runs after each claim, so that a watchdog can see progress.
pub fn examine(
    policy_with_settings: &PolicyWithSettings,
    limits: &Limits,
    called: &mut dyn FnMut(&Claim),
) -> Examination {
    let contract = Contract {
        settings: policy_with_settings.settings.clone(),
        limits: limits.clone(),
        ..Contract::default()
    };
    let report = contract.check(&policy_with_settings.policy, called);
    let PolicyWithSettings { policy, settings } = policy_with_settings;
    let problems = SettingsSchema::problems_of(policy.bytes(), settings);
    // With a schema, a wrong name is a problem already, and a declared setting may matter to other outcomes than the contract's.
    let unread_settings = match problems {
        Some(_) => Vec::new(),
        None => settings
            .names()
            .map(str::to_owned)
            .filter(|name| !report.settings_read.contains(name))
            .collect(),
    };
    Examination {
        report,
        unread_settings,
        problems: problems.unwrap_or_default(),
    }
}

impl Examination {
    /// The reasons not to put the policy in force. Empty if there are none.
    pub fn objections(&self) -> Vec<Objection> {
        let broken = self.report.broken().map(|claim| Objection::Broken {
            title: claim.title,
            detail: claim.detail.clone(),
        });
        let unread = self
            .unread_settings
            .iter()
            .map(|name| Objection::UnreadSetting {
                name: name.clone(),
                asked: self.report.settings_read.clone(),
            });
        let problems = self.problems.iter().cloned().map(Objection::Setting);
        broken.chain(problems).chain(unread).collect()
    }
}

/// Keeps a policy and its settings with the trail and puts them in force. From then on they decide in every recorder
/// that is opened on this trail on this machine. The built-in policy without settings is the default.
///
/// The caller must have examined the policy and found no objection.
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
    activate_despite(trail, policy, settings, &[], now)
}

/// Does the same as [`activate`] in spite of these objections, which are recorded with the policy in force.
///
/// # Errors
///
/// Errors of the trail; the previous policy stays in force then.
pub fn activate_despite(
    trail: &Trail,
    policy: &Policy,
    settings: &PolicySettings,
    overridden: &[Objection],
    now: Timestamp,
) -> Result<(), TrailError> {
    keep(trail, policy, settings, now)?;
    let in_force = PolicyInForce {
        component: policy.digest().to_owned(),
        settings: settings.digest(),
        since: now.to_rfc3339(),
        overridden: overridden.iter().map(ToString::to_string).collect(),
    };
    let is_default = policy.is_builtin() && settings.is_empty();
    trail.set_policy_in_force(&in_force, is_default)
}
