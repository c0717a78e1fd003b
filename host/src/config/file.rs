//! Configuration files: TOML in which every setting must be known, and a repository's file may give only a few.

use std::io;
use std::path::Path;

use super::hooks::{HOOKS, HookSettings};
use super::key::{self, Key};
use super::remotes::{REMOTES, RemoteSettings};
use super::table::{KEYS, POLICY_SETTINGS};
use super::value::Value;
use super::{ConfigError, Settings};
use crate::files;

/// Who wrote a file, which decides what it may set.
#[derive(Clone, Copy)]
pub(super) enum Trust<'a> {
    /// Written by the operator or the user: may give every setting.
    Operator,
    /// Written by the repository: may give a few settings. The error for any other names the user's file.
    Repository { user_file: Option<&'a Path> },
}

/// A configuration is a page of text. A larger file is a mistake, such as a link to something else.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file. A file that does not exist gives no settings.
pub(super) fn read(path: &Path, trust: Trust<'_>) -> Result<Settings, ConfigError> {
    match read_text(path) {
        // A home directory without permission to enter belongs to another user and has no file for this one.
        Err(error)
            if matches!(trust, Trust::Operator)
                && error.kind() == io::ErrorKind::PermissionDenied
                && path.metadata().is_err() =>
        {
            Ok(Settings {
                warnings: vec![format!("cannot look for {}: {error}", path.display())],
                ..Settings::default()
            })
        }
        Ok(Some(text)) => parse(&text, path, trust),
        Ok(None) => Ok(Settings::default()),
        Err(source) => Err(ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read_text(path: &Path) -> io::Result<Option<String>> {
    match files::require_regular(path) {
        Ok(()) => files::read_text(path, MAX_BYTES).map(Some),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn parse(text: &str, path: &Path, trust: Trust<'_>) -> Result<Settings, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let line = 1 + text.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        ConfigError::Syntax {
            path: path.to_owned(),
            line,
            message: error.message().replace('\n', ", "),
        }
    })?;
    let mut reader = Reader {
        path,
        trust,
        settings: Settings::default(),
    };
    reader.table("", &table)?;
    Ok(reader.settings)
}

struct Reader<'a> {
    path: &'a Path,
    trust: Trust<'a>,
    settings: Settings,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &toml::Table) -> Result<(), ConfigError> {
        for (name, value) in table {
            let name = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match (Key::find(&name), value) {
                // `store` is a URL, or a table that contains it as `url`.
                (Some(_), toml::Value::Table(table)) if is_table(&name) => {
                    self.table(&name, table)?
                }
                (Some(key), _) => self.setting(key, value)?,
                (None, toml::Value::Table(table)) if name == POLICY_SETTINGS => {
                    self.policy_settings(table)?
                }
                (None, toml::Value::Table(table)) if name == HOOKS => self.hooks(table)?,
                (None, toml::Value::Table(table)) if name == REMOTES => self.remotes(table)?,
                (None, toml::Value::Table(table)) if is_table(&name) => self.table(&name, table)?,
                (None, _)
                    if [POLICY_SETTINGS, HOOKS, REMOTES].contains(&&*name) || is_table(&name) =>
                {
                    return Err(self.wrong(name, "a table"));
                }
                (None, _) => {
                    return Err(ConfigError::Unknown {
                        key: shown(&name),
                        origin: self.origin(),
                    });
                }
            }
        }
        Ok(())
    }

    fn setting(&mut self, key: &Key, value: &toml::Value) -> Result<(), ConfigError> {
        self.check_trust(key.name, key.repository)?;
        let directory = self.path.parent().unwrap_or(Path::new(""));
        (key.store)(&mut self.settings, Value::File { value, directory })
            .ok_or_else(|| self.wrong(key.name.to_owned(), key.expected))
    }

    fn policy_settings(&mut self, table: &toml::Table) -> Result<(), ConfigError> {
        self.check_trust(POLICY_SETTINGS, false)?;
        for (name, value) in table {
            let Some(value) = value.as_str() else {
                return Err(self.wrong(format!("{POLICY_SETTINGS}.{name}"), "a string"));
            };
            self.settings
                .policy_settings
                .insert(name.clone(), value.to_owned());
        }
        Ok(())
    }

    fn hooks(&mut self, table: &toml::Table) -> Result<(), ConfigError> {
        self.check_trust(HOOKS, false)?;
        let directory = self.path.parent().unwrap_or(Path::new(""));
        for (name, value) in table {
            let hook = value.as_table().filter(|_| HookSettings::is_name(name));
            let Some(hook) = hook.and_then(|table| HookSettings::read(table, directory)) else {
                return Err(self.wrong(format!("{HOOKS}.{name}"), HookSettings::EXPECTED));
            };
            self.settings.hooks.insert(name.clone(), hook);
        }
        Ok(())
    }

    fn remotes(&mut self, table: &toml::Table) -> Result<(), ConfigError> {
        self.check_trust(REMOTES, false)?;
        let directory = self.path.parent().unwrap_or(Path::new(""));
        for (name, value) in table {
            let remote = value
                .as_table()
                .filter(|_| ::remotes::Remote::is_name(name));
            let Some(remote) = remote.and_then(|table| RemoteSettings::read(table, directory))
            else {
                return Err(self.wrong(format!("{REMOTES}.{name}"), RemoteSettings::EXPECTED));
            };
            self.settings.remotes.insert(name.clone(), remote);
        }
        Ok(())
    }

    fn check_trust(&self, name: &str, repository: bool) -> Result<(), ConfigError> {
        let Trust::Repository { user_file } = self.trust else {
            return Ok(());
        };
        if repository {
            return Ok(());
        }
        let variable = key::variable(name);
        Err(ConfigError::NotFromRepository {
            key: name.to_owned(),
            path: self.path.to_owned(),
            belongs: match user_file {
                Some(file) => format!("{} or {variable}", file.display()),
                None => variable,
            },
        })
    }

    fn wrong(&self, key: String, expected: &'static str) -> ConfigError {
        ConfigError::Value {
            key: shown(&key),
            origin: self.origin(),
            expected,
        }
    }

    fn origin(&self) -> String {
        self.path.display().to_string()
    }
}

/// Whether any setting's name starts with this table's name.
fn is_table(name: &str) -> bool {
    KEYS.iter().any(|key| {
        key.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// A name from a possibly hostile file, made safe to print in a message.
fn shown(name: &str) -> String {
    name.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}
