//! Cases for a map: documents, and the outcomes that must come of them.

use serde_json::Value;
use toml::Table;

use super::{ItemKind, Map, MapError};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    document: String,
    outcomes: Vec<Value>,
    announced: Vec<Value>,
    not_terminal: usize,
    skipped: usize,
    refused: Vec<String>,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The case's name.
    pub name: String,
    /// What is not as expected; empty if the case passed.
    pub problems: Vec<String>,
}

const KEYS: [&str; 7] = [
    "name",
    "document",
    "outcomes",
    "announced",
    "not_terminal",
    "skipped",
    "refused",
];

impl Case {
    /// Parses a file of cases: `[[case]]` with `name`, `document`, and what is expected: `outcomes` and `announced`
    /// (lists of JSON documents), `not_terminal` and `skipped` (numbers), `refused` (parts of messages).
    ///
    /// # Errors
    ///
    /// The key at fault.
    pub fn parse_all(text: &str) -> Result<Vec<Case>, MapError> {
        let wrong = |place: &str, problem: &str| MapError {
            place: place.to_owned(),
            problem: problem.to_owned(),
        };
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| wrong("the file", error.message()))?;
        let cases = table.get("case").and_then(toml::Value::as_array);
        let cases = cases.ok_or_else(|| wrong("case", "must be one table `[[case]]` or more"))?;
        let parse = |(index, case): (usize, &toml::Value)| {
            let place = |key: &str| format!("case.{index}.{key}");
            let case = case
                .as_table()
                .ok_or_else(|| wrong(&place(""), "must be a table"))?;
            for key in case.keys() {
                if !KEYS.contains(&key.as_str()) {
                    return Err(wrong(
                        &place(key),
                        &format!("is not a key of a case: use {}", KEYS.join(", ")),
                    ));
                }
            }
            let text = |key: &str| {
                let text = case.get(key).and_then(toml::Value::as_str);
                text.map(str::to_owned)
                    .ok_or_else(|| wrong(&place(key), "must be a string"))
            };
            let texts = |key: &str| match case.get(key) {
                None => Ok(Vec::new()),
                Some(value) => {
                    let texts = value
                        .as_array()
                        .map(|list| list.iter().map(|text| text.as_str().map(str::to_owned)));
                    let texts = texts.and_then(Iterator::collect::<Option<Vec<_>>>);
                    texts.ok_or_else(|| wrong(&place(key), "must be a list of strings"))
                }
            };
            let documents = |key: &str| {
                let texts = texts(key)?;
                let values = texts.iter().map(|text| serde_json::from_str(text));
                values
                    .collect::<Result<Vec<Value>, _>>()
                    .map_err(|error| wrong(&place(key), &error.to_string()))
            };
            let number = |key: &str| match case.get(key) {
                None => Ok(0),
                Some(value) => value
                    .as_integer()
                    .and_then(|number| usize::try_from(number).ok())
                    .ok_or_else(|| wrong(&place(key), "must be a number")),
            };
            Ok(Case {
                name: text("name")?,
                document: text("document")?,
                outcomes: documents("outcomes")?,
                announced: documents("announced")?,
                not_terminal: number("not_terminal")?,
                skipped: number("skipped")?,
                refused: texts("refused")?,
            })
        };
        cases.iter().enumerate().map(parse).collect()
    }
}

/// Runs cases.
pub fn run_cases(map: &Map, cases: &[Case]) -> Vec<Finding> {
    let findings = cases.iter().map(|case| Finding {
        name: case.name.clone(),
        problems: problems(map, case),
    });
    findings.collect()
}

fn problems(map: &Map, case: &Case) -> Vec<String> {
    if let Err(violation) = outcome::json::validate(&case.document, outcome::json::MAX_DEPTH) {
        return vec![format!("the document: {violation}")];
    }
    let (mut outcomes, mut announced, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let (mut not_terminal, mut skipped) = (0, 0);
    let mut problems = Vec::new();
    for item in map.apply(&case.document) {
        match item.kind {
            ItemKind::Outcome(mapped) => {
                let checked = outcome::TaskOutcome::parse(
                    mapped.document.as_bytes(),
                    &outcome::Limits::default(),
                );
                if let Err(rejection) = checked {
                    problems.push(format!(
                        "the outcome of {:?} is refused: {rejection}",
                        item.place
                    ));
                }
                outcomes.push(mapped.document);
            }
            ItemKind::Own(document) => outcomes.push(document),
            ItemKind::Announced(mapped) => announced.push(mapped.document),
            ItemKind::NotTerminal { .. } => not_terminal += 1,
            ItemKind::Skipped => skipped += 1,
            ItemKind::Refused { violation, .. } => refused.push(violation.to_string()),
        }
    }
    compare("outcomes", &outcomes, &case.outcomes, &mut problems);
    compare("announced", &announced, &case.announced, &mut problems);
    for (what, found, expected) in [
        ("not_terminal", not_terminal, case.not_terminal),
        ("skipped", skipped, case.skipped),
        ("refused", refused.len(), case.refused.len()),
    ] {
        if found != expected {
            problems.push(format!("{what}: expected {expected}, found {found}"));
        }
    }
    for (message, expected) in refused.iter().zip(&case.refused) {
        if !message.contains(expected.as_str()) {
            problems.push(format!("refused: expected {expected:?}, found {message:?}"));
        }
    }
    if problems
        .iter()
        .any(|problem| problem.starts_with("refused:"))
    {
        problems.extend(refused.iter().map(|message| format!("refused: {message}")));
    }
    problems
}

fn compare(what: &str, found: &[String], expected: &[Value], problems: &mut Vec<String>) {
    if found.len() != expected.len() {
        problems.push(format!(
            "{what}: expected {}, found {}",
            expected.len(),
            found.len()
        ));
    }
    for (index, text) in found.iter().enumerate() {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        if expected.get(index) != Some(&value) {
            problems.push(format!("{what}.{index}: found {text}"));
        }
    }
}
