//! The recorded entry of a task: from the projection, or from the trail if there is no row.
//!
//! The trail is the authority, and others write it too: entries of `commit` and `ingest` have no row at first.

use outcome::TaskId;
use store::{Entry, StoreError};
use trail::{Trail, TrailError};

use super::Orchestrator;

/// Why it is unknown whether something is recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The store cannot be queried.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has no row, and the trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

impl Orchestrator {
    /// The entry of a task.
    ///
    /// While a submission of the task is open (`is_open`), only the store is queried. The result of an open
    /// submission is reported when its entry is durable, and the trail may show it earlier.
    ///
    /// # Errors
    ///
    /// [`RecordedError`].
    pub async fn recorded(
        &self,
        task_id: &TaskId,
        is_open: bool,
    ) -> Result<Option<Entry>, RecordedError> {
        let row = self.store().entry(task_id).await?;
        if row.is_some() || is_open {
            return Ok(row);
        }
        let (in_force, task_id) = (self.in_force(), task_id.clone());
        let reading =
            tokio::task::spawn_blocking(move || in_trail(in_force.recorder.trail(), &task_id));
        let stopped = || TrailError::Internal;
        Ok(reading.await.unwrap_or_else(|_| Err(stopped()))?)
    }
}

impl Orchestrator {
    /// What the commit of an entry says about how it was decided: its trailers `Audit-…` in order.
    ///
    /// # Errors
    ///
    /// The commit cannot be read.
    pub async fn trailers(&self, commit: &str) -> Result<Vec<(String, String)>, TrailError> {
        let (in_force, commit) = (self.in_force(), commit.to_owned());
        let reading = tokio::task::spawn_blocking(move || {
            let contents = in_force.recorder.trail().commit_contents(&commit)?;
            let text = String::from_utf8_lossy(&contents);
            // The last paragraph: the subject is the policy's, and may look like anything.
            let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
            let lines = last.lines().filter(|line| line.starts_with("Audit-"));
            let pairs = lines.filter_map(|line| line.split_once(": "));
            Ok(pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect())
        });
        reading.await.unwrap_or(Err(TrailError::Internal))
    }

    /// Whether the trail has an entry for a task. Reads files, so it blocks.
    ///
    /// # Errors
    ///
    /// The trail cannot be read.
    pub fn has_entry(&self, task_id: &TaskId) -> Result<bool, RecordedError> {
        let in_force = self.in_force();
        Ok(in_force.recorder.trail().locate(task_id)?.is_some())
    }
}

fn in_trail(trail: &Trail, task_id: &TaskId) -> Result<Option<Entry>, TrailError> {
    let Some(found) = trail.find(task_id)? else {
        return Ok(None);
    };
    let commit = found.commit.unwrap_or_default();
    let entry = Entry::read(&commit, &found.path, &found.entry, found.reporter.as_ref());
    // Only a manual commit can cause this; `reconcile` and `verify` report it.
    Ok(entry
        .inspect_err(|error| tracing::warn!(%error, "a file in the trail is not an entry"))
        .ok())
}
