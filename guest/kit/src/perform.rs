//! Performs what a policy decides: reads the task's entry, stages a new one, asks for its commit.
//!
//! Decides nothing but what follows from an entry that is there.

use crate::bindings::chiffon::audit::types::{TaskOutcome, TaskStatus};
use crate::bindings::chiffon::audit::{clock, config};
use crate::bindings::exports::chiffon::audit::recorder::{Receipt, RecordError, Violation};
use crate::compare;
use crate::host::{self, violation};
use crate::outcome::{DispatchInfo, ExecutionResult, Json, Outcome, Refusal, Settings};
use crate::time;
use serde_json::value::RawValue;

/// Decides one outcome with a policy's two functions.
///
/// # Errors
///
/// What the policy answers, and `unavailable` if the host cannot read or stage the entry.
pub fn perform(
    outcome: TaskOutcome,
    entry: impl FnOnce(&Outcome, &str, &Settings<'_>) -> Result<String, Refusal>,
    same: impl FnOnce(&str, &str) -> bool,
) -> Result<Receipt, RecordError> {
    let path = host::path(&outcome.task_id);
    let existing = host::read(&path)?;
    let now = clock::now();
    let now = time::rfc3339(now.seconds, now.nanoseconds).ok_or_else(|| {
        RecordError::Unavailable("the clock shows a time that cannot be written".to_owned())
    })?;
    let outcome = view(outcome)?;
    let entry = entry(&outcome, &now, &config::get).map_err(refused)?;
    let Some(existing) = existing else {
        let subject = [
            "audit: task ",
            &outcome.task_id,
            " ",
            &outcome.status,
            " at ",
            &now,
        ];
        host::record(&path, entry.as_bytes(), &subject.concat())?;
        return Ok(Receipt::Committed);
    };
    if str::from_utf8(&existing).is_ok_and(|existing| same(&entry, existing)) {
        return Ok(Receipt::AlreadyRecorded);
    }
    Err(RecordError::Conflicting(compare::conflict(
        entry.as_bytes(),
        &existing,
    )))
}

fn view(outcome: TaskOutcome) -> Result<Outcome, RecordError> {
    let TaskOutcome {
        dispatch_info: dispatch,
        execution_result: result,
        ..
    } = outcome;
    Ok(Outcome {
        task_id: outcome.task_id,
        status: match outcome.status {
            TaskStatus::Completed => "completed".to_owned(),
            TaskStatus::Failed => "failed".to_owned(),
            TaskStatus::Rejected => "rejected".to_owned(),
            TaskStatus::Cancelled => "cancelled".to_owned(),
            TaskStatus::Other(name) => name,
        },
        plan_id: outcome.plan_id,
        plan_steps: outcome.plan_steps,
        dispatch_info: DispatchInfo {
            agent_pool: dispatch.agent_pool,
            agent_id: dispatch.agent_id,
            dispatch_timestamp: dispatch.dispatch_timestamp,
        },
        execution_result: ExecutionResult {
            outcome: json("/execution_result/outcome", result.outcome)?,
            resources_used: json("/execution_result/resources_used", result.resources_used)?,
            services_touched: result.services_touched,
            start_time: result.start_time,
            end_time: result.end_time,
        },
        metadata: outcome
            .metadata
            .map(|text| json("/metadata", text))
            .transpose()?,
    })
}

/// Checks that a text parses. This host has done so; another host might not have.
fn json(pointer: &str, text: String) -> Result<Json, RecordError> {
    RawValue::from_string(text).map_err(|_| violation(pointer, "must be JSON"))
}

fn refused(refusal: Refusal) -> RecordError {
    match refusal {
        Refusal::Unavailable(reason) => RecordError::Unavailable(reason),
        Refusal::Violations(violations) => RecordError::Refused(
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
