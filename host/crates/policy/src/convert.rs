//! Converts an outcome to the policy's argument. Borrows everything; the answer is converted in `check`.

use super::bindings::types;
use outcome::{TaskOutcome, TaskStatus};

/// An outcome's lists in the form that the bindings require.
pub(super) struct Lists<'a> {
    plan_steps: Vec<&'a str>,
    services_touched: Vec<&'a str>,
}

impl<'a> Lists<'a> {
    pub fn of(outcome: &'a TaskOutcome) -> Lists<'a> {
        let borrowed = |list: &'a [String]| list.iter().map(String::as_str).collect();
        Lists {
            plan_steps: borrowed(&outcome.plan_steps),
            services_touched: borrowed(&outcome.execution_result.services_touched),
        }
    }
}

/// Converts an outcome to the policy's argument.
pub(super) fn outcome<'a>(
    outcome: &'a TaskOutcome,
    lists: &'a Lists<'a>,
) -> types::TaskOutcome<'a> {
    let dispatch = &outcome.dispatch_info;
    let result = &outcome.execution_result;
    types::TaskOutcome {
        task_id: outcome.task_id.as_str(),
        status: match &outcome.status {
            TaskStatus::Completed => types::TaskStatus::Completed,
            TaskStatus::Failed => types::TaskStatus::Failed,
            TaskStatus::Rejected => types::TaskStatus::Rejected,
            TaskStatus::Cancelled => types::TaskStatus::Cancelled,
            TaskStatus::Other(name) => types::TaskStatus::Other(name),
        },
        plan_id: outcome.plan_id.as_deref(),
        plan_steps: &lists.plan_steps,
        dispatch_info: types::DispatchInfo {
            agent_pool: dispatch.agent_pool.as_deref(),
            agent_id: dispatch.agent_id.as_deref(),
            dispatch_timestamp: dispatch.dispatch_timestamp.as_deref(),
        },
        execution_result: types::ExecutionResult {
            outcome: &result.outcome,
            resources_used: &result.resources_used,
            services_touched: &lists.services_touched,
            start_time: result.start_time.as_deref(),
            end_time: result.end_time.as_deref(),
        },
        metadata: outcome.metadata.as_deref(),
    }
}
