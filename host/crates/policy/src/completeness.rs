//! What the host believes of an answer only when the trail says the same.
//!
//! Owns the comparison; the trail's entry is an argument. Every place that acts on a verdict asks here first: the recorder,
//! and the trials that show what the recorder would do.

use super::call::Verdict;
use super::fault::Fault;
use outcome::TaskOutcome;
use serde::Deserialize;

impl Verdict {
    /// The verdict, if it agrees with `existing`, the task's entry on the trail.
    ///
    /// # Errors
    ///
    /// `Disbelieved`: a commit of a task that has an entry, or an `already-recorded` or `conflicting` without one that bears it
    /// out.
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

/// The two members of an entry that the host itself vouches for.
#[derive(Deserialize)]
struct RequiredMembers {
    task_id: String,
    status: String,
}

/// Whether the trail holds this task with this status.
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
