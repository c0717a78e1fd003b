//! JSON that every reader understands alike: the rules for any document at any depth.
//!
//! Owns the walk that checks a whole text and names the place of the first error. Knows no field of an outcome. The
//! grammar itself is `serde_json`'s. Nothing here builds a tree, so numbers and members stay as written.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::document::{MAX_POINTER, Violation};
pub use super::scan::{Members, NotJson, elements, members, string};

/// The deepest nesting that [`validate`] can allow: one below the depth at which `serde_json` itself stops.
pub const MAX_DEPTH: usize = 127;

/// Up to this many members, comparing an object's names one by one is faster than hashing them.
const FEW: usize = 16;

/// The name of a member as a step of a JSON pointer (RFC 6901).
pub fn pointer_step(name: &str) -> Cow<'_, str> {
    match name.contains(['~', '/']) {
        true => Cow::Owned(name.replace('~', "~0").replace('/', "~1")),
        false => Cow::Borrowed(name),
    }
}

/// Checks that `text` is one JSON value that every reader understands alike.
///
/// The text follows the grammar of RFC 8259. No object has two members of the same name, compared after decoding
/// escapes. No string holds a lone surrogate. Every number is finite as an IEEE 754 double. Arrays and objects are
/// nested at most `max_depth` deep (the outermost counts as one), and never more than [`MAX_DEPTH`].
///
/// The stack that this needs is bounded by `max_depth`, whatever the text.
///
/// # Errors
///
/// Names the place of the first error. Quotes no value.
pub fn validate(text: &str, max_depth: usize) -> Result<(), Violation> {
    let mut walk = Walk {
        path: Vec::with_capacity(8),
        names: Vec::with_capacity(24),
        depth: 0,
        max_depth: max_depth.min(MAX_DEPTH),
        problem: None,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = Value(&mut walk)
        .deserialize(&mut deserializer)
        .and_then(|()| {
            // From here on an error concerns the whole document.
            walk.path.clear();
            deserializer.end()
        });
    result.map_err(|error| {
        let message = walk.problem.take().unwrap_or_else(|| explain(text, &error));
        Violation::new(walk.pointer(), message)
    })
}

/// The kind of value that a JSON text is, with its article, for messages.
pub(super) fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The path to the current value, and the names seen on the way.
struct Walk<'de> {
    path: Vec<Segment>,
    /// The member names of all open objects, the innermost last.
    names: Vec<Cow<'de, str>>,
    depth: usize,
    max_depth: usize,
    /// An error that this walk found itself; other errors are `serde_json`'s.
    problem: Option<String>,
}

/// One step of the path.
#[derive(Clone, Copy)]
enum Segment {
    /// The member whose name has this index in `Walk::names`.
    Member(usize),
    Element(usize),
}

impl<'de> Walk<'de> {
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(self.fail(format!("is nested deeper than {} levels", self.max_depth)));
        }
        Ok(())
    }

    fn fail<E: serde::de::Error>(&mut self, problem: String) -> E {
        self.problem = Some(problem);
        E::custom("")
    }

    /// The current path as an RFC 6901 pointer. If that is too long, the nearest enclosing value with a short enough
    /// pointer.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for segment in &self.path {
            let before = pointer.len();
            pointer.push('/');
            match *segment {
                Segment::Member(place) => {
                    push_token(&mut pointer, self.names.get(place).map_or("", |name| name))
                }
                Segment::Element(index) => pointer.push_str(&index.to_string()),
            }
            if pointer.len() > MAX_POINTER {
                pointer.truncate(before);
                break;
            }
        }
        pointer
    }
}

/// Appends one reference token of an RFC 6901 pointer.
pub(super) fn push_token(pointer: &mut String, name: &str) {
    pointer.push_str(&pointer_step(name));
}

/// Any value: read, checked and discarded.
struct Value<'walk, 'de>(&'walk mut Walk<'de>);

impl<'de> DeserializeSeed<'de> for Value<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, 'de> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        // Never infinite: `serde_json` fails earlier with "number out of range".
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.enter()?;
        // On an error the path is kept: it is the place of the error.
        let place = walk.path.len();
        walk.path.push(Segment::Element(0));
        let mut index = 0;
        while elements.next_element_seed(Value(walk))?.is_some() {
            index += 1;
            walk.path[place] = Segment::Element(index);
        }
        walk.path.pop();
        walk.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.enter()?;
        let first = walk.names.len();
        let mut many: Option<HashSet<Cow<'de, str>>> = None;
        while let Some(name) = members.next_key_seed(Name)? {
            let seen = match &mut many {
                Some(many) => !many.insert(name.clone()),
                None if walk.names.len() - first < FEW => walk.names[first..].contains(&name),
                None => {
                    let mut set: HashSet<_> = walk.names[first..].iter().cloned().collect();
                    let seen = !set.insert(name.clone());
                    many = Some(set);
                    seen
                }
            };
            walk.path.push(Segment::Member(walk.names.len()));
            walk.names.push(name);
            if seen {
                return Err(walk.fail("duplicate key".to_owned()));
            }
            members.next_value_seed(Value(walk))?;
            walk.path.pop();
        }
        walk.names.truncate(first);
        walk.depth -= 1;
        Ok(())
    }
}

/// A member's name, borrowed if it contains no escape.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Describes an error of `serde_json` without quoting the text.
fn explain(text: &str, error: &serde_json::Error) -> String {
    let place = format!("(line {}, column {})", error.line(), error.column());
    if is_not_a_number(text, error) {
        return format!(
            "must not hold NaN or Infinity: JSON has no such numbers; set outcome.non_finite to null or string to take them {place}"
        );
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message {
        "number out of range" => format!(
            "holds a number that is not finite as a double; set outcome.non_finite to null or string to take it {place}"
        ),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            format!("holds a lone surrogate {place}")
        }
        "trailing characters" => format!("has something after its end {place}"),
        "recursion limit exceeded" => format!("is nested deeper than {MAX_DEPTH} levels"),
        message => format!("is not JSON: {message} {place}"),
    }
}

/// Whether the error is at one of the words that Python and JavaScript write for such numbers.
fn is_not_a_number(text: &str, error: &serde_json::Error) -> bool {
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default()
        .as_bytes();
    let before = &line[..error.column().saturating_sub(1).min(line.len())];
    let word = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-')
        .count();
    let word = &line[before.len() - word..];
    [&b"NaN"[..], b"-NaN", b"Infinity", b"-Infinity"]
        .iter()
        .any(|name| word.starts_with(name))
}
