//! What a map says about one field: a pointer, a template, the first of several, a fixed value or an object of them.

use std::borrow::Cow;

use outcome::json;

use super::pointer::{Pointer, Source};
use crate::object::{Object, quoted};
use crate::time::Unit;

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// The value at a pointer.
    At(Pointer),
    /// Text with values in it.
    Template(Template),
    /// The first that is there.
    First(Vec<Expression>),
    /// A fixed value, as JSON.
    Fixed(String),
    /// An object with these members; those that are not there are left out.
    Object(Vec<(String, Expression)>),
    /// A time in a unit.
    Time(Box<Expression>, Unit),
    /// A part of a text, up to the first of these characters or from the last one on.
    Part(Box<Expression>, Cut),
}

/// Which part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What follows the last occurrence of this text.
    After(String),
    /// What precedes the first occurrence of this text.
    Before(String),
}

/// A template: `{/pointer}` stands for a value, `[…]` for a part that is left out if a value in it is not there.
/// `{{`, `}}`, `[[` and `]]` stand for the brackets themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    written: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Pointer),
    Optional(Vec<Piece>),
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// As JSON.
    pub json: Cow<'a, str>,
    /// The pointer or template that led to it.
    pub from: String,
}

impl Value<'_> {
    /// The value as text: a string decoded, a number or a boolean as written. `None` for arrays and objects.
    pub fn text(&self) -> Option<String> {
        plain(&self.json)
    }
}

/// A scalar as text.
fn plain(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => json::string(json).ok().map(Cow::into_owned),
        b'{' | b'[' => None,
        _ => Some(json.to_owned()),
    }
}

/// Values that a map takes for nothing, by pointer.
pub type Absent = Vec<(String, Vec<String>)>;

/// A record with what its map takes for nothing.
pub struct Record<'a, 'm> {
    /// The record.
    pub source: Source<'a>,
    /// What counts as nothing.
    pub absent: &'m Absent,
}

impl<'a> Record<'a, '_> {
    fn find(&self, pointer: &Pointer) -> Option<&'a str> {
        let found = pointer.find(&self.source)?;
        let absent = self
            .absent
            .iter()
            .find(|(known, _)| *known == pointer.written);
        let is_absent = absent.is_some_and(|(_, values)| values.iter().any(|value| value == found));
        (!is_absent).then_some(found)
    }
}

impl Expression {
    /// The value for a record; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// Why a value that is there cannot be used.
    pub fn value<'a>(&self, record: &Record<'a, '_>) -> Result<Option<Value<'a>>, String> {
        Ok(match self {
            Expression::At(pointer) => record.find(pointer).map(|value| Value {
                json: Cow::Borrowed(value),
                from: pointer.written.clone(),
            }),
            Expression::Template(template) => template.text(record).map(|text| Value {
                json: Cow::Owned(quoted(&text)),
                from: template.written.clone(),
            }),
            Expression::First(expressions) => {
                for expression in expressions {
                    if let Some(value) = expression.value(record)? {
                        return Ok(Some(value));
                    }
                }
                None
            }
            Expression::Fixed(json) => Some(Value {
                json: Cow::Owned(json.clone()),
                from: "(fixed)".to_owned(),
            }),
            Expression::Object(members) => {
                let mut object = Object::new();
                let mut from = Vec::new();
                for (name, expression) in members {
                    if let Some(value) = expression.value(record)? {
                        object.raw(name, value.json);
                        from.push(value.from);
                    }
                }
                (!object.is_empty()).then(|| Value {
                    json: Cow::Owned(object.to_json()),
                    from: from.join(", "),
                })
            }
            Expression::Time(of, unit) => match of.value(record)? {
                Some(value) => {
                    let text = value.text().filter(|text| !text.is_empty());
                    let Some(text) = text else { return Ok(None) };
                    let iso = unit
                        .to_iso(&text)
                        .map_err(|rule| format!("{} {rule}", value.from))?;
                    Some(Value {
                        json: Cow::Owned(quoted(&iso)),
                        from: value.from,
                    })
                }
                None => None,
            },
            Expression::Part(of, cut) => match of.value(record)? {
                Some(value) => {
                    let Some(text) = value.text() else {
                        return Ok(None);
                    };
                    let part = match cut {
                        Cut::After(mark) => text.rsplit_once(mark.as_str()).map(|(_, rest)| rest),
                        Cut::Before(mark) => text.split_once(mark.as_str()).map(|(rest, _)| rest),
                    };
                    Some(Value {
                        json: Cow::Owned(quoted(part.unwrap_or(&text))),
                        from: value.from,
                    })
                }
                None => None,
            },
        })
    }

    /// Calls back with the names of the record's members that it uses.
    pub fn uses(&self, used: &mut dyn FnMut(&str)) {
        match self {
            Expression::At(pointer) => pointer.first_name().into_iter().for_each(used),
            Expression::Template(template) => template.uses(used),
            Expression::First(all) => all.iter().for_each(|expression| expression.uses(used)),
            Expression::Object(members) => members.iter().for_each(|(_, of)| of.uses(used)),
            Expression::Time(of, _) | Expression::Part(of, _) => of.uses(used),
            Expression::Fixed(_) => {}
        }
    }
}

impl Template {
    /// Parses a template; `None` if its brackets do not match or a pointer in it is none.
    pub fn parse(written: &str) -> Option<Template> {
        let mut characters = written.chars().peekable();
        let pieces = pieces(&mut characters, false)?;
        Some(Template {
            written: written.to_owned(),
            pieces,
        })
    }

    fn text(&self, record: &Record<'_, '_>) -> Option<String> {
        let mut text = String::new();
        render(&self.pieces, record, &mut text)?;
        Some(text)
    }

    fn uses(&self, used: &mut dyn FnMut(&str)) {
        fn visit(pieces: &[Piece], used: &mut dyn FnMut(&str)) {
            for piece in pieces {
                match piece {
                    Piece::Text(_) => {}
                    Piece::Value(pointer) => pointer.first_name().into_iter().for_each(&mut *used),
                    Piece::Optional(pieces) => visit(pieces, used),
                }
            }
        }
        visit(&self.pieces, used);
    }
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn pieces(characters: &mut Characters<'_>, is_inner: bool) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut text = String::new();
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
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Value(Pointer::parse(&pointer)?));
            }
            '[' if !is_inner => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Optional(self::pieces(characters, true)?));
            }
            ']' if is_inner => {
                pieces.push(Piece::Text(text));
                return Some(pieces);
            }
            '}' | '[' | ']' => return None,
            character => text.push(character),
        }
    }
    pieces.push(Piece::Text(text));
    (!is_inner).then_some(pieces)
}

fn render(pieces: &[Piece], record: &Record<'_, '_>, out: &mut String) -> Option<()> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Value(pointer) => out.push_str(&plain(record.find(pointer)?)?),
            Piece::Optional(pieces) => {
                let mut part = String::new();
                if render(pieces, record, &mut part).is_some() {
                    out.push_str(&part);
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::pointer::Source;
    use super::{Absent, Record, Template};

    fn text(template: &str, absent: &Absent) -> Option<String> {
        let document = r#"{"dag":"etl","run":"m/1","map":-1,"n":null,"o":{}}"#;
        let record = Record {
            source: Source::new(document, document),
            absent,
        };
        Template::parse(template).unwrap().text(&record)
    }

    #[test]
    fn a_template_is_filled_with_values_and_leaves_optional_parts_out() {
        let none = Absent::new();
        let minus_one = vec![("/map".to_owned(), vec!["-1".to_owned()])];
        for (template, absent, expected) in [
            ("{/dag}/{/run}", &none, Some("etl/m/1")),
            ("{/dag}[#{/map}]", &none, Some("etl#-1")),
            ("{/dag}[#{/map}]", &minus_one, Some("etl")),
            ("{/dag}[#{/n}]x", &none, Some("etlx")),
            ("{/dag}-{/n}", &none, None),
            ("{/o}", &none, None),
            ("a{{b}}[[c]]", &none, Some("a{b}[c]")),
        ] {
            assert_eq!(text(template, absent).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn a_template_whose_brackets_do_not_match_is_refused() {
        for template in ["{/a", "a}", "[a", "a]", "{a}", "[[a]"] {
            assert_eq!(Template::parse(template), None, "{template}");
        }
    }
}
