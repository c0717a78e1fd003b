//! The settings that a policy declares: their names, types, defaults and documentation.
//!
//! They are in a custom section of the component. The interface stays as it is: a host that does not know the section
//! ignores it, and a policy without it may ask for anything.

mod section;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) use section::SECTION;

use super::PolicySettings;

/// The most settings of a schema.
const MAX_SETTINGS: usize = 256;

/// The longest name of a setting, in bytes.
const MAX_NAME: usize = 64;

/// The settings that a policy declares, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SettingsSchema(BTreeMap<String, DeclaredSetting>);

/// One declared setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredSetting {
    /// What its text must be.
    #[serde(rename = "type")]
    pub kind: SettingType,
    /// The text that the policy takes if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether it must be given.
    #[serde(default)]
    pub required: bool,
    /// Whether its value is secret.
    #[serde(default)]
    pub secret: bool,
    /// What it does.
    #[serde(default)]
    pub doc: String,
}

/// What the text of a setting must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingType {
    /// Any text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A finite number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A JSON value.
    Json,
}

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

impl SettingType {
    /// Every type.
    pub const ALL: [SettingType; 5] = [
        SettingType::String,
        SettingType::Integer,
        SettingType::Number,
        SettingType::Boolean,
        SettingType::Json,
    ];

    /// The type's name in a schema.
    pub fn name(self) -> &'static str {
        match self {
            SettingType::String => "string",
            SettingType::Integer => "integer",
            SettingType::Number => "number",
            SettingType::Boolean => "boolean",
            SettingType::Json => "json",
        }
    }

    fn accepts(self, text: &str) -> bool {
        match self {
            SettingType::String => true,
            SettingType::Integer => text.parse::<i64>().is_ok(),
            SettingType::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
            SettingType::Boolean => matches!(text, "true" | "false"),
            SettingType::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            SettingType::String => "a text",
            SettingType::Integer => "a whole number",
            SettingType::Number => "a number",
            SettingType::Boolean => "true or false",
            SettingType::Json => "JSON",
        }
    }
}

impl fmt::Display for SettingType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl SettingsSchema {
    /// Makes a schema of these settings.
    ///
    /// # Errors
    ///
    /// The name of a setting that cannot be declared so, and why.
    pub fn new(settings: BTreeMap<String, DeclaredSetting>) -> Result<SettingsSchema, SchemaError> {
        if settings.len() > MAX_SETTINGS {
            return Err(SchemaError(format!(
                "it declares {} settings; the most are {MAX_SETTINGS}",
                settings.len()
            )));
        }
        for (name, setting) in &settings {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            let problem = if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name)
            {
                Some("is no name: it must be letters, digits, `_`, `-` and `.`, 64 at most")
            } else if setting.default.is_some() && setting.required {
                Some("has a default, so it cannot be required")
            } else if setting.default.is_some() && setting.secret {
                Some("is secret, so it cannot have a default")
            } else if setting.doc.chars().any(char::is_control) {
                Some("has documentation that is not on one line")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(SchemaError(format!("the setting {name:?} {problem}")));
            }
            if let Some(default) = &setting.default
                && !setting.kind.accepts(default)
            {
                let kind = setting.kind.describe();
                return Err(SchemaError(format!(
                    "the default of the setting {name:?} must be {kind}"
                )));
            }
        }
        Ok(SettingsSchema(settings))
    }

    /// The declared settings, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DeclaredSetting)> {
        self.0.iter().map(|(name, setting)| (&**name, setting))
    }

    /// Whether there is a setting of this name.
    pub fn declares(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is wrong with settings for a component, one sentence for each problem: by the schema that it declares, or with that
    /// schema itself. `None` if it declares none, so that no setting is wrong.
    pub fn problems_of(component: &[u8], settings: &PolicySettings) -> Option<Vec<String>> {
        match SettingsSchema::of(component) {
            Ok(schema) => schema.map(|schema| schema.problems(settings)),
            Err(error) => Some(vec![error.to_string()]),
        }
    }

    /// What is wrong with settings, one sentence for each problem. None of them contains a value.
    pub fn problems(&self, settings: &PolicySettings) -> Vec<String> {
        let mut found = Vec::new();
        for name in settings.names() {
            if !self.declares(name) {
                let known: Vec<&str> = self.0.keys().map(|name| &**name).collect();
                let known = match known.as_slice() {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                };
                found.push(format!("there is no setting {name:?}; it declares {known}"));
            }
        }
        for (name, setting) in self.iter() {
            let is_secret = settings.secrets().any(|(secret, _)| secret == name);
            match settings.get(name) {
                Some(_) if setting.secret && !is_secret => found.push(format!(
                    "the setting {name:?} is secret: give it as a secret setting"
                )),
                Some(text) if !setting.kind.accepts(text) => {
                    let kind = setting.kind.describe();
                    found.push(format!("the setting {name:?} must be {kind}"));
                }
                None if setting.required && !is_secret => {
                    found.push(format!("the setting {name:?} is required"));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::{PolicySettings, SecretSetting, parse_schema_file};
    use super::SettingsSchema;
    use std::collections::BTreeMap;

    /// A component without anything in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    const SCHEMA: &str = "[limit]\ntype = 'integer'\ndefault = 4096\n[on]\ntype = 'boolean'\nrequired = true\n\
        [rules]\ntype = 'json'\n[key]\ntype = 'string'\nsecret = true\n[ratio]\ntype = 'number'\n";

    fn settings(given: &[(&str, &str)], secrets: &[&str]) -> PolicySettings {
        let owned = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let secret = |name: &&str| {
            let secret = SecretSetting::new("hunter2".to_owned(), "hmac-sha256:00".to_owned());
            ((*name).to_owned(), secret)
        };
        PolicySettings::with_secrets(owned.collect(), secrets.iter().map(secret).collect())
    }

    #[test]
    fn a_schema_is_written_into_a_component_and_read_back() {
        let schema = parse_schema_file(SCHEMA).unwrap();
        assert_eq!(SettingsSchema::of(EMPTY).unwrap(), None);
        let component = schema.write_into(EMPTY).unwrap();
        assert_eq!(
            SettingsSchema::of(&component).unwrap(),
            Some(schema.clone())
        );
        // It takes the place of the one before, wherever that is.
        let mut longer = component.clone();
        longer.extend(b"\0\x03\x01xy");
        let other = parse_schema_file("[a]\ntype = 'string'\n").unwrap();
        let replaced = other.write_into(&longer).unwrap();
        assert_eq!(SettingsSchema::of(&replaced).unwrap(), Some(other));
        assert_eq!(schema.write_into(&component).unwrap(), component);
        assert_eq!(replaced[8..13], *b"\0\x03\x01xy");
    }

    #[test]
    fn each_problem_is_named_and_no_value_is() {
        let schema = parse_schema_file(SCHEMA).unwrap();
        let fine = settings(
            &[
                ("on", "true"),
                ("limit", "-1"),
                ("rules", "{}"),
                ("ratio", "1e3"),
            ],
            &["key"],
        );
        assert_eq!(schema.problems(&fine), Vec::<String>::new());
        let given = [
            ("key", "hunter2"),
            ("limit", "hunter2"),
            ("limits", "1"),
            ("ratio", "NaN"),
            ("rules", "{"),
        ];
        assert_eq!(
            schema.problems(&settings(&given, &[])),
            [
                "there is no setting \"limits\"; it declares key, limit, on, ratio, rules",
                "the setting \"key\" is secret: give it as a secret setting",
                "the setting \"limit\" must be a whole number",
                "the setting \"on\" is required",
                "the setting \"ratio\" must be a number",
                "the setting \"rules\" must be JSON",
            ]
        );
        let secret = settings(&[("on", "yes")], &["limit"]);
        assert_eq!(
            schema.problems(&secret),
            [
                "the setting \"limit\" must be a whole number",
                "the setting \"on\" must be true or false",
            ]
        );
    }

    #[test]
    fn a_section_that_cannot_be_read_is_an_error_and_no_schema() {
        let with = |json: &[u8]| {
            let mut component = EMPTY.to_vec();
            let length = json.len() + super::SECTION.len() + 1;
            component.push(0);
            component.push(0x80 | u8::try_from(length % 128).unwrap());
            component.push(u8::try_from(length / 128).unwrap());
            component.push(u8::try_from(super::SECTION.len()).unwrap());
            component.extend(super::SECTION.as_bytes());
            component.extend(json);
            SettingsSchema::of(&component)
        };
        let deep = "[".repeat(8000);
        for (json, problem) in [
            (&b"{}"[..], "missing field"),
            (b"\xff", "expected value"),
            (deep.as_bytes(), "invalid type"),
            (br#"{"schema":2,"settings":{}}"#, "it has the version 2"),
            (
                br#"{"schema":1,"settings":{"a b":{"type":"string"}}}"#,
                "is no name",
            ),
            (
                br#"{"schema":1,"settings":{"a":{"type":"word"}}}"#,
                "unknown variant",
            ),
            (
                br#"{"schema":1,"settings":{"a":{"type":"json","default":"{"}}}"#,
                "must be JSON",
            ),
        ] {
            let error = with(json).unwrap_err().to_string();
            assert!(error.contains("chiffon:settings cannot be used"), "{error}");
            assert!(error.contains(problem), "{error}");
        }
        // A later version may have more members.
        let more = br#"{"schema":1,"settings":{"a":{"type":"string","unit":"s"}},"x":1}"#;
        assert!(with(more).unwrap().unwrap().declares("a"));
        assert!(SettingsSchema::new(BTreeMap::new()).is_ok());
    }
}
