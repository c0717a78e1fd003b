//! The process's environment: the only module that reads it.
//!
//! Read once, at the start, into a value that everything else is given; tests make their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::key::{KEYS, POLICY_SETTINGS, PREFIX, variable};
use super::value::Value;
use super::{ConfigError, Settings};

/// The variables that matter here.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// Variables beside those that begin with [`PREFIX`].
const OTHERS: [&str; 7] = [
    "CLICOLOR_FORCE",
    "HOME",
    "NO_COLOR",
    "SSH_AUTH_SOCK",
    "TERM",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// Variables of the programs that talk to the service, which may share its environment.
const OF_CLIENTS: [&str; 3] = [
    "CHIFFON_AUDIT_SPOOL",
    "CHIFFON_AUDIT_TOKEN",
    "CHIFFON_AUDIT_URL",
];

/// The directory of this program below an XDG directory, and the prefix of the file below a git directory.
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

    /// What the variables set: `CHIFFON_AUDIT_` and the setting's name, in upper case, `_` for `.`.
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
            let text = value.to_str().ok_or_else(|| wrong("UTF-8"))?;
            if let Some(key) = KEYS.iter().find(|key| key.variable() == *name) {
                key.store(&mut settings, Value::Variable(text))
                    .ok_or_else(|| wrong(key.expected))?;
            } else if *name == variable(POLICY_SETTINGS) {
                settings.policy_settings =
                    policy_settings(text).ok_or_else(|| wrong("lines of the form `key=value`"))?;
            } else if !is_injected(&name[PREFIX.len()..]) && !OF_CLIENTS.contains(&name.as_str()) {
                // Not an error: a variable for another version or another program must not stop recording. Not in silence
                // either: a misspelt one leaves a policy or a limit out that its author believes in force.
                let text = format!("unknown setting {name} in the environment is ignored");
                settings.warnings.push(text);
            }
        }
        Ok(settings)
    }

    /// The names of the variables that give settings, whether or not there are such settings.
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

    /// The directory for what can be made again.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        Some(self.base_dir("XDG_CACHE_HOME", ".cache")?.join(DIRECTORY))
    }

    /// The socket of the user's ssh-agent.
    pub fn ssh_agent(&self) -> Option<PathBuf> {
        let socket = self.variables.get("SSH_AUTH_SOCK").map(PathBuf::from);
        socket.filter(|path| path.is_absolute())
    }

    /// Whether the user wants no colour anywhere (<https://no-color.org>: set and not empty).
    pub fn no_color(&self) -> bool {
        self.variables
            .get("NO_COLOR")
            .is_some_and(|value| !value.is_empty())
    }

    /// Whether the user wants colour even in a pipe (set and not `0`).
    pub fn clicolor_force(&self) -> bool {
        self.variables
            .get("CLICOLOR_FORCE")
            .is_some_and(|value| !value.is_empty() && value != OsStr::new("0"))
    }

    /// Whether the terminal says that it shows nothing but text.
    pub fn dumb_terminal(&self) -> bool {
        self.variables
            .get("TERM")
            .is_some_and(|value| value == OsStr::new("dumb"))
    }

    /// The XDG base directory specification: a relative path is as good as none.
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

/// Kubernetes gives every pod variables that tell of services; one named `chiffon-audit` makes them begin like ours.
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
