//! The operator's settings for a policy, and their digest. Does not know where they are configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use outcome::digest::sha256;

/// The settings that a policy can read with `config.get`. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    values: Arc<BTreeMap<String, String>>,
}

impl PolicySettings {
    /// Creates the settings from keys and values.
    pub fn new(values: BTreeMap<String, String>) -> PolicySettings {
        PolicySettings {
            values: Arc::new(values),
        }
    }

    /// The value of a setting, or `None` if the operator has not set it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Every setting, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The canonical bytes of these settings: one JSON object without white space, keys sorted by their UTF-8 bytes,
    /// strings escaped only where JSON requires it, and no newline. Without settings it is `{}`.
    ///
    /// Public format: the digest in each commit is over these bytes.
    pub fn canonical(&self) -> String {
        serde_json::to_string(&*self.values).expect("a map of strings is JSON")
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
