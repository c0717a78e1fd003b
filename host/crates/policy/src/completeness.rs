//! Claims in an answer that the host accepts only if the trail confirms them.
//!
//! Owns the comparison; the trail's entry is an argument. Called before any verdict is acted on: by the recorder, and
//! by trials, which show what the recorder would do.

use super::call::Verdict;
use super::fault::Fault;
use outcome::TaskOutcome;
use serde::Deserialize;

impl Verdict {
    /// Returns the verdict if it agrees with `existing`, the task's entry in the trail.
    ///
    /// # Errors
    ///
    /// `Disbelieved`: the verdict commits a task that has an entry, or is `already-recorded` or `conflicting` although
    /// no entry confirms it.
    pub fn check_against_trail(
        self,
        outcome: &TaskOutcome,
        existing: Option<&[u8]>,
    ) -> Result<Verdict, Fault> {
        let doubt = |text: &str| Err(Fault::Disbelieved(text.to_owned()));
        match (&self, existing) {
            (Verdict::Commit { .. }, Some(_)) => {
                doubt("asked to commit a task that the trail has an entry for")
            }
            (Verdict::AlreadyRecorded, existing) => match check_entry(existing, outcome) {
                Ok(()) => Ok(self),
                Err(but) => doubt(&format!("answered `already-recorded`, but {but}")),
            },
            (Verdict::Conflicting(_), None) => {
                doubt("answered `conflicting`, but the trail has no entry for the task")
            }
            _ => Ok(self),
        }
    }
}

/// The two members of an entry that the host itself guarantees.
#[derive(Deserialize)]
struct RequiredMembers {
    task_id: String,
    status: String,
}

/// Checks that the trail has an entry for this task with this status.
fn check_entry(existing: Option<&[u8]>, outcome: &TaskOutcome) -> Result<(), &'static str> {
    let Some(entry) = existing else {
        return Err("the trail has no entry for the task");
    };
    let vouched: RequiredMembers =
        serde_json::from_slice(entry).map_err(|_| "the trail's entry has no task id and status")?;
    if vouched.task_id == outcome.task_id.as_str() && vouched.status == outcome.status.as_str() {
        Ok(())
    } else {
        Err("the trail's entry has another task id or status")
    }
}
