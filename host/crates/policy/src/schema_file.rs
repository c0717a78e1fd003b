//! The schema of a policy's settings as its author writes it, in TOML.
//!
//! Owns the keys of that file. An unknown key is an error, since a misspelt one would declare something else.

use std::collections::BTreeMap;

use toml_edit::{Document, Key, TableLike};

use super::schema::{DeclaredSetting, SettingType, SettingsSchema};
use super::settings_file::{SettingsFileError, error, not_toml, scalar};

/// Reads a schema: a table for each setting, with `type` and, if wanted, `default`, `required`, `secret` and `doc`.
///
/// # Errors
///
/// The line, and what is wrong there.
pub fn parse_schema_file(text: &str) -> Result<SettingsSchema, SettingsFileError> {
    let document = Document::parse(text).map_err(|error| not_toml(text, &error))?;
    let mut settings = BTreeMap::new();
    for (name, item) in document.as_table().iter() {
        let wrong = |key: Option<&Key>, problem: String| {
            let span = key.and_then(Key::span);
            error(text, span, format!("the setting {name:?}: {problem}"))
        };
        let own_key = document.as_table().key(name);
        let table = item
            .as_table_like()
            .ok_or_else(|| wrong(own_key, "it must be a table".to_owned()))?;
        let setting = read(table).map_err(|(key, problem)| {
            wrong(key.and_then(|key| table.key(key)).or(own_key), problem)
        })?;
        settings.insert(name.to_owned(), setting);
    }
    SettingsSchema::new(settings).map_err(|problem| error(text, None, problem.to_string()))
}

/// A problem, with the key that has it.
type Problem<'a> = (Option<&'a str>, String);

fn read(table: &dyn TableLike) -> Result<DeclaredSetting, Problem<'_>> {
    let mut kind = None;
    let mut setting = DeclaredSetting {
        kind: SettingType::String,
        default: None,
        required: false,
        secret: false,
        doc: String::new(),
    };
    for (key, item) in table.iter() {
        let wrong = |rule: &str| (Some(key), format!("`{key}` must be {rule}"));
        match key {
            "type" => {
                let named = |kind: &SettingType| item.as_str() == Some(kind.name());
                let found = SettingType::ALL.into_iter().find(named);
                let names = SettingType::ALL.map(SettingType::name).join(", ");
                kind = Some(found.ok_or_else(|| wrong(&format!("one of {names}")))?);
            }
            "default" => {
                let text = item.as_value().and_then(scalar);
                let text = text.ok_or_else(|| wrong("a string, a number or a boolean"))?;
                setting.default = Some(text);
            }
            "required" => {
                setting.required = item.as_bool().ok_or_else(|| wrong("true or false"))?
            }
            "secret" => setting.secret = item.as_bool().ok_or_else(|| wrong("true or false"))?,
            "doc" => {
                let text = item.as_str().ok_or_else(|| wrong("a string"))?;
                text.clone_into(&mut setting.doc);
            }
            _ => {
                let keys = "type, default, required, secret, doc";
                return Err((
                    Some(key),
                    format!("there is no key {key:?}; these are: {keys}"),
                ));
            }
        }
    }
    setting.kind = kind.ok_or_else(|| (None, "it has no `type`".to_owned()))?;
    Ok(setting)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::parse_schema_file;

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, problem) in [
            ("a = 1", "line 1: the setting \"a\": it must be a table"),
            (
                "\n[a]\ndoc = 'x'",
                "line 2: the setting \"a\": it has no `type`",
            ),
            (
                "[a]\ntype = 'int'",
                "line 2: the setting \"a\": `type` must be one of string, integer, number, boolean, json",
            ),
            (
                "[a]\ntype = 'string'\nsecert = true",
                "line 3: the setting \"a\": there is no key \"secert\"; these are: type, default, required, secret, doc",
            ),
            (
                "[a]\ntype = 'json'\ndefault = []",
                "line 3: the setting \"a\": `default` must be a string, a number or a boolean",
            ),
            (
                "[a]\ntype = 'integer'\ndefault = 1.5",
                "line 1: the default of the setting \"a\" must be a whole number",
            ),
            (
                "[a]\ntype = 'integer'\ndefault = 1\nrequired = true",
                "line 1: the setting \"a\" has a default, so it cannot be required",
            ),
            ("[a", "line 1: it is not TOML: "),
        ] {
            let found = parse_schema_file(text).unwrap_err().to_string();
            assert!(found.starts_with(problem), "{found}");
        }
    }
}
