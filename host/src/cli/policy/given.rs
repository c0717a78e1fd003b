//! The inputs of a trial from the command line: an outcome document, existing entries, the time.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read};
use crate::cli::session::{Session, outcome_limits};
use crate::cli::time::{self, Bound};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::files;
use crate::outcome::{Limits, TaskId, TaskOutcome};

/// The most bytes to read of an entry. Whatever the limit on a policy's output, a larger file is not an entry.
const MAX_ENTRY: u64 = 64 << 20;

/// Reads an outcome document; `-` means standard input.
pub fn document(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        return files::read_all(io::stdin().lock(), MAX_ENTRY)
            .map_err(|error| cannot_read("the outcome", path, error));
    }
    files::read_bounded(path, MAX_ENTRY).map_err(|error| cannot_read("the outcome", path, error))
}

/// Reads outcome documents, one per line. A file that is a single document is accepted too.
pub fn documents(path: &Path, limits: &Limits) -> Result<Vec<Vec<u8>>> {
    let text = document(path)?;
    if TaskOutcome::parse(&text, limits).is_ok() {
        return Ok(vec![text]);
    }
    let lines = text.split(|byte| *byte == b'\n');
    let mut documents = Vec::new();
    for (number, line) in (1..).zip(lines) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Err(rejection) = TaskOutcome::parse(line, limits) {
            let place = format!("{}:{number}", path.display());
            return Err(UsageError(format!("{place}: is not an outcome: {rejection}")).into());
        }
        documents.push(line.to_vec());
    }
    if documents.is_empty() {
        return Err(UsageError(format!("{} holds no outcome", path.display())).into());
    }
    Ok(documents)
}

/// Reads and checks an outcome document, as the recorder would before it calls a policy.
pub fn outcome(path: &Path, document: &[u8], settings: &Settings) -> Result<TaskOutcome> {
    TaskOutcome::parse(document, &outcome_limits(settings)?).map_err(|rejection| {
        UsageError(format!(
            "{} is not an outcome, and no policy would be called: {rejection}",
            path.display()
        ))
        .into()
    })
}

/// The task's existing entry. `path` is the entry's file, or a directory with entries named after their tasks, flat
/// or laid out as in a trail.
pub fn existing(path: &Path, task_id: &TaskId) -> Result<Option<Vec<u8>>> {
    let file = if path.is_dir() {
        match entry_in(path, task_id) {
            Some(file) => file,
            None => return Ok(None),
        }
    } else {
        path.to_owned()
    };
    files::read_bounded(&file, MAX_ENTRY)
        .map(Some)
        .map_err(|error| cannot_read("the entry", &file, error))
}

fn entry_in(directory: &Path, task_id: &TaskId) -> Option<PathBuf> {
    let tasks = directory.join(".audit").join("tasks");
    [directory.to_owned(), tasks]
        .into_iter()
        .map(|directory| directory.join(format!("{task_id}.json")))
        .find(|file| file.exists())
}

/// The time of recording: as given, or the current time.
pub fn now(text: Option<&str>, session: &Session) -> Result<Timestamp> {
    let present = session.clock.now();
    Ok(time::option("--now", text, Bound::Since, present)?.unwrap_or(present))
}
