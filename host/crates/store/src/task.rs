//! Tasks: what was planned and dispatched, and how they ended.

use outcome::TaskId;
use outcome::clock::Timestamp;

/// What is known about a task before it is finished. `None` means that it was not given.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The task's id.
    pub task_id: TaskId,
    /// The id of the plan that it belongs to.
    pub plan_id: Option<String>,
    /// The plan's steps.
    pub plan_steps: Option<Vec<String>>,
    /// The pool of agents that it was dispatched to.
    pub agent_pool: Option<String>,
    /// The agent that it was dispatched to.
    pub agent_id: Option<String>,
    /// When it was dispatched: ISO 8601, kept as written.
    pub dispatch_timestamp: Option<String>,
    /// When it started: ISO 8601, kept as written.
    pub start_time: Option<String>,
    /// The services that it will touch.
    pub services_touched: Option<Vec<String>>,
    /// A JSON object, kept as written.
    pub metadata: Option<String>,
}

impl Plan {
    /// Creates a plan without any details.
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

/// What is known about a task.
#[derive(Clone, Debug)]
pub struct Task {
    /// What was planned and dispatched; only the id if the task was never planned.
    pub plan: Plan,
    /// When it was first mentioned, by the database's clock.
    pub created_at: Timestamp,
    /// The number of changes of the plan; 0 if the task was never planned.
    pub revision: i64,
    /// How it ended, if it has.
    pub finished: Option<Finished>,
}

/// A task that was announced and has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedTask {
    /// The task's id.
    pub task_id: TaskId,
    /// The plan that it belongs to.
    pub plan_id: Option<String>,
    /// The pool of agents that it was dispatched to.
    pub agent_pool: Option<String>,
    /// When it was announced first, by the database's clock.
    pub announced_at: Timestamp,
}

/// Tasks that were announced and have not ended.
#[derive(Clone, Debug)]
pub struct UnfinishedTasks {
    /// The tasks, oldest announcement first.
    pub tasks: Vec<AnnouncedTask>,
    /// The time of the answer, by the clock that dated the announcements.
    pub now: Timestamp,
}

/// A plan that arrived after its task had ended. It changes nothing about the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatePlan {
    /// The document, as JSON.
    pub text: String,
    /// When it arrived, by the database's clock.
    pub arrived_at: Timestamp,
}

/// How a task ended, according to its first submission. Later ones do not change this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The reported status.
    pub status: String,
    /// When that submission was accepted, by the database's clock.
    pub at: Timestamp,
}
