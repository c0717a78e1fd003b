//! The file in which a real call is kept: there before the call, private, and whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::policy::Recording;

/// A file that will hold a recording. What lies at its path stays until then.
pub struct RecordingFile {
    path: PathBuf,
    /// Readable by its owner alone: a recording holds the outcome as it was submitted, before any policy redacted it.
    beside: NamedTempFile,
}

impl RecordingFile {
    /// Makes room for it.
    pub fn create(path: &Path) -> anyhow::Result<RecordingFile> {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let beside = NamedTempFile::new_in(directory)
            .with_context(|| format!("cannot write the recording {}", path.display()))?;
        Ok(RecordingFile {
            path: path.to_owned(),
            beside,
        })
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes the recording and puts it in its place.
    pub fn keep(mut self, recording: &Recording) -> anyhow::Result<()> {
        let failed = format!("cannot write the recording {}", self.path.display());
        self.beside
            .write_all(recording.to_text().as_bytes())
            .with_context(|| failed.clone())?;
        self.beside.persist(&self.path).context(failed)?;
        Ok(())
    }
}
