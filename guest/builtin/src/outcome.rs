//! The outcome as the policy sees it: borrowed, and free of bindings so that native tests can make one.

/// One outcome; the members mirror `chiffon:audit/types.task-outcome`.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// The task's name.
    pub task_id: &'a str,
    /// How the task ended.
    pub status: &'a str,
    /// The plan that the task belongs to.
    pub plan_id: Option<&'a str>,
    /// The plan's steps.
    pub plan_steps: &'a [String],
    /// To whom the task was given.
    pub dispatch_info: DispatchInfo<'a>,
    /// What the task did.
    pub execution_result: ExecutionResult<'a>,
    /// JSON text of an object.
    pub metadata: Option<&'a str>,
}

/// To whom a task was given.
#[derive(Clone, Debug, Default)]
pub struct DispatchInfo<'a> {
    /// The pool of agents.
    pub agent_pool: Option<&'a str>,
    /// The agent.
    pub agent_id: Option<&'a str>,
    /// An ISO 8601 time, as written.
    pub dispatch_timestamp: Option<&'a str>,
}

/// What a task did.
#[derive(Clone, Debug)]
pub struct ExecutionResult<'a> {
    /// JSON text of any value.
    pub outcome: &'a str,
    /// JSON text of any value.
    pub resources_used: &'a str,
    /// The services that the task touched.
    pub services_touched: &'a [String],
    /// An ISO 8601 time, as written.
    pub start_time: Option<&'a str>,
    /// An ISO 8601 time, as written.
    pub end_time: Option<&'a str>,
}

/// The time of recording: UTC, counted from 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// The part below a second.
    pub nanoseconds: u32,
}
