//! The outcome document: what an orchestrator reports when a task has finished.
//!
//! Owns the border where untrusted JSON becomes a valid [`TaskOutcome`]. Knows no policy, no trail and no git.

mod cause;
pub mod clock;
pub mod continuation;
mod counted;
pub mod digest;
mod document;
mod erasure;
pub mod json;
mod parse;
mod reporter;
mod reserved;
mod same;
mod scan;
mod status;
mod task_id;
mod time;

use std::borrow::Cow;

pub use cause::Cause;
pub use counted::counted;
pub use document::{MAX_POINTER, MAX_VIOLATIONS, Rejection, Violation};
pub use erasure::{ERASURE, ErasureEntry};
pub use parse::{Limits, well_formed, without_timestamp};
pub use reporter::Reporter;
pub use same::canonical_json;
pub use status::{Statuses, TaskStatus};
pub use task_id::TaskId;
pub use time::{parse_bound, parse_time};

/// One outcome, checked and with defaults filled in.
///
/// Fields documented as JSON hold the text exactly as submitted. The type mirrors interface `types` of the package
/// `chiffon:audit`. `S` is the type of texts: owned, or borrowed from the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOutcome<S = String> {
    /// The task's id, safe as a file name.
    pub task_id: TaskId,
    /// How the task ended.
    pub status: TaskStatus,
    /// The plan that the task belongs to.
    pub plan_id: Option<S>,
    /// The plan's steps.
    pub plan_steps: Vec<S>,
    /// Where the task was dispatched.
    pub dispatch_info: DispatchInfo<S>,
    /// What the task did.
    pub execution_result: ExecutionResult<S>,
    /// A JSON object, as submitted.
    pub metadata: Option<S>,
}

/// Where a task was dispatched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DispatchInfo<S = String> {
    /// The pool that the agent belongs to.
    pub agent_pool: Option<S>,
    /// The agent that ran the task.
    pub agent_id: Option<S>,
    /// An ISO 8601 time, as written.
    pub dispatch_timestamp: Option<S>,
}

/// What a task did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionResult<S = String> {
    /// Any JSON value, as submitted; `{}` if it was left out.
    pub outcome: S,
    /// Any JSON value, as submitted; `{}` if it was left out.
    pub resources_used: S,
    /// The services that the task touched.
    pub services_touched: Vec<S>,
    /// An ISO 8601 time, as written.
    pub start_time: Option<S>,
    /// An ISO 8601 time, as written.
    pub end_time: Option<S>,
}

impl<S> ExecutionResult<S> {
    fn with_empty(empty: impl Fn() -> S) -> Self {
        ExecutionResult {
            outcome: empty(),
            resources_used: empty(),
            services_touched: Vec::new(),
            start_time: None,
            end_time: None,
        }
    }
}

impl Default for ExecutionResult {
    fn default() -> Self {
        ExecutionResult::with_empty(|| "{}".into())
    }
}

impl Default for ExecutionResult<Cow<'_, str>> {
    fn default() -> Self {
        ExecutionResult::with_empty(|| Cow::Borrowed("{}"))
    }
}

impl TaskOutcome<Cow<'_, str>> {
    /// Converts to an outcome that owns its texts.
    pub fn into_owned(self) -> TaskOutcome {
        let owned = Cow::into_owned;
        let list = |list: Vec<Cow<'_, str>>| list.into_iter().map(Cow::into_owned).collect();
        let (dispatch, result) = (self.dispatch_info, self.execution_result);
        TaskOutcome {
            task_id: self.task_id,
            status: self.status,
            plan_id: self.plan_id.map(owned),
            plan_steps: list(self.plan_steps),
            dispatch_info: DispatchInfo {
                agent_pool: dispatch.agent_pool.map(owned),
                agent_id: dispatch.agent_id.map(owned),
                dispatch_timestamp: dispatch.dispatch_timestamp.map(owned),
            },
            execution_result: ExecutionResult {
                outcome: owned(result.outcome),
                resources_used: owned(result.resources_used),
                services_touched: list(result.services_touched),
                start_time: result.start_time.map(owned),
                end_time: result.end_time.map(owned),
            },
            metadata: self.metadata.map(owned),
        }
    }
}
