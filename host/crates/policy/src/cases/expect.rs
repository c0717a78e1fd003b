//! What a case expects: read from its file and compared with a call.

use super::super::Call;
use super::super::lines::Lines;
use super::compare::Pattern;
use super::json;
use super::lacks;
use super::{CaseError, Difference, Mismatch};
use regex::Regex;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml_edit::Item;

/// The expectations of a case. What is not named may have any value.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectations {
    result: Option<String>,
    reason: Option<TextRule>,
    message: Option<TextRule>,
    entry: Option<EntryRule>,
    entry_lacks: Vec<String>,
    log: Option<LogRule>,
    /// The lines of the file that have these keys.
    lines: BTreeMap<&'static str, usize>,
}

/// The possible values of `expect.result`.
const RESULTS: &[&str] = &[
    "committed",
    "already-recorded",
    "refused",
    "conflicting",
    "unavailable",
    "fault",
];

#[derive(Clone, Debug)]
enum TextRule {
    Equals(String),
    Contains(String),
    Matches(Regex),
}

#[derive(Clone, Debug)]
enum EntryRule {
    /// Exactly these bytes.
    Text(String),
    /// Exactly the bytes of this file.
    File(PathBuf),
    /// At least these members.
    Partial(Pattern),
}

#[derive(Clone, Debug)]
enum LogRule {
    /// Exactly these lines.
    Lines(Vec<String>),
    /// At least one line that matches the rule.
    Some(TextRule),
}

/// The keys of `expect`.
const KEYS: &[&str] = &["result", "reason", "message", "entry", "entry_lacks", "log"];

/// Whether a string for an expected entry is the entry itself rather than a file name.
pub(super) fn is_entry(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

impl Expectations {
    /// Reads `expect`. Later values replace earlier ones.
    pub fn read(&mut self, item: &Item, lines: &Lines) -> Result<(), CaseError> {
        let table = item
            .as_table_like()
            .ok_or_else(|| CaseError::new("`expect` must be a table"))?;
        for (key, item) in table.iter() {
            let line = lines.of_key(table, key);
            self.set(key, item).map_err(|error| error.at(line))?;
            let key = KEYS.iter().find(|known| **known == key);
            self.lines.extend(key.copied().zip(line));
        }
        Ok(())
    }

    fn set(&mut self, key: &str, item: &Item) -> Result<(), CaseError> {
        match key {
            "result" => self.result = Some(result(item)?),
            "reason" => self.reason = Some(TextRule::read(key, item)?),
            "message" => self.message = Some(TextRule::read(key, item)?),
            "entry" => self.entry = Some(EntryRule::read(item)?),
            "entry_lacks" => self.entry_lacks = strings(key, item)?,
            "log" => {
                self.log = Some(if item.is_array() {
                    LogRule::Lines(strings(key, item)?)
                } else {
                    LogRule::Some(TextRule::read(key, item)?)
                });
            }
            _ => {
                return Err(CaseError::new(format!(
                    "there is no key `expect.{key}`; these are: {}",
                    KEYS.join(", ")
                )));
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.result.is_none()
            && self.reason.is_none()
            && self.message.is_none()
            && self.entry.is_none()
            && self.entry_lacks.is_empty()
            && self.log.is_none()
    }

    /// The differences between a call and the expectations.
    pub fn check(&self, call: &Call, directory: &Path) -> Result<Vec<Mismatch>, CaseError> {
        let mut found = Vec::new();
        let mut add = |key: &str, difference: Difference| {
            found.push(Mismatch {
                line: self.lines.get(key).copied(),
                difference,
            });
        };
        if self.is_empty() {
            add("expect", Difference::Fails {
                what: "expect",
                how: "the case has no expectations, so it tests nothing; `--update` writes its result into it".to_owned(),
            });
        }
        let reason = call.reason();
        if let Some(expected) = &self.result
            && expected != call.result()
        {
            add(
                "result",
                Difference::Differs {
                    what: "result",
                    expected: expected.clone(),
                    actual: describe_result(call),
                },
            );
        }
        for (what, rule, text) in [
            ("reason", &self.reason, reason.as_deref()),
            ("message", &self.message, call.message()),
        ] {
            let differs = rule.as_ref().and_then(|rule| rule.check(what, text, call));
            differs.into_iter().for_each(|differs| add(what, differs));
        }
        if let Some(rule) = &self.entry {
            for differs in rule.check(call, directory)? {
                add("entry", differs);
            }
        }
        for differs in self.check_lacks(call) {
            add("entry_lacks", differs);
        }
        if let Some(differs) = self.log.as_ref().and_then(|rule| rule.check(call)) {
            add("log", differs);
        }
        Ok(found)
    }

    /// The texts that the entry contains and must not.
    fn check_lacks(&self, call: &Call) -> Vec<Difference> {
        match call.entry() {
            Some(entry) => {
                let entry = String::from_utf8_lossy(entry);
                let found = self.entry_lacks.iter().filter_map(|text| {
                    let place = lacks::place(&entry, text)?;
                    Some(Difference::Fails {
                        what: "entry",
                        how: format!("contains {text:?} {place}, which it must not"),
                    })
                });
                found.collect()
            }
            // A policy that records nothing has not shown that it leaves the text out.
            None if !self.entry_lacks.is_empty() && self.result.is_none() => vec![no_entry(call)],
            None => Vec::new(),
        }
    }
}

fn no_entry(call: &Call) -> Difference {
    Difference::Fails {
        what: "entry",
        how: format!("there is none: the result is {}", describe_result(call)),
    }
}

/// The result with its reason, for a message that another one was expected.
fn describe_result(call: &Call) -> String {
    match call.reason() {
        Some(reason) => format!("{}: {reason}", call.result()),
        None => call.result().to_owned(),
    }
}

fn result(item: &Item) -> Result<String, CaseError> {
    match item.as_str() {
        Some(word) if RESULTS.contains(&word) => Ok(word.to_owned()),
        _ => Err(CaseError::new(format!(
            "`expect.result` must be one of {}",
            RESULTS.join(", ")
        ))),
    }
}

fn strings(key: &str, item: &Item) -> Result<Vec<String>, CaseError> {
    let strings = item.as_array().and_then(|array| {
        let strings = array.iter().map(|one| one.as_str().map(str::to_owned));
        strings.collect::<Option<Vec<_>>>()
    });
    strings.ok_or_else(|| CaseError::new(format!("`expect.{key}` must be a list of strings")))
}

impl TextRule {
    fn read(key: &str, item: &Item) -> Result<TextRule, CaseError> {
        if let Some(text) = item.as_str() {
            return Ok(TextRule::Equals(text.to_owned()));
        }
        let rule = item.as_table_like().filter(|table| table.len() == 1);
        let rule = rule.and_then(|table| table.iter().next());
        match rule.map(|(word, item)| (word, item.as_str())) {
            Some(("contains", Some(text))) => Ok(TextRule::Contains(text.to_owned())),
            Some(("matches", Some(text))) => match Regex::new(text) {
                Ok(regex) => Ok(TextRule::Matches(regex)),
                Err(error) => Err(CaseError::new(format!("`expect.{key}.matches`: {error}"))),
            },
            _ => Err(CaseError::new(format!(
                "`expect.{key}` must be a string, {{ contains = \"…\" }} or {{ matches = \"regular expression\" }}"
            ))),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            TextRule::Equals(expected) => expected == text,
            TextRule::Contains(part) => text.contains(part),
            TextRule::Matches(regex) => regex.is_match(text),
        }
    }

    fn describe(&self) -> String {
        match self {
            TextRule::Equals(text) => format!("is {text:?}"),
            TextRule::Contains(part) => format!("contains {part:?}"),
            TextRule::Matches(regex) => format!("matches {:?}", regex.as_str()),
        }
    }

    fn check(&self, what: &'static str, text: Option<&str>, call: &Call) -> Option<Difference> {
        let Some(text) = text else {
            let how = format!("there is none: the result is {}", describe_result(call));
            return Some(Difference::Fails { what, how });
        };
        if self.matches(text) {
            return None;
        }
        Some(match self {
            TextRule::Equals(expected) => Difference::Differs {
                what,
                expected: expected.clone(),
                actual: text.to_owned(),
            },
            rule => Difference::Fails {
                what,
                how: format!("is {text:?}, and not one that {}", rule.describe()),
            },
        })
    }
}

impl EntryRule {
    fn read(item: &Item) -> Result<EntryRule, CaseError> {
        match item.as_str() {
            Some(text) if is_entry(text) => Ok(EntryRule::Text(text.to_owned())),
            Some(file) => Ok(EntryRule::File(PathBuf::from(file))),
            None if item.is_table_like() => Pattern::read(&json::of_item(item))
                .map(EntryRule::Partial)
                .map_err(|error| CaseError::new(format!("`expect.entry`: {error}"))),
            None => Err(CaseError::new(
                "`expect.entry` must be the entry's text, its file's name, or a table of members that it has",
            )),
        }
    }

    fn check(&self, call: &Call, directory: &Path) -> Result<Vec<Difference>, CaseError> {
        let what = "entry";
        let Some(entry) = call.entry() else {
            return Ok(vec![no_entry(call)]);
        };
        let actual = String::from_utf8_lossy(entry);
        let expected = match self {
            EntryRule::Text(text) => text.clone(),
            EntryRule::File(file) => {
                let path = directory.join(file);
                match super::read_bounded(&path) {
                    Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    // `--update` will create the file.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        let how = format!("there is no file {}", path.display());
                        return Ok(vec![Difference::Fails { what, how }]);
                    }
                    Err(error) => {
                        let text = format!("cannot read {}: {error}", path.display());
                        return Err(CaseError::new(text));
                    }
                }
            }
            EntryRule::Partial(expected) => {
                let actual: Json = serde_json::from_str(&actual)
                    .map_err(|error| CaseError::new(format!("the entry is not JSON: {error}")))?;
                let differences = expected.differences(&actual);
                return Ok(differences
                    .into_iter()
                    .map(|how| Difference::Fails { what, how })
                    .collect());
            }
        };
        Ok((expected != actual)
            .then(|| Difference::Differs {
                what,
                expected,
                actual: actual.into_owned(),
            })
            .into_iter()
            .collect())
    }
}

impl LogRule {
    fn check(&self, call: &Call) -> Option<Difference> {
        let lines: Vec<String> = call.log.iter().map(ToString::to_string).collect();
        let what = "log";
        match self {
            LogRule::Lines(expected) if *expected != lines => Some(Difference::Differs {
                what,
                expected: expected.join("\n"),
                actual: lines.join("\n"),
            }),
            LogRule::Some(rule) if !lines.iter().any(|line| rule.matches(line)) => {
                let how = format!("has no line that {}; it is {lines:?}", rule.describe());
                Some(Difference::Fails { what, how })
            }
            _ => None,
        }
    }
}
