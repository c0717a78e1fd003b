//! Policies with answers that are false, or not in the interface's form: each is detected, and the message says what it
//! did.

use super::guest::{hostile, hostile_with};
use super::*;

const ENTRY: &str =
    "{\"task_id\":\"t\",\"status\":\"completed\",\"timestamp\":\"2026-01-21T10:05:02.000123Z\"}\n";

#[test]
fn already_recorded_is_passed_on_for_the_recorder_to_check() {
    assert_eq!(
        ask(&hostile("already-recorded", &[])).verdict,
        Ok(Verdict::AlreadyRecorded)
    );
}

#[test]
fn committed_is_believed_only_after_one_entry_and_one_commit() {
    let call = ask(&hostile("committed-without-commit", &[]));
    assert_eq!(
        fault(call),
        "policy answered `committed` without asking for a commit"
    );
    let call = ask(&hostile("committed-without-staging", &[]));
    assert_eq!(
        fault(call),
        "policy answered `committed` without staging an entry"
    );
}

#[test]
fn an_entry_is_staged_once_and_never_over_another() {
    assert_eq!(committed(ask(&hostile("stages-twice", &[]))), ENTRY);
    let policy = Policy::load(engine(), "hostile", &hostile("overwrites", &[])).unwrap();
    let call = call(&policy, &task_t(), Some(b"{}"));
    assert_eq!(
        fault(call),
        "policy answered `committed` without staging an entry: the task has one already"
    );
}

#[test]
fn an_entry_that_lies_is_caught() {
    let time = "\"timestamp\":\"2026-01-21T10:05:02.000123Z\"";
    let entry = |members: &str| format!("{{{members},{time}}}").into_bytes();
    let right = "\"task_id\":\"t\",\"status\":\"completed\"";
    let at = |timestamp: &str| format!("{{{right},\"timestamp\":{timestamp}}}").into_bytes();
    let wrong_time = "has another `timestamp` than the time of recording (RFC 3339, UTC, six fractional digits and `Z`)";
    let deep = |depth: usize| {
        entry(&format!(
            "{right},\"x\":{}{}",
            "[".repeat(depth),
            "]".repeat(depth)
        ))
    };
    let many: String = (0..40).map(|at| format!(",\"k{at}\":{at}")).collect();
    let cases = [
        (
            entry("\"task_id\":\"u\",\"status\":\"completed\""),
            "has another `task_id` than the outcome's",
        ),
        (
            entry("\"task_id\":[\"t\"],\"status\":\"completed\""),
            "has another `task_id` than the outcome's",
        ),
        (
            entry("\"task_id\":null,\"status\":\"completed\""),
            "has another `task_id` than the outcome's",
        ),
        (
            entry("\"task_id\":\"t\",\"status\":\"failed\""),
            "has another `status` than the outcome's",
        ),
        (
            entry("\"task_id\":\"t\",\"status\":{}"),
            "has another `status` than the outcome's",
        ),
        (entry("\"status\":\"completed\""), "has no `task_id`"),
        (entry("\"task_id\":\"t\""), "has no `status`"),
        (format!("{{{right}}}").into_bytes(), "has no `timestamp`"),
        (at("\"2026-01-21T10:05:02.000124Z\""), wrong_time),
        (at("\"2026-01-21T10:05:02.000123+00:00\""), wrong_time),
        (at("\"2026-01-21T10:05:02.000123000Z\""), wrong_time),
        (at("1768989902"), wrong_time),
        (
            entry(&format!("{right},\"x\":{{\"a\":1,\"\\u0061\":2}}")),
            "has a duplicate key (line 1",
        ),
        (
            entry(&format!("{right},\"status\":\"completed\"")),
            "has a duplicate key (line 1",
        ),
        (
            entry(&format!("{right},\"x\":{{\"k39\":0{many}}}")),
            "has a duplicate key (line 1",
        ),
        (
            entry(&format!("{right},\"x\":1e999")),
            "is not JSON (line 1",
        ),
        (entry(&format!("{right},\"x\":NaN")), "is not JSON (line 1"),
        (
            entry(&format!("{right},\"x\":\"\\ud800\"")),
            "is not JSON (line 1",
        ),
        (entry(&format!("{right},")), "is not JSON (line 1"),
        (deep(200), "is nested more than 127 deep (line 1"),
        (b"[]".to_vec(), "is not a JSON object"),
        (b"\"t\"".to_vec(), "is not a JSON object"),
        (b"".to_vec(), "is not JSON (line 1, column 0)"),
        (b"{} {}".to_vec(), "is not JSON (line 1, column 4)"),
        (b"\xef\xbb\xbf{}".to_vec(), "is not JSON (line 1, column 1)"),
        (b"{\"a\":\"\xff\"}".to_vec(), "is not UTF-8"),
    ];
    for (bytes, expected) in cases {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let call = ask(&hostile_with("entry", "ENTRY", &bytes));
        let said = fault(call);
        assert!(
            said.starts_with(&format!("policy's entry {expected}")),
            "{said}: {text}"
        );
    }
    for honest in [
        deep(64),
        entry(&format!("{right},\"x\":{{\"k40\":0{many}}}")),
    ] {
        committed(ask(&hostile_with("entry", "ENTRY", &honest)));
    }
}

#[test]
fn an_entry_beyond_the_limit_is_too_large_and_far_beyond_it_stops_the_policy() {
    let call = ask(&hostile("large-entry", &[("SIZE", "2097153")]));
    assert_eq!(
        fault(call),
        "policy's entry exceeds the limit of 2097152 bytes (setting policy.entry_bytes)"
    );
    let engine = limited(Limits {
        host_call_bytes: 16 << 20,
        ..Limits::default()
    });
    let call = ask_in(&engine, &hostile("large-entry", &[("SIZE", "20000000")]));
    assert_eq!(
        fault(call),
        "policy exceeded its limit of 16777216 bytes in one call or answer (setting policy.host_call_bytes)"
    );
}

#[test]
fn a_subject_is_one_printable_line() {
    let long = "x".repeat(201);
    for (subject, problem) in [
        ("", "is empty"),
        (long.as_str(), "is longer than 200 bytes"),
        (
            "audit: task t\n\nAudit-Task: u",
            "holds control, format or line-separating characters",
        ),
        (
            "a\rb",
            "holds control, format or line-separating characters",
        ),
        (
            "a\u{1b}[2Jb",
            "holds control, format or line-separating characters",
        ),
        (
            "a\u{202e}b",
            "holds control, format or line-separating characters",
        ),
        (
            "a\u{2028}b",
            "holds control, format or line-separating characters",
        ),
        (
            "a\u{85}b",
            "holds control, format or line-separating characters",
        ),
        (
            "a\u{e0041}b",
            "holds control, format or line-separating characters",
        ),
        (" a", "begins or ends with white space"),
        ("a\u{a0}", "begins or ends with white space"),
    ] {
        let call = ask(&hostile_with("subject", "SUBJECT", subject.as_bytes()));
        assert_eq!(
            fault(call),
            format!("policy asked for a commit whose subject {problem}")
        );
    }
    for subject in ["x", "é 😀 – any words", &"x".repeat(200)] {
        let call = ask(&hostile_with("subject", "SUBJECT", subject.as_bytes()));
        assert!(
            matches!(call.verdict, Ok(Verdict::Commit { subject: said, .. }) if said == subject)
        );
    }
}

#[test]
fn text_that_is_not_utf8_cannot_be_read() {
    for component in [
        hostile_with("subject", "SUBJECT", b"audit \xff"),
        hostile(
            "reason",
            &[("REASON", "\\ff\\fe"), ("KIND", "1"), ("LENGTH", "2")],
        ),
    ] {
        assert_eq!(
            fault(ask(&component)),
            "policy passed text that is not UTF-8"
        );
    }
}

#[test]
fn an_answer_that_points_outside_of_memory_cannot_be_read() {
    let text = fault(ask(&hostile(
        "reason",
        &[("REASON", ""), ("KIND", "2"), ("LENGTH", "2000000000")],
    )));
    assert!(
        text.starts_with("policy's answer could not be read: "),
        "{text}"
    );
    let text = fault(ask(&hostile(
        "reason",
        &[("REASON", ""), ("KIND", "9"), ("LENGTH", "0")],
    )));
    assert!(
        text.starts_with("policy's answer could not be read: "),
        "{text}"
    );
}

#[test]
fn reasons_and_refusals_keep_to_the_interface() {
    let said = |kind: &str, reason: &str| {
        let length = reason.len().to_string();
        ask(&hostile(
            "reason",
            &[("REASON", reason), ("KIND", kind), ("LENGTH", &length)],
        ))
    };
    assert_eq!(
        said("1", "other words").verdict,
        Ok(Verdict::Conflicting("other words".to_owned()))
    );
    assert_eq!(
        said("2", "later").verdict,
        Ok(Verdict::Unavailable("later".to_owned()))
    );
    assert_eq!(
        fault(said("1", " ")),
        "policy's answer `conflicting` has a reason that is empty"
    );
    let call = ask(&hostile("long-reason", &[("SIZE", "5000")]));
    assert_eq!(
        fault(call),
        "policy's answer `unavailable` has a reason that is longer than 4096 bytes"
    );

    let refused = |count: usize, pointer: &str| {
        let (count, length) = (count.to_string(), pointer.len().to_string());
        ask(&hostile(
            "refusal",
            &[
                ("COUNT", &*count),
                ("POINTER", pointer),
                ("LENGTH", &*length),
            ],
        ))
    };
    let Ok(Verdict::Refused(violations)) = refused(100, "/metadata/a~1b").verdict else {
        panic!("not refused")
    };
    assert_eq!(
        (
            violations.len(),
            &*violations[99].pointer,
            &*violations[99].message
        ),
        (100, "/metadata/a~1b", "no")
    );
    assert_eq!(fault(refused(0, "")), "policy's refusal lists no violation");
    assert_eq!(
        fault(refused(101, "")),
        "policy's refusal lists more than 100 violations"
    );
    for pointer in ["metadata", "/a~2", "/a~"] {
        assert_eq!(
            fault(refused(1, pointer)),
            "policy's refusal has a pointer that is not a JSON pointer"
        );
    }
    let long = format!("/{}", "x".repeat(1024));
    assert_eq!(
        fault(refused(1, &long)),
        "policy's refusal has a pointer or a message longer than 1024 bytes"
    );
}
