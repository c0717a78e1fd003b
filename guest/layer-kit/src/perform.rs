//! Performs what a layer decides: takes the texts of an outcome, and puts the layer's answer in their places.

use crate::Texts;
use crate::bindings::chiffon::audit0_1_0::config;
use crate::bindings::chiffon::audit0_1_0::types::{DispatchInfo, ExecutionResult, TaskOutcome};
use crate::bindings::exports::chiffon::audit0_2_0::rewriting::{RewriteError, Violation};
use policy_kit::outcome::{Refusal, Settings};

/// Rewrites one outcome with a layer's function.
///
/// # Errors
///
/// What the layer answers.
pub fn perform(
    outcome: TaskOutcome,
    rewrite: impl FnOnce(&mut Texts, &Settings<'_>) -> Result<(), Refusal>,
) -> Result<TaskOutcome, RewriteError> {
    let DispatchInfo {
        agent_pool,
        agent_id,
        dispatch_timestamp,
    } = outcome.dispatch_info;
    let result = outcome.execution_result;
    let mut texts = Texts {
        task_id: outcome.task_id,
        plan_id: outcome.plan_id,
        plan_steps: outcome.plan_steps,
        agent_pool,
        agent_id,
        dispatch_timestamp,
        outcome: result.outcome,
        resources_used: result.resources_used,
        services_touched: result.services_touched,
        start_time: result.start_time,
        end_time: result.end_time,
        metadata: outcome.metadata,
    };
    rewrite(&mut texts, &config::get).map_err(refused)?;
    Ok(TaskOutcome {
        task_id: texts.task_id,
        status: outcome.status,
        plan_id: texts.plan_id,
        plan_steps: texts.plan_steps,
        dispatch_info: DispatchInfo {
            agent_pool: texts.agent_pool,
            agent_id: texts.agent_id,
            dispatch_timestamp: texts.dispatch_timestamp,
        },
        execution_result: ExecutionResult {
            outcome: texts.outcome,
            resources_used: texts.resources_used,
            services_touched: texts.services_touched,
            start_time: texts.start_time,
            end_time: texts.end_time,
        },
        metadata: texts.metadata,
    })
}

fn refused(refusal: Refusal) -> RewriteError {
    match refusal {
        Refusal::Unavailable(reason) => RewriteError::Unavailable(reason),
        Refusal::Violations(violations) => RewriteError::Refused(
            violations
                .into_iter()
                .map(|violation| Violation {
                    pointer: violation.pointer,
                    message: violation.message,
                })
                .collect(),
        ),
    }
}
