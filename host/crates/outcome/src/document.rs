//! Why a document is refused: the field and the rule that it breaks.
//!
//! Owns the wording of refusals. Knows no rule, and quotes no value.

use std::fmt;

/// The most violations in one rejection: enough for a person, and bounded for a hostile document.
pub const MAX_VIOLATIONS: usize = 100;

/// The longest pointer, in bytes: the interface sets the same limit for policies.
pub const MAX_POINTER: usize = 1024;

/// The violations of a document that is not an outcome. No part of it was accepted.
///
/// Holds at least one violation and at most [`MAX_VIOLATIONS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong, in the document's order; missing members come last.
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
    /// An RFC 6901 pointer to the place in the document, at most [`MAX_POINTER`] bytes. The empty string is the whole
    /// document.
    ///
    /// It contains field names exactly as submitted, so code that prints it must escape control characters, as
    /// `Display` does here.
    pub pointer: String,
    /// What is wrong. Quotes no value; field names in it are escaped and shortened.
    pub message: String,
}

impl Violation {
    /// Creates a violation at this pointer.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Violation {
        Violation {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    /// A top-level member that this kind of document does not have; `known` lists those that it has.
    pub fn unknown_field(name: &str, known: &[&str]) -> Violation {
        let mut pointer = String::from("/");
        super::json::push_token(&mut pointer, name);
        if pointer.len() > MAX_POINTER {
            pointer.clear();
        }
        Violation::new(
            pointer,
            format!(
                "unknown field {}; the known ones are {}",
                field_name(name),
                known.join(", ")
            ),
        )
    }

    /// A violation of the document as a whole.
    pub fn of_document(message: impl Into<String>) -> Violation {
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

/// Text whose control, format and separating characters are escaped, so that a terminal neither acts on nor hides
/// them.
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

/// A field's name for a message: escaped, and shortened to 64 characters.
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
    fn a_refusal_contains_nothing_that_a_terminal_acts_on() {
        let rejection = Rejection {
            violations: vec![
                Violation::of_document("is empty"),
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
