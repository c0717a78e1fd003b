//! The policy that a command works on, with its settings and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read};
use crate::cli::session::{Session, engine, setting};
use crate::cli::settings_file::{SettingsFile, joined_settings, settings_file};
use crate::cli::text::Line;
use crate::config::{ConfigError, Settings};
use crate::files;
use crate::policies::{MissingKey, read_secret_setting};
use crate::policy::{Allocation, Engine, Policy, PolicySettings, SettingsSchema};

/// The largest file to read as a component. The limit on a component, `policy.component_bytes`, is lower unless an operator raises
/// it; this one ends the reading of a device.
const MAX_COMPONENT: u64 = 256 << 20;

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
                files::read_bounded(path, MAX_COMPONENT)
                    .map_err(|error| cannot_read("the policy", path, error))
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
    #[arg(
        long = "setting",
        aliases = ["config", "policy-setting"],
        value_name = "NAME=VALUE",
        value_parser = setting
    )]
    settings: Vec<(String, String)>,
    /// Read settings for the policy from this TOML file. A name in a table is prefixed with the table's name and a dot, as
    /// for a part of a stack. `--setting` takes precedence
    #[arg(long, value_name = "FILE", value_parser = settings_file)]
    config_file: Option<SettingsFile>,
    /// Give the policy the text of this file as a secret setting; can be repeated. Its value is never shown, and an
    /// entry that would contain it is refused. Parts and encodings of the value are not recognised. `activate` keeps a
    /// random key in FILE.key
    #[arg(long = "secret-setting", value_name = "NAME=FILE", value_parser = setting)]
    secrets: Vec<(String, String)>,
}

impl ConfigFlags {
    /// A warning about settings that the policy did not ask for, since their names may be misspelt. `None` if there
    /// are none.
    pub fn unasked<'a>(&self, asked: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let flags = self.settings.iter().chain(&self.secrets);
        let flags = flags.map(|(name, _)| &**name);
        let file = self.config_file.iter().flatten();
        unasked(flags.chain(file.map(|(name, _)| &**name)), asked)
    }

    /// The settings to give to the policy. Reads the files of secret settings.
    pub fn settings(&self, missing: MissingKey) -> Result<PolicySettings> {
        let values = joined_settings(self.config_file.as_ref(), &self.settings);
        let mut secrets = BTreeMap::new();
        for (name, file) in &self.secrets {
            secrets.insert(name.clone(), read_secret_setting(Path::new(file), missing)?);
        }
        Ok(PolicySettings::with_secrets(values, secrets))
    }

    /// The settings to give to this policy, checked against those that it declares. Otherwise as [`settings`](Self::settings).
    pub fn settings_for(&self, policy: &Policy, missing: MissingKey) -> Result<PolicySettings> {
        let settings = self.settings(missing)?;
        check_declared(policy, &settings)?;
        Ok(settings)
    }

    /// The files of the secret settings, by the tags that replace their values in the kept settings.
    pub fn secret_files(&self, settings: &PolicySettings) -> Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for (name, file) in &self.secrets {
            let path = Path::new(file).canonicalize()?;
            let secret = settings.secrets().find(|(secret, _)| secret == name);
            files.extend(secret.map(|(_, secret)| (secret.tag().to_owned(), path)));
        }
        Ok(files)
    }
}

/// Checks settings against those that a policy declares. A policy that declares none takes any.
pub fn check_declared(policy: &Policy, settings: &PolicySettings) -> Result<()> {
    let problems = SettingsSchema::problems_of(policy.bytes(), settings).unwrap_or_default();
    if problems.is_empty() {
        return Ok(());
    }
    let (name, problems) = (Line(policy.name()), problems.join("; "));
    Err(UsageError(format!("{name}: {problems}")).into())
}

/// A warning about given settings that a policy did not ask for. `None` if it asked for all of them.
pub fn unasked<'g, 'a>(
    given: impl IntoIterator<Item = &'g str>,
    asked: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let asked: BTreeSet<&str> = asked.into_iter().collect();
    let given: BTreeSet<&str> = given.into_iter().collect();
    let unasked: Vec<String> = given
        .iter()
        .filter(|name| !asked.contains(*name))
        .map(|name| format!("`{}`", Line(name)))
        .collect();
    if unasked.is_empty() {
        return None;
    }
    let known = if asked.is_empty() {
        "none".to_owned()
    } else {
        let known: Vec<String> = asked.iter().map(|name| Line(name).to_string()).collect();
        known.join(", ")
    };
    Some(format!(
        "the policy did not ask for the setting {}: is the name misspelt? It asked for {known}.",
        unasked.join(", ")
    ))
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
        let on_slow = session.output.slow_compile_notice();
        self.policy.load(&engine(settings, allocation, on_slow)?)
    }
}
