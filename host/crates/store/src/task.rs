//! Tasks: what was planned and dispatched, and how it ended.

use outcome::TaskId;
use outcome::clock::Timestamp;

/// What is said of a task before it is finished. What is `None` is not said.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The task.
    pub task_id: TaskId,
    /// The plan that it belongs to.
    pub plan_id: Option<String>,
    /// The plan's steps.
    pub plan_steps: Option<Vec<String>>,
    /// The pool of agents that it was given to.
    pub agent_pool: Option<String>,
    /// The agent that it was given to.
    pub agent_id: Option<String>,
    /// When it was given away: ISO 8601, kept as written.
    pub dispatch_timestamp: Option<String>,
    /// When it was begun: ISO 8601, kept as written.
    pub start_time: Option<String>,
    /// The services that it will touch.
    pub services_touched: Option<Vec<String>>,
    /// A JSON object, kept as written.
    pub metadata: Option<String>,
}

impl Plan {
    /// A task of which nothing is said.
    pub fn new(task_id: TaskId) -> Plan {
        Plan {
            task_id,
            plan_id: None,
            plan_steps: None,
            agent_pool: None,
            agent_id: None,
            dispatch_timestamp: None,
            start_time: None,
            services_touched: None,
            metadata: None,
        }
    }
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct Task {
    /// What was planned and dispatched; nothing but the id if it was only ever reported.
    pub plan: Plan,
    /// When it was first heard of, by the database's clock.
    pub created_at: Timestamp,
    /// Counts the changes of the plan; 0 if there never was one.
    pub revision: i64,
    /// How it ended.
    pub finished: Option<Finished>,
}

/// A plan that arrived after its task had ended. It changes nothing about the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatePlan {
    /// The document, as JSON.
    pub text: String,
    /// When it arrived, by the database's clock.
    pub arrived_at: Timestamp,
}

/// How a task ended: by the first submission for it. Later ones do not change this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The status that was reported.
    pub status: String,
    /// When that was accepted, by the database's clock.
    pub at: Timestamp,
}
