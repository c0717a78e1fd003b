//! What is shortened and how, and that doing it twice changes nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chiffon_audit_policy_bound::policy::{LEAST_TEXT, MAX_TEXT, entry, shortened};
use policy_kit::outcome::{DispatchInfo, ExecutionResult, Outcome, Refusal};
use serde_json::value::RawValue;

const NOW: &str = "2026-01-21T10:05:02.000123Z";

fn outcome(result: &str) -> Outcome {
    Outcome {
        task_id: "t".to_owned(),
        status: "completed".to_owned(),
        plan_id: Some("p".repeat(2 * MAX_TEXT)),
        plan_steps: Vec::new(),
        dispatch_info: DispatchInfo {
            agent_pool: None,
            agent_id: None,
            dispatch_timestamp: None,
        },
        execution_result: ExecutionResult {
            outcome: RawValue::from_string(result.to_owned()).unwrap(),
            resources_used: RawValue::from_string("{}".to_owned()).unwrap(),
            services_touched: Vec::new(),
            start_time: None,
            end_time: None,
        },
        metadata: None,
    }
}

#[test]
fn head_and_tail_stay_with_the_digest_of_the_whole() {
    let text = format!("head{}tail", "x".repeat(100_000));
    let short = shortened(&text, 512);
    // python3 -c "import hashlib; print(hashlib.sha256(b'head' + b'x' * 100000 + b'tail').hexdigest())"
    let digest = "9ce28cc9009d69ab56ee68a6ed6ca600100daf8983a5812fabc84dc10f8cecf0";
    assert!((505..=512).contains(&short.len()));
    assert!(short.starts_with("headxxx"), "{short}");
    assert!(short.ends_with("xxxtail"), "{short}");
    let note = format!("of 100008 bytes left out; sha256:{digest} of all]\n");
    assert!(short.contains(&note), "{short}");
}

#[test]
fn what_is_left_is_within_the_limit_and_whole_characters() {
    for character in ["x", "é", "€", "😀"] {
        for length in [513, 600, 1000, 5000] {
            for most in [LEAST_TEXT, 513, 514, 515, 777] {
                let text = character.repeat(length);
                if text.len() > most {
                    let short = shortened(&text, most);
                    assert!(short.len() <= most, "{} > {most}", short.len());
                    assert!(short.len() + 8 > most, "{} of {most}", short.len());
                }
            }
        }
    }
}

#[test]
fn long_outputs_are_shortened_once_and_all_else_stays() {
    let long = "line\\n".repeat(10_000);
    let result = format!(
        r#"{{"log":"{long}","list":["short",1.0E+2],"{long}":"{}"}}"#,
        "y".repeat(MAX_TEXT)
    );
    let first = entry(&outcome(&result), NOW, &|_| None).unwrap();
    assert!(first.contains("bytes left out; sha256:"));
    assert!(first.contains("1.0E+2"));
    // A name and a member of the format's own are not outputs.
    assert!(first.contains(&long));
    assert!(first.contains(&"p".repeat(2 * MAX_TEXT)));
    assert!(first.contains(&"y".repeat(MAX_TEXT)));
    let (_, rest) = first.split_once("\"outcome\": ").unwrap();
    let (again, _) = rest.split_once(",\n    \"resources_used\"").unwrap();
    assert_eq!(entry(&outcome(again), NOW, &|_| None).unwrap(), first);
}

#[test]
fn a_limit_that_makes_no_sense_records_nothing() {
    for limit in ["", "many", "-1", "511", "1e9"] {
        let refused = entry(&outcome("{}"), NOW, &|key| {
            (key == "max_text").then(|| limit.to_owned())
        });
        assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{limit}");
    }
}

/// A policy that redacts must find nothing more in what is left.
#[test]
fn no_marker_is_cut_in_two() {
    for marker in ["[redacted]", "[redacted:aws-key-id]", "[redacted:é]"] {
        for shift in 0..60 {
            let text = ["x".repeat(shift), marker.repeat(200)].concat();
            let short = shortened(&text, LEAST_TEXT);
            assert!(short.len() <= LEAST_TEXT, "{}", short.len());
            if marker == "[redacted:é]" {
                continue;
            }
            let (head, rest) = short.split_once("\n[").unwrap();
            let (_, tail) = rest.split_once("]\n").unwrap();
            assert_eq!(
                head.trim_start_matches('x').replace(marker, ""),
                "",
                "{shift}"
            );
            assert_eq!(tail.replace(marker, ""), "", "{shift}");
        }
    }
}
