//! The policy that a command works on, with its settings and limits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read};
use crate::cli::session::{Session, engine, setting};
use crate::cli::text::Line;
use crate::config::{ConfigError, Settings};
use crate::policy::{Allocation, Engine, Policy, PolicySettings};

/// A policy as the command line names it: `builtin`, `builtin:NAME`, or a component's file (`./builtin` for a file of
/// that name).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Builtin,
    Bundled(&'static str, &'static [u8]),
    File(PathBuf),
}

impl From<OsString> for Source {
    fn from(text: OsString) -> Source {
        let bundled = text
            .to_str()
            .and_then(|text| text.strip_prefix("builtin:"))
            .and_then(|name| Policy::bundled().iter().find(|bundled| bundled.0 == name));
        if text == "builtin" {
            Source::Builtin
        } else if let Some((name, component)) = bundled {
            Source::Bundled(name, component)
        } else {
            Source::File(PathBuf::from(text))
        }
    }
}

impl Source {
    /// The policy's name in messages.
    pub fn name(&self) -> String {
        match self {
            Source::Builtin => "built-in".to_owned(),
            Source::Bundled(name, _) => format!("builtin:{name}"),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Reads the component's bytes.
    pub fn read(&self) -> Result<Vec<u8>> {
        match self {
            Source::Builtin => Ok(Policy::builtin_component().to_vec()),
            Source::Bundled(_, component) => Ok(component.to_vec()),
            Source::File(path) => {
                if path.to_string_lossy().starts_with("builtin:") && !path.exists() {
                    let names = Policy::bundled()
                        .iter()
                        .map(|(name, _)| format!("builtin:{name}"));
                    return Err(UsageError(format!(
                        "there is no policy {}; this program includes builtin, {}",
                        path.display(),
                        names.collect::<Vec<_>>().join(", ")
                    ))
                    .into());
                }
                fs::read(path).map_err(|error| cannot_read("the policy", path, error))
            }
        }
    }

    /// Loads the policy: from the cache if it is there, otherwise compiled.
    pub fn load(&self, engine: &Engine) -> Result<Policy> {
        Ok(Policy::load(engine, &self.name(), &self.read()?)?)
    }
}

/// The policy argument of a command.
#[derive(Args, Clone, Debug)]
pub struct Subject {
    /// The policy: a WebAssembly component, or `builtin`
    #[arg(value_name = "FILE")]
    pub policy: Source,
    #[command(flatten)]
    pub limits: LimitFlags,
}

/// Limits that override the configured ones.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Policy options")]
pub struct LimitFlags {
    /// Call the policy with a different limit, such as fuel=1000000; the names are those of the settings `policy.…`
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = setting)]
    limits: Vec<(String, String)>,
}

/// Settings for the policy, from the command line.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Policy options")]
pub struct ConfigFlags {
    /// Give the policy a setting; can be repeated. The policy sees only the settings given here
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    config: Vec<(String, String)>,
}

impl ConfigFlags {
    /// A warning about settings that the policy did not ask for, since their names may be misspelt. `None` if there
    /// are none.
    pub fn unasked<'a>(&self, asked: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let asked: Vec<&str> = asked.into_iter().collect();
        let mut unasked: Vec<String> = self
            .config
            .iter()
            .filter(|(key, _)| !asked.contains(&&**key))
            .map(|(key, _)| format!("`{}`", Line(key)))
            .collect();
        unasked.dedup();
        (!unasked.is_empty()).then(|| {
            let known = if asked.is_empty() {
                "none".to_owned()
            } else {
                asked.join(", ")
            };
            format!(
                "the policy did not ask for the setting {}: is that its name? It asked for {known}.",
                unasked.join(", ")
            )
        })
    }

    /// The settings to give to the policy.
    pub fn settings(&self) -> PolicySettings {
        PolicySettings::new(self.config.iter().cloned().collect::<BTreeMap<_, _>>())
    }
}

impl LimitFlags {
    /// A reminder that these limits apply only to this command, while recording uses the configured ones. `None` if
    /// there are none.
    pub fn reminder(&self) -> Option<String> {
        let names: Vec<String> = self
            .limits
            .iter()
            .map(|(name, _)| format!("policy.{}", Line(name)))
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "--limit was for this trial: recording uses the setting {}",
                names.join(", ")
            )
        })
    }

    /// The command's settings: limits, statuses and the cache.
    pub fn settings(&self, session: &Session) -> Result<Settings, ConfigError> {
        let mut flags = Settings::default();
        for (name, value) in &self.limits {
            flags.set_policy_limit(name, value)?;
        }
        session.settings(flags)
    }
}

impl Subject {
    /// The command's settings: limits, statuses and the cache.
    pub fn settings(&self, session: &Session) -> Result<Settings, ConfigError> {
        self.limits.settings(session)
    }

    /// Loads the policy in a new engine.
    pub fn load(
        &self,
        settings: &Settings,
        allocation: Allocation,
        session: &Session,
    ) -> Result<Policy> {
        let told = session.output.told();
        self.policy.load(&engine(settings, allocation, told)?)
    }
}
