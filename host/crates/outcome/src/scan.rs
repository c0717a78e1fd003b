//! The parts of a text that is known to be JSON: members and elements, found without parsing the values again.
//!
//! `json` must have validated the text. The result for any other text is meaningless.

use std::borrow::Cow;

/// A text is not the JSON that the caller expected.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the text is not the expected kind of JSON")]
pub struct NotJson;

/// An object's members in order, each value as written.
pub type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// Returns an object's members in order. `text` is a JSON object that [`validate`](super::json::validate) has
/// accepted.
///
/// # Errors
///
/// `text` is not a JSON object.
pub fn members(text: &str) -> Result<Members<'_>, NotJson> {
    let mut scan = Scan { text, at: 0 };
    let mut members = Vec::with_capacity(8);
    scan.list(b'{', b'}', |scan| {
        let name = string(scan.value()?)?;
        scan.expect(b':')?;
        members.push((name, scan.value()?));
        Ok(())
    })?;
    Ok(members)
}

/// Returns an array's elements in order, each as written. `text` is a JSON array that
/// [`validate`](super::json::validate) has accepted.
///
/// # Errors
///
/// `text` is not a JSON array.
pub fn elements(text: &str) -> Result<Vec<&str>, NotJson> {
    let mut scan = Scan { text, at: 0 };
    let mut elements = Vec::new();
    scan.list(b'[', b']', |scan| {
        elements.push(scan.value()?);
        Ok(())
    })?;
    Ok(elements)
}

/// Decodes a string; borrows it if nothing in it is escaped. `text` is a JSON string that
/// [`validate`](super::json::validate) has accepted.
///
/// # Errors
///
/// `text` is not a JSON string.
pub fn string(text: &str) -> Result<Cow<'_, str>, NotJson> {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .ok_or(NotJson)?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(text)
        .map(Cow::Owned)
        .map_err(|_| NotJson)
}

/// The rest of the text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next byte after white space.
    fn next(&mut self) -> Result<u8, NotJson> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(NotJson),
            }
        }
    }

    fn expect(&mut self, expected: u8) -> Result<(), NotJson> {
        if self.next()? != expected {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a comma-separated list between two brackets.
    fn list(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Scan<'a>) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        self.expect(open)?;
        if self.next()? == close {
            return Ok(());
        }
        loop {
            item(self)?;
            match self.next()? {
                b',' => self.at += 1,
                byte if byte == close => return Ok(()),
                _ => return Err(NotJson),
            }
        }
    }

    /// Skips and returns the next value.
    fn value(&mut self) -> Result<&'a str, NotJson> {
        let first = self.next()?;
        let from = self.at;
        match first {
            b'"' => self.skip_string()?,
            b'{' | b'[' => self.skip_brackets()?,
            _ => self.skip_word(),
        }
        // Both ends are next to an ASCII character, so they are character boundaries.
        self.text.get(from..self.at).ok_or(NotJson)
    }

    fn skip_string(&mut self) -> Result<(), NotJson> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            let rest = bytes.get(self.at..).ok_or(NotJson)?;
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(NotJson)?;
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(());
            }
            // An escaped character does not end the string.
            self.at += 1;
        }
    }

    fn skip_brackets(&mut self) -> Result<(), NotJson> {
        let mut depth = 0usize;
        loop {
            match self.text.as_bytes().get(self.at).ok_or(NotJson)? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1).ok_or(NotJson)?,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_word(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{elements, members, string};

    /// JSON of every kind, with escapes, brackets and quotes within strings, and white space between.
    fn json() -> impl Strategy<Value = String> {
        let space = "[ \t\r\n]{0,2}";
        let text = r#"("([a-z,:{}\[\] \u{e9}\u{1f600}]|\\\\|\\"|\\n|\\u00e9){0,6}")"#;
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("-1.50E+2".to_owned()),
            Just("true".to_owned()),
            text,
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            let element = (space, inner.clone(), space).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
            let member = (space, text, space, inner, space)
                .prop_map(|(a, name, b, value, c)| format!("{a}{name}{b}:{a}{value}{c}"));
            prop_oneof![
                proptest::collection::vec(element, 0..5)
                    .prop_map(|of| format!("[{}]", of.join(","))),
                proptest::collection::vec(member, 0..5)
                    .prop_map(|of| format!("{{{}}}", of.join(","))),
            ]
        })
    }

    /// The same parts, according to serde_json.
    fn by_serde(text: &str) -> Vec<String> {
        match text.as_bytes()[0] {
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap();
                elements
                    .iter()
                    .map(|element| element.get().to_owned())
                    .collect()
            }
            b'"' => vec![serde_json::from_str(text).unwrap()],
            _ => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_parser_finds(text in json()) {
            match text.as_bytes()[0] {
                b'[' => prop_assert_eq!(elements(&text).unwrap(), by_serde(&text)),
                b'"' => prop_assert_eq!(vec![string(&text).unwrap().into_owned()], by_serde(&text)),
                b'{' => {
                    struct Pairs(Vec<(String, String)>);
                    impl<'de> serde::Deserialize<'de> for Pairs {
                        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
                            struct Visitor;
                            impl<'de> serde::de::Visitor<'de> for Visitor {
                                type Value = Pairs;
                                fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                    out.write_str("an object")
                                }
                                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                                    let mut pairs = Vec::new();
                                    while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                                        pairs.push((name, value.get().to_owned()));
                                    }
                                    Ok(Pairs(pairs))
                                }
                            }
                            from.deserialize_map(Visitor)
                        }
                    }
                    let Pairs(expected) = serde_json::from_str(&text).unwrap();
                    let found: Vec<_> = members(&text).unwrap().into_iter()
                        .map(|(name, value)| (name.into_owned(), value.to_owned())).collect();
                    prop_assert_eq!(found, expected);
                }
                _ => {}
            }
        }

        #[test]
        fn what_is_no_json_does_no_harm(text in r#"[\[{]?[a\u{e9}\[\]{},:"\\ 0]{0,12}"#) {
            let _ = (members(&text), elements(&text), string(&text));
        }
    }
}
