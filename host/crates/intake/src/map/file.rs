//! The TOML of a map: parsed into types that cannot be wrong.

use toml::{Table, Value};

use super::expression::Expression;
use super::places::{absent, conditions, pointers, requires};
use super::pointer::Pointer;
use super::written::{expression, identifying, list, scalar, timed};
use super::{Map, RecordMap};
use crate::words::{Meaning, StatusMap, meaning_of};

/// Why a map cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MapError {
    /// The key in the file.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

pub(super) fn wrong<T>(place: &str, problem: impl Into<String>) -> Result<T, MapError> {
    Err(MapError {
        place: place.to_owned(),
        problem: problem.into(),
    })
}

/// The keys of the file.
const TOP_KEYS: [&str; 7] = [
    "schema",
    "source",
    "about",
    "documents",
    "requires",
    "status",
    "record",
];

/// The keys of a record's table.
const KEYS: [&str; 18] = [
    "at",
    "document",
    "when",
    "requires",
    "skip",
    "refuse",
    "absent",
    "task_id",
    "attempt",
    "attempt_of",
    "status",
    "plan_id",
    "plan_steps",
    "dispatch_info",
    "execution_result",
    "metadata",
    "rest",
    "echo",
];

impl Map {
    /// Parses a map.
    ///
    /// # Errors
    ///
    /// The key at fault and what is wrong with it.
    pub fn parse(text: &str) -> Result<Map, MapError> {
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let error: toml::de::Error = error;
                return wrong("the file", error.message());
            }
        };
        for key in table.keys() {
            if !TOP_KEYS.contains(&key.as_str()) {
                let problem = format!("is not a key of a map: use {}", TOP_KEYS.join(", "));
                return wrong(key, problem);
            }
        }
        if table.get("schema").and_then(Value::as_integer) != Some(1) {
            return wrong("schema", "must be 1");
        }
        let source = string(&table, "source")?.unwrap_or_default();
        if source.is_empty() || source.len() > 64 {
            return wrong("source", "must be a name of 1 to 64 bytes");
        }
        let shared = match table.get("status") {
            Some(status) => Some(self::status("status", &source, status)?),
            None => None,
        };
        let required = requires(&table, "requires")?;
        let documents = match table.get("documents") {
            Some(value) => pointers("documents", value)?,
            None => Vec::new(),
        };
        let Some(records) = table.get("record").and_then(Value::as_array) else {
            return wrong("record", "must be one table `[[record]]` or more");
        };
        let records = records.iter().enumerate().map(|(index, record)| {
            let place = format!("record.{index}");
            match record.as_table() {
                Some(record) => {
                    let mut record = self::record(&place, &source, record, shared.as_ref())?;
                    if record.requires.is_empty() {
                        record.requires.clone_from(&required);
                    }
                    Ok(record)
                }
                None => wrong(&place, "must be a table"),
            }
        });
        Ok(Map {
            records: records.collect::<Result<_, _>>()?,
            about: string(&table, "about")?.unwrap_or_default(),
            documents,
            source,
        })
    }
}

fn record(
    place: &str,
    source: &str,
    table: &Table,
    shared: Option<&(Expression, StatusMap)>,
) -> Result<RecordMap, MapError> {
    for key in table.keys() {
        if !KEYS.contains(&key.as_str()) {
            let problem = format!("is not a key of a record: use {}", KEYS.join(", "));
            return wrong(&format!("{place}.{key}"), problem);
        }
    }
    let below = |key: &str| format!("{place}.{key}");
    let optional = |key: &str| match table.get(key) {
        Some(value) => scalar(&below(key), value).map(Some),
        None => Ok(None),
    };
    let optional_id = |key: &str| match table.get(key) {
        Some(value) => identifying(&below(key), value).map(Some),
        None => Ok(None),
    };
    let pointer = |key: &str, text: &str| match Pointer::parse(text) {
        Some(pointer) => Ok(pointer),
        None => wrong(&below(key), "must be a JSON pointer, or a list of them"),
    };
    let at = match table.get("at") {
        None => vec![pointer("at", "")?],
        Some(value) => pointers(&below("at"), value)?,
    };
    let document = string(table, "document")?;
    let document = document
        .map(|text| pointer("document", &text))
        .transpose()?;
    let task_id = optional_id("task_id")?;
    let skips = boolean(table, "skip", place)?;
    let status = match (table.get("status"), shared) {
        (Some(status), _) => Some(self::status(&below("status"), source, status)?),
        (None, shared) => shared.cloned(),
    };
    let refuses = string(table, "refuse")?;
    if document.is_none() && !skips && refuses.is_none() {
        for (key, is_missing) in [("task_id", task_id.is_none()), ("status", status.is_none())] {
            if is_missing {
                return wrong(&below(key), "is missing");
            }
        }
    }
    let dispatch = members(
        table,
        place,
        "dispatch_info",
        &["agent_pool", "agent_id", "dispatch_timestamp"],
    )?;
    let result = members(
        table,
        place,
        "execution_result",
        &[
            "outcome",
            "resources_used",
            "services_touched",
            "start_time",
            "end_time",
        ],
    )?;
    let field = |of: &[(String, Expression)], name: &str| {
        let found = of.iter().find(|(known, _)| known == name);
        found.map(|(_, expression)| expression.clone())
    };
    let services = match table
        .get("execution_result")
        .and_then(|result| result.get("services_touched"))
    {
        Some(value) => list(&below("execution_result.services_touched"), value)?,
        None => Vec::new(),
    };
    Ok(RecordMap {
        at,
        when: conditions(table, "when", place)?,
        requires: requires(table, &below("requires"))?,
        skips,
        refuses,
        absent: absent(table, &below("absent"))?,
        document,
        task_id,
        attempt: optional("attempt")?,
        attempt_of: optional_id("attempt_of")?,
        status,
        plan_id: optional("plan_id")?,
        plan_steps: match table.get("plan_steps") {
            Some(value) => list(&below("plan_steps"), value)?,
            None => Vec::new(),
        },
        agent_pool: field(&dispatch, "agent_pool"),
        agent_id: field(&dispatch, "agent_id"),
        dispatch_timestamp: field(&dispatch, "dispatch_timestamp").map(timed),
        outcome: field(&result, "outcome"),
        resources_used: field(&result, "resources_used"),
        services,
        start_time: field(&result, "start_time").map(timed),
        end_time: field(&result, "end_time").map(timed),
        metadata: members(table, place, "metadata", &[])?,
        rest: boolean(table, "rest", place)?,
        echo: boolean(table, "echo", place)?,
    })
}

fn string(table: &Table, key: &str) -> Result<Option<String>, MapError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => wrong(key, "must be a string"),
    }
}

fn boolean(table: &Table, key: &str, place: &str) -> Result<bool, MapError> {
    match table.get(key) {
        None => Ok(false),
        Some(Value::Boolean(value)) => Ok(*value),
        Some(_) => wrong(&format!("{place}.{key}"), "must be true or false"),
    }
}

/// The members of a table of expressions; with `known`, no others.
fn members(
    table: &Table,
    place: &str,
    key: &str,
    known: &[&str],
) -> Result<Vec<(String, Expression)>, MapError> {
    let place = format!("{place}.{key}");
    let Some(value) = table.get(key) else {
        return Ok(Vec::new());
    };
    let Some(table) = value.as_table() else {
        return wrong(&place, "must be a table");
    };
    let mut members = Vec::new();
    for (name, value) in table {
        let place = format!("{place}.{name}");
        if !known.is_empty() && !known.contains(&name.as_str()) {
            return wrong(&place, format!("is not a field: use {}", known.join(", ")));
        }
        // It is a list, not the first of several.
        if name != "services_touched" || known.is_empty() {
            let is_text = ["agent_pool", "agent_id"].contains(&name.as_str())
                || name.ends_with("_time")
                || name.ends_with("_timestamp");
            let parsed = match is_text && !known.is_empty() {
                true => scalar(&place, value)?,
                false => expression(&place, value)?,
            };
            members.push((name.clone(), parsed));
        }
    }
    Ok(members)
}

/// `at`, `ignore_case`, and for each meaning its words.
fn status(place: &str, source: &str, value: &Value) -> Result<(Expression, StatusMap), MapError> {
    let Some(table) = value.as_table() else {
        return wrong(place, "must be a table");
    };
    let Some(at) = table.get("at") else {
        return wrong(&format!("{place}.at"), "is missing");
    };
    let word = scalar(&format!("{place}.at"), at)?;
    let ignores_case = boolean(table, "ignore_case", place)?;
    let mut words = StatusMap::new(source, ignores_case);
    for (name, value) in table {
        if ["at", "ignore_case"].contains(&name.as_str()) {
            continue;
        }
        let place = format!("{place}.{name}");
        let Some(meaning) = meaning_of(name) else {
            return wrong(&place, "is not a status, `announced` or `not_terminal`");
        };
        let listed = value
            .as_array()
            .map(|words| words.iter().map(Value::as_str));
        let Some(listed) = listed.and_then(Iterator::collect::<Option<Vec<_>>>) else {
            return wrong(&place, "must be a list of words");
        };
        for word in listed {
            if !words.add(word, Meaning::clone(&meaning)) {
                return wrong(&place, format!("`{word}` is listed already"));
            }
        }
    }
    Ok((word, words))
}

#[cfg(test)]
mod tests;
