//! Performs what `policy.rs` decides: reads the task's entry, stages a new one, asks for its commit. There is no need to edit it.
//!
//! Owns every call of the host. Decides nothing but what follows from an entry that is there.

use crate::bindings;
use crate::outcome::{DispatchInfo, ExecutionResult, Json, Outcome, Refusal};
use crate::policy;
use bindings::chiffon::audit::filesystem::FileError;
use bindings::chiffon::audit::git::CommitError;
use bindings::chiffon::audit::types::{TaskOutcome, TaskStatus};
use bindings::chiffon::audit::{clock, config, filesystem, git};
use bindings::exports::chiffon::audit::recorder::{Guest, Receipt, RecordError, Violation};
use serde_json::value::RawValue;

struct Policy;

#[expect(
    unsafe_code,
    reason = "the export macro writes the component's entry points"
)]
mod exports {
    use super::Policy;
    crate::bindings::export!(Policy with_types_in crate::bindings);
}

impl Guest for Policy {
    fn commit_task_outcome(outcome: TaskOutcome) -> Result<Receipt, RecordError> {
        let path = [".audit/tasks/", &outcome.task_id, ".json"].concat();
        let existing = filesystem::read(&path).map_err(unreadable)?;
        let now = timestamp()?;
        let outcome = view(outcome)?;
        let entry = policy::entry(&outcome, &now, &config::get).map_err(refused)?;
        match existing {
            None => {
                let subject = ["audit: task ", &outcome.task_id, " ", &outcome.status, " at ", &now];
                filesystem::write_new(&path, entry.as_bytes()).map_err(unwritable)?;
                git::commit(&subject.concat()).map_err(uncommitted)?;
                Ok(Receipt::Committed)
            }
            Some(existing) => match str::from_utf8(&existing) {
                Ok(existing) if policy::same(&entry, existing) => Ok(Receipt::AlreadyRecorded),
                _ => Err(RecordError::Conflicting(
                    "the task has an entry that says something else; a task that is tried again is a task of its own (such as \
                     `deploy-42.2` with `metadata.attempt_of`)"
                        .to_owned(),
                )),
            },
        }
    }
}

/// The time of recording: RFC 3339, UTC, six fractional digits and `Z`.
fn timestamp() -> Result<String, RecordError> {
    let now = clock::now();
    chrono::DateTime::from_timestamp(now.seconds, now.nanoseconds)
        .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        .ok_or_else(|| {
            RecordError::Unavailable("the clock shows a time that cannot be written".to_owned())
        })
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

/// The host has checked that it parses; another host might not have.
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

fn unreadable(error: FileError) -> RecordError {
    RecordError::Unavailable(format!("could not read the task's entry: {}", said(error)))
}

fn unwritable(error: FileError) -> RecordError {
    match error {
        FileError::TooLarge(limit) => violation(
            "",
            &format!("the entry would be larger than the limit of {limit} bytes"),
        ),
        error => {
            RecordError::Unavailable(format!("could not stage the task's entry: {}", said(error)))
        }
    }
}

fn uncommitted(error: CommitError) -> RecordError {
    let cause = match error {
        CommitError::NoRepository => "there is no trail to commit to".to_owned(),
        CommitError::NothingStaged => "nothing is staged".to_owned(),
        CommitError::Other(cause) => cause,
    };
    RecordError::Unavailable(format!("could not ask for the commit: {cause}"))
}

fn violation(pointer: &str, message: &str) -> RecordError {
    RecordError::Refused(vec![Violation {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
    }])
}

fn said(error: FileError) -> String {
    match error {
        FileError::InvalidPath(path) => format!("the host does not accept the path {path}"),
        FileError::Exists => "there is one already".to_owned(),
        FileError::TooLarge(limit) => format!("it is larger than {limit} bytes"),
        FileError::Other(cause) => cause,
    }
}
