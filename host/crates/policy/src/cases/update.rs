//! Updates a case's expectations to the result, and changes nothing else in its file: comments, order and layout stay.

use super::super::Call;
use super::CaseError;
use super::compare::MATCHERS;
use super::expect::is_entry;
use super::json;
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

/// Writes a call's result into the expectations of the case at `place`, each in its present form. A case without
/// expectations gets all of them.
pub(super) fn rewrite(
    document: &mut DocumentMut,
    place: Option<usize>,
    call: &Call,
    directory: &Path,
) -> Result<(), CaseError> {
    let case = case_table(document, place)?;
    let fresh = case.get("expect").is_none();
    if fresh {
        let mut table = Table::new();
        table.set_dotted(true);
        case.insert("expect", Item::Table(table));
    }
    let Some(expect) = case.get_mut("expect").and_then(Item::as_table_like_mut) else {
        return Err(CaseError::new("`expect` must be a table"));
    };
    set(expect, "result", Some(call.result().into()), true);
    let reason = call.reason();
    set(expect, "reason", reason.as_deref().map(text_value), fresh);
    set(expect, "message", call.message().map(text_value), fresh);
    if expect.get("log").is_some() {
        let lines: Array = call.log.iter().map(ToString::to_string).collect();
        set(expect, "log", Some(Value::Array(lines)), false);
    }
    let Some(entry) = call.entry() else {
        expect.remove("entry");
        return Ok(());
    };
    let entry = String::from_utf8_lossy(entry);
    match expect.get_mut("entry") {
        None if fresh => set(expect, "entry", Some(text_value(&entry)), true),
        None => {}
        Some(item) if item.is_table_like() => {
            let actual: Json = serde_json::from_str(&entry)
                .map_err(|error| CaseError::new(format!("the entry is not JSON: {error}")))?;
            if let Some(table) = item.as_table_like_mut() {
                members(table, &actual);
            }
        }
        Some(item) => match item.as_str() {
            Some(file) if !is_entry(file) => {
                let path = directory.join(file);
                fs::write(&path, &*entry).map_err(|error| {
                    CaseError::new(format!("cannot write {}: {error}", path.display()))
                })?;
            }
            _ => set(expect, "entry", Some(text_value(&entry)), true),
        },
    }
    Ok(())
}

fn case_table(document: &mut DocumentMut, place: Option<usize>) -> Result<&mut Table, CaseError> {
    let Some(place) = place else {
        return Ok(document.as_table_mut());
    };
    document
        .get_mut("case")
        .and_then(Item::as_array_of_tables_mut)
        .and_then(|cases| cases.get_mut(place))
        .ok_or_else(|| CaseError::new("the case no longer exists"))
}

/// Sets a member, or removes it if there is no value. A member that is missing is added only if it is wanted.
fn set(table: &mut dyn TableLike, key: &str, value: Option<Value>, wanted: bool) {
    let Some(mut value) = value else {
        table.remove(key);
        return;
    };
    match table.get_mut(key) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                // TOML's decor is what surrounds a value, such as a comment after it.
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None if wanted => {
            table.insert(key, Item::Value(value));
        }
        None => {}
    }
}

/// Sets the expected members to the entry's values, and removes those that it lacks or that TOML cannot represent.
fn members(table: &mut dyn TableLike, actual: &Json) {
    if is_matcher(table) {
        return;
    }
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for key in keys {
        let member = actual.get(&key);
        let is_rule = table.get(&key).is_some_and(has_matcher);
        match table.get_mut(&key).and_then(Item::as_table_like_mut) {
            Some(inner) if member.is_some_and(Json::is_object) => {
                members(inner, member.unwrap_or(&Json::Null));
            }
            _ if is_rule => {}
            _ => set(table, &key, member.and_then(json::to_value), true),
        }
    }
}

fn is_matcher(table: &dyn TableLike) -> bool {
    table.len() == 1 && table.iter().all(|(key, _)| MATCHERS.contains(&key))
}

/// Whether there is a matcher in an expectation. A matcher is a rule, which a result does not replace.
fn has_matcher(item: &Item) -> bool {
    if let Some(table) = item.as_table_like() {
        return is_matcher(table) || table.iter().any(|(_, item)| has_matcher(item));
    }
    let mut tables = item.as_array_of_tables().into_iter().flatten();
    let mut values = item.as_array().into_iter().flatten();
    tables.any(|table| has_matcher(&Item::Table(table.clone())))
        || values.any(|value| has_matcher(&Item::Value(value.clone())))
}

/// Writes a text as a person would: several lines between `'''`, if no character in them needs an escape.
pub(super) fn text_value(text: &str) -> Value {
    let literal = text.contains('\n')
        && !text.contains("'''")
        && !text.ends_with('\'')
        && !text
            .chars()
            .any(|one| one.is_control() && one != '\n' && one != '\t');
    if literal && let Ok(value) = format!("'''\n{text}'''").parse() {
        return value;
    }
    Value::from(text)
}
