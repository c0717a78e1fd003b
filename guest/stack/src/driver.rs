//! One call: rewrites until the outcome is stable, and hands it to the policy.

use crate::bindings::chiffon::audit0_1_0::recorder as policy;
use crate::bindings::chiffon::audit0_1_0::types::TaskOutcome;
use crate::bindings::chiffon::audit0_2_0::rewriting::RewriteError;
use crate::bindings::chiffon::audit0_2_0::stacking;
use crate::bindings::exports::chiffon::audit0_1_0::recorder::{
    Guest, Receipt, RecordError, Violation,
};
use crate::bindings::{layer_a, layer_b, layer_c, layer_d, layer_e, layer_f, layer_g, layer_h};
use crate::names;

/// How often the layers are called in turn before an outcome counts as one that never comes to rest.
const ROUNDS: usize = 3;

struct Driver;

crate::bindings::export!(Driver with_types_in crate::bindings);

impl Guest for Driver {
    fn commit_task_outcome(outcome: TaskOutcome) -> Result<Receipt, RecordError> {
        let mut outcome = outcome;
        for _ in 0..ROUNDS {
            match round(&outcome)? {
                None => return decide(&outcome),
                Some(changed) => outcome = changed,
            }
        }
        Err(RecordError::Refused(vec![Violation {
            pointer: String::new(),
            message: "the layers change it again and again: called three times in turn, they come to no end"
                .to_owned(),
        }]))
    }
}

/// Calls every layer once. `None` if none of them changes anything.
fn round(outcome: &TaskOutcome) -> Result<Option<TaskOutcome>, RecordError> {
    let mut current: Option<TaskOutcome> = None;
    for (part, name) in (0..).zip(names::names()) {
        stacking::enter(part);
        let before = current.as_ref().unwrap_or(outcome);
        let after = rewrite(part, before).map_err(|error| refusal(name, error))?;
        if after.task_id != before.task_id || after.status != before.status {
            let text = format!("layer {name} changed the task's id or status");
            return Err(RecordError::Unavailable(text));
        }
        if after != *before {
            current = Some(after);
        }
    }
    // A layer may undo what another one has done.
    Ok(current.filter(|current| current != outcome))
}

fn rewrite(part: u32, outcome: &TaskOutcome) -> Result<TaskOutcome, RewriteError> {
    match part {
        0 => layer_a::rewrite(outcome),
        1 => layer_b::rewrite(outcome),
        2 => layer_c::rewrite(outcome),
        3 => layer_d::rewrite(outcome),
        4 => layer_e::rewrite(outcome),
        5 => layer_f::rewrite(outcome),
        6 => layer_g::rewrite(outcome),
        _ => layer_h::rewrite(outcome),
    }
}

fn refusal(name: &str, error: RewriteError) -> RecordError {
    match error {
        RewriteError::Refused(violations) => RecordError::Refused(
            violations
                .into_iter()
                .map(|violation| Violation {
                    pointer: violation.pointer,
                    message: format!("layer {name}: {}", violation.message),
                })
                .collect(),
        ),
        RewriteError::Unavailable(reason) => {
            RecordError::Unavailable(format!("layer {name}: {reason}"))
        }
    }
}

fn decide(outcome: &TaskOutcome) -> Result<Receipt, RecordError> {
    stacking::enter(u32::try_from(names::names().count()).unwrap_or(u32::MAX));
    match policy::commit_task_outcome(outcome) {
        Ok(policy::Receipt::Committed) => Ok(Receipt::Committed),
        Ok(policy::Receipt::AlreadyRecorded) => Ok(Receipt::AlreadyRecorded),
        Err(policy::RecordError::Refused(violations)) => Err(RecordError::Refused(
            violations
                .into_iter()
                .map(|violation| Violation {
                    pointer: violation.pointer,
                    message: violation.message,
                })
                .collect(),
        )),
        Err(policy::RecordError::Conflicting(reason)) => Err(RecordError::Conflicting(reason)),
        Err(policy::RecordError::Unavailable(reason)) => Err(RecordError::Unavailable(reason)),
    }
}
