//! Reads from a case file what the case gives the policy.
//!
//! Owns the keys. An unknown key is an error: a misspelt one would leave a case that tests nothing.

use super::super::lines::Lines;
use super::super::{HostFault, HostFunction, Policy, PolicySettings, Recording, Replay, Trial};
use super::expect::Expectations;
use super::json;
use super::{Case, CaseError};
use outcome::clock::Timestamp;
use outcome::{Limits, TaskId, TaskOutcome};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml_edit::{Item, Table};

/// The time of recording if a case does not give one. Its value does not matter.
const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// How long before the case's time the outcome named by `after` was recorded, in microseconds.
const BEFORE: i64 = 60_000_000;

/// The keys that a case may have.
const KEYS: &[&str] = &[
    "name",
    "outcome",
    "existing",
    "after",
    "settings",
    "now",
    "faults",
    "recording",
    "expect",
];

/// A document: written in the case, or in a file.
#[derive(Clone, Debug)]
enum Document {
    Text(String),
    File(PathBuf),
}

/// What a case gives the policy.
#[derive(Clone, Debug, Default)]
pub(super) struct CaseInput {
    outcome: Option<Document>,
    existing: Option<Document>,
    after: Option<Document>,
    settings: Option<PolicySettings>,
    now: Option<Timestamp>,
    faults: Vec<HostFault>,
    recording: Option<PathBuf>,
}

/// The cases of a file: each `[[case]]`, with the keys before the first as defaults; or the whole file as one case.
pub(super) fn cases(top: &Table, path: &Path, lines: &Lines) -> Result<Vec<Case>, CaseError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(super::CASES_SUFFIX).unwrap_or(&name);
    let Some(list) = top.get("case") else {
        if top.is_empty() {
            return Ok(Vec::new());
        }
        let mut case = Case::new(name, None);
        case.read(top, lines)?;
        return Ok(vec![case]);
    };
    let list = list.as_array_of_tables().ok_or_else(|| {
        CaseError::new("`case` must be written as `[[case]]`").at(lines.of_key(top, "case"))
    })?;
    let mut defaults = CaseInput::default();
    let mut expected = Expectations::default();
    for (key, item) in top.iter().filter(|(key, _)| *key != "case") {
        match key {
            "expect" => expected.read(item, lines)?,
            _ => defaults
                .set(key, item)
                .map_err(|error| error.at(lines.of_key(top, key)))?,
        }
    }
    let cases = list.iter().enumerate().map(|(place, table)| {
        let mut case = Case {
            input: defaults.clone(),
            expect: expected.clone(),
            line: lines.of(table.span()),
            ..Case::new(&format!("{name} {}", place + 1), Some(place))
        };
        if let Some(name) = table.get("name").and_then(Item::as_str) {
            name.clone_into(&mut case.name);
        }
        match case.read(table, lines) {
            Ok(()) => Ok(case),
            Err(error) => Err(error.at(case.line).within(&format!("case {:?}", case.name))),
        }
    });
    cases.collect()
}

impl Case {
    fn new(name: &str, place: Option<usize>) -> Case {
        Case {
            name: name.to_owned(),
            input: CaseInput::default(),
            expect: Expectations::default(),
            place,
            line: None,
        }
    }

    fn read(&mut self, table: &Table, lines: &Lines) -> Result<(), CaseError> {
        for (key, item) in table.iter() {
            let read = match key {
                "expect" => self.expect.read(item, lines),
                "name" => text(key, item).map(|name| name.clone_into(&mut self.name)),
                _ => self.input.set(key, item),
            };
            read.map_err(|error| error.at(lines.of_key(table, key)))?;
        }
        Ok(())
    }
}

impl CaseInput {
    fn set(&mut self, key: &str, item: &Item) -> Result<(), CaseError> {
        match key {
            "outcome" => self.outcome = Some(document(key, item)?),
            "existing" => {
                self.existing = match item.as_bool() {
                    Some(false) => None,
                    _ => Some(document(key, item)?),
                };
            }
            "after" => self.after = Some(document(key, item)?),
            "settings" => self.settings = Some(settings(item)?),
            "now" => self.now = Some(time(item)?),
            "faults" => self.faults = faults(item)?,
            "recording" => self.recording = Some(PathBuf::from(text(key, item)?)),
            _ => {
                return Err(CaseError::new(format!(
                    "there is no key {key:?}; the keys of a case are {}",
                    KEYS.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Reads the files that the case names and returns the complete input for the policy.
    pub fn resolve(
        &self,
        directory: &Path,
        policy: &Policy,
        limits: &Limits,
    ) -> Result<Replay, CaseError> {
        let mut replay = match (&self.recording, &self.outcome) {
            (Some(path), None) => read_recording(&directory.join(path), limits)?,
            (None, Some(document)) => Replay {
                outcome: parse("outcome", &document.bytes(directory)?, limits)?,
                existing: None,
                settings: PolicySettings::default(),
                now: NOW,
                faults: Vec::new(),
            },
            (Some(_), Some(_)) => {
                return Err(CaseError::new("give either `outcome` or `recording`"));
            }
            (None, None) => return Err(CaseError::new("has no `outcome`")),
        };
        if let Some(settings) = &self.settings {
            replay.settings = settings.clone();
        }
        replay.now = self.now.unwrap_or(replay.now);
        replay.faults.extend(self.faults.iter().cloned());
        match (&self.existing, &self.after) {
            (Some(_), Some(_)) => {
                return Err(CaseError::new("give either `existing` or `after`"));
            }
            (Some(existing), None) => {
                replay.existing = existing.entry(directory, &replay.outcome.task_id)?;
            }
            (None, Some(first)) => {
                let first = parse("after", &first.bytes(directory)?, limits)?;
                replay.existing = Some(entry_of_earlier(&first, &replay, policy)?);
            }
            (None, None) => {}
        }
        Ok(replay)
    }
}

/// The entry that the policy makes from an outcome that precedes the case's own.
fn entry_of_earlier(
    first: &TaskOutcome,
    replay: &Replay,
    policy: &Policy,
) -> Result<Vec<u8>, CaseError> {
    let before = Timestamp::from_microseconds(replay.now.microseconds().saturating_sub(BEFORE));
    let call = Trial::new(first, &replay.settings, before).run(policy);
    match call.entry() {
        Some(entry) => Ok(entry.to_vec()),
        None => Err(CaseError::new(format!(
            "the outcome `after` is not recorded: {} {}",
            call.result(),
            call.reason().unwrap_or_default()
        ))),
    }
}

fn read_recording(path: &Path, limits: &Limits) -> Result<Replay, CaseError> {
    let named = |text: String| CaseError::new(format!("the recording {} {text}", path.display()));
    let bytes =
        super::read_bounded(path).map_err(|error| named(format!("cannot be read: {error}")))?;
    let recording = Recording::parse(&bytes).map_err(|error| named(error.to_string()))?;
    recording
        .replay(limits)
        .map_err(|error| named(error.to_string()))
}

fn parse(key: &str, bytes: &[u8], limits: &Limits) -> Result<TaskOutcome, CaseError> {
    TaskOutcome::parse(bytes, limits).map_err(|rejection| {
        CaseError::new(format!(
            "`{key}` is not an outcome, so no policy would be called: {rejection}"
        ))
    })
}

impl Document {
    fn bytes(&self, directory: &Path) -> Result<Vec<u8>, CaseError> {
        match self {
            Document::Text(text) => Ok(text.clone().into_bytes()),
            Document::File(file) => read_file(&directory.join(file)),
        }
    }

    /// The task's entry: the text, the file, or the file in the directory that is named after the task.
    fn entry(&self, directory: &Path, task_id: &TaskId) -> Result<Option<Vec<u8>>, CaseError> {
        match self {
            Document::File(file) if directory.join(file).is_dir() => {
                let directory = directory.join(file);
                let name = format!("{task_id}.json");
                [
                    directory.join(&name),
                    directory.join(".audit/tasks").join(&name),
                ]
                .iter()
                .find(|file| file.exists())
                .map(|file| read_file(file))
                .transpose()
            }
            document => document.bytes(directory).map(Some),
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, CaseError> {
    super::read_bounded(path)
        .map_err(|error| CaseError::new(format!("cannot read {}: {error}", path.display())))
}

/// Reads a document. A string that starts with `{` is the document, another string names its file, and a table is the
/// document as well.
fn document(key: &str, item: &Item) -> Result<Document, CaseError> {
    if let Some(text) = item.as_str() {
        let is_json = text.trim_start().starts_with('{');
        return Ok(if is_json {
            Document::Text(text.to_owned())
        } else {
            Document::File(PathBuf::from(text))
        });
    }
    if item.is_table_like() {
        return Ok(Document::Text(json::of_item(item).to_string()));
    }
    Err(CaseError::new(format!(
        "`{key}` must be a file's name, JSON text or a table"
    )))
}

fn text<'a>(key: &str, item: &'a Item) -> Result<&'a str, CaseError> {
    item.as_str()
        .ok_or_else(|| CaseError::new(format!("`{key}` must be a string")))
}

fn settings(item: &Item) -> Result<PolicySettings, CaseError> {
    let wrong = || CaseError::new("`settings` must be a table of strings");
    let mut settings = BTreeMap::new();
    for (key, value) in item.as_table_like().ok_or_else(wrong)?.iter() {
        settings.insert(key.to_owned(), value.as_str().ok_or_else(wrong)?.to_owned());
    }
    Ok(PolicySettings::new(settings))
}

fn time(item: &Item) -> Result<Timestamp, CaseError> {
    let text = match (item.as_str(), item.as_datetime()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(time)) => time.to_string(),
        (None, None) => String::new(),
    };
    Timestamp::parse_rfc3339(&text)
        .ok_or_else(|| CaseError::new("`now` must be a time such as 2026-01-21T10:05:02.000123Z"))
}

fn faults(item: &Item) -> Result<Vec<HostFault>, CaseError> {
    let table = item.as_table_like().ok_or_else(|| {
        CaseError::new("`faults` must be a table such as {\"git.commit\" = \"no-repository\"}")
    })?;
    let mut faults = Vec::new();
    for (name, error) in table.iter() {
        let function: HostFunction = name.parse().map_err(CaseError::new)?;
        let error = text(name, error)?
            .parse()
            .map_err(|error: String| CaseError::new(error))?;
        faults.push(HostFault::every(function, error).map_err(CaseError::new)?);
    }
    Ok(faults)
}
