//! A setting's value as a file or an environment variable gives it, and the types it can be read as.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{OverdueSettings, StatusMap};

/// A value as its source gives it.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// From a file. A path is relative to the file's directory.
    File {
        value: &'a toml::Value,
        directory: &'a Path,
    },
    /// From the environment. It is always text; a list is separated by commas.
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

    /// Reads a store URL. A relative path in it starts at the file's directory, as for any other path.
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

    /// Reads pairs of words: a table, or `word=word` separated by commas.
    pub(super) fn pairs(self) -> Option<BTreeMap<String, String>> {
        match self {
            Value::File { value, .. } => {
                let pairs = value.as_table()?.iter();
                pairs
                    .map(|(word, value)| Some((word.clone(), value.as_str()?.to_owned())))
                    .collect()
            }
            Value::Variable(text) => {
                let pairs = text.split(',').map(|pair| pair.split_once('='));
                pairs
                    .map(|pair| {
                        pair.map(|(word, value)| (word.trim().to_owned(), value.trim().to_owned()))
                    })
                    .collect()
            }
        }
    }

    pub(super) fn status_map(self) -> Option<StatusMap> {
        match self.text() {
            Some("common") => Some(StatusMap::Common),
            _ => self.pairs().map(StatusMap::Table),
        }
    }

    /// Reads a time span, or time spans by pool.
    pub(super) fn overdue(self) -> Option<OverdueSettings> {
        if let Some(all) = self.text().and_then(span) {
            let pools = [("*".to_owned(), all)].into();
            return Some(OverdueSettings { pools });
        }
        let pools = self.pairs()?.into_iter();
        let pools = pools.map(|(pool, text)| Some((pool, span(&text)?)));
        let pools = pools.collect::<Option<_>>()?;
        Some(OverdueSettings { pools })
    }

    /// Reads a list of JSON pointers.
    pub(super) fn pointers(self) -> Option<Vec<String>> {
        let pointers = self.list()?;
        let is_pointer = |pointer: &String| pointer.starts_with('/');
        pointers.iter().all(is_pointer).then_some(pointers)
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

/// Reads a host name, with or without a port. URLs and patterns are not accepted.
pub(super) fn host(text: String) -> Option<String> {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_of_host)).then_some(text)
}

/// Reads a time span such as `90d`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number
        .parse()
        .ok()
        .filter(|number| is_number && *number > 0)?;
    // The longest span that a database can subtract from the current time.
    let seconds = number.checked_mul(seconds)?;
    (seconds <= 10_000 * 366 * 86_400).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::span;

    #[test]
    fn a_span_of_time_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90d", Some(7_776_000)),
            ("1s", Some(1)),
            ("2h", Some(7200)),
            ("5m", Some(300)),
            ("0d", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("90", None),
            ("d", None),
            ("", None),
            ("1é", None),
            ("99999999999999999999d", None),
            ("9999999999999d", None),
        ] {
            assert_eq!(span(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
