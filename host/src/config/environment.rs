//! The process's environment, which only this module reads.
//!
//! It is read once at startup into a value that is passed to everything else. Tests build their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::key::{PREFIX, variable};
use super::table::{KEYS, POLICY_SETTINGS};
use super::value::Value;
use super::{ConfigError, Settings};

/// The environment variables that this program uses.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// Variables that are read in addition to those that start with [`PREFIX`].
const OTHERS: [&str; 8] = [
    "CARGO_TARGET_DIR",
    "CLICOLOR_FORCE",
    "HOME",
    "NO_COLOR",
    "SSH_AUTH_SOCK",
    "TERM",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// Variables for the service's clients, which may run in the same environment.
const OF_CLIENTS: [&str; 3] = [
    "CHIFFON_AUDIT_SPOOL",
    "CHIFFON_AUDIT_TOKEN",
    "CHIFFON_AUDIT_URL",
];

/// The name of this program's directory below an XDG directory and below a git directory.
const DIRECTORY: &str = "chiffon-audit";

impl Environment {
    /// Reads the environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn of_process() -> Environment {
        std::env::vars_os().collect()
    }

    /// The settings that variables give. A variable's name is `CHIFFON_AUDIT_` and the setting's name in upper case,
    /// with `_` for `.`.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        for (name, value) in self.variables.range(PREFIX.to_owned()..) {
            if !name.starts_with(PREFIX) {
                break;
            }
            let wrong = |expected| ConfigError::Value {
                key: name.clone(),
                origin: "the environment".into(),
                expected,
            };
            let text = || value.to_str().ok_or_else(|| wrong("UTF-8"));
            if let Some(key) = KEYS.iter().find(|key| key.variable() == *name) {
                (key.store)(&mut settings, Value::Variable(text()?))
                    .ok_or_else(|| wrong(key.expected))?;
            } else if *name == variable(POLICY_SETTINGS) {
                let text = text()?;
                settings.policy_settings =
                    policy_settings(text).ok_or_else(|| wrong("lines of the form `key=value`"))?;
            } else if !is_injected(&name[PREFIX.len()..]) && !OF_CLIENTS.contains(&name.as_str()) {
                // Only a warning: a variable for another version or another program must not stop recording. It is
                // still reported, because a misspelt name disables a policy or limit that the operator believes to be
                // set.
                let text = format!("unknown setting {name} in the environment is ignored");
                settings.warnings.push(text);
            }
        }
        Ok(settings)
    }

    /// The names of all variables with our prefix, known settings or not.
    pub fn settings_given(&self) -> impl Iterator<Item = String> + '_ {
        self.variables
            .keys()
            .filter(|name| name.starts_with(PREFIX))
            .cloned()
    }

    /// The user's configuration file, whether or not it exists.
    pub fn user_file(&self) -> Option<PathBuf> {
        Some(
            self.base_dir("XDG_CONFIG_HOME", ".config")?
                .join(DIRECTORY)
                .join("config.toml"),
        )
    }

    /// The directory for files that can be recreated.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        Some(self.base_dir("XDG_CACHE_HOME", ".cache")?.join(DIRECTORY))
    }

    /// The directory where clients keep what cannot be recorded now.
    pub fn spool(&self) -> Option<PathBuf> {
        let spool = self.variables.get("CHIFFON_AUDIT_SPOOL").map(PathBuf::from);
        spool.filter(|path| !path.as_os_str().is_empty())
    }

    /// Where cargo builds, if not in the project's directory.
    pub fn cargo_target(&self) -> Option<PathBuf> {
        let target = self.variables.get("CARGO_TARGET_DIR").map(PathBuf::from);
        target.filter(|path| !path.as_os_str().is_empty())
    }

    /// The socket of the user's ssh-agent.
    pub fn ssh_agent(&self) -> Option<PathBuf> {
        let socket = self.variables.get("SSH_AUTH_SOCK").map(PathBuf::from);
        socket.filter(|path| path.is_absolute())
    }

    /// Whether colour is disabled everywhere (<https://no-color.org>: set and not empty).
    pub fn no_color(&self) -> bool {
        self.variables
            .get("NO_COLOR")
            .is_some_and(|value| !value.is_empty())
    }

    /// Whether colour is wanted even in a pipe (set and not `0`).
    pub fn clicolor_force(&self) -> bool {
        self.variables
            .get("CLICOLOR_FORCE")
            .is_some_and(|value| !value.is_empty() && value != OsStr::new("0"))
    }

    /// Whether the terminal declares that it can show only plain text.
    pub fn dumb_terminal(&self) -> bool {
        self.variables
            .get("TERM")
            .is_some_and(|value| value == OsStr::new("dumb"))
    }

    /// An XDG base directory. The specification says to ignore a relative path.
    fn base_dir(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let absolute = |name: &str| {
            self.variables
                .get(name)
                .map(Path::new)
                .filter(|path| path.is_absolute())
        };
        match absolute(variable) {
            Some(path) => Some(path.to_owned()),
            None => Some(absolute("HOME")?.join(below_home)),
        }
    }
}

impl<Name: Into<OsString>, Text: Into<OsString>> FromIterator<(Name, Text)> for Environment {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Text)>>(pairs: Pairs) -> Environment {
        let ours = |name: &String| name.starts_with(PREFIX) || OTHERS.contains(&name.as_str());
        let variables = pairs
            .into_iter()
            .filter_map(|(name, value)| {
                Some((name.into().into_string().ok().filter(ours)?, value.into()))
            })
            .collect();
        Environment { variables }
    }
}

/// Whether Kubernetes set this variable: it gives every pod variables that describe services, and those of a service
/// named `chiffon-audit` start with our prefix.
fn is_injected(rest: &str) -> bool {
    rest.ends_with("SERVICE_HOST") || rest.ends_with("PORT") || rest.contains("PORT_")
}

fn policy_settings(text: &str) -> Option<BTreeMap<String, String>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            line.split_once('=')
                .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        })
        .collect()
}
