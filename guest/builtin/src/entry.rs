//! The entry's bytes, its path and the subject of its commit.
//!
//! Pure. The format is public API: entries outlive every version of this policy, so it is never edited in place.

use crate::outcome::{Outcome, Time};
use policy_kit::layout::Indented;
use policy_kit::time;
use serde::Serialize;
use serde_json::value::RawValue;

/// The members of an entry, in the order in which they are written.
#[derive(Serialize)]
struct Entry<'a> {
    task_id: &'a str,
    status: &'a str,
    plan_id: Option<&'a str>,
    plan_steps: &'a [String],
    dispatch_info: DispatchInfo<'a>,
    execution_result: ExecutionResult<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    timestamp: &'a str,
}

#[derive(Serialize)]
struct DispatchInfo<'a> {
    agent_pool: Option<&'a str>,
    agent_id: Option<&'a str>,
    dispatch_timestamp: Option<&'a str>,
}

#[derive(Serialize)]
struct ExecutionResult<'a> {
    outcome: &'a RawValue,
    resources_used: &'a RawValue,
    services_touched: &'a [String],
    start_time: Option<&'a str>,
    end_time: Option<&'a str>,
}

/// A member of type `json` that is not JSON; holds its pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson(pub &'static str);

/// Formats an entry: UTF-8 JSON, two-space indent, the members in the format's order, a newline at the end.
///
/// Members of type `json` are re-indented token by token: numbers and strings in them stay as they were written.
/// Time is linear in the outcome's size.
///
/// # Errors
///
/// Names the first member of type `json` that does not parse. A host that keeps to its contract never sends one.
pub fn format(outcome: &Outcome<'_>, timestamp: &str) -> Result<Vec<u8>, NotJson> {
    let result = &outcome.execution_result;
    let dispatch = &outcome.dispatch_info;
    let entry = Entry {
        task_id: outcome.task_id,
        status: outcome.status,
        plan_id: outcome.plan_id,
        plan_steps: outcome.plan_steps,
        dispatch_info: DispatchInfo {
            agent_pool: dispatch.agent_pool,
            agent_id: dispatch.agent_id,
            dispatch_timestamp: dispatch.dispatch_timestamp,
        },
        execution_result: ExecutionResult {
            outcome: raw(result.outcome, "/execution_result/outcome")?,
            resources_used: raw(result.resources_used, "/execution_result/resources_used")?,
            services_touched: result.services_touched,
            start_time: result.start_time,
            end_time: result.end_time,
        },
        metadata: outcome
            .metadata
            .map(|metadata| raw(metadata, "/metadata"))
            .transpose()?,
        timestamp,
    };
    // Room for the frame and some indentation, so that an ordinary entry is written without moving it.
    let free =
        result.outcome.len() + result.resources_used.len() + outcome.metadata.map_or(0, str::len);
    let mut bytes = Vec::with_capacity(1024 + free * 2);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Indented::default());
    entry
        .serialize(&mut serializer)
        .expect("writing to memory cannot fail, and every key is a string");
    bytes.push(b'\n');
    Ok(bytes)
}

/// The time as it appears in entries and subjects: RFC 3339, UTC, six fractional digits and `Z`.
pub fn timestamp(time: Time) -> Option<String> {
    time::rfc3339(time.seconds, time.nanoseconds)
}

/// The subject of the commit that adds the entry.
pub fn subject(outcome: &Outcome<'_>, timestamp: &str) -> String {
    [
        "audit: task ",
        outcome.task_id,
        " ",
        outcome.status,
        " at ",
        timestamp,
    ]
    .concat()
}

fn raw<'a>(json: &'a str, pointer: &'static str) -> Result<&'a RawValue, NotJson> {
    serde_json::from_str(json).map_err(|_| NotJson(pointer))
}
