//! The fuel that test cases used before, in a file that is kept with the sources.
//!
//! Owns the file's form, which is public: JSON that a person can read and `git diff` can show, with an object for each file
//! of cases, by its path from the baseline's directory, and in it the fuel of each case by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read};
use crate::cli::failure::Context as _;
use crate::cli::output::SCHEMA;
use crate::files;

/// The largest file to read: a hundred thousand cases.
const MAX_FILE: u64 = 16 << 20;

/// The fuel of each case.
#[derive(Debug)]
pub struct FuelBaseline {
    path: PathBuf,
    document: Document,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    schema: u32,
    /// By file, and then by name.
    cases: BTreeMap<String, BTreeMap<String, u64>>,
}

impl FuelBaseline {
    /// A baseline without cases, to be written to this file.
    pub fn empty(path: &Path) -> FuelBaseline {
        FuelBaseline {
            path: path.to_owned(),
            document: Document {
                schema: SCHEMA,
                cases: BTreeMap::new(),
            },
        }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<FuelBaseline> {
        let bytes = files::read_bounded(path, MAX_FILE)
            .map_err(|error| cannot_read("the baseline", path, error))?;
        let wrong = |how: String| {
            let path = path.display();
            UsageError(format!("{path} is not a baseline of `policy test`: {how}"))
        };
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if document.schema != SCHEMA {
            return Err(wrong(format!("it has the version {}", document.schema)).into());
        }
        Ok(FuelBaseline {
            path: path.to_owned(),
            document,
        })
    }

    /// The fuel that a case used before.
    pub fn get(&self, key: &str, name: &str) -> Option<u64> {
        let cases = self.document.cases.get(key)?;
        cases.get(name).copied()
    }

    /// Drops the cases of a file.
    pub fn clear(&mut self, key: &str) {
        self.document.cases.remove(key);
    }

    /// Sets what a case uses.
    pub fn set(&mut self, key: &str, name: &str, fuel: u64) {
        let cases = self.document.cases.entry(key.to_owned()).or_default();
        cases.insert(name.to_owned(), fuel);
    }

    /// Writes the baseline to its file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self) -> Result<()> {
        let failed = || format!("cannot write the baseline {}", self.path.display());
        let mut text = serde_json::to_string_pretty(&self.document).with_context(failed)?;
        text.push('\n');
        files::replace(&self.path, text.as_bytes()).with_context(failed)
    }

    /// The name of a file of cases: its path from the baseline's directory, or as it was given if it is elsewhere.
    pub fn key(&self, file: &Path) -> String {
        let directory = files::directory_of(&self.path).canonicalize().ok();
        let below = file.canonicalize().ok().and_then(|file| {
            let below = file.strip_prefix(directory?).ok()?;
            Some(below.to_owned())
        });
        below.as_deref().unwrap_or(file).display().to_string()
    }
}

/// How the fuel of a case differs from the baseline, as the end of a sentence. `None` if it is within the tolerance.
pub fn excess(before: Option<u64>, fuel: u64, tolerance: f64) -> Option<String> {
    let Some(before) = before else {
        return Some(format!(
            "{fuel} units, and the baseline does not have this case: --update-baseline adds it"
        ));
    };
    let most = before as f64 * (1.0 + tolerance / 100.0);
    (fuel as f64 > most).then(|| {
        let more = (fuel as f64 / before.max(1) as f64 - 1.0) * 100.0;
        format!(
            "{fuel} units, {more:.1} % more than {before} in the baseline; the tolerance is {tolerance} %"
        )
    })
}
