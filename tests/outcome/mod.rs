//! The outcome document: valid documents and their meaning, and invalid ones with their messages.

mod json;
mod refused;

use chiffon_audit_cli::outcome::{
    DispatchInfo, ExecutionResult, Limits, Statuses, TaskOutcome, TaskStatus,
};

const GOOD: &str = r#""task_id":"t1","status":"completed""#;

/// Checks that the document is refused with exactly this message at this pointer.
#[track_caller]
fn check(document: impl AsRef<[u8]>, pointer: &str, message: &str) {
    check_all(document, &[(pointer, message)]);
}

#[track_caller]
fn check_all(document: impl AsRef<[u8]>, expected: &[(&str, &str)]) {
    let document = document.as_ref();
    let rejection = TaskOutcome::parse(document, &Limits::default()).expect_err("was accepted");
    let found: Vec<_> = rejection
        .violations
        .iter()
        .map(|violation| (violation.pointer.as_str(), violation.message.as_str()))
        .collect();
    let shown = String::from_utf8_lossy(&document[..document.len().min(200)]).into_owned();
    assert_eq!(found, expected, "{shown}");
}

#[track_caller]
fn accept(document: impl AsRef<[u8]>) -> TaskOutcome {
    TaskOutcome::parse(document.as_ref(), &Limits::default()).expect("a good document")
}

fn with(members: &str) -> String {
    format!("{{{GOOD},{members}}}")
}

fn with_outcome(value: &str) -> String {
    with(&format!(r#""execution_result":{{"outcome":{value}}}"#))
}

#[test]
fn the_required_fields_are_enough() {
    let outcome = accept(format!("{{{GOOD}}}"));
    assert_eq!(outcome.task_id.as_str(), "t1");
    assert_eq!(outcome.status, TaskStatus::Completed);
    assert_eq!(outcome.plan_id, None);
    assert!(outcome.plan_steps.is_empty());
    assert_eq!(outcome.dispatch_info, DispatchInfo::default());
    assert_eq!(outcome.execution_result, ExecutionResult::default());
    assert_eq!(outcome.execution_result.outcome, "{}");
    assert_eq!(outcome.metadata, None);
}

#[test]
fn every_field_arrives_as_it_was_written() {
    let outcome = accept(
        r#" {
        "status": "failed", "task_id": "deploy-42.2",
        "plan_id": "pl\u0061n", "plan_steps": ["a", "b\n"],
        "dispatch_info": {"agent_pool": "p", "agent_id": "a", "dispatch_timestamp": "2026-01-21 10:00:00+0100"},
        "execution_result": {
          "outcome" :  [1.0E+2, {"b" : 1, "a":-0}]  , "resources_used": 1e2,
          "services_touched": ["s"], "start_time": "2026-01-21", "end_time": "2026-01-21T10:00:00.5Z"},
        "metadata" : { "trace" : "\ud83d\ude00" }
        }
        "#,
    );
    assert_eq!(outcome.task_id.as_str(), "deploy-42.2");
    assert_eq!(outcome.status, TaskStatus::Failed);
    assert_eq!(outcome.plan_id.as_deref(), Some("plan"));
    assert_eq!(outcome.plan_steps, ["a", "b\n"]);
    let dispatch = outcome.dispatch_info;
    assert_eq!(dispatch.agent_pool.as_deref(), Some("p"));
    assert_eq!(dispatch.agent_id.as_deref(), Some("a"));
    assert_eq!(
        dispatch.dispatch_timestamp.as_deref(),
        Some("2026-01-21 10:00:00+0100")
    );
    let result = outcome.execution_result;
    assert_eq!(result.outcome, r#"[1.0E+2, {"b" : 1, "a":-0}]"#);
    assert_eq!(result.resources_used, "1e2");
    assert_eq!(result.services_touched, ["s"]);
    assert_eq!(result.start_time.as_deref(), Some("2026-01-21"));
    assert_eq!(result.end_time.as_deref(), Some("2026-01-21T10:00:00.5Z"));
    assert_eq!(
        outcome.metadata.as_deref(),
        Some(r#"{ "trace" : "\ud83d\ude00" }"#)
    );
}

#[test]
fn null_counts_as_left_out_except_where_any_json_may_stand() {
    let members = r#""plan_id":null,"plan_steps":null,"dispatch_info":null,"execution_result":null,"metadata":null"#;
    assert_eq!(accept(with(members)), accept(format!("{{{GOOD}}}")));
    let nested = r#""dispatch_info":{"agent_pool":null,"agent_id":null,"dispatch_timestamp":null},
        "execution_result":{"services_touched":null,"start_time":null,"end_time":null}"#;
    assert_eq!(accept(with(nested)), accept(format!("{{{GOOD}}}")));
    let result = accept(with(
        r#""execution_result":{"outcome":null,"resources_used": null }"#,
    ))
    .execution_result;
    assert_eq!(
        (result.outcome.as_str(), result.resources_used.as_str()),
        ("null", "null")
    );
}

#[test]
fn names_that_a_json_library_keeps_for_itself_are_kept_as_they_are() {
    for value in [
        r#"{"$serde_json::private::Number":"12"}"#,
        r#"{"$serde_json::private::RawValue":"1"}"#,
        r#"[{"$serde_json::private::Number":"12"}]"#,
    ] {
        assert_eq!(accept(with_outcome(value)).execution_result.outcome, value);
    }
    assert_eq!(
        accept(with(r#""metadata":{"$serde_json::private::RawValue":"1"}"#))
            .metadata
            .as_deref(),
        Some(r#"{"$serde_json::private::RawValue":"1"}"#)
    );
    check(
        with(r#""$serde_json::private::Number":"12""#),
        "/$serde_json::private::Number",
        "unknown field `$serde_json::private::Number`: put other data into `metadata`",
    );
    check(
        r#"{"task_id":{"$serde_json::private::RawValue":"t"},"status":"failed"}"#,
        "/task_id",
        "must be a string, not an object",
    );
}

#[test]
fn numbers_stay_as_they_were_written() {
    for number in [
        "1.0E+2",
        "-0",
        "-0.0",
        "100000000000000000000000000000001",
        "1.7976931348623157e+308",
        "0.10",
        "5e-324",
    ] {
        assert_eq!(
            accept(with_outcome(number)).execution_result.outcome,
            number
        );
    }
}

#[test]
fn statuses_are_the_four_and_what_the_configuration_adds() {
    let limits = Limits {
        statuses: Statuses::with(vec!["timed_out".into()]).unwrap(),
        ..Limits::default()
    };
    let parse = |status: &str| {
        let document = format!(r#"{{"task_id":"a","status":"{status}"}}"#);
        TaskOutcome::parse(document.as_bytes(), &limits).map(|outcome| outcome.status)
    };
    for (name, status) in [
        ("completed", TaskStatus::Completed),
        ("failed", TaskStatus::Failed),
        ("rejected", TaskStatus::Rejected),
        ("cancelled", TaskStatus::Cancelled),
        ("timed_out", TaskStatus::Other("timed_out".into())),
    ] {
        assert_eq!(parse(name).as_ref(), Ok(&status));
    }
    assert_eq!(
        parse("done").unwrap_err().violations[0].message,
        "is not a known status (completed, failed, rejected, cancelled, timed_out); the setting status_map maps other words"
    );
    assert!(parse("Completed").is_err());
    assert_eq!(
        Statuses::with(vec!["ok".into(), "Not OK".into()]).unwrap_err(),
        "Not OK"
    );
}

#[test]
fn a_refused_document_still_tells_its_task_id_where_it_can() {
    for (document, id) in [
        (r#"{"task_id":"a","status":"done"}"#, Some("a")),
        (r#"{"x":[[1]],"task_id":"a","status":NaN"#, Some("a")),
        ("\u{feff}{\"task_id\":\"a\"}", Some("a")),
        (
            r#"{"task_id":"../\u001b\u202e\n"}"#,
            Some("../\\u{1b}\\u{202e}\\n"),
        ),
        (r#"{"status":"done"}"#, None),
        (r#"{"task_id":7}"#, None),
        (r#"{"metadata":{"task_id":"a"}}"#, None),
        (r#"["task_id"]"#, None),
        ("", None),
    ] {
        assert_eq!(
            TaskOutcome::recover_task_id(document.as_bytes()).as_deref(),
            id,
            "{document}"
        );
    }
    let long = format!(r#"{{"task_id":"{}"}}"#, "\u{202e}".repeat(1000));
    assert_eq!(
        TaskOutcome::recover_task_id(long.as_bytes()).unwrap().len(),
        128
    );
    assert_eq!(
        TaskOutcome::recover_task_id("{\"a\":".repeat(100_000).as_bytes()),
        None
    );
}

#[test]
fn every_run_of_the_sample_data_is_an_outcome() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/airline-agent-runs.ndjson"
    );
    // The data is beside the repository, not in it.
    let Ok(lines) = std::fs::read_to_string(path) else {
        return;
    };
    assert_eq!(lines.lines().map(accept).count(), 100);
}
