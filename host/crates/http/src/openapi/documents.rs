//! JSON schemas of the request documents, as exact as a schema can be. A document that matches is accepted, unless
//! another submission of the task or a size limit prevents it.

use serde_json::{Value, json};

/// The rules of `TaskId` as a pattern, for the end of a larger pattern.
macro_rules! task_id {
    () => {
        r"(?!.*\.\.)(?!.*\.[Ll][Oo][Cc][Kk]$)(?!(?:[Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll]|[Cc][Oo][Mm][0-9]|[Ll][Pp][Tt][0-9])(?:\.|$))[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?$"
    };
}

const TASK_ID: &str = concat!("^", task_id!());

/// An ISO 8601 date, alone or with a time of day and a zone.
pub const TIME: &str = r"^(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:[.,][0-9]+)?)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?$";

/// Submission states, separated by commas.
pub const STATES: &str = "^(?:pending|blocked|conflicting|refused|committed)(?:,(?:pending|blocked|conflicting|refused|committed))*$";

/// The `next` cursor of a page: opaque to callers.
pub const CURSOR: &str = concat!(r"^-?[0-9]{1,18}\.", task_id!());

/// The `next` cursor of a page of submissions.
pub const SEQUENCE: &str = "^[0-9]{1,18}$";

/// An event's id.
pub const EVENT_ID: &str = "^[0-9]{1,18}-(?:[0-9a-f]{40}|[0-9a-f]{64})$";

/// The name of the schema for an operation's body.
pub fn of_body(path: &str) -> Option<&'static str> {
    match path {
        "/api/v1/outcomes" => Some("Outcome"),
        "/api/v1/work-results" => Some("WorkResult"),
        "/api/v1/tasks" => Some("PlannedTask"),
        _ => None,
    }
}

/// All schemas, by name.
pub fn all(statuses: &[&str]) -> [(&'static str, Value); 4] {
    let text = json!({"type": ["string", "null"]});
    let texts = json!({"type": ["array", "null"], "items": {"type": "string"}});
    let time = json!({"type": ["string", "null"], "pattern": TIME});
    let object = json!({"type": ["object", "null"]});
    let task_id = json!({"type": "string", "pattern": TASK_ID, "maxLength": 128});
    let status = json!({"type": "string", "enum": statuses});
    let dispatch_info = json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "description": "Where a task is dispatched.",
        "properties": {"agent_pool": text, "agent_id": text, "dispatch_timestamp": time},
    });
    let outcome = json!({
        "type": "object",
        "additionalProperties": false,
        "description": "An outcome document.",
        "required": ["task_id", "status"],
        "properties": {
            "task_id": task_id,
            "status": status,
            "plan_id": text,
            "plan_steps": texts,
            "dispatch_info": {"$ref": "#/components/schemas/DispatchInfo"},
            "execution_result": {
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": {
                    "outcome": {},
                    "resources_used": {},
                    "services_touched": texts,
                    "start_time": time,
                    "end_time": time,
                },
            },
            "metadata": object,
        },
    });
    let work_result = json!({
        "type": "object",
        "additionalProperties": false,
        "description": "The result of a task. `duration_ms` and `exit_code` are given once: here, or in `resources_used`.",
        "required": ["task_id", "status"],
        "properties": {
            "task_id": task_id,
            "status": status,
            "exit_code": {"type": ["integer", "null"]},
            "output": {},
            "error_message": text,
            "duration_ms": {"type": ["number", "null"], "minimum": 0},
            "agent_id": text,
            "trace_id": text,
            "request_id": text,
            "resources_used": object,
        },
    });
    let planned = json!({
        "type": "object",
        "additionalProperties": false,
        "description": "What is known about a task before its result.",
        "required": ["task_id"],
        "properties": {
            "task_id": task_id,
            "plan_id": text,
            "plan_steps": texts,
            "dispatch_info": {"$ref": "#/components/schemas/DispatchInfo"},
            "services_touched": texts,
            "start_time": time,
            "metadata": object,
        },
    });
    [
        ("DispatchInfo", dispatch_info),
        ("Outcome", outcome),
        ("WorkResult", work_result),
        ("PlannedTask", planned),
    ]
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{EVENT_ID, SEQUENCE, STATES, TIME};
    use outcome::parse_time;

    #[test]
    fn what_the_patterns_allow_is_understood() {
        let time = Regex::new(TIME).expect("a pattern");
        for text in [
            "2026-01-21",
            "2026-01-21T10:00:00Z",
            "2026-01-21 10:00:00.123456+00:00",
            "2024-02-29t23:59:60,5-0530",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-1-1",
            "2026-01-21T24:00",
            "2026-01-21T10:00+24",
        ] {
            assert_eq!(time.is_match(text), parse_time(text).is_some(), "{text}");
        }
        let matches = |pattern: &str, text: &str| Regex::new(pattern).expect("one").is_match(text);
        assert!(matches(STATES, "pending,blocked") && !matches(STATES, "pending,"));
        assert!(matches(SEQUENCE, "17") && !matches(SEQUENCE, "-1"));
        assert!(matches(EVENT_ID, &format!("17-{:040x}", 5)) && !matches(EVENT_ID, "17"));
    }
}
