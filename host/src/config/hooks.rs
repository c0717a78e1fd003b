//! Webhooks that the service takes: `hooks.NAME`, tables with names of the operator's choice.

use std::path::{Path, PathBuf};

/// The table that holds them.
pub(super) const HOOKS: &str = "hooks";

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSettings {
    /// How the sender signs its requests.
    pub scheme: HookScheme,
    /// The file with its secrets, one on each line.
    pub secret_file: PathBuf,
    /// The map for what it sends: a name, or a file.
    pub map: Option<String>,
}

/// How a sender signs its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookScheme {
    /// Standard Webhooks.
    StandardWebhooks,
    /// GitHub's `X-Hub-Signature-256`.
    GitHub,
    /// GitLab's `X-Gitlab-Token`.
    GitLab,
}

impl HookSettings {
    /// What a table must hold, for messages.
    pub(super) const EXPECTED: &str =
        "a table of scheme (`standard-webhooks`, `github` or `gitlab`), secret_file and map";

    /// Reads a table. Paths are relative to `directory`.
    pub(super) fn read(table: &toml::Table, directory: &Path) -> Option<HookSettings> {
        let text = |key: &str| {
            table
                .get(key)
                .map(|value| value.as_str().filter(|text| !text.is_empty()))
        };
        if table
            .keys()
            .any(|key| !["scheme", "secret_file", "map"].contains(&key.as_str()))
        {
            return None;
        }
        let map = match text("map") {
            None => None,
            Some(map) => Some(match map? {
                // A name has neither a dot nor a slash.
                name if !name.contains(['.', '/']) => name.to_owned(),
                file => directory.join(file).to_str()?.to_owned(),
            }),
        };
        Some(HookSettings {
            scheme: match text("scheme")?? {
                "standard-webhooks" => HookScheme::StandardWebhooks,
                "github" => HookScheme::GitHub,
                "gitlab" => HookScheme::GitLab,
                _ => return None,
            },
            secret_file: directory.join(text("secret_file")??),
            map,
        })
    }

    /// Whether a hook may have this name, which is a part of its path.
    pub(super) fn is_name(name: &str) -> bool {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
    }
}
