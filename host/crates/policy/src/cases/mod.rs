//! Test cases for policies: files `*.test.toml` that say what a policy is given and what the result must be.
//!
//! Owns the format, which is public and described in `README.md` in this directory, and runs cases and updates their
//! expectations. Reads the files that a case names. Finding files and printing results is the command line's task.

mod compare;
mod coverage;
mod draft;
mod expect;
mod json;
mod lacks;
mod read;
mod update;

pub use coverage::{Coverage, Covered};
pub use draft::CaseDraft;

use super::lines::Lines;
use super::{Call, Policy};
use expect::Expectations;
use outcome::Limits;
use read::CaseInput;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use toml_edit::{Document, DocumentMut};

/// The suffix of the names of case files.
pub const CASES_SUFFIX: &str = ".test.toml";

/// Why a file or a case cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CaseError {
    text: String,
    line: Option<usize>,
}

impl CaseError {
    fn new(text: impl Into<String>) -> CaseError {
        CaseError {
            text: text.into(),
            line: None,
        }
    }

    /// The line of the file that has the mistake, from 1 on, if it is one line's.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The error at this line, unless its line is known already.
    fn at(self, line: Option<usize>) -> CaseError {
        CaseError {
            line: self.line.or(line),
            ..self
        }
    }

    fn within(self, what: &str) -> CaseError {
        CaseError {
            text: format!("{what}: {}", self.text),
            ..self
        }
    }
}

/// A file of test cases.
#[derive(Debug)]
pub struct CaseFile {
    path: PathBuf,
    document: DocumentMut,
    cases: Vec<Case>,
    changed: bool,
}

/// One test case.
#[derive(Debug)]
struct Case {
    name: String,
    input: CaseInput,
    expect: Expectations,
    /// The index of its `[[case]]` in the file, or `None` if the whole file is one case.
    place: Option<usize>,
    /// The line of its `[[case]]`.
    line: Option<usize>,
}

/// The result of a case.
#[derive(Debug)]
pub struct CaseReport {
    /// The name of the case.
    pub name: String,
    /// The line where the case begins, from 1 on. `None` if the whole file is the case.
    pub line: Option<usize>,
    /// The differences from the expectations. Empty if the case passed.
    pub mismatches: Vec<Mismatch>,
    /// The policy call, if there was one.
    pub call: Option<Call>,
    /// The names of the settings that the case gives.
    pub settings_given: Vec<String>,
    /// Whether [`CaseFile::update`] has written the result into the file.
    pub updated: bool,
}

/// One difference from the expectations, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the expectation, from 1 on.
    pub line: Option<usize>,
    /// The difference.
    pub difference: Difference,
}

/// One difference from the expectations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A text differs.
    Differs {
        /// `result`, `reason`, `message`, `entry` or `log`.
        what: &'static str,
        /// The expected text.
        expected: String,
        /// The actual text.
        actual: String,
    },
    /// A rule about a text or an entry does not hold.
    Fails {
        /// `result`, `reason`, `message`, `entry`, `log` or `fuel`.
        what: &'static str,
        /// How it fails, as the end of a sentence.
        how: String,
    },
    /// The case cannot be run.
    Unusable(String),
}

impl Mismatch {
    fn unusable(error: CaseError) -> Mismatch {
        Mismatch {
            line: error.line,
            difference: Difference::Unusable(error.text),
        }
    }
}

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    ///
    /// What is wrong with the file: it cannot be read, is not TOML, or a case in it has an unknown or malformed key.
    pub fn load(path: &Path) -> Result<CaseFile, CaseError> {
        let text = read_bounded(path)
            .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
            .map_err(|error| CaseError::new(format!("cannot be read: {error}")))?;
        let (document, cases) = parse(text, path)?;
        Ok(CaseFile {
            path: path.to_owned(),
            document,
            cases,
            changed: false,
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of cases.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether the file has no cases.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Runs the case at `index`.
    pub fn run(&self, index: usize, policy: &Policy, limits: &Limits) -> CaseReport {
        let case = &self.cases[index];
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut report = CaseReport {
            name: case.name.clone(),
            line: case.line,
            mismatches: Vec::new(),
            call: None,
            settings_given: Vec::new(),
            updated: false,
        };
        let replay = match case.input.resolve(directory, policy, limits) {
            Ok(replay) => replay,
            Err(error) => {
                report.mismatches.push(Mismatch::unusable(error));
                return report;
            }
        };
        let trial = replay.trial();
        let settings = trial.settings.iter();
        report.settings_given = settings.map(|(name, _)| name.to_owned()).collect();
        let call = trial.run(policy);
        report.mismatches = match case.expect.check(&call, directory) {
            Ok(mismatches) => mismatches,
            Err(error) => vec![Mismatch::unusable(error)],
        };
        report.call = Some(call);
        report
    }

    /// Updates the expectations of the case at `index` to its result, if it failed because of them. Comments and layout
    /// stay.
    ///
    /// [`save`](Self::save) writes the file itself. An entry in a separate file is written here.
    ///
    /// # Errors
    ///
    /// Such a separate file cannot be written.
    pub fn update(&mut self, index: usize, report: &mut CaseReport) -> Result<(), CaseError> {
        let unusable = |mismatch: &Mismatch| matches!(mismatch.difference, Difference::Unusable(_));
        let Some(call) = &report.call else {
            return Ok(());
        };
        if report.mismatches.is_empty() || report.mismatches.iter().any(unusable) {
            return Ok(());
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        update::rewrite(&mut self.document, self.cases[index].place, call, directory)?;
        self.changed = true;
        // Its lines are no longer where they were.
        (self.document, self.cases) = parse(self.document.to_string(), &self.path)?;
        // A rule that cannot be updated, such as what an entry must not contain, still fails.
        let left = self.cases[index].expect.check(call, directory)?;
        if left.is_empty() {
            report.updated = true;
        } else {
            report.mismatches = left;
        }
        Ok(())
    }

    /// Writes the file, if a case in it was updated.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), CaseError> {
        if !self.changed {
            return Ok(());
        }
        fs::write(&self.path, self.document.to_string())
            .map_err(|error| CaseError::new(format!("cannot be written: {error}")))
    }
}

/// The most bytes of a file of cases, or of a document that a case names. Outcomes and entries are far smaller.
const MAX_FILE: u64 = 64 << 20;

/// Reads a file that is not larger than [`MAX_FILE`].
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!(
            "it is larger than {MAX_FILE} bytes"
        )));
    }
    Ok(bytes)
}

/// Reads the text of a file. The positions of its lines are lost when the document becomes one that can be edited.
fn parse(text: String, path: &Path) -> Result<(DocumentMut, Vec<Case>), CaseError> {
    let lines = Lines::new(&text);
    let document = Document::parse(text.as_str())
        .map_err(|error| CaseError::new(toml_error(&text, &error)).at(lines.of(error.span())))?;
    let cases = read::cases(document.as_table(), path, &lines)?;
    Ok((document.into_mut(), cases))
}

/// Says on one line why a file is not TOML, and where.
fn toml_error(text: &str, error: &toml_edit::TomlError) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(" at line {line}, column {column}")
    });
    let why: Vec<&str> = error.message().lines().collect();
    format!(
        "it is not TOML{}: {}",
        place.unwrap_or_default(),
        why.join(", ")
    )
}
