//! What a map says about one field: a pointer, a template, the first of several, a fixed value or an object of them.

use std::borrow::Cow;

use outcome::json;

use super::pointer::{Pointer, Source};
use super::select::fit;
use super::template::{Template, encoded};
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
    /// Texts with another text between them; nothing if one of them is not there.
    Join(Vec<Expression>, String),
    /// A value of every element that a pointer leads to.
    Each(Pointer, Box<Expression>),
    /// A value of another record of the document.
    Find(Box<Lookup>),
}

/// Finds another record, and takes a value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where the others are.
    pub at: Pointer,
    /// What the other one must have.
    pub when: Vec<(Pointer, Vec<String>)>,
    /// The member of the other one that is compared.
    pub member: Pointer,
    /// What it must be, of this record.
    pub equals: Expression,
    /// What is taken, of the other one.
    pub value: Expression,
}

/// Which part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What follows the last occurrence of this text.
    After(String),
    /// What precedes the first occurrence of this text.
    Before(String),
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
pub(super) fn plain(json: &str) -> Option<String> {
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
    pub(super) fn find(&self, pointer: &Pointer) -> Option<&'a str> {
        let found = pointer.find(&self.source)?;
        let absent = self
            .absent
            .iter()
            .find(|(known, _)| *known == pointer.written);
        let is_absent = absent.is_some_and(|(_, values)| values.iter().any(|value| value == found));
        (!is_absent).then_some(found)
    }

    /// Another record of the same document.
    fn other(&self, record: &'a str) -> Self {
        Record {
            source: Source::of(&self.source, record),
            absent: self.absent,
        }
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
                    let Some(text) = value.text() else {
                        return Err(format!(
                            "{} must be a time, not an array or object",
                            value.from
                        ));
                    };
                    if text.is_empty() {
                        return Ok(None);
                    }
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
            Expression::Join(all, with) => joined(all, with, record, |text, _| text)?,
            Expression::Each(..) => self.values(record)?.into_iter().next(),
            Expression::Find(lookup) => lookup.value(record)?,
        })
    }

    /// The text for a record's id: templates keep different values apart.
    pub fn id<'a>(&self, record: &Record<'a, '_>) -> Result<Option<Value<'a>>, String> {
        match self {
            Expression::Template(template) => Ok(template.id(record).map(|text| Value {
                json: Cow::Owned(quoted(&text)),
                from: template.written.clone(),
            })),
            Expression::First(expressions) => {
                for expression in expressions {
                    let found = expression.id(record)?;
                    // An empty text identifies nothing.
                    if let Some(value) = found.filter(|value| value.json != "\"\"") {
                        return Ok(Some(value));
                    }
                }
                Ok(None)
            }
            Expression::Join(all, with) => {
                let separators: Vec<char> = with.chars().collect();
                // The id can be taken apart from its end, so the first text may hold anything.
                joined(all, with, record, |text, index| match index {
                    0 => text,
                    _ => encoded(&text, &separators),
                })
            }
            Expression::Find(lookup) => match lookup.found(record)? {
                Some(other) => lookup.value.id(&other),
                None => Ok(None),
            },
            other => other.value(record),
        }
    }

    /// All values for a record: those of every element, or the only one.
    pub fn values<'a>(&self, record: &Record<'a, '_>) -> Result<Vec<Value<'a>>, String> {
        match self {
            Expression::Each(at, of) => {
                let elements = at.all(&record.source).into_iter();
                let values = elements.map(|found| of.value(&record.other(found.value)));
                values.filter_map(Result::transpose).collect()
            }
            other => Ok(other.value(record)?.into_iter().collect()),
        }
    }

    /// Whether it may be another one for another record.
    pub fn varies(&self) -> bool {
        match self {
            Expression::Fixed(_) => false,
            Expression::First(all) => all.iter().all(Expression::varies),
            _ => true,
        }
    }

    /// Calls back with the pointers that it uses in the record and in the document.
    pub fn pointers(&self, used: &mut dyn FnMut(&Pointer)) {
        match self {
            Expression::At(pointer) | Expression::Each(pointer, _) => used(pointer),
            Expression::Template(template) => template.values().for_each(used),
            Expression::First(all) | Expression::Join(all, _) => {
                all.iter().for_each(|expression| expression.pointers(used));
            }
            Expression::Object(members) => members.iter().for_each(|(_, of)| of.pointers(used)),
            Expression::Time(of, _) | Expression::Part(of, _) => of.pointers(used),
            Expression::Find(lookup) => lookup.equals.pointers(used),
            Expression::Fixed(_) => {}
        }
    }

    /// Calls back with the names of the record's members that it uses.
    pub fn uses(&self, used: &mut dyn FnMut(&str)) {
        self.pointers(&mut |pointer| pointer.first_name().into_iter().for_each(&mut *used));
    }
}

/// Texts with another text between them.
fn joined<'a>(
    all: &[Expression],
    with: &str,
    record: &Record<'a, '_>,
    change: impl Fn(String, usize) -> String,
) -> Result<Option<Value<'a>>, String> {
    let (mut texts, mut from) = (Vec::new(), Vec::new());
    for (index, expression) in all.iter().enumerate() {
        let Some(value) = expression.value(record)? else {
            return Ok(None);
        };
        let Some(text) = value.text().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        texts.push(change(text, index));
        from.push(value.from);
    }
    Ok(Some(Value {
        json: Cow::Owned(quoted(&texts.join(with))),
        from: from.join(", "),
    }))
}

impl Lookup {
    fn found<'a, 'm>(&self, record: &Record<'a, 'm>) -> Result<Option<Record<'a, 'm>>, String> {
        let Some(wanted) = self.equals.value(record)? else {
            return Ok(None);
        };
        for found in self.at.all(&record.source) {
            // Most of the others do not even hold the value.
            if !found.value.contains(&*wanted.json) {
                continue;
            }
            let other = record.other(found.value);
            let mut compared = self.member.all(&other.source).into_iter();
            if compared.any(|found| found.value == wanted.json) && fit(&self.when, &other.source) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    fn value<'a>(&self, record: &Record<'a, '_>) -> Result<Option<Value<'a>>, String> {
        match self.found(record)? {
            Some(other) => self.value.value(&other),
            None => Ok(None),
        }
    }
}
