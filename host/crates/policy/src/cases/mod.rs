//! Test cases of policies: files `*.test.toml` that say what a policy is given and what must come of it.
//!
//! Owns the format, which is public and described in `README.md` beside this file, the running of a case and the rewriting of what it
//! expects. Reads the files that a case names; what is found and how it is shown is the command line's.

mod compare;
mod expect;
mod json;
mod lacks;
mod read;
mod update;

use super::{Call, Policy};
use expect::Expect;
use outcome::Limits;
use read::Given;
use std::fs;
use std::path::{Path, PathBuf};
use toml_edit::DocumentMut;

/// What the names of files with cases end in.
pub const CASES_SUFFIX: &str = ".test.toml";

/// Why a file or a case cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaseError(String);

impl CaseError {
    fn new(text: impl Into<String>) -> CaseError {
        CaseError(text.into())
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

/// One case.
#[derive(Debug)]
struct Case {
    name: String,
    given: Given,
    expect: Expect,
    /// Its place in the file: which `[[case]]`, or the file as a whole.
    place: Option<usize>,
}

/// What came of a case.
#[derive(Debug)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// Where it went otherwise than expected. Empty if it passed.
    pub mismatches: Vec<Mismatch>,
    /// The call, if there was one.
    pub call: Option<Call>,
    /// The names of the settings that the case gives.
    pub settings_given: Vec<String>,
    /// Whether [`CaseFile::update`] has written what came of it into the file.
    pub updated: bool,
}

/// One thing that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A text is another.
    Differs {
        /// `result`, `reason`, `message`, `entry` or `log`.
        what: &'static str,
        /// What was expected.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A rule about a text or an entry does not hold.
    Fails {
        /// `result`, `reason`, `message`, `entry` or `log`.
        what: &'static str,
        /// How.
        how: String,
    },
    /// The case cannot be run.
    Unusable(String),
}

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file: it cannot be read, is not TOML, or a case in it has an unknown or ill-formed key.
    pub fn load(path: &Path) -> Result<CaseFile, CaseError> {
        let text = fs::read_to_string(path)
            .map_err(|error| CaseError::new(format!("cannot be read: {error}")))?;
        let document: DocumentMut = text
            .parse()
            .map_err(|error: toml_edit::TomlError| CaseError::new(no_toml(&text, &error)))?;
        let cases = read::cases(&document, path)?;
        Ok(CaseFile {
            path: path.to_owned(),
            document,
            cases,
            changed: false,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many cases there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is no case.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Runs the case at `index`.
    pub fn run(&self, index: usize, policy: &Policy, limits: &Limits) -> CaseReport {
        let case = &self.cases[index];
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut report = CaseReport {
            name: case.name.clone(),
            mismatches: Vec::new(),
            call: None,
            settings_given: Vec::new(),
            updated: false,
        };
        let asked = match case.given.ask(directory, policy, limits) {
            Ok(asked) => asked,
            Err(error) => {
                report.mismatches.push(Mismatch::Unusable(error.0));
                return report;
            }
        };
        let trial = asked.trial();
        let settings = trial.settings.iter();
        report.settings_given = settings.map(|(name, _)| name.to_owned()).collect();
        let call = trial.run(policy);
        report.mismatches = match case.expect.check(&call, directory) {
            Ok(mismatches) => mismatches,
            Err(error) => vec![Mismatch::Unusable(error.0)],
        };
        report.call = Some(call);
        report
    }

    /// Writes what came of the case at `index` into its expectations, if it failed for them; comments and layout stay.
    ///
    /// The file itself is written by [`save`](Self::save); an entry in a file of its own is written here.
    ///
    /// # Errors
    ///
    /// Says that such a file cannot be written.
    pub fn update(&mut self, index: usize, report: &mut CaseReport) -> Result<(), CaseError> {
        let unusable = |mismatch: &Mismatch| matches!(mismatch, Mismatch::Unusable(_));
        let Some(call) = &report.call else {
            return Ok(());
        };
        if report.mismatches.is_empty() || report.mismatches.iter().any(unusable) {
            return Ok(());
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        update::rewrite(&mut self.document, self.cases[index].place, call, directory)?;
        self.changed = true;
        self.cases = read::cases(&self.document, &self.path)?;
        // A rule that cannot be rewritten, such as what an entry must not contain, fails still.
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
    /// Says that it cannot be written.
    pub fn save(&self) -> Result<(), CaseError> {
        if !self.changed {
            return Ok(());
        }
        fs::write(&self.path, self.document.to_string())
            .map_err(|error| CaseError::new(format!("cannot be written: {error}")))
    }
}

/// Where a file is no TOML and why, on one line.
fn no_toml(text: &str, error: &toml_edit::TomlError) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(" at line {line}, column {column}")
    });
    let why: Vec<&str> = error.message().lines().collect();
    format!(
        "it is no TOML{}: {}",
        place.unwrap_or_default(),
        why.join(", ")
    )
}
