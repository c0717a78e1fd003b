//! Why a document is refused: which field, and which rule it breaks.
//!
//! Owns the words in which a refusal is told. Knows no rule; quotes no value.

use std::fmt;

/// The most violations that one refusal names: enough for a person, and a bound for a hostile document.
pub const MAX_VIOLATIONS: usize = 100;

/// The longest pointer, in bytes: the same bound that the interface sets for what a policy says.
pub const MAX_POINTER: usize = 1024;

/// A document that is not an outcome: nothing of it has been accepted.
///
/// Holds at least one violation and at most [`MAX_VIOLATIONS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong, in the order of the document; what is missing comes last.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            if index > 0 {
                out.write_str("; ")?;
            }
            violation.fmt(out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}

impl From<Violation> for Rejection {
    fn from(violation: Violation) -> Rejection {
        Rejection {
            violations: vec![violation],
        }
    }
}

/// One rule that a document breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: an RFC 6901 pointer into the document, at most [`MAX_POINTER`] bytes. The empty string is the whole document.
    ///
    /// Made of field names exactly as they were submitted, so whoever prints it escapes control characters, as `Display`
    /// does here.
    pub pointer: String,
    /// What is wrong. Quotes no value; field names in it are escaped and shortened.
    pub message: String,
}

impl Violation {
    /// A violation at that pointer.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Violation {
        Violation {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    /// A member that a document of this kind does not have, at its top; `known` are those that it has.
    pub fn unknown_field(name: &str, known: &[&str]) -> Violation {
        let mut pointer = String::from("/");
        super::json::push_token(&mut pointer, name);
        if pointer.len() > MAX_POINTER {
            pointer.clear();
        }
        Violation::new(
            pointer,
            format!(
                "unknown field {}; there are {}",
                field_name(name),
                known.join(", ")
            ),
        )
    }

    /// A violation of the document as a whole.
    pub fn whole(message: impl Into<String>) -> Violation {
        Violation::new("", message)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(out, "document: {}", self.message),
            pointer => write!(out, "{}: {}", Escaped(pointer), self.message),
        }
    }
}

/// Text with everything escaped that a terminal would act on or not show: control, format and separating characters.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in self.0.chars() {
            match character {
                '\'' | '"' | '\\' => out.write_char(character)?,
                _ => write!(out, "{}", character.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// A field's name as a message may show it: escaped, and shortened to 64 characters.
pub(super) fn field_name(name: &str) -> String {
    const SHOWN: usize = 64;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", Escaped(&name[..end])),
        None => format!("`{}`", Escaped(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rejection, Violation, field_name};

    #[test]
    fn a_refusal_is_told_without_anything_that_a_terminal_acts_on() {
        let rejection = Rejection {
            violations: vec![
                Violation::whole("is empty"),
                Violation::new("/a\u{1b}[2J\u{202e}\n\u{2028}/é'", "unknown field"),
            ],
        };
        assert_eq!(
            rejection.to_string(),
            r"document: is empty; /a\u{1b}[2J\u{202e}\n\u{2028}/é': unknown field"
        );
    }

    #[test]
    fn field_names_are_shortened() {
        assert_eq!(field_name("a\tb"), "`a\\tb`");
        assert_eq!(
            field_name(&"é".repeat(65)),
            format!("`{}…`", "é".repeat(64))
        );
    }
}
