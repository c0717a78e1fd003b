//! Plans: what is planned and dispatched, parsed from JSON by the rules for the same fields of an outcome.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::work_result::check_names;
use outcome::{self, Rejection, TaskOutcome, Violation, json};
use store::Plan;

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    services_touched: Option<&'a RawValue>,
    #[serde(borrow)]
    start_time: Option<&'a RawValue>,
    #[serde(borrow)]
    plan_steps: Option<&'a RawValue>,
}

/// The fields of a plan: those of an outcome document that are known in advance.
const FIELDS: [&str; 7] = [
    "task_id",
    "plan_id",
    "plan_steps",
    "dispatch_info",
    "services_touched",
    "start_time",
    "metadata",
];

/// Parses `{task_id, plan_id, plan_steps, dispatch_info, services_touched, start_time, metadata}`.
///
/// # Errors
///
/// What is wrong, with its place.
pub fn parse(text: &[u8], limits: &outcome::Limits) -> Result<Plan, Rejection> {
    let text = outcome::well_formed(text, limits)?;
    check_names(text, &FIELDS)?;
    let members = json::members(text).map_err(|_| Violation::of_document("is not an object"))?;
    // Moves the fields to their places in an outcome, so that the same code checks the same rules.
    let mut document = String::from("{\"status\":\"completed\"");
    let mut result = String::new();
    for (name, value) in &members {
        let name = &**name;
        if matches!(name, "services_touched" | "start_time") {
            let comma = if result.is_empty() { "" } else { "," };
            result.push_str(&format!("{comma}\"{name}\":{value}"));
        } else {
            document.push_str(&format!(",\"{name}\":{value}"));
        }
    }
    document.push_str(&format!(",\"execution_result\":{{{result}}}}}"));
    let larger = outcome::Limits {
        max_bytes: document.len(),
        ..limits.clone()
    };
    let outcome = TaskOutcome::parse(document.as_bytes(), &larger).map_err(in_plan)?;
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|_| Violation::of_document("is not a plan"))?;
    let is_given = |value: Option<&RawValue>| value.is_some_and(|value| value.get() != "null");
    let steps = is_given(fields.plan_steps).then_some(outcome.plan_steps);
    let services =
        is_given(fields.services_touched).then_some(outcome.execution_result.services_touched);
    let start_time = is_given(fields.start_time)
        .then_some(outcome.execution_result.start_time)
        .flatten();
    Ok(Plan {
        plan_id: outcome.plan_id,
        plan_steps: steps,
        agent_pool: outcome.dispatch_info.agent_pool,
        agent_id: outcome.dispatch_info.agent_id,
        dispatch_timestamp: outcome.dispatch_info.dispatch_timestamp,
        start_time,
        services_touched: services,
        metadata: outcome.metadata,
        ..Plan::new(outcome.task_id)
    })
}

/// Converts a place in an outcome to a place in the plan.
fn in_plan(rejection: Rejection) -> Rejection {
    let violations = rejection
        .violations
        .into_iter()
        .map(|violation| {
            let pointer = violation.pointer.strip_prefix("/execution_result");
            Violation::new(
                pointer.unwrap_or(&violation.pointer),
                violation.message.as_str(),
            )
        })
        .collect();
    Rejection { violations }
}
