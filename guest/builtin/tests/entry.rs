//! The entry's bytes: golden, because they are public API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chiffon_audit_policy::entry;
use chiffon_audit_policy::outcome::Time;
use common::{Document, NOW, TIMESTAMP};

fn check(document: &str, expected: &str) {
    assert_eq!(Document::parse(document).entry(), expected);
}

#[test]
fn an_outcome_with_everything_becomes_this_entry() {
    check(
        r#"{"task_id":"deploy-42","status":"completed","plan_id":"plan-7","plan_steps":["build","deploy"],
            "dispatch_info":{"agent_pool":"infra","agent_id":"agent-1","dispatch_timestamp":"2026-01-21T10:00:00Z"},
            "execution_result":{"outcome":{"message":"done","warnings":[]},"resources_used":{"cpu":1.50,"gpu":{}},
            "services_touched":["web","db"],"start_time":"2026-01-21T10:00:01Z","end_time":"2026-01-21T10:05:00Z"},
            "metadata":{"actor":"ci","tags":["a",["b"]]}}"#,
        r#"{
  "task_id": "deploy-42",
  "status": "completed",
  "plan_id": "plan-7",
  "plan_steps": [
    "build",
    "deploy"
  ],
  "dispatch_info": {
    "agent_pool": "infra",
    "agent_id": "agent-1",
    "dispatch_timestamp": "2026-01-21T10:00:00Z"
  },
  "execution_result": {
    "outcome": {
      "message": "done",
      "warnings": []
    },
    "resources_used": {
      "cpu": 1.50,
      "gpu": {}
    },
    "services_touched": [
      "web",
      "db"
    ],
    "start_time": "2026-01-21T10:00:01Z",
    "end_time": "2026-01-21T10:05:00Z"
  },
  "metadata": {
    "actor": "ci",
    "tags": [
      "a",
      [
        "b"
      ]
    ]
  },
  "timestamp": "2026-01-21T10:05:02.000123Z"
}
"#,
    );
}

#[test]
fn an_outcome_with_nothing_but_a_name_and_a_status_becomes_this_entry() {
    check(
        r#"{"task_id":"t","status":"failed"}"#,
        r#"{
  "task_id": "t",
  "status": "failed",
  "plan_id": null,
  "plan_steps": [],
  "dispatch_info": {
    "agent_pool": null,
    "agent_id": null,
    "dispatch_timestamp": null
  },
  "execution_result": {
    "outcome": {},
    "resources_used": {},
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-01-21T10:05:02.000123Z"
}
"#,
    );
}

/// The text of `/execution_result/outcome` in the entry.
fn outcome_in_entry(json: &str) -> String {
    let document = Document {
        outcome: json.to_owned(),
        ..Document::named("t", "completed")
    };
    let entry = document.entry();
    let (_, rest) = entry.split_once("\"outcome\": ").unwrap();
    rest.split_once(",\n    \"resources_used\"")
        .unwrap()
        .0
        .to_owned()
}

#[test]
fn numbers_and_strings_inside_json_members_stay_as_they_were_written() {
    let private = r#"{"$serde_json::private::Number":"12"}"#;
    assert_eq!(
        outcome_in_entry(private),
        "{\n      \"$serde_json::private::Number\": \"12\"\n    }"
    );
    for scalar in [
        "1.0E+2",
        "-0",
        "-0.0",
        "1e0",
        "123456789012345678901234567890",
        "0.10",
        "true",
        "null",
        r#""\u00e9\/\ud83d\ude00é\"\\""#,
        r#""a,b:{}[] ""#,
        "\"\u{7f}\u{2028}\"",
    ] {
        assert_eq!(outcome_in_entry(scalar), scalar);
        assert_eq!(
            outcome_in_entry(&format!(" [ {scalar}\n]\t")),
            format!("[\n      {scalar}\n    ]")
        );
    }
    assert_eq!(
        outcome_in_entry(r#"{"\u0061\"" :1,"b":[ ]}"#),
        "{\n      \"\\u0061\\\"\": 1,\n      \"b\": []\n    }"
    );
    assert_eq!(
        outcome_in_entry("[\r\n[{ }],[ [] ] ]"),
        "[\n      [\n        {}\n      ],\n      [\n        []\n      ]\n    ]"
    );
}

#[test]
fn decoded_strings_are_written_unescaped_but_for_what_json_requires() {
    let document = Document {
        plan_id: Some("é 😀 \" \\ / \u{1} \u{8} \u{c} \n \r \t \u{7f} \u{202e}".to_owned()),
        ..Document::named("t", "completed")
    };
    let expected = "\"plan_id\": \"é 😀 \\\" \\\\ / \\u0001 \\b \\f \\n \\r \\t \u{7f} \u{202e}\",";
    assert!(document.entry().contains(expected), "{}", document.entry());
}

#[test]
fn nesting_64_deep_is_laid_out_level_by_level() {
    let json = "[".repeat(62) + "0" + &"]".repeat(62);
    let laid_out = outcome_in_entry(&json);
    let deepest = laid_out.lines().find(|line| line.ends_with('0')).unwrap();
    assert_eq!(deepest.len(), (62 + 2) * 2 + 1);
    assert_eq!(laid_out.split_whitespace().collect::<String>(), json);
    // Deeper than any outcome, and still laid out.
    let json = "[".repeat(200) + "0" + &"]".repeat(200);
    assert_eq!(
        outcome_in_entry(&json)
            .split_whitespace()
            .collect::<String>(),
        json
    );
}

#[test]
fn an_entry_is_its_own_entry() {
    let documents = [
        r#"{"task_id":"t","status":"failed"}"#,
        r#"{"task_id":"t","status":"failed","metadata":{},"execution_result":{"outcome":null,"resources_used":[1.0E+2,
            {"$serde_json::private::Number":"12"}],"services_touched":["\u00e9\n"]}}"#,
        r#"{"metadata":{"a":[[[]],{"b":{"c":"\u0041"}}]},"plan_steps":["\ud83d\ude00"],"status":"completed","task_id":"x"}"#,
    ];
    for document in documents {
        let entry = Document::parse(document).entry();
        assert_eq!(Document::parse(&entry).entry(), entry);
    }
}

#[test]
fn a_member_that_is_not_json_is_named() {
    for (pointer, document) in [
        (
            "/execution_result/outcome",
            Document {
                outcome: "{".to_owned(),
                ..Document::named("t", "failed")
            },
        ),
        (
            "/execution_result/resources_used",
            Document {
                resources_used: "1 2".to_owned(),
                ..Document::named("t", "failed")
            },
        ),
        (
            "/metadata",
            Document {
                metadata: Some(String::new()),
                ..Document::named("t", "failed")
            },
        ),
    ] {
        assert_eq!(
            entry::format(&document.outcome(), TIMESTAMP),
            Err(entry::NotJson(pointer))
        );
    }
}

#[test]
fn timestamps_have_six_digits_and_subjects_name_task_status_and_time() {
    for (seconds, nanoseconds, expected) in [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (NOW.seconds, NOW.nanoseconds, TIMESTAMP),
        (-1, 999_999_000, "1969-12-31T23:59:59.999999Z"),
        (253_402_300_799, 999_999_000, "9999-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(
            entry::timestamp(Time {
                seconds,
                nanoseconds
            })
            .as_deref(),
            Some(expected)
        );
    }
    assert_eq!(
        entry::timestamp(Time {
            seconds: i64::MAX,
            nanoseconds: 0
        }),
        None
    );
    let document = Document::named("deploy-42", "rejected");
    let subject = entry::subject(&document.outcome(), TIMESTAMP);
    assert_eq!(
        subject,
        "audit: task deploy-42 rejected at 2026-01-21T10:05:02.000123Z"
    );
}

#[test]
fn a_mebibyte_is_formatted_in_linear_time() {
    let sizes = [1 << 17, 1 << 20];
    for unit in ["1,", "[[]],", "{\"a\":\"b\"},", "\"\\\\\\\"\","] {
        for size in sizes {
            let json = format!("[{}0]", unit.repeat(size / unit.len()));
            let laid_out = outcome_in_entry(&json);
            // White space is all that is added: one line a token at most.
            assert!(laid_out.len() < json.len() * 16);
        }
    }
}
