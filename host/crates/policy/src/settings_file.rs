//! Settings for a policy as a TOML file, for people who keep them in one.
//!
//! Owns how TOML becomes texts: a table's name and a dot come before the names in it, as in the settings of a stack's parts.
//! Reads no file: the caller has the text.

use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::{Document, Item, TableLike, TomlError, Value};

use super::lines::Lines;

/// What is wrong in a file of settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SettingsFileError {
    /// The line, from 1 on.
    line: usize,
    /// The problem, with the name of the setting if there is one.
    problem: String,
}

/// Reads settings from TOML: strings, numbers, booleans and times, also in tables.
///
/// A string is the setting's text. Other values are written as TOML writes them, without digit separators: `true`, `16`, `0.5`,
/// `2026-01-21`.
///
/// # Errors
///
/// The line and the name of a value that is no setting, or of a name that is given twice.
pub fn parse_settings_file(text: &str) -> Result<BTreeMap<String, String>, SettingsFileError> {
    let document = Document::parse(text).map_err(|error| not_toml(text, &error))?;
    let mut reader = Reader {
        text,
        settings: BTreeMap::new(),
    };
    reader.read("", document.as_table())?;
    Ok(reader.settings)
}

struct Reader<'a> {
    text: &'a str,
    settings: BTreeMap<String, String>,
}

impl Reader<'_> {
    /// Reads a table. TOML's parser limits how deep tables are nested.
    fn read(&mut self, prefix: &str, table: &dyn TableLike) -> Result<(), SettingsFileError> {
        for (key, item) in table.iter() {
            let name = format!("{prefix}{key}");
            let span = table.key(key).and_then(toml_edit::Key::span);
            let wrong = |rule: &str| error(self.text, span.clone(), format!("{name:?} {rule}"));
            if key.is_empty() {
                return Err(wrong("has a part that is empty"));
            }
            if let Some(table) = item.as_table_like() {
                self.read(&format!("{name}."), table)?;
                continue;
            }
            let value = item.as_value().and_then(scalar).ok_or_else(|| {
                let kind = kind(item);
                wrong(&format!(
                    "is {kind}; a setting is a string, a number, a boolean or a time"
                ))
            })?;
            if self.settings.contains_key(&name) {
                return Err(wrong("is given twice"));
            }
            self.settings.insert(name, value);
        }
        Ok(())
    }
}

/// A value's text as a setting.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(number) if number.value().is_finite() => Some(format!("{:?}", number.value())),
        Value::Boolean(truth) => Some(truth.value().to_string()),
        Value::Datetime(time) => Some(time.value().to_string()),
        Value::Float(_) | Value::Array(_) | Value::InlineTable(_) => None,
    }
}

fn kind(item: &Item) -> &'static str {
    if item.is_array() || item.is_array_of_tables() {
        "a list"
    } else {
        "no finite number"
    }
}

pub(super) fn not_toml(text: &str, toml: &TomlError) -> SettingsFileError {
    let why: Vec<&str> = toml.message().lines().collect();
    error(
        text,
        toml.span(),
        format!("it is not TOML: {}", why.join(", ")),
    )
}

pub(super) fn error(text: &str, span: Option<Range<usize>>, problem: String) -> SettingsFileError {
    SettingsFileError {
        line: Lines::new(text).of(span).unwrap_or(1),
        problem,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::parse_settings_file;

    #[test]
    fn tables_are_joined_with_the_names_in_them() {
        let text = "limit = 1_000\non = true\nratio = 1.0\nsince = 2026-01-21\n\
                    redact = { rules = '{\"pointers\": []}' }\n[own.\"a b\"]\nx = 'y'\n";
        let read = parse_settings_file(text).unwrap();
        let read: Vec<_> = read.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(
            read,
            [
                ("limit", "1000"),
                ("on", "true"),
                ("own.a b.x", "y"),
                ("ratio", "1.0"),
                ("redact.rules", "{\"pointers\": []}"),
                ("since", "2026-01-21"),
            ]
        );
        assert_eq!(parse_settings_file("").unwrap().len(), 0);
    }

    #[test]
    fn an_error_names_the_line_and_the_setting() {
        for (text, error) in [
            (
                "\na = [1]",
                "line 2: \"a\" is a list; a setting is a string, a number, a boolean or a time",
            ),
            (
                "[a]\nb.c = inf",
                "line 2: \"a.b.c\" is no finite number; a setting is a string, a number, a boolean or a time",
            ),
            (
                "[[a]]\nb = 1",
                "line 1: \"a\" is a list; a setting is a string, a number, a boolean or a time",
            ),
            (
                "\"a.b\" = 1\n\n[a]\nb = 2",
                "line 4: \"a.b\" is given twice",
            ),
            ("a = 1\n\"\" = 2", "line 2: \"\" has a part that is empty"),
            (
                "a = 1\nb = = 2",
                "line 2: it is not TOML: extra `=`, expected nothing",
            ),
        ] {
            let found = parse_settings_file(text).unwrap_err();
            assert_eq!(found.to_string(), error, "{text}");
        }
    }
}
