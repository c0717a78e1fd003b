//! The decision: what is recorded, what is the same, and where two entries differ.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chiffon_audit_policy::policy::{Decision, Violation, decide};
use common::{Document, NOW, TIMESTAMP};

const FULL: &str = r#"{"task_id":"t","status":"completed","plan_id":"p","plan_steps":["a","b"],"dispatch_info":{"agent_id":"x"},
    "execution_result":{"outcome":{"n":1.0,"s":"é","deep":{"list":[1,{"k":true}]}},"services_touched":["web"]},
    "metadata":{"actor":"ci"}}"#;

fn against(document: &str, existing: &str) -> Decision {
    decide(
        &Document::parse(document).outcome(),
        Some(existing.as_bytes()),
        NOW,
    )
}

/// The pointers that a conflict names.
fn differing(document: &str, existing: &str) -> String {
    match against(document, existing) {
        Decision::AlreadyRecorded => "same".to_owned(),
        Decision::Conflicting(message) => {
            let (_, rest) = message.split_once(" differs in ").unwrap_or(("", &message));
            rest.split_once("; ")
                .map_or(rest, |(pointers, _)| pointers)
                .to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_an_entry_the_outcome_is_recorded() {
    let document = Document::parse(FULL);
    assert_eq!(
        decide(&document.outcome(), None, NOW),
        Decision::Record {
            entry: document.entry().into_bytes(),
            subject: format!("audit: task t completed at {TIMESTAMP}"),
        }
    );
}

#[test]
fn its_own_entry_at_another_time_is_already_recorded() {
    let entry = Document::parse(FULL).entry();
    assert_eq!(against(FULL, &entry), Decision::AlreadyRecorded);
    for time in ["1999-12-31T23:59:59.000001Z", "yesterday", ""] {
        assert_eq!(
            against(FULL, &entry.replace(TIMESTAMP, time)),
            Decision::AlreadyRecorded,
            "{time}"
        );
    }
}

#[test]
fn the_same_is_equal_after_defaults_with_members_in_any_order_and_strings_decoded() {
    for existing in [
        // Other layout and order, escapes, no timestamp at all.
        r#"{"status":"completed","task_id":"\u0074","metadata":{"actor":"c\u0069"},"plan_steps":["a","b"],"plan_id":"p",
            "execution_result":{"services_touched":["web"],"outcome":{"deep":{"list":[1,{"k":true}]},"\u0073":"\u00e9","n":1.0}},
            "dispatch_info":{"agent_id":"x"}}"#,
        // Defaults written out, as null and in full.
        r#"{"timestamp":7,"task_id":"t","status":"completed","plan_id":"p","plan_steps":["a","b"],
            "dispatch_info":{"agent_pool":null,"agent_id":"x","dispatch_timestamp":null},"metadata":{"actor":"ci"},
            "execution_result":{"outcome":{"n":1.0,"s":"é","deep":{"list":[1,{"k":true}]}},"resources_used":{},
            "services_touched":["web"],"start_time":null}}"#,
    ] {
        assert_eq!(differing(FULL, existing), "same");
    }
    let bare = r#"{"task_id":"t","status":"failed"}"#;
    for existing in [
        bare,
        r#"{"task_id":"t","status":"failed","plan_id":null,"plan_steps":null,"dispatch_info":null,"execution_result":null,
            "metadata":null}"#,
        r#"{"task_id":"t","status":"failed","plan_steps":[],"dispatch_info":{},"execution_result":{"services_touched":null,
            "outcome":{},"resources_used":{}}}"#,
    ] {
        assert_eq!(differing(bare, existing), "same");
    }
}

#[test]
fn each_difference_is_named_at_its_own_place() {
    let entry = Document::parse(FULL).entry();
    for (from, to, expected) in [
        ("\"completed\"", "\"failed\"", "/status"),
        ("\"p\"", "null", "/plan_id"),
        ("\"n\": 1.0", "\"n\": 1", "/execution_result/outcome/n"),
        (
            "\"n\": 1.0",
            "\"m\": 1.0",
            "/execution_result/outcome/m and /execution_result/outcome/n",
        ),
        (
            "\"k\": true",
            "\"k\": \"true\"",
            "/execution_result/outcome/deep/list/1/k",
        ),
        (
            "\"k\": true",
            "\"k\": true, \"~/\": 1",
            "/execution_result/outcome/deep/list/1/~0~1",
        ),
        ("\"k\": true", "", "/execution_result/outcome/deep/list/1/k"),
        ("\"b\"\n", "\"b\", \"c\"\n", "/plan_steps/2"),
        (
            "\"agent_id\": \"x\"",
            "\"agent_id\": []",
            "/dispatch_info/agent_id",
        ),
        (
            "\"resources_used\": {}",
            "\"resources_used\": null",
            "/execution_result/resources_used",
        ),
        (
            "\"resources_used\": {}",
            "\"resources_used\": {\"a\": 1}",
            "/execution_result/resources_used/a",
        ),
        (
            "\"metadata\": {",
            "\"meta\": null, \"metadata\": {",
            "/meta",
        ),
        ("\"actor\": \"ci\"", "\"actor\": \"me\"", "/metadata/actor"),
        (
            "\"actor\": \"ci\"",
            "\"actor\": \"ci\", \"\\u0061ctor\": \"ci\"",
            "/metadata/actor",
        ),
        ("\"status\"", "\"task_id\": \"t\", \"status\"", "/task_id"),
        (
            "\"plan_id\": \"p\"",
            "\"timestamps\": 1, \"plan_id\": \"p\"",
            "/timestamps",
        ),
    ] {
        assert!(entry.contains(from), "{from}");
        assert_eq!(
            differing(FULL, &entry.replacen(from, to, 1)),
            expected,
            "{from} -> {to}"
        );
    }
    // Metadata on one side only.
    let bare = r#"{"task_id":"t","status":"failed"}"#;
    assert_eq!(
        differing(bare, r#"{"task_id":"t","status":"failed","metadata":{}}"#),
        "/metadata"
    );
    assert_eq!(
        differing(r#"{"task_id":"t","status":"failed","metadata":{}}"#, bare),
        "/metadata"
    );
}

#[test]
fn a_conflict_says_what_to_do_and_names_few_places() {
    let Decision::Conflicting(message) = against(FULL, r#"{"task_id":"t","status":"failed"}"#)
    else {
        panic!("no conflict");
    };
    assert_eq!(
        message,
        "the task has an entry that differs in /dispatch_info/agent_id, /execution_result/outcome, \
         /execution_result/services_touched, /metadata, /plan_id, /plan_steps and /status; a task that is tried again \
         is a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)"
    );
    let many = |value: u8| {
        let list = format!("[{}]", vec![value.to_string(); 1000].join(","));
        format!(r#"{{"task_id":"t","status":"failed","execution_result":{{"outcome":{list}}}}}"#)
    };
    let named = differing(&many(1), &many(2));
    assert!(
        named.starts_with("/execution_result/outcome/0, /execution_result/outcome/1, "),
        "{named}"
    );
    assert!(
        named.ends_with(", /execution_result/outcome/9 and 990 more"),
        "{named}"
    );
}

#[test]
fn a_conflict_stays_short_and_quotes_no_value() {
    let document = |secret: &str| {
        let members: Vec<String> = (0..20)
            .map(|at| format!("\"{at}{}\":\"{secret}\"", "é".repeat(5000)))
            .collect();
        format!(
            r#"{{"task_id":"t","status":"failed","metadata":{{{}}}}}"#,
            members.join(",")
        )
    };
    let Decision::Conflicting(message) = against(&document("hunter2"), &document("letmein")) else {
        panic!("no conflict");
    };
    assert!(message.len() <= 4096, "{}", message.len());
    assert!(message.contains('…') && message.contains(" and 10 more"));
    assert!(!message.contains("hunter2") && !message.contains("letmein"));
}

#[test]
fn what_is_no_entry_conflicts_and_says_why() {
    for (existing, reason) in [
        (&b""[..], "the task's entry on the trail is not JSON"),
        (b"[]", "the task's entry on the trail is not a JSON object"),
        (
            b"null",
            "the task's entry on the trail is not a JSON object",
        ),
        (b"{} {}", "the task's entry on the trail is not JSON"),
        (b"{\"a\":1,}", "the task's entry on the trail is not JSON"),
        (
            b"{\"a\":\"\xff\"}",
            "the task's entry on the trail is not UTF-8",
        ),
    ] {
        let decision = decide(
            &Document::named("t", "failed").outcome(),
            Some(existing),
            NOW,
        );
        assert_eq!(decision, Decision::Conflicting(reason.to_owned()));
    }
    let deep = format!("{{\"a\":{}0{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let decision = decide(
        &Document::named("t", "failed").outcome(),
        Some(deep.as_bytes()),
        NOW,
    );
    assert_eq!(
        decision,
        Decision::Conflicting("the task's entry on the trail is nested too deeply".to_owned())
    );
}

#[test]
fn an_outcome_without_a_name_or_a_status_is_refused() {
    let violation = |pointer| Violation {
        pointer,
        message: "must not be empty".to_owned(),
    };
    assert_eq!(
        decide(&Document::named("", "").outcome(), None, NOW),
        Decision::Refused(vec![violation("/task_id"), violation("/status")])
    );
    let broken = Document {
        outcome: "nonsense".to_owned(),
        ..Document::named("t", "failed")
    };
    assert_eq!(
        decide(&broken.outcome(), None, NOW),
        Decision::Refused(vec![Violation {
            pointer: "/execution_result/outcome",
            message: "must be JSON".to_owned()
        }])
    );
}

#[test]
fn a_mebibyte_is_compared_in_linear_time() {
    for unit in ["1,", "[[]],", "{\"a\":\"b\"},", "\"\\\\\\\"\","] {
        let document = |last: &str| {
            let list = unit.repeat((1 << 20) / unit.len());
            format!(
                r#"{{"task_id":"t","status":"failed","execution_result":{{"outcome":[{list}{last}]}}}}"#
            )
        };
        assert_eq!(differing(&document("0"), &document("0")), "same");
        assert!(
            differing(&document("0"), &document("1")).starts_with("/execution_result/outcome/")
        );
    }
    let members = |prefix: &str| {
        let members: Vec<String> = (0..60_000)
            .map(|at| format!("\"{prefix}{at}\":{at}"))
            .collect();
        format!(
            r#"{{"task_id":"t","status":"failed","metadata":{{{}}}}}"#,
            members.join(",")
        )
    };
    assert_eq!(
        differing(&members(""), &members("\\u002d").replace("\\u002d", "")),
        "same"
    );
    assert!(differing(&members("a"), &members("b")).ends_with(" and 119990 more"));
}
