//! What a door makes of documents of our own shape.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Door, TakenKind};
use crate::treat::NonFinite;
use crate::words::StatusMap;

fn door() -> Door {
    Door {
        encodes_ids: true,
        status_map: Some(Arc::new(StatusMap::common())),
        accept_max_bytes: super::ACCEPT_MAX_BYTES,
        ..Door::default()
    }
}

fn document(what: &TakenKind) -> Value {
    match what {
        TakenKind::Outcome { document } => serde_json::from_slice(document).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn take(door: &Door, text: &str) -> Value {
    let taken = door.take(text.as_bytes().to_vec());
    assert_eq!(taken.len(), 1);
    document(&taken[0].kind)
}

#[test]
fn an_id_is_encoded_and_its_original_kept() {
    let taken = take(&door(), r#"{"task_id":"order/42","status":"completed"}"#);
    assert_eq!(taken["metadata"], json!({"source_id": "order/42"}));
    assert!(taken["task_id"].as_str().unwrap().starts_with("order-42-"));
    let plain = r#"{"task_id":"order-42","status":"completed"}"#;
    assert_eq!(
        take(&door(), plain),
        json!({"task_id": "order-42", "status": "completed"})
    );
}

#[test]
fn a_document_whose_id_is_encoded_already_is_left_alone() {
    let once = take(
        &door(),
        r#"{"task_id":"A/b","status":"failed","metadata":{"x":1}}"#,
    );
    assert_eq!(take(&door(), &once.to_string()), once);
    let forged = json!({"task_id": "a", "status": "failed", "metadata": {"source_id": "b"}});
    let taken = door().take(forged.to_string().into_bytes());
    assert!(
        matches!(taken[0].kind, TakenKind::Refused { .. }),
        "{taken:?}"
    );
}

#[test]
fn the_first_attempt_is_found_under_its_encoded_id() {
    let first = take(&door(), r#"{"task_id":"A","status":"failed"}"#);
    let second = take(
        &door(),
        r#"{"task_id":"A#2","status":"completed","metadata":{"attempt_of":"A"}}"#,
    );
    assert_eq!(second["metadata"]["attempt_of"], first["task_id"]);
}

#[test]
fn a_status_word_is_mapped_and_kept() {
    let taken = take(&door(), r#"{"task_id":"a","status":"TimedOut"}"#);
    assert_eq!(taken["status"], "failed");
    assert_eq!(
        taken["execution_result"]["outcome"],
        json!({"native_state": "TimedOut"})
    );
    let text = r#"{"task_id":"a","status":"SUCCESS","execution_result":{"outcome":"done"}}"#;
    let outcome = &take(&door(), text)["execution_result"]["outcome"];
    assert_eq!(
        *outcome,
        json!({"output": "done", "native_state": "SUCCESS"})
    );
    let taken = take(&door(), r#"{"task_id":"a","status":"completed"}"#);
    assert_eq!(taken.get("execution_result"), None);
}

#[test]
fn a_state_that_is_not_terminal_is_no_outcome_and_an_unknown_word_is_refused() {
    let of = |status: &str| {
        let text = format!(r#"{{"task_id":"a","status":"{status}"}}"#);
        door().take(text.into_bytes()).remove(0).kind
    };
    assert!(matches!(of("RUNNING"), TakenKind::NotTerminal { .. }));
    let TakenKind::Refused {
        rejection, task_id, ..
    } = of("shrug")
    else {
        panic!("taken");
    };
    assert_eq!(task_id.as_deref(), Some("a"));
    assert_eq!(
        rejection.to_string(),
        "/status: `shrug` is not in the status map `common`"
    );
}

#[test]
fn repairs_are_reported_by_place() {
    let text = br#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"x":"\ud83d","y":NaN}}}"#;
    let lenient = Door {
        non_finite: NonFinite::Null,
        ..door()
    };
    let taken = lenient.take(text.to_vec());
    assert_eq!(
        taken[0].repaired,
        ["/execution_result/outcome/x", "/execution_result/outcome/y"]
    );
    assert_eq!(
        document(&taken[0].kind)["execution_result"]["outcome"],
        json!({"x": "\u{fffd}", "y": null})
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_document() {
    let taken = take(&door(), "\u{feff}{\"task_id\":\"a\",\"status\":\"failed\"}");
    assert_eq!(taken["task_id"], "a");
}

#[test]
fn what_is_no_outcome_passes_for_the_parser_to_refuse() {
    for text in [
        "",
        "{",
        "[]",
        "{\"task_id\":\"A\",\"status\":\"completed\"} x",
        "{\"task_id\":1}",
    ] {
        let taken = door().take(text.as_bytes().to_vec());
        let expected = TakenKind::Outcome {
            document: text.as_bytes().to_vec(),
        };
        assert_eq!(taken[0].kind, expected, "{text}");
    }
}

#[test]
fn a_document_beyond_the_limit_is_shortened_to_fit() {
    let long = "x".repeat(3 << 20);
    let text = format!(
        r#"{{"task_id":"a","status":"failed","execution_result":{{"outcome":{{"stdout":"{long}"}}}}}}"#
    );
    let taken = door().take(text.into_bytes());
    assert_eq!(taken[0].shortened, ["/execution_result/outcome/stdout"]);
    let TakenKind::Outcome { document } = &taken[0].kind else {
        panic!("{:?}", taken[0].kind);
    };
    assert!(document.len() < 20_000);
}
