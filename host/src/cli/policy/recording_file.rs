//! The file for a recorded policy call: created before the call, private, and written completely or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::files::directory_of;
use crate::policy::Recording;

/// A file that will hold a recording. A file already at its path is kept until the recording is written.
pub struct RecordingFile {
    path: PathBuf,
    /// Readable only by its owner: a recording holds the outcome as submitted, before any policy redacted it.
    beside: NamedTempFile,
}

impl RecordingFile {
    /// Creates the temporary file beside `path`.
    pub fn create(path: &Path) -> Result<RecordingFile> {
        let beside = NamedTempFile::new_in(directory_of(path))
            .with_context(|| format!("cannot write the recording {}", path.display()))?;
        Ok(RecordingFile {
            path: path.to_owned(),
            beside,
        })
    }

    /// The file's name in messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes the recording and moves it to its path.
    pub fn keep(mut self, recording: &Recording) -> Result<()> {
        let failed = format!("cannot write the recording {}", self.path.display());
        self.beside
            .write_all(recording.to_text().as_bytes())
            .with_context(|| failed.clone())?;
        self.beside.persist(&self.path).context(failed)?;
        Ok(())
    }
}
