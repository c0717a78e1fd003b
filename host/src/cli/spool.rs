//! A spool: what could not be recorded, a file for each call.
//!
//! Outcomes are in files of JSON lines that end with `.KIND.ndjson`, and payloads that could not even be mapped in files
//! that end with `.KIND.payload`. A file appears under its name only when it is complete and synced. Other programs may
//! keep files with other endings in the same directory, such as the client libraries: none of them is read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::files;

/// A directory of files that wait.
#[derive(Clone, Debug)]
pub struct Spool {
    directory: PathBuf,
    /// The word in the endings of the files.
    kind: &'static str,
}

/// A file of the spool.
pub struct SpoolFile {
    path: PathBuf,
    /// What it holds.
    pub contents: Contents,
}

/// What a file of the spool holds.
pub enum Contents {
    /// Outcomes, and the beginning of a line whose end is missing.
    Outcomes {
        /// The complete lines.
        documents: Vec<Vec<u8>>,
        /// The beginning of the last one.
        torn: Vec<u8>,
    },
    /// What a hook read.
    Payload(Vec<u8>),
}

impl Spool {
    /// The spool in this directory, which is created when something is kept.
    pub fn new(directory: PathBuf, kind: &'static str) -> Spool {
        Spool { directory, kind }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps outcomes, in one file.
    pub fn keep(&self, documents: &[Vec<u8>]) -> Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for document in documents {
            lines.extend_from_slice(document);
            lines.push(b'\n');
        }
        self.write(&self.new_name(OUTCOMES), &lines)
    }

    /// Keeps a payload as it was read.
    pub fn keep_payload(&self, payload: &[u8]) -> Result<()> {
        self.write(&self.new_name(PAYLOAD), payload)
    }

    /// All complete files, the oldest first, and why others cannot be read. Only regular files: reading a pipe could block
    /// for ever.
    pub fn files(&self) -> (Vec<SpoolFile>, Vec<String>) {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        let (outcomes, payload) = (self.ending(OUTCOMES), self.ending(PAYLOAD));
        for entry in fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_outcomes = name.ends_with(&outcomes);
            if !is_outcomes && !name.ends_with(&payload) {
                continue;
            }
            match files::require_regular(&path).and_then(|()| fs::read(&path)) {
                Ok(bytes) => files.push(SpoolFile {
                    path,
                    contents: match is_outcomes {
                        true => lines(&bytes),
                        false => Contents::Payload(bytes),
                    },
                }),
                Err(error) => problems.push(format!("cannot read {}: {error}", path.display())),
            }
        }
        // The names begin with the time.
        files.sort_by(|one, other| one.path.cmp(&other.path));
        (files, problems)
    }

    /// Removes a file that was recorded.
    pub fn remove(&self, file: &SpoolFile) -> Result<()> {
        // Another call may have recorded it as well: recording twice changes nothing.
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Keeps what nobody can record, for a person to look at. Returns its path.
    pub fn set_aside(&self, file: &SpoolFile, bytes: &[u8], ending: &str) -> Result<PathBuf> {
        let path = file.path.with_extension(ending);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.write(&name, bytes)?;
        Ok(path)
    }

    /// Keeps a payload that nobody can record, for a person to look at. Returns its path.
    pub fn keep_refused(&self, payload: &[u8]) -> Result<PathBuf> {
        let name = self.new_name(REFUSED);
        self.write(&name, payload)?;
        Ok(self.directory.join(name))
    }

    fn ending(&self, what: &str) -> String {
        format!(".{}.{what}", self.kind)
    }

    fn new_name(&self, what: &str) -> String {
        format!("{}{}", uuid::Uuid::now_v7(), self.ending(what))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let failed = || format!("cannot write to the spool {}", self.directory.display());
        fs::create_dir_all(&self.directory).with_context(failed)?;
        let partial = self.directory.join(format!("{name}.partial"));
        let write = || {
            let mut options = OpenOptions::new();
            // Outcomes may hold secrets that a policy would redact.
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&partial)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        if let Err(error) = write() {
            let _ = fs::remove_file(&partial);
            return Err(error).with_context(failed);
        }
        fs::rename(&partial, self.directory.join(name)).with_context(failed)?;
        let directory = File::open(&self.directory).with_context(failed)?;
        directory.sync_all().with_context(failed)
    }
}

/// The end of the names of files with outcomes.
const OUTCOMES: &str = "ndjson";

/// The end of the names of files with payloads.
const PAYLOAD: &str = "payload";

/// The end of the names of files with payloads that were refused.
const REFUSED: &str = "refused";

fn lines(text: &[u8]) -> Contents {
    let (complete, torn) = match text.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => text.split_at(end + 1),
        None => (&[][..], text),
    };
    let lines = complete
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    Contents::Outcomes {
        documents: lines.map(<[u8]>::to_vec).collect(),
        torn: torn.to_vec(),
    }
}
