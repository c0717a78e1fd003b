//! Templates: texts with values in them, for ids that no two records share.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::expression::{Record, plain};
use super::pointer::Pointer;

/// A template: `{/pointer}` stands for a value, `{sha256:/pointer}` for the digest of a value as it is written, and
/// `[…]` for a part that is left out if a value in it is not there. An empty text counts as not there. `{{`, `}}`,
/// `[[` and `]]` stand for the brackets themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) written: String,
    pieces: Vec<Piece>,
    /// The characters between values, which values of an id must not have.
    separators: Vec<char>,
    /// Whether the first value of an id may have separators: then the id can still be taken apart from its end.
    first_is_free: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Pointer),
    Digest(Pointer),
    Optional(Vec<Piece>),
}

impl Template {
    /// Parses a template; `None` if its brackets do not match or a pointer in it is none.
    pub fn parse(written: &str) -> Option<Template> {
        let mut characters = written.chars().peekable();
        let pieces = pieces(&mut characters, false)?;
        let (mut always, mut sometimes) = (Vec::new(), Vec::new());
        for piece in &pieces {
            match piece {
                Piece::Text(text) => always.extend(text.chars().filter(is_separator)),
                Piece::Optional(inner) => {
                    for piece in inner {
                        if let Piece::Text(text) = piece {
                            sometimes.extend(text.chars().filter(is_separator));
                        }
                    }
                }
                Piece::Value(_) | Piece::Digest(_) => {}
            }
        }
        let mut from_first = pieces.iter().skip_while(|piece| !piece.is_value()).skip(1);
        let is_delimited = from_first.next().is_some_and(Piece::separates);
        let is_followed = from_first.next().is_some_and(Piece::is_value);
        let first_is_free =
            is_delimited && is_followed && !sometimes.iter().any(|it| always.contains(it));
        Some(Template {
            written: written.to_owned(),
            separators: [always, sometimes].concat(),
            pieces,
            first_is_free,
        })
    }

    /// The text for a record; `None` if a value is not there.
    pub(super) fn text(&self, record: &Record<'_, '_>) -> Option<String> {
        let mut rendering = Rendering {
            record,
            separators: None,
            text: String::new(),
        };
        rendering.all(&self.pieces)?;
        Some(rendering.text)
    }

    /// The text as an id: separators within a value are percent-encoded, so that different values give different ids.
    pub(super) fn id(&self, record: &Record<'_, '_>) -> Option<String> {
        let has_one_value = self.values().count() < 2;
        let mut rendering = Rendering {
            record,
            separators: (!self.first_is_free && !has_one_value).then_some(&*self.separators),
            text: String::new(),
        };
        let first = self.pieces.iter().position(Piece::is_value);
        let (before, after) = self.pieces.split_at(first.map_or(0, |first| first + 1));
        rendering.all(before)?;
        rendering.separators = (!has_one_value).then_some(&*self.separators);
        rendering.all(after)?;
        Some(rendering.text)
    }

    /// Whether it has a value at all.
    pub(super) fn has_values(&self) -> bool {
        self.values().next().is_some()
    }

    /// Whether there is a character that is neither letter nor digit between any two values.
    pub(super) fn separates_values(&self) -> bool {
        let mut is_separated = true;
        let flat = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Optional(inner) => inner.iter().collect::<Vec<_>>(),
            other => vec![other],
        });
        let mut seen_value = false;
        for piece in flat {
            if piece.is_value() {
                if seen_value && !is_separated {
                    return false;
                }
                (seen_value, is_separated) = (true, false);
            } else if piece.separates() {
                is_separated = true;
            }
        }
        true
    }

    /// The pointers in it.
    pub(super) fn values(&self) -> impl Iterator<Item = &Pointer> {
        let flat = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Optional(inner) => inner.iter().collect::<Vec<_>>(),
            other => vec![other],
        });
        flat.filter_map(|piece| match piece {
            Piece::Value(pointer) | Piece::Digest(pointer) => Some(pointer),
            Piece::Text(_) | Piece::Optional(_) => None,
        })
    }
}

fn is_separator(character: &char) -> bool {
    !character.is_alphanumeric()
}

impl Piece {
    fn is_value(&self) -> bool {
        matches!(self, Piece::Value(_) | Piece::Digest(_))
    }

    fn separates(&self) -> bool {
        matches!(self, Piece::Text(text) if text.chars().any(|it| is_separator(&it)))
    }
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn pieces(characters: &mut Characters<'_>, is_inner: bool) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let end_text = |pieces: &mut Vec<Piece>, text: &mut String| {
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(text)));
        }
    };
    while let Some(character) = characters.next() {
        let is_doubled = characters.peek() == Some(&character);
        match character {
            '{' | '}' | '[' | ']' if is_doubled => {
                characters.next();
                text.push(character);
            }
            '{' => {
                let mut pointer = String::new();
                loop {
                    match characters.next()? {
                        '}' => break,
                        character => pointer.push(character),
                    }
                }
                end_text(&mut pieces, &mut text);
                pieces.push(match pointer.strip_prefix("sha256:") {
                    Some(pointer) => Piece::Digest(Pointer::parse(pointer)?),
                    None => Piece::Value(Pointer::parse(&pointer)?),
                });
            }
            '[' if !is_inner => {
                end_text(&mut pieces, &mut text);
                pieces.push(Piece::Optional(self::pieces(characters, true)?));
            }
            ']' if is_inner => {
                end_text(&mut pieces, &mut text);
                return Some(pieces);
            }
            '}' | '[' | ']' => return None,
            character => text.push(character),
        }
    }
    end_text(&mut pieces, &mut text);
    (!is_inner).then_some(pieces)
}

struct Rendering<'r, 'a, 'm> {
    record: &'r Record<'a, 'm>,
    /// The characters that are encoded within values.
    separators: Option<&'r [char]>,
    text: String,
}

impl Rendering<'_, '_, '_> {
    fn all(&mut self, pieces: &[Piece]) -> Option<()> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.text.push_str(text),
                Piece::Value(pointer) => {
                    let value = plain(self.record.find(pointer)?)?;
                    if value.is_empty() {
                        return None;
                    }
                    self.value(&value);
                }
                Piece::Digest(pointer) => {
                    let digest = Sha256::digest(self.record.find(pointer)?);
                    self.text.push_str(&outcome::digest::hex(&digest));
                }
                Piece::Optional(pieces) => {
                    let length = self.text.len();
                    if self.all(pieces).is_none() {
                        self.text.truncate(length);
                    }
                }
            }
        }
        Some(())
    }

    fn value(&mut self, value: &str) {
        match self.separators {
            Some(separators) => self.text.push_str(&encoded(value, separators)),
            None => self.text.push_str(value),
        }
    }
}

/// A text without these characters: they and `%` are percent-encoded.
pub(super) fn encoded(text: &str, separators: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '%' && !separators.contains(&character) {
            out.push(character);
            continue;
        }
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::expression::{Absent, Record};
    use super::super::pointer::Source;
    use super::Template;

    fn render(template: &str, document: &str, absent: &Absent, as_id: bool) -> Option<String> {
        let record = Record {
            source: Source::new(document, document),
            absent,
        };
        let template = Template::parse(template).unwrap();
        match as_id {
            true => template.id(&record),
            false => template.text(&record),
        }
    }

    #[test]
    fn a_template_is_filled_with_values_and_leaves_optional_parts_out() {
        let document = r#"{"dag":"etl","run":"m/1","map":-1,"n":null,"o":{},"e":""}"#;
        let none = Absent::new();
        let minus_one = vec![("/map".to_owned(), vec!["-1".to_owned()])];
        for (template, absent, expected) in [
            ("{/dag}/{/run}", &none, Some("etl/m/1")),
            ("{/dag}[#{/map}]", &none, Some("etl#-1")),
            ("{/dag}[#{/map}]", &minus_one, Some("etl")),
            ("{/dag}[#{/n}]x", &none, Some("etlx")),
            ("{/dag}[#{/e}]x", &none, Some("etlx")),
            ("{/dag}-{/n}", &none, None),
            ("{/dag}-{/e}", &none, None),
            ("{/o}", &none, None),
            (
                "{sha256:/dag}",
                &none,
                Some("9767193fa94177442b73574549c3ee48fe0fcc95a7dce9b26aeaced2ec1da79d"),
            ),
            ("a{{b}}[[c]]", &none, Some("a{b}[c]")),
        ] {
            let found = render(template, document, absent, false);
            assert_eq!(found.as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn different_values_never_give_the_same_id() {
        let id = |template: &str, values: [&str; 3]| {
            let [a, b, c] = values.map(|value| serde_json::to_string(value).unwrap());
            let document = format!(r#"{{"a":{a},"b":{b},"c":{c}}}"#);
            render(template, &document, &Absent::new(), true)
        };
        for template in [
            "{/a}/{/b}",
            "{/a}/{/b}[#{/c}]",
            "{/a}/{/b}[/{/c}]",
            "{/a}[#{/c}]/{/b}",
            "{/a}[/{/b}]",
            "{/a}-x-{/b}/{/c}",
        ] {
            let values = [
                "", "x", "y", "x/y", "x#y", "x%2Fy", "/x", "x-x", "x-x-y", "%",
            ];
            let mut seen = std::collections::HashMap::new();
            for a in values {
                for b in values {
                    for c in values {
                        let Some(id) = id(template, [a, b, c]) else {
                            continue;
                        };
                        let mut used = vec![a, b];
                        if template.contains("/c") {
                            used.push(c);
                        }
                        let other = seen.insert(id.clone(), used.clone());
                        assert!(
                            other.is_none() || other.as_ref() == Some(&used),
                            "{template}: {other:?} and {used:?} are {id}"
                        );
                    }
                }
            }
        }
        // The usual ids stay readable.
        assert_eq!(
            id("{/a}/{/b}", ["order/42", "r-1", ""]).unwrap(),
            "order/42/r-1"
        );
        assert_eq!(
            id("{/a}/{/b}", ["order", "42/r-1", ""]).unwrap(),
            "order/42%2Fr-1"
        );
    }

    #[test]
    fn values_without_a_separator_between_them_are_told_apart_from_others() {
        for (template, expected) in [
            ("{/a}/{/b}", true),
            ("{/a}{/b}", false),
            ("{/a}x{/b}", false),
            ("{/a}[#{/b}]", true),
            ("{/a}[{/b}]", false),
            ("a/{/b}", true),
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(template.separates_values(), expected, "{template:?}");
        }
    }

    #[test]
    fn a_template_whose_brackets_do_not_match_is_refused() {
        for template in ["{/a", "a}", "[a", "a]", "{a}", "[[a]"] {
            assert_eq!(Template::parse(template), None, "{template}");
        }
    }
}
