//! The spool of a hook: what could not be recorded, a file for each call.
//!
//! Outcomes are in files of JSON lines, and payloads that could not even be mapped in files that end with `.payload`. A file
//! appears under its name only when it is complete and synced.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::Result;
use crate::cli::failure::Context as _;

/// A directory of files that wait.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    directory: PathBuf,
}

/// A file of the spool.
pub(super) struct Kept {
    path: PathBuf,
    pub(super) contents: Contents,
}

/// What a file of the spool holds.
pub(super) enum Contents {
    /// Outcomes, and the beginning of a line whose end is missing.
    Outcomes {
        documents: Vec<Vec<u8>>,
        torn: Vec<u8>,
    },
    /// What a hook read.
    Payload(Vec<u8>),
}

impl Spool {
    pub(super) fn new(directory: PathBuf) -> Spool {
        Spool { directory }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps outcomes, in one file.
    pub(super) fn keep(&self, documents: &[Vec<u8>]) -> Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for document in documents {
            lines.extend_from_slice(document);
            lines.push(b'\n');
        }
        self.write(&format!("{}.ndjson", uuid::Uuid::new_v4()), &lines)
    }

    /// Keeps a payload as it was read.
    pub(super) fn keep_payload(&self, payload: &[u8]) -> Result<()> {
        self.write(&format!("{}.payload", uuid::Uuid::new_v4()), payload)
    }

    /// All complete files.
    pub(super) fn files(&self) -> Vec<Kept> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten();
        let kept = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let extension = path.extension()?.to_str()?.to_owned();
            let contents = match extension.as_str() {
                "ndjson" => lines(&fs::read(&path).ok()?),
                "payload" => Contents::Payload(fs::read(&path).ok()?),
                _ => return None,
            };
            Some(Kept { path, contents })
        });
        kept.collect()
    }

    /// Removes a file that was recorded.
    pub(super) fn remove(&self, kept: &Kept) -> Result<()> {
        // Another call may have recorded it as well: recording twice changes nothing.
        match fs::remove_file(&kept.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Keeps what nobody can record, for a person to look at. Returns its path.
    pub(super) fn set_aside(&self, kept: &Kept, bytes: &[u8], ending: &str) -> Result<PathBuf> {
        let path = kept.path.with_extension(ending);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.write(&name, bytes)?;
        Ok(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let failed = || format!("cannot write to the spool {}", self.directory.display());
        fs::create_dir_all(&self.directory).with_context(failed)?;
        let partial = self.directory.join(format!("{name}.partial"));
        let mut file = File::create(&partial).with_context(failed)?;
        file.write_all(bytes).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        fs::rename(&partial, self.directory.join(name)).with_context(failed)?;
        let directory = File::open(&self.directory).with_context(failed)?;
        directory.sync_all().with_context(failed)
    }
}

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
