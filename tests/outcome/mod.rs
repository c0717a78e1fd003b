//! The outcome document: what is accepted, what it becomes, and what is refused with which words.

mod json;

use chiffon_audit::outcome::{
    DispatchInfo, ExecutionResult, Limits, MAX_VIOLATIONS, Statuses, TaskOutcome, TaskStatus,
};

const GOOD: &str = r#""task_id":"t1","status":"completed""#;

/// Refused for exactly that, at that pointer, in those words.
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
        "unknown field `$serde_json::private::Number`: what has no field of its own goes into `metadata`",
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
fn text_that_is_no_document_is_refused() {
    check("", "", "is empty");
    check(" \r\n\t", "", "is empty");
    check(
        format!("\u{feff}{{{GOOD}}}"),
        "",
        "must not begin with a byte-order mark",
    );
    check(b"{\"task_id\":\"\xff\"}", "", "is not UTF-8 (byte 13)");
    check(b"\xff\xfe{\0}\0", "", "is not UTF-8 (byte 1)");
    check(
        format!("{{{GOOD}}} x"),
        "",
        "has something after its end (line 1, column 39)",
    );
    check(
        format!("{{{GOOD}}}{{{GOOD}}}"),
        "",
        "has something after its end (line 1, column 38)",
    );
    check(
        vec![b' '; (1 << 20) + 1],
        "",
        "is larger than the limit of 1048576 bytes",
    );
    check(
        with_outcome(&format!("\"{}\"", "x".repeat(2 << 20))),
        "",
        "is larger than the limit of 1048576 bytes",
    );
    for (document, kind) in [
        ("[]", "an array"),
        ("null", "null"),
        ("\"x\"", "a string"),
        (" 12 ", "a number"),
        ("true", "a boolean"),
    ] {
        check(document, "", &format!("must be an object, not {kind}"));
    }
}

#[test]
fn a_document_of_exactly_the_limit_is_accepted() {
    let frame = with_outcome("\"\"").len();
    accept(with_outcome(&format!(
        "\"{}\"",
        "x".repeat((1 << 20) - frame)
    )));
}

#[test]
fn json_that_readers_take_for_different_things_is_refused() {
    check(
        r#"{"task_id":"a","status":"failed","task_id":"b"}"#,
        "/task_id",
        "duplicate key",
    );
    check(
        r#"{"task_id":"a","status":"failed","\u0074ask_id":"b"}"#,
        "/task_id",
        "duplicate key",
    );
    check(
        with_outcome(r#"{"a":1,"\u0061":1}"#),
        "/execution_result/outcome/a",
        "duplicate key",
    );
    check(
        with(r#""metadata":[{"":0,"":0}]"#),
        "/metadata/0/",
        "duplicate key",
    );
    let (place, column) = ("/execution_result/outcome/0", 69);
    let nan = format!(
        "must not hold NaN or Infinity: JSON has no such numbers (line 1, column {column})"
    );
    check(with_outcome("[NaN]"), place, &nan);
    check(with_outcome("[Infinity]"), place, &nan);
    let infinite =
        |column| format!("holds a number that is not finite as a double (line 1, column {column})");
    check(with_outcome("[1e999]"), place, &infinite(column + 4));
    check(with_outcome("[-1e999]"), place, &infinite(column + 5));
    check(
        with_outcome(&format!("[{}]", "9".repeat(400))),
        place,
        &infinite(column + 399),
    );
    let surrogate = |column| format!("holds a lone surrogate (line 1, column {column})");
    check(with_outcome(r#"["\ud800"]"#), place, &surrogate(column + 7));
    check(with_outcome(r#"["\udc00"]"#), place, &surrogate(column + 6));
    check(
        with_outcome(r#"["\ud800\ud800"]"#),
        place,
        &surrogate(column + 12),
    );
}

#[test]
fn nesting_ends_at_64_and_does_not_reach_the_stack() {
    // The document and `execution_result` are two of the 64.
    let nested =
        |depth: usize| with_outcome(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    accept(nested(62));
    let pointer = format!("/execution_result/outcome{}", "/0".repeat(62));
    check(nested(63), &pointer, "is nested deeper than 64 levels");
    check(nested(100_000), &pointer, "is nested deeper than 64 levels");
    check(
        "[".repeat(100_000),
        &"/0".repeat(64),
        "is nested deeper than 64 levels",
    );
    check(
        r#"{"a":"#.repeat(100_000),
        &"/a".repeat(64),
        "is nested deeper than 64 levels",
    );
}

#[test]
fn what_is_missing_is_named() {
    check(r#"{"status":"failed"}"#, "/task_id", "is missing");
    check(r#"{"task_id":"a"}"#, "/status", "is missing");
    check_all(
        "{}",
        &[("/task_id", "is missing"), ("/status", "is missing")],
    );
}

#[test]
fn wrong_types_are_named() {
    let document =
        |task_id: &str, status: &str| format!(r#"{{"task_id":{task_id},"status":{status}}}"#);
    check_all(
        document("null", "1"),
        &[
            ("/task_id", "must be a string, not null"),
            ("/status", "must be a string, not a number"),
        ],
    );
    check(
        document("\"a\"", "[]"),
        "/status",
        "must be a string, not an array",
    );
    for (members, pointer, message) in [
        (
            r#""plan_id":7"#,
            "/plan_id",
            "must be a string, not a number",
        ),
        (
            r#""plan_steps":"a""#,
            "/plan_steps",
            "must be an array of strings, not a string",
        ),
        (
            r#""plan_steps":{}"#,
            "/plan_steps",
            "must be an array of strings, not an object",
        ),
        (
            r#""plan_steps":["a",null]"#,
            "/plan_steps/1",
            "must be a string, not null",
        ),
        (
            r#""dispatch_info":[]"#,
            "/dispatch_info",
            "must be an object, not an array",
        ),
        (
            r#""dispatch_info":{"agent_id":true}"#,
            "/dispatch_info/agent_id",
            "must be a string, not a boolean",
        ),
        (
            r#""execution_result":"x""#,
            "/execution_result",
            "must be an object, not a string",
        ),
        (
            r#""execution_result":{"services_touched":[[]]}"#,
            "/execution_result/services_touched/0",
            "must be a string, not an array",
        ),
        (
            r#""execution_result":{"start_time":1}"#,
            "/execution_result/start_time",
            "must be a string, not a number",
        ),
        (
            r#""metadata":"x""#,
            "/metadata",
            "must be an object, not a string",
        ),
        (
            r#""metadata":[]"#,
            "/metadata",
            "must be an object, not an array",
        ),
    ] {
        check(with(members), pointer, message);
    }
}

#[test]
fn times_must_be_iso_8601() {
    let message = "must be an ISO 8601 time such as 2026-01-21T10:00:00Z";
    check(
        with(r#""dispatch_info":{"dispatch_timestamp":"now"}"#),
        "/dispatch_info/dispatch_timestamp",
        message,
    );
    check(
        with(r#""execution_result":{"start_time":""}"#),
        "/execution_result/start_time",
        message,
    );
    check(
        with(r#""execution_result":{"end_time":"2026-02-30"}"#),
        "/execution_result/end_time",
        message,
    );
}

#[test]
fn unknown_fields_are_refused_by_name() {
    check(
        with(r#""priority":1"#),
        "/priority",
        "unknown field `priority`: what has no field of its own goes into `metadata`",
    );
    check(
        with(r#""timestamp":"2026-01-21T10:00:00Z""#),
        "/timestamp",
        "unknown field `timestamp`: the time of recording is set by the recorder",
    );
    check(
        with(r#""dispatch_info":{"a/b":1}"#),
        "/dispatch_info/a~1b",
        "unknown field `a/b` in `dispatch_info`",
    );
    check(
        with(r#""execution_result":{"exit_code":1}"#),
        "/execution_result/exit_code",
        "unknown field `exit_code` in `execution_result`",
    );
    check(
        with("\"a\\u001b[2J\u{202e}\":1"),
        "/a\u{1b}[2J\u{202e}",
        "unknown field `a\\u{1b}[2J\\u{202e}`: what has no field of its own goes into `metadata`",
    );
}

#[test]
fn everything_that_is_wrong_with_the_fields_is_told_at_once_up_to_a_bound() {
    check_all(
        r#"{"status":"done","x":1,"dispatch_info":{"y":1},"plan_steps":[1,2]}"#,
        &[
            (
                "/status",
                "is not a known status (completed, failed, rejected, cancelled)",
            ),
            (
                "/x",
                "unknown field `x`: what has no field of its own goes into `metadata`",
            ),
            ("/dispatch_info/y", "unknown field `y` in `dispatch_info`"),
            ("/plan_steps/0", "must be a string, not a number"),
            ("/plan_steps/1", "must be a string, not a number"),
            ("/task_id", "is missing"),
        ],
    );
    let many: Vec<String> = (0..1000).map(|index| format!("\"x{index}\":0")).collect();
    let rejection =
        TaskOutcome::parse(with(&many.join(",")).as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(rejection.violations.len(), MAX_VIOLATIONS);
}

#[test]
fn task_ids_that_are_no_safe_name_are_refused_for_their_rule() {
    let letters = "may hold only ASCII letters, digits, `.`, `_` and `-`";
    let first = "must begin with an ASCII letter or digit";
    for (id, rule) in [
        ("../../x", first),
        ("..", first),
        (".git/config", first),
        (".GIT", first),
        ("git~1", letters),
        (".g\u{200c}it", first),
        ("a/b", letters),
        ("a\\\\b", letters),
        ("/etc/passwd", first),
        ("C:x", letters),
        ("", "must not be empty"),
        (" ", first),
        ("a\\u0000", letters),
        ("a\\n\\nAudit-Task: forged", letters),
        ("\\u001b[2J", first),
        ("a\u{202e}", letters),
        (&"x".repeat(129), "must be at most 128 bytes long"),
        ("\u{e9}", first),
        ("e\u{301}", letters),
        ("CON", "must not be a Windows device name"),
        ("NUL.x", "must not be a Windows device name"),
        ("-x", first),
        ("--help", first),
        ("x.lock", "must not end in `.lock`"),
        ("x.", "must not end in `.`"),
        ("a..b", "must not contain `..`"),
        ("%2e%2e%2f", first),
    ] {
        check(
            format!(r#"{{"task_id":"{id}","status":"failed"}}"#),
            "/task_id",
            rule,
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
        "is not a known status (completed, failed, rejected, cancelled, timed_out)"
    );
    assert!(parse("Completed").is_err());
    assert_eq!(
        Statuses::with(vec!["ok".into(), "Not OK".into()]).unwrap_err(),
        "Not OK"
    );
}

#[test]
fn no_refusal_quotes_a_value() {
    let secret = "hunter2hunter2";
    for document in [
        format!(r#"{{"task_id":"{secret}/","status":"{secret}"}}"#),
        format!(
            r#"{{{GOOD},"plan_id":["{secret}"],"metadata":"{secret}","dispatch_info":"{secret}"}}"#
        ),
        format!(
            r#"{{{GOOD},"execution_result":{{"start_time":"{secret}","outcome":"{secret}\ud800"}}}}"#
        ),
        format!(r#"{{{GOOD},"plan_id":{secret}}}"#),
        format!(r#"{{{GOOD}}} {secret}"#),
    ] {
        let rejection = TaskOutcome::parse(document.as_bytes(), &Limits::default()).unwrap_err();
        assert!(!rejection.to_string().contains("hunter2"), "{rejection}");
    }
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
    // The data lies beside the repository, not in it.
    let Ok(lines) = std::fs::read_to_string(path) else {
        return;
    };
    assert_eq!(lines.lines().map(accept).count(), 100);
}
