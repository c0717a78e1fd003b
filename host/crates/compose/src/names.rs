//! The name of a part: what the component model takes for a name, and no longer than a message can hold.

use std::fmt;

/// The longest name, in bytes.
const LONGEST: usize = 32;

/// The name of a part of a stack: words of lower-case ASCII letters and digits, with `-` between them; each word begins
/// with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartName(String);

/// Why a text is not the name of a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name for a part of a stack: it must be at most 32 lower-case letters, digits and `-`, and each word must \
     begin with a letter"
)]
pub struct NameError(String);

impl PartName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// `NameError`, if it is not one.
    pub fn parse(text: &str) -> Result<PartName, NameError> {
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.len() <= LONGEST && text.split('-').all(is_word) {
            Ok(PartName(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }

    /// The name that a file gives: its own, without extension, with `-` for every character that no name has.
    ///
    /// # Errors
    ///
    /// `NameError`, if that is not a name.
    pub fn of_file(stem: &str) -> Result<PartName, NameError> {
        let lower = stem.to_ascii_lowercase();
        let words = lower.split(|character: char| !character.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        PartName::parse(&words.join("-")).map_err(|_| NameError(stem.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PartName;

    #[test]
    fn a_name_is_words_that_begin_with_letters() {
        for (text, is_name) in [
            ("redact", true),
            ("my-rules2", true),
            ("a", true),
            ("", false),
            ("2nd", false),
            ("a--b", false),
            ("a-2", false),
            ("Redact", false),
            ("a.b", false),
            (&"a".repeat(33), false),
        ] {
            assert_eq!(PartName::parse(text).is_ok(), is_name, "{text}");
        }
        for (stem, name) in [
            ("My_Rules", Some("my-rules")),
            ("x 1", None),
            ("own", Some("own")),
        ] {
            let found = PartName::of_file(stem).ok();
            assert_eq!(found.as_ref().map(PartName::as_str), name, "{stem}");
        }
    }
}
