//! Which commit added a task's entry: a cache beside the trail.

use crate::outcome::TaskId;

#[derive(Default)]
pub(super) struct Catalogue;

impl Catalogue {
    pub(super) fn note(&self, _task_id: &TaskId, _commit: &str) {}
}
