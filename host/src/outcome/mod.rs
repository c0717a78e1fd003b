//! The outcome document: what an orchestrator reports when a task has finished.
//!
//! Owns the border at which untrusted JSON becomes a [`TaskOutcome`] that cannot be wrong. Knows no policy, no trail
//! and no git.

mod document;
mod fingerprint;
pub mod json;
mod parse;
mod same;
mod status;
mod task_id;
mod time;

pub use document::{MAX_POINTER, MAX_VIOLATIONS, Rejection, Violation};
pub use parse::{Limits, well_formed, without_timestamp};
pub use same::canonical_json;
pub use status::{Statuses, TaskStatus};
pub use task_id::TaskId;
pub use time::parse_time;

/// One outcome, checked and with defaults filled in.
///
/// Members of type `String` named `…json` in the documentation hold JSON text exactly as it was submitted; see the
/// package `chiffon:audit`, interface `types`, which this mirrors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOutcome {
    /// The task's name, safe as a file name.
    pub task_id: TaskId,
    /// How the task ended.
    pub status: TaskStatus,
    /// The plan that the task belongs to.
    pub plan_id: Option<String>,
    /// The plan's steps.
    pub plan_steps: Vec<String>,
    /// To whom the task was given.
    pub dispatch_info: DispatchInfo,
    /// What the task did.
    pub execution_result: ExecutionResult,
    /// A JSON object, as submitted.
    pub metadata: Option<String>,
}

/// To whom a task was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DispatchInfo {
    /// The pool of agents.
    pub agent_pool: Option<String>,
    /// The agent.
    pub agent_id: Option<String>,
    /// An ISO 8601 time, as written.
    pub dispatch_timestamp: Option<String>,
}

/// What a task did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionResult {
    /// Any JSON value, as submitted; `{}` where it was left out.
    pub outcome: String,
    /// Any JSON value, as submitted; `{}` where it was left out.
    pub resources_used: String,
    /// The services that the task touched.
    pub services_touched: Vec<String>,
    /// An ISO 8601 time, as written.
    pub start_time: Option<String>,
    /// An ISO 8601 time, as written.
    pub end_time: Option<String>,
}

impl Default for ExecutionResult {
    fn default() -> Self {
        ExecutionResult {
            outcome: "{}".into(),
            resources_used: "{}".into(),
            services_touched: Vec::new(),
            start_time: None,
            end_time: None,
        }
    }
}
