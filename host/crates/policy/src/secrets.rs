//! Secret settings: values that a policy may use and nobody else may see.
//!
//! Owns the checks on a call's results: an entry or a subject that contains a secret is refused, and a secret in a log line,
//! a reason or a recorded host call is replaced by its name. Knows no file.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::call::Verdict;
use super::fault::Fault;
use super::log::LogLine;
use super::settings::PolicySettings;
use super::state::HostCall;
use super::trial::{Contents, Exchange};
use outcome::Violation;

/// The least length in bytes of a secret's line that is concealed by itself. Shorter lines are in other texts by chance.
const MIN_LINE: usize = 8;

/// The value of a secret setting, with the tag that stands for it wherever settings are kept.
#[derive(Clone)]
pub struct SecretSetting {
    tag: String,
    value: Option<String>,
}

impl SecretSetting {
    /// A secret. `tag` is an HMAC of the value under a random key, so that the value cannot be guessed from it.
    pub fn new(value: String, tag: String) -> SecretSetting {
        SecretSetting {
            tag,
            value: Some(value),
        }
    }

    /// A secret whose value is not available.
    pub fn locked(tag: String) -> SecretSetting {
        SecretSetting { tag, value: None }
    }

    /// What stands for the value.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The value; `None` if it is not available.
    pub(super) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The value, for code that puts it where the same secret is used.
    pub fn into_value(self) -> Option<String> {
        self.value
    }

    /// Whether the value is available.
    pub fn is_available(&self) -> bool {
        self.value.is_some()
    }
}

/// Never the value.
impl fmt::Debug for SecretSetting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.tag)
    }
}

/// The tag stands for the value.
impl PartialEq for SecretSetting {
    fn eq(&self, other: &SecretSetting) -> bool {
        self.tag == other.tag
    }
}

impl Eq for SecretSetting {}

impl PolicySettings {
    /// The text with every secret in it replaced by its name. A secret of several lines is also recognised line by line,
    /// because a log has lines.
    pub(super) fn conceal<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut concealed = Cow::Borrowed(text);
        for (name, secret) in self.secret_values() {
            let lines = secret.lines().filter(|line| line.len() >= MIN_LINE);
            for part in std::iter::once(secret).chain(lines) {
                // Unchanged, and as JSON writes it.
                let escaped = Value::from(part).to_string();
                for form in [part, &escaped[1..escaped.len() - 1]] {
                    if concealed.contains(form) {
                        concealed = concealed.replace(form, &format!("[secret {name}]")).into();
                    }
                }
            }
        }
        concealed
    }

    fn conceal_in(&self, text: &mut String) {
        if let Cow::Owned(concealed) = self.conceal(text) {
            *text = concealed;
        }
    }

    /// The name of a secret that the bytes contain, as they are or in a decoded string or key.
    fn revealed(&self, bytes: &[u8]) -> Option<&str> {
        let text = String::from_utf8_lossy(bytes);
        let decoded = serde_json::from_slice::<Value>(bytes).ok();
        let mut secrets = self.secret_values();
        let found = secrets.find(|(_, secret)| {
            text.contains(secret)
                || decoded
                    .as_ref()
                    .is_some_and(|value| contains(value, secret))
        });
        found.map(|(name, _)| name)
    }

    /// The verdict, unless it would reveal a secret; and without secrets in what it says.
    pub(super) fn guard(&self, verdict: Result<Verdict, Fault>) -> Result<Verdict, Fault> {
        if self.secret_values().next().is_none() {
            return verdict;
        }
        match verdict {
            Ok(Verdict::Commit { entry, subject }) => {
                let parts = [
                    ("entry", &entry[..]),
                    ("commit's subject", subject.as_bytes()),
                ];
                let revealed = parts
                    .into_iter()
                    .find_map(|(part, bytes)| Some((part, self.revealed(bytes)?)));
                match revealed {
                    None => Ok(Verdict::Commit { entry, subject }),
                    Some((part, name)) => Ok(Verdict::Refused(vec![Violation::new(
                        "",
                        format!(
                            "the {part} would contain the value of the secret setting `{name}`"
                        ),
                    )])),
                }
            }
            Ok(Verdict::Refused(mut violations)) => {
                for violation in &mut violations {
                    self.conceal_in(&mut violation.pointer);
                    self.conceal_in(&mut violation.message);
                }
                Ok(Verdict::Refused(violations))
            }
            Ok(Verdict::Conflicting(reason)) => {
                Ok(Verdict::Conflicting(self.conceal(&reason).into_owned()))
            }
            Ok(Verdict::Unavailable(reason)) => {
                Ok(Verdict::Unavailable(self.conceal(&reason).into_owned()))
            }
            Ok(Verdict::AlreadyRecorded) => Ok(Verdict::AlreadyRecorded),
            Err(mut fault) => {
                match &mut fault {
                    Fault::Panicked(text)
                    | Fault::Trapped(text)
                    | Fault::Misuse(text)
                    | Fault::Unreadable(text)
                    | Fault::ForeignPath(text)
                    | Fault::Entry(text)
                    | Fault::Refusal(text)
                    | Fault::Reason { problem: text, .. } => self.conceal_in(text),
                    _ => {}
                }
                Err(fault)
            }
        }
    }

    /// The log without secrets.
    pub(super) fn guard_log(&self, log: &mut [LogLine]) {
        if self.secret_values().next().is_some() {
            for line in log {
                self.conceal_in(&mut line.message);
            }
        }
    }

    /// The names of settings that the policy asked for, without secrets.
    pub(super) fn guard_calls(&self, calls: &mut [HostCall]) {
        if self.secret_values().next().is_none() {
            return;
        }
        for call in calls {
            if let HostCall::ConfigGet { key, .. } = call {
                self.conceal_in(key);
            }
        }
    }

    /// The host calls without secrets.
    pub(super) fn guard_exchanges(&self, exchanges: &mut [Exchange]) {
        if self.secret_values().next().is_none() {
            return;
        }
        for exchange in exchanges {
            match exchange {
                Exchange::ConfigGet { key, answer } => {
                    self.conceal_in(key);
                    if let Some(answer) = answer {
                        self.conceal_in(answer);
                    }
                }
                Exchange::WriteNew { path, contents, .. } => {
                    self.conceal_in(path);
                    self.conceal_contents(contents);
                }
                Exchange::Commit { subject, .. } => self.conceal_in(subject),
                Exchange::Log { message, .. } => self.conceal_in(message),
                Exchange::Read { path, .. } => self.conceal_in(path),
                Exchange::Now { .. } => {}
            }
        }
    }

    fn conceal_contents(&self, contents: &mut Contents) {
        let Some(bytes) = contents.bytes() else {
            return;
        };
        if self.revealed(&bytes).is_none() {
            return;
        }
        // What is written with other escapes cannot be replaced in place.
        *contents = Contents::LeftOut {
            left_out: bytes.len(),
        };
    }
}

fn contains(value: &Value, secret: &str) -> bool {
    match value {
        Value::String(text) => text.contains(secret),
        Value::Array(items) => items.iter().any(|item| contains(item, secret)),
        Value::Object(members) => members
            .iter()
            .any(|(key, member)| key.contains(secret) || contains(member, secret)),
        _ => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn settings() -> PolicySettings {
        let secret = SecretSetting::new("hunter\"2".to_owned(), "hmac-sha256:00".to_owned());
        PolicySettings::with_secrets(
            BTreeMap::new(),
            BTreeMap::from([("key".to_owned(), secret)]),
        )
    }

    fn commit(entry: &str, subject: &str) -> Verdict {
        Verdict::Commit {
            entry: entry.into(),
            subject: subject.to_owned(),
        }
    }

    #[test]
    fn an_entry_or_subject_with_a_secret_is_refused_however_it_is_written() {
        for (entry, subject, is_refused) in [
            (r#"{"a":"b"}"#, "audit: task t", false),
            (r#"{"a":"x hunter\"2 y"}"#, "audit: task t", true),
            (r#"{"a":["h\u0075nter\"2"]}"#, "audit: task t", true),
            (r#"{"hunter\u00222":1}"#, "audit: task t", true),
            (r#"{"a":"b"}"#, "audit: hunter\"2", true),
        ] {
            let verdict = settings().guard(Ok(commit(entry, subject))).unwrap();
            assert_eq!(
                matches!(verdict, Verdict::Refused(_)),
                is_refused,
                "{entry}"
            );
            if is_refused {
                assert!(!format!("{verdict:?}").contains("hunter"), "{verdict:?}");
            }
        }
    }

    #[test]
    fn what_a_policy_says_shows_the_name_of_a_secret_and_not_its_value() {
        let several =
            SecretSetting::new("-----BEGIN\nMIIEowIB".to_owned(), "hmac-sha256:01".into());
        let several = PolicySettings::with_secrets(
            BTreeMap::new(),
            BTreeMap::from([("pem".to_owned(), several)]),
        );
        assert_eq!(several.conceal("line MIIEowIB"), "line [secret pem]");
        let said = settings().guard(Ok(Verdict::Unavailable("not hunter\"2".to_owned())));
        assert_eq!(
            said,
            Ok(Verdict::Unavailable("not [secret key]".to_owned()))
        );
        let fault = settings().guard(Err(Fault::Panicked(r#"{"k":"hunter\"2"}"#.to_owned())));
        assert_eq!(
            fault,
            Err(Fault::Panicked(r#"{"k":"[secret key]"}"#.to_owned()))
        );
        assert!(!format!("{:?}", settings()).contains("hunter"));
        let canonical = settings().canonical();
        assert_eq!(canonical, r#"{"key":{"secret":"hmac-sha256:00"}}"#);
        let read = PolicySettings::parse(canonical.as_bytes()).unwrap();
        assert_eq!(read, settings());
        assert_eq!(read.get("key"), None);
        assert_eq!(read.missing_secrets().collect::<Vec<_>>(), ["key"]);
    }
}
