//! Settings for a policy and what it declares about them, from TOML files that are read while the arguments are parsed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files;
use crate::policy::{SettingsSchema, parse_schema_file, parse_settings_file};

/// The settings of a `--config-file`, by name.
pub type SettingsFile = BTreeMap<String, String>;

/// The most bytes of a file of settings: far more than a person writes.
const MAX_SETTINGS_FILE: u64 = 1 << 20;

/// Reads a file of settings for a policy.
pub fn settings_file(path: &str) -> Result<SettingsFile, String> {
    parse_settings_file(&read(path)?).map_err(|error| error.to_string())
}

/// Reads a file of the settings that a policy declares.
pub fn schema_file(path: &str) -> Result<SettingsSchema, String> {
    parse_schema_file(&read(path)?).map_err(|error| error.to_string())
}

fn read(path: &str) -> Result<String, String> {
    files::read_text(Path::new(path), MAX_SETTINGS_FILE)
        .map_err(|error| format!("cannot be read: {error}"))
}

/// Settings from a file and from the command line, which takes precedence.
pub fn joined_settings(
    file: Option<&SettingsFile>,
    flags: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut settings = file.cloned().unwrap_or_default();
    settings.extend(flags.iter().cloned());
    settings
}
