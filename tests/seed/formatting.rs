//! The seed's `TestAuditEntryFormatting`. Golden: the entry's format is public.

use super::*;

#[test]
fn an_entry_has_the_seeds_fields_in_the_seeds_order() {
    let expected = r#"{
  "task_id": "7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11",
  "status": "completed",
  "plan_id": "release-7",
  "plan_steps": [
    "build",
    "roll out"
  ],
  "dispatch_info": {
    "agent_pool": "deployers",
    "agent_id": "agent-3",
    "dispatch_timestamp": "2026-01-21T09:59:00Z"
  },
  "execution_result": {
    "outcome": {
      "exit_code": 0,
      "ratio": 1.0E+2,
      "note": "caf\u00e9"
    },
    "resources_used": {
      "cpu_seconds": 12.50,
      "bytes": 18446744073709551616
    },
    "services_touched": [
      "checkout",
      "payments"
    ],
    "start_time": "2026-01-21T09:59:02+01:00",
    "end_time": "2026-01-21T10:00:00Z"
  },
  "timestamp": "2026-01-21T10:00:00.000000Z"
}
"#;
    assert_eq!(Service::new().entry(), expected);
}

#[test]
fn the_timestamp_is_iso_8601_in_utc_and_the_time_of_recording() {
    let service = Service::new();
    let entry = json(&service.entry());
    assert_eq!(entry["timestamp"], NOW);
    // The subject and git's own date have the same time.
    let shown = service.repo.git(&[
        "show",
        "-s",
        "--date=iso-strict",
        "--format=%s|%ad|%cd",
        "HEAD",
    ]);
    let date = shown.trim().split_once('|').unwrap();
    assert!(date.0.ends_with(NOW), "{shown}");
    assert!(
        matches!(
            date.1,
            "2026-01-21T10:00:00+00:00|2026-01-21T10:00:00+00:00"
                | "2026-01-21T10:00:00Z|2026-01-21T10:00:00Z"
        ),
        "{shown}"
    );
}

#[test]
fn dispatch_info_has_its_three_fields_given_or_not() {
    let service = Service::new();
    let entry = json(&service.entry());
    assert_eq!(
        entry["dispatch_info"],
        json(
            r#"{"agent_pool":"deployers","agent_id":"agent-3","dispatch_timestamp":"2026-01-21T09:59:00Z"}"#
        )
    );

    service.record(&outcome("bare", "failed"));
    let entry = json(&service.repo.git(&["show", "HEAD:.audit/tasks/bare.json"]));
    assert_eq!(
        entry["dispatch_info"],
        json(r#"{"agent_pool":null,"agent_id":null,"dispatch_timestamp":null}"#)
    );
}

#[test]
fn execution_result_has_its_five_fields_with_numbers_and_times_as_they_were_written() {
    let service = Service::new();
    let entry = service.entry();
    for kept in [
        "1.0E+2",
        "12.50",
        "18446744073709551616",
        "2026-01-21T09:59:02+01:00",
    ] {
        assert!(entry.contains(kept), "{kept} in {entry}");
    }

    service.record(&outcome("bare", "failed"));
    let entry = json(&service.repo.git(&["show", "HEAD:.audit/tasks/bare.json"]));
    assert_eq!(
        entry["execution_result"],
        json(
            r#"{"outcome":{},"resources_used":{},"services_touched":[],"start_time":null,"end_time":null}"#
        )
    );
}

#[test]
fn an_entry_is_valid_json_and_what_is_no_json_never_becomes_one() {
    let service = Service::new();
    assert!(json(&service.entry()).is_object());
    // The seed's `json.dumps` writes these, and a strict reader then rejects the entry.
    let head = service.head();
    for number in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let answer = service.record(&format!(
            r#"{{"task_id":"n","status":"completed","execution_result":{{"outcome":{{"x":{number}}}}}}}"#
        ));
        assert_eq!(answer.result, AnswerKind::Refused, "{number}");
    }
    assert_eq!(service.head(), head);
}
