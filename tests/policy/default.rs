//! The default policy, as the built-in component.

use super::*;
use chiffon_audit_cli::policy::{HostCall, LogLine};

const DOCUMENT: &str = r#"{"task_id":"deploy-42","status":"failed","plan_id":"plan-7","plan_steps":["build","deploy"],
    "dispatch_info":{"agent_pool":"infra","agent_id":"a-1","dispatch_timestamp":"2026-01-21T10:00:00Z"},
    "execution_result":{"outcome":{"n":1.0E+2,"private":{"$serde_json::private::Number":"12"},"s":"\u00e9é"},
    "resources_used":{},"services_touched":["web"],"start_time":null,"end_time":"2026-01-21T10:05:00Z"},
    "metadata":{"actor":"ci"}}"#;

const ENTRY: &str = r#"{
  "task_id": "deploy-42",
  "status": "failed",
  "plan_id": "plan-7",
  "plan_steps": [
    "build",
    "deploy"
  ],
  "dispatch_info": {
    "agent_pool": "infra",
    "agent_id": "a-1",
    "dispatch_timestamp": "2026-01-21T10:00:00Z"
  },
  "execution_result": {
    "outcome": {
      "n": 1.0E+2,
      "private": {
        "$serde_json::private::Number": "12"
      },
      "s": "\u00e9é"
    },
    "resources_used": {},
    "services_touched": [
      "web"
    ],
    "start_time": null,
    "end_time": "2026-01-21T10:05:00Z"
  },
  "metadata": {
    "actor": "ci"
  },
  "timestamp": "2026-01-21T10:05:02.000123Z"
}
"#;

#[test]
fn an_outcome_becomes_its_entry_and_its_subject() {
    let call = call(builtin(), &outcome(DOCUMENT), None);
    let subject = "audit: task deploy-42 failed at 2026-01-21T10:05:02.000123Z".to_owned();
    assert_eq!(
        call.verdict,
        Ok(Verdict::Commit {
            entry: ENTRY.into(),
            subject
        })
    );
    assert_eq!(call.log, Vec::<LogLine>::new());
    let bytes = ENTRY.len();
    let expected = [
        HostCall::Read { found: false },
        HostCall::Now,
        HostCall::WriteNew { bytes },
        HostCall::Commit,
    ];
    assert_eq!(call.calls, expected);
    assert_eq!(call.host_calls, 4);
    assert!(call.read_entry);
    assert!(call.fuel > 0 && call.fuel < 1_000_000, "{}", call.fuel);
    assert!(call.memory > 0 && call.memory < 4 << 20, "{}", call.memory);
}

#[test]
fn the_same_outcome_again_is_already_recorded() {
    let outcome = outcome(DOCUMENT);
    let earlier = ENTRY.replace("10:05:02.000123", "09:00:00.000000");
    for existing in [ENTRY, &earlier, DOCUMENT] {
        let call = call(builtin(), &outcome, Some(existing.as_bytes()));
        assert_eq!(call.verdict, Ok(Verdict::AlreadyRecorded));
        assert_eq!(call.calls[0], HostCall::Read { found: true });
    }
}

#[test]
fn another_outcome_for_the_same_task_conflicts_and_names_the_fields() {
    let existing = ENTRY
        .replace("\"failed\"", "\"completed\"")
        .replace("1.0E+2", "100");
    let call = call(builtin(), &outcome(DOCUMENT), Some(existing.as_bytes()));
    let message = "the task has an entry that differs in /execution_result/outcome/n and /status; a task that is tried again is \
                   a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)";
    assert_eq!(call.verdict, Ok(Verdict::Conflicting(message.to_owned())));
}

#[test]
fn every_status_is_written_by_its_name() {
    let limits = outcome::Limits {
        statuses: outcome::Statuses::with(vec!["timed-out".to_owned()]).unwrap(),
        ..outcome::Limits::default()
    };
    for status in ["completed", "failed", "rejected", "cancelled", "timed-out"] {
        let document = format!(r#"{{"task_id":"t","status":"{status}"}}"#);
        let outcome = TaskOutcome::parse(document.as_bytes(), &limits).unwrap();
        let entry = committed(call(builtin(), &outcome, None));
        assert!(
            entry.contains(&format!("\"status\": \"{status}\"")),
            "{entry}"
        );
    }
}

#[test]
fn its_own_entry_is_a_fixed_point() {
    let entry = committed(call(builtin(), &outcome(DOCUMENT), None));
    let without_timestamp =
        entry.replace(",\n  \"timestamp\": \"2026-01-21T10:05:02.000123Z\"", "");
    assert_eq!(
        committed(call(builtin(), &outcome(&without_timestamp), None)),
        entry
    );
}

#[test]
fn a_trail_that_cannot_be_read_is_unavailable() {
    let trail = Trail(Err("object database is locked".to_owned()));
    let call = builtin().call(&task_t(), Box::new(trail), NOW, &PolicySettings::default());
    let reason = "could not read the task's entry: object database is locked".to_owned();
    assert_eq!(call.verdict, Ok(Verdict::Unavailable(reason)));
}

#[test]
fn an_entry_beyond_the_limit_is_refused() {
    let engine = limited(Limits {
        entry_bytes: 300,
        ..Limits::default()
    });
    let call = call(&Policy::builtin(&engine).unwrap(), &task_t(), None);
    let Ok(Verdict::Refused(violations)) = call.verdict else {
        panic!("{:?}", call.verdict)
    };
    assert_eq!(
        violations[0].message,
        "the entry would be larger than the limit of 300 bytes"
    );
}

#[test]
fn the_largest_outcomes_stay_within_every_limit() {
    let document = |unit: &str, size: usize, last: u8| {
        let list = unit.repeat(size / unit.len());
        outcome(&format!(
            r#"{{"task_id":"t","status":"failed","execution_result":{{"outcome":[{list}{last}]}}}}"#
        ))
    };
    // As many values as an entry of the largest size can hold, all of them equal except the last.
    for unit in ["1,", "[[]],", "{\"a\":\"b\"},"] {
        let sizes = [300 << 10, 400 << 10];
        let entries = sizes.map(|size| call(builtin(), &document(unit, size, 0), None));
        let Some(entry) = entries.into_iter().find_map(|call| match call.verdict {
            Ok(Verdict::Commit { entry, .. }) => Some(entry),
            _ => None,
        }) else {
            panic!("{unit}");
        };
        for size in sizes {
            let again = call(builtin(), &document(unit, size, 1), Some(&entry));
            assert!(
                matches!(again.verdict, Ok(Verdict::Conflicting(_))),
                "{:?}",
                again.verdict
            );
            assert!(again.fuel < 600_000_000, "{}", again.fuel);
        }
    }
    // The greatest expansion of a document by indentation.
    let deep = ["[".repeat(60), "]".repeat(60), ",".to_owned()].concat();
    let call = call(builtin(), &document(&deep, 1_000_000, 0), None);
    assert!(call.fuel < 800_000_000, "{}", call.fuel);
    let Ok(Verdict::Refused(violations)) = call.verdict else {
        panic!("{:?}", call.verdict)
    };
    assert_eq!(
        violations[0].message,
        "the entry would be larger than the limit of 2097152 bytes"
    );
}

#[test]
fn it_answers_on_many_threads_at_once() {
    let expected = committed(call(builtin(), &outcome(DOCUMENT), None));
    std::thread::scope(|scope| {
        // More threads than the pool has places.
        for _ in 0..48 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(
                        committed(call(builtin(), &outcome(DOCUMENT), None)),
                        expected
                    );
                }
            });
        }
    });
}
