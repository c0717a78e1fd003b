//! The parts of a map that say where something is and what it must be: pointers, conditions, and what counts as nothing.

use toml::{Table, Value};

use super::MapError;
use super::file::wrong;
use super::pointer::Pointer;

/// Pointers, each with the values that it must have one of.
pub(super) fn conditions(
    table: &Table,
    key: &str,
    place: &str,
) -> Result<Vec<(Pointer, Vec<String>)>, MapError> {
    let place = &format!("{place}.{key}");
    let Some(value) = table.get(key) else {
        return Ok(Vec::new());
    };
    let Some(table) = value.as_table() else {
        return wrong(place, "must be a table of pointers");
    };
    let conditions = table.iter().map(|(written, values)| {
        let place = format!("{place}.{written}");
        let Some(pointer) = Pointer::parse(written) else {
            return wrong(&place, "must be a JSON pointer");
        };
        Ok((pointer, texts(&place, values)?))
    });
    conditions.collect()
}

/// A pointer, or a list of them.
pub(super) fn pointers(place: &str, value: &Value) -> Result<Vec<Pointer>, MapError> {
    let written = match value.as_str() {
        Some(one) => vec![one.to_owned()],
        None => texts(place, value)?,
    };
    let parse = |text: &String| match Pointer::parse(text) {
        Some(pointer) => Ok(pointer),
        None => wrong(place, "must be a JSON pointer, or a list of them"),
    };
    written.iter().map(parse).collect()
}

/// Pointers, and lists of pointers of which one suffices.
pub(super) fn requires(table: &Table, place: &str) -> Result<Vec<Vec<Pointer>>, MapError> {
    let Some(value) = table.get("requires") else {
        return Ok(Vec::new());
    };
    let Some(values) = value.as_array() else {
        return wrong(place, "must be a list of pointers");
    };
    let parse = |text: &str| match Pointer::parse(text).filter(|_| !text.is_empty()) {
        Some(pointer) => Ok(pointer),
        None => wrong(place, "must be a list of pointers, or of lists of them"),
    };
    let required = values.iter().map(|value| match value.as_str() {
        Some(text) => Ok(vec![parse(text)?]),
        None => texts(place, value)?
            .iter()
            .map(|text| parse(text))
            .collect(),
    });
    required.collect()
}

/// A list of strings.
fn texts(place: &str, value: &Value) -> Result<Vec<String>, MapError> {
    let texts = value
        .as_array()
        .map(|values| values.iter().map(Value::as_str));
    match texts.and_then(Iterator::collect::<Option<Vec<_>>>) {
        Some(texts) => Ok(texts.into_iter().map(str::to_owned).collect()),
        None => wrong(place, "must be a list of strings"),
    }
}

/// Values as JSON, by pointer.
pub(super) fn absent(table: &Table, place: &str) -> Result<Vec<(String, Vec<String>)>, MapError> {
    let Some(value) = table.get("absent") else {
        return Ok(Vec::new());
    };
    let Some(table) = value.as_table() else {
        return wrong(place, "must be a table of pointers");
    };
    let absent = table.iter().map(|(pointer, values)| {
        let place = format!("{place}.{pointer}");
        let Some(values) = values.as_array() else {
            return wrong(&place, "must be a list of values");
        };
        let values = values.iter().map(serde_json::to_string);
        match values.collect() {
            Ok(values) => Ok((pointer.clone(), values)),
            Err(_) => wrong(&place, "must be a list of JSON values"),
        }
    });
    absent.collect()
}
