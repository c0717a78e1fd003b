//! The submissions for a trail's tasks, if a store still has them.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::cli::Result;
use crate::cli::store::{open_to_read, runtime};
use crate::outcome::TaskId;
use crate::store::{Kind, State, Store, StoreError, StoreUrl};
use crate::trail::Trail;

/// The submissions in a store; empty if there is no store.
pub struct Submissions(Option<(Runtime, Arc<dyn Store>)>);

impl Submissions {
    /// Opens the store of this URL. Without a URL, opens the store beside the trail, if there is one.
    pub fn open(url: Option<&str>, trail: &Trail) -> Result<Submissions> {
        let named = url.map(StoreUrl::parse).transpose()?;
        let place = named
            .clone()
            .unwrap_or_else(|| StoreUrl::beside_trail(trail.common_dir()));
        let runtime = runtime()?;
        match runtime.block_on(async { open_to_read(&place, Some(trail)).await }) {
            Ok(store) => Ok(Submissions(Some((runtime, store)))),
            Err(StoreError::Missing(_)) if named.is_none() => Ok(Submissions(None)),
            Err(error) => Err(error.into()),
        }
    }

    /// The document that the task's entry was made from, unless it is erased.
    pub fn of(&self, task_id: &TaskId) -> Result<Option<String>> {
        let Some((runtime, store)) = &self.0 else {
            return Ok(None);
        };
        let submissions = runtime.block_on(store.submissions(task_id))?;
        // A work result alone is not an outcome, and the data that it was joined with is not kept.
        Ok(submissions
            .into_iter()
            .filter(|submission| submission.kind == Kind::Outcome)
            .filter(|submission| matches!(submission.state, State::Committed { .. }))
            .find_map(|submission| submission.text))
    }
}
