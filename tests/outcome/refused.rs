//! Documents that are not outcomes, each refused with the position and a message.

use chiffon_audit_cli::outcome::{Limits, MAX_VIOLATIONS, TaskOutcome};

use super::{GOOD, accept, check, check_all, with, with_outcome};

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
        "must not hold NaN or Infinity: JSON has no such numbers; set outcome.non_finite to null or string to take them (line 1, column {column})"
    );
    check(with_outcome("[NaN]"), place, &nan);
    check(with_outcome("[Infinity]"), place, &nan);
    let infinite = |column| {
        format!(
            "holds a number that is not finite as a double; set outcome.non_finite to null or string to take it (line 1, column {column})"
        )
    };
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
        "unknown field `priority`: put other data into `metadata`",
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
        "unknown field `a\\u{1b}[2J\\u{202e}`: put other data into `metadata`",
    );
}

#[test]
fn everything_that_is_wrong_with_the_fields_is_told_at_once_up_to_a_bound() {
    check_all(
        r#"{"status":"done","x":1,"dispatch_info":{"y":1},"plan_steps":[1,2]}"#,
        &[
            (
                "/status",
                "is not a known status (completed, failed, rejected, cancelled); the setting status_map maps other words",
            ),
            ("/x", "unknown field `x`: put other data into `metadata`"),
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
            &format!("{rule}; `--encode-ids`, or `?ids=encode` over HTTP, takes any id"),
        );
    }
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
