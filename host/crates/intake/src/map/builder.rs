//! Reads the values of one record, and keeps where each of them comes from.

use std::borrow::Cow;

use outcome::{Violation, json};

use super::apply::Trace;
use super::expression::{Expression, Record, Value};
use super::origins::Origins;
use super::pointer::Pointer;
use crate::object::quoted;

/// A document under construction, with where its values come from.
pub(super) struct Builder<'a, 'm, 'o> {
    pub(super) record: Record<'a, 'm>,
    pub(super) place: String,
    pub(super) traces: Vec<Trace>,
    /// Where values come from, if that is wanted.
    pub(super) origins: Option<&'o mut Origins>,
}

impl Builder<'_, '_, '_> {
    /// The value as JSON.
    pub(super) fn json(
        &mut self,
        field: &str,
        expression: &Expression,
    ) -> Result<Option<String>, Violation> {
        let found = expression.value(&self.record);
        let found = found.map_err(|message| self.wrong(field, expression, &message))?;
        self.origins_of(field, expression);
        Ok(found.map(|found| {
            let value = found.json.into_owned();
            self.traces.push(Trace {
                field: field.to_owned(),
                from: found.from,
                value: value.clone(),
            });
            value
        }))
    }

    /// The value as text. An array or object is refused: it has no place in a field that is text.
    pub(super) fn text(
        &mut self,
        field: &str,
        expression: &Expression,
    ) -> Result<Option<String>, Violation> {
        let found = expression.value(&self.record);
        let found = found.map_err(|message| self.wrong(field, expression, &message))?;
        self.scalar(field, expression, found)
    }

    /// The value as a text that identifies the task.
    pub(super) fn id(
        &mut self,
        field: &str,
        expression: &Expression,
    ) -> Result<Option<String>, Violation> {
        let found = expression.id(&self.record);
        let found = found.map_err(|message| self.wrong(field, expression, &message))?;
        self.scalar(field, expression, found)
    }

    fn scalar(
        &mut self,
        field: &str,
        expression: &Expression,
        found: Option<Value<'_>>,
    ) -> Result<Option<String>, Violation> {
        self.origins_of(field, expression);
        let Some(found) = found else { return Ok(None) };
        let Some(text) = found.text() else {
            return Err(self.wrong(
                field,
                expression,
                &format!("{} must be a string, not an array or object", found.from),
            ));
        };
        self.traces.push(Trace {
            field: field.to_owned(),
            from: found.from,
            value: quoted(&text),
        });
        Ok((!text.is_empty()).then_some(text))
    }

    /// All texts that the expressions lead to, each once, as a JSON array.
    pub(super) fn list(
        &mut self,
        field: &str,
        expressions: &[Expression],
    ) -> Result<Option<String>, Violation> {
        let mut texts: Vec<String> = Vec::new();
        let mut from = Vec::new();
        for expression in expressions {
            let before = texts.len();
            if let Expression::At(pointer) = expression {
                for found in pointer.all(&self.record.source) {
                    texts_of(found.value, &mut texts);
                }
            } else {
                let found = expression.values(&self.record);
                let found = found.map_err(|message| self.wrong(field, expression, &message))?;
                for found in found {
                    texts_of(&found.json, &mut texts);
                }
            }
            self.origins_of(field, expression);
            if texts.len() > before {
                expression.pointers(&mut |pointer| from.push(pointer.written.clone()));
            }
        }
        if texts.is_empty() {
            return Ok(None);
        }
        let list: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        let value = format!("[{}]", list.join(","));
        self.traces.push(Trace {
            field: field.to_owned(),
            from: from.join(", "),
            value: value.clone(),
        });
        Ok(Some(value))
    }

    /// Keeps where a field's value comes from.
    pub(super) fn origin(&mut self, field: &str, pointer: &Pointer) {
        if let Some(origins) = &mut self.origins {
            origins.add(field, pointer, &self.record.source);
        }
    }

    /// The value of a field is recorded under another name.
    pub(super) fn move_origins(&mut self, from: &str, to: &str) {
        if let Some(origins) = &mut self.origins {
            origins.rename(from, to);
        }
    }

    fn origins_of(&mut self, field: &str, expression: &Expression) {
        if self.origins.is_none() {
            return;
        }
        if let Expression::Object(members) = expression {
            for (name, of) in members {
                let name = outcome::json::pointer_step(name);
                self.origins_of(&format!("{field}/{name}"), of);
            }
            return;
        }
        if let Expression::First(all) = expression {
            let is_there = |of: &&Expression| matches!(of.value(&self.record), Ok(Some(_)));
            if let Some(first) = all.iter().find(is_there) {
                self.origins_of(field, first);
            }
            return;
        }
        if let Expression::Each(at, of) = expression {
            if let Some(origins) = &mut self.origins {
                origins.add_each(field, at, of, &self.record.source);
            }
            return;
        }
        let mut pointers = Vec::new();
        expression.pointers(&mut |pointer| pointers.push(pointer.clone()));
        for pointer in &pointers {
            self.origin(field, pointer);
        }
    }

    fn wrong(&self, field: &str, expression: &Expression, message: &str) -> Violation {
        self.refused(expression, format!("{}: {message}", &field[1..]))
    }

    /// A violation at the value that an expression reads: the first that is there.
    pub(super) fn refused(&self, expression: &Expression, message: impl Into<String>) -> Violation {
        let mut at = None;
        expression.pointers(&mut |pointer| {
            if at.is_none() && !pointer.is_of_document() {
                let found = pointer.all(&self.record.source).into_iter().next();
                at = found.map(|found| found.place);
            }
        });
        let at = at.unwrap_or_default();
        Violation::new(format!("{}{at}", self.place), message)
    }
}

fn texts_of(value: &str, texts: &mut Vec<String>) {
    let mut add = |text: String| {
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    };
    match value.as_bytes().first() {
        Some(b'"') => add(json::string(value).map(Cow::into_owned).unwrap_or_default()),
        Some(b'[') => {
            for element in json::elements(value).unwrap_or_default() {
                if let Ok(text) = json::string(element) {
                    add(text.into_owned());
                }
            }
        }
        _ => {}
    }
}
