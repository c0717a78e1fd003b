//! Maps: what another system reports about finished tasks, made into outcome documents by a declarative file.
//!
//! Pure. Values stay as they were written. A state that is not terminal makes no outcome.

pub(crate) mod apply;
mod builder;
mod cases;
mod expression;
mod file;
pub(crate) mod origins;
mod places;
mod pointer;
mod select;
mod shipped;
mod template;
mod written;

pub use apply::{Item, ItemKind, Mapped, Trace};
pub use cases::{Case, Finding, run_cases};
pub use file::MapError;
pub use shipped::{Shipped, shipped};

use crate::words::StatusMap;
use expression::{Absent, Expression};
use pointer::Pointer;

/// A map from a system's documents to outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The system's name. It is part of the digest in encoded ids, and recorded as `metadata.source`.
    pub source: String,
    /// What the map is for.
    pub about: String,
    /// Where documents are, if one file or answer holds several.
    documents: Vec<Pointer>,
    records: Vec<RecordMap>,
}

impl Map {
    /// Whether a second report of the end of a task, with the same status, is an echo of the first.
    pub fn echoes(&self) -> bool {
        self.records.iter().any(|record| record.echo)
    }

    /// The statuses that its words lead to.
    pub fn statuses(&self) -> impl Iterator<Item = &str> {
        let maps = self
            .records
            .iter()
            .filter_map(|record| record.status.as_ref());
        maps.flat_map(|(_, words)| words.statuses())
    }
}

/// How records at one place become outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecordMap {
    /// Where records may be: the first place that has any counts.
    at: Vec<Pointer>,
    when: Vec<(Pointer, Vec<String>)>,
    /// Members that show that it is a record of the system: of each list one must be there.
    requires: Vec<Vec<Pointer>>,
    /// Whether such a record is known, and no task.
    skips: bool,
    /// Why such a record cannot be mapped, if it cannot.
    refuses: Option<String>,
    absent: Absent,
    /// Where an outcome document of our own shape is. The fields below are then not used.
    document: Option<Pointer>,
    task_id: Option<Expression>,
    attempt: Option<Expression>,
    /// The system's id of the first attempt, if attempts have different ids in the system.
    attempt_of: Option<Expression>,
    status: Option<(Expression, StatusMap)>,
    plan_id: Option<Expression>,
    plan_steps: Vec<Expression>,
    agent_pool: Option<Expression>,
    agent_id: Option<Expression>,
    dispatch_timestamp: Option<Expression>,
    outcome: Option<Expression>,
    resources_used: Option<Expression>,
    services: Vec<Expression>,
    start_time: Option<Expression>,
    end_time: Option<Expression>,
    metadata: Vec<(String, Expression)>,
    /// Whether members that no pointer names become metadata.
    rest: bool,
    /// Whether a second terminal event with the same status is an echo of the first.
    echo: bool,
}
