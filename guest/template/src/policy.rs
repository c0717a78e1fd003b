//! The policy: what an entry says, and what counts as the same. This is the file to edit.
//!
//! Pure: for the same arguments the same answer. Everything that touches the trail is in `perform.rs`.

use policy_kit::json;
use policy_kit::outcome::{Entry, Outcome, Refusal, Settings, Violation};

/// The entry of an outcome that is recorded at `now`; or why it is not recorded.
///
/// The host requires `task_id`, `status` and `timestamp` to be the outcome's and `now`. Called on its own entry, at that entry's
/// time, it must make the same bytes again: whatever is changed here must come out unchanged when it is changed twice.
pub fn entry(outcome: &Outcome, now: &str, settings: &Settings<'_>) -> Result<String, Refusal> {
    let mut violations = Vec::new();
    // A rule as an example: the setting `require_plan=true` turns down what belongs to no plan.
    if settings("require_plan").as_deref() == Some("true") && outcome.plan_id.is_none() {
        violations.push(Violation::new("/plan_id", "must be given"));
    }
    if !violations.is_empty() {
        return Err(Refusal::Violations(violations));
    }
    Ok(json::format(&Entry::new(outcome, now)))
}

/// Whether the entry that the trail holds for this task says the same as the one that would be made now.
pub fn same(entry: &str, existing: &str) -> bool {
    json::same(entry, existing, "timestamp")
}
