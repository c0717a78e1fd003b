//! Reporters: the names of reporting programs, safe as one word of a commit message, a log line and a label.

use std::fmt;
use std::sync::Arc;

/// Who reported an outcome: `[a-z0-9][a-z0-9._-]{0,63}`. The operator assigns it to a token; it may be a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reporter(Arc<str>);

/// The longest name, in bytes.
const MAX_LENGTH: usize = 64;

impl Reporter {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// The rule that the name breaks, without quoting it.
    pub fn parse(text: &str) -> Result<Reporter, &'static str> {
        let bytes = text.as_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let Some(first) = bytes.first() else {
            return Err("must not be empty");
        };
        if !is_plain(first) {
            return Err("must begin with a letter from a to z or a digit");
        }
        if !bytes
            .iter()
            .all(|byte| is_plain(byte) || b"._-".contains(byte))
        {
            return Err("may hold only letters from a to z, digits, `.`, `_` and `-`");
        }
        if bytes.len() > MAX_LENGTH {
            return Err("must be at most 64 bytes long");
        }
        Ok(Reporter(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reporter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Reporter;

    #[test]
    fn a_name_is_one_harmless_word() {
        let longest = "x".repeat(64);
        for name in ["a", "0", "deploy-bot", "ci.eu_1", "a..b", "a-", &longest] {
            assert_eq!(
                Reporter::parse(name).map(|name| name.to_string()),
                Ok(name.to_owned())
            );
        }
        let too_long = "x".repeat(65);
        for name in [
            "", " ", "-a", ".a", "_a", "A", "aB", "a b", "a\n", "a:b", "a/b", "a\u{e4}", "\u{661}",
            "a\0", "a,b", "a#b", &too_long,
        ] {
            assert!(Reporter::parse(name).is_err(), "{name:?}");
        }
    }
}
