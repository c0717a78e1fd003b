//! The operator's settings for a policy, and their digest. Does not know where they are configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::secrets::SecretSetting;
use outcome::digest::sha256;

/// The settings that a policy can read with `config.get`. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    values: Arc<BTreeMap<String, String>>,
    secrets: Arc<BTreeMap<String, SecretSetting>>,
}

/// A setting in the canonical form.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept<'a> {
    Plain(std::borrow::Cow<'a, str>),
    Secret { secret: std::borrow::Cow<'a, str> },
}

impl PolicySettings {
    /// Creates the settings from keys and values.
    pub fn new(values: BTreeMap<String, String>) -> PolicySettings {
        PolicySettings::with_secrets(values, BTreeMap::new())
    }

    /// These settings, and secret ones. If a name is in both, the secret counts.
    pub fn with_secrets(
        mut values: BTreeMap<String, String>,
        secrets: BTreeMap<String, SecretSetting>,
    ) -> PolicySettings {
        values.retain(|name, _| !secrets.contains_key(name));
        PolicySettings {
            values: Arc::new(values),
            secrets: Arc::new(secrets),
        }
    }

    /// Reads the canonical form. The values of secrets are not in it.
    pub fn parse(canonical: &[u8]) -> Option<PolicySettings> {
        let kept: BTreeMap<String, Kept<'_>> = serde_json::from_slice(canonical).ok()?;
        let (mut values, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for (name, setting) in kept {
            match setting {
                Kept::Plain(value) => drop(values.insert(name, value.into_owned())),
                Kept::Secret { secret } => {
                    let secret = SecretSetting::locked(secret.into_owned());
                    secrets.insert(name, secret);
                }
            }
        }
        Some(PolicySettings::with_secrets(values, secrets))
    }

    /// The value of a setting, or `None` if the operator has not set it.
    pub fn get(&self, key: &str) -> Option<&str> {
        match self.secrets.get(key) {
            Some(secret) => secret.value(),
            None => self.values.get(key).map(String::as_str),
        }
    }

    /// Whether there is no setting.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.secrets.is_empty()
    }

    /// The names of all settings, secret ones last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let secrets = self.secrets.keys();
        self.values.keys().chain(secrets).map(String::as_str)
    }

    /// The secret settings, sorted by name.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &SecretSetting)> {
        let secrets = self.secrets.iter();
        secrets.map(|(name, secret)| (name.as_str(), secret))
    }

    /// The names of secrets whose values are not available.
    pub fn missing_secrets(&self) -> impl Iterator<Item = &str> {
        let missing = self.secrets().filter(|(_, secret)| !secret.is_available());
        missing.map(|(name, _)| name)
    }

    /// These settings with each secret that `find` knows by its tag.
    #[must_use]
    pub fn unlock(&self, mut find: impl FnMut(&str) -> Option<String>) -> PolicySettings {
        let secrets = self.secrets().map(|(name, secret)| {
            let value = match secret.value() {
                Some(value) => Some(value.to_owned()),
                None => find(secret.tag()),
            };
            let tag = secret.tag().to_owned();
            let secret = match value {
                Some(value) => SecretSetting::new(value, tag),
                None => SecretSetting::locked(tag),
            };
            (name.to_owned(), secret)
        });
        PolicySettings {
            values: Arc::clone(&self.values),
            secrets: Arc::new(secrets.collect()),
        }
    }

    /// The secrets whose values are available, with the values.
    pub(super) fn secret_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.secrets()
            .filter_map(|(name, secret)| Some((name, secret.value()?)))
    }

    /// Every setting that is not secret, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The canonical bytes of these settings: one JSON object without white space, keys sorted by their UTF-8 bytes,
    /// strings escaped only where JSON requires it, and no newline. Without settings it is `{}`. A secret
    /// setting is an object, `{"secret":"hmac-sha256:…"}`.
    ///
    /// Public format: the digest in each commit is over these bytes.
    pub fn canonical(&self) -> String {
        let values = self.values.iter();
        let plain = values.map(|(name, value)| (&**name, Kept::Plain(value.as_str().into())));
        let secrets = self.secrets();
        let secrets = secrets.map(|(name, secret)| {
            let secret = secret.tag().into();
            (name, Kept::Secret { secret })
        });
        let kept: BTreeMap<&str, Kept<'_>> = plain.chain(secrets).collect();
        serde_json::to_string(&kept).expect("a map of strings is JSON")
    }

    /// The name of the settings in the trailer `Audit-Settings`: `sha256:` and the SHA-256 of
    /// [`canonical`](Self::canonical).
    pub fn digest(&self) -> String {
        sha256(self.canonical().as_bytes())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::PolicySettings;
    use std::collections::BTreeMap;

    #[test]
    fn the_digest_is_over_canonical_json() {
        let none = PolicySettings::default();
        assert_eq!(none.canonical(), "{}");
        // printf '{}' | sha256sum
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(none.digest(), empty);

        let pairs = [("b", "2"), ("a", "\u{e9}\"\n")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let some = PolicySettings::new(BTreeMap::from(pairs));
        assert_eq!(some.canonical(), "{\"a\":\"\u{e9}\\\"\\n\",\"b\":\"2\"}");
        assert_eq!(some.get("b").unwrap(), "2");
        assert_eq!(some.get("c"), None);
        assert_eq!(some.iter().count(), 2);
    }
}
