//! A value of a setting as its source gives it, and how it is read.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value as a source gives it.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// From a file; a path is relative to the directory that the file is in.
    File {
        value: &'a toml::Value,
        directory: &'a Path,
    },
    /// From the environment: text in every case; a list has commas in it.
    Variable(&'a str),
}

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Value::File { value, .. } => value.as_str(),
            Value::Variable(text) => Some(text),
        }
    }

    pub(super) fn number(self) -> Option<u64> {
        match self {
            Value::File { value, .. } => value.as_integer()?.try_into().ok(),
            Value::Variable(text) => text.parse().ok(),
        }
    }

    pub(super) fn seconds(self) -> Option<Duration> {
        let seconds = match self {
            Value::File { value, .. } => value
                .as_float()
                .or_else(|| Some(value.as_integer()? as f64))?,
            Value::Variable(text) => text.parse().ok()?,
        };
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|duration| !duration.is_zero())
    }

    pub(super) fn boolean(self) -> Option<bool> {
        match self {
            Value::File { value, .. } => value.as_bool(),
            Value::Variable(text) => text.parse().ok(),
        }
    }

    /// A path in a URL is relative to the directory that the file is in, as any other.
    pub(super) fn store_url(self) -> Option<String> {
        let text = self.text().filter(|text| !text.is_empty())?;
        Some(match (self, text.strip_prefix("sqlite:")) {
            (Value::File { directory, .. }, Some(path)) => {
                format!("sqlite:{}", directory.join(path).display())
            }
            _ => text.to_owned(),
        })
    }

    pub(super) fn path(self) -> Option<PathBuf> {
        let text = self.text().filter(|text| !text.is_empty())?;
        Some(match self {
            Value::File { directory, .. } => directory.join(text),
            Value::Variable(_) => PathBuf::from(text),
        })
    }

    pub(super) fn list(self) -> Option<Vec<String>> {
        Some(match self {
            Value::File { value, .. } => value
                .as_array()?
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            Value::Variable(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        })
    }

    pub(super) fn names(self) -> Option<Vec<String>> {
        let names = self.list()?;
        let is_name = |name: &String| {
            (1..=32).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        };
        names.iter().all(is_name).then_some(names)
    }
}

/// A host's name, with a port or without; no URL and no pattern.
pub(super) fn host(text: String) -> Option<String> {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_of_host)).then_some(text)
}
