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

fn mapped(map: &str, text: &str) -> super::Taken {
    let map = crate::map::shipped()
        .iter()
        .find(|shipped| shipped.name == map);
    let door = Door {
        map: Some(Arc::new(map.unwrap().map())),
        non_finite: NonFinite::String,
        ..door()
    };
    let mut taken = door.take(text.as_bytes().to_vec());
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.remove(0)
}

#[test]
fn an_id_that_lost_half_a_character_identifies_no_task() {
    let own = door().take(br#"{"task_id":"\ud83d","status":"failed"}"#.to_vec());
    let foreign = mapped("prefect", r#"{"id":"\ud83d","state_type":"FAILED"}"#);
    for taken in [&own[0], &foreign] {
        let TakenKind::Refused { rejection, .. } = &taken.kind else {
            panic!("{taken:?}");
        };
        assert!(
            rejection.to_string().contains("lone surrogate"),
            "{rejection}"
        );
    }
    // Elsewhere it is repaired, and the id does not matter.
    let taken = mapped(
        "prefect",
        r#"{"id":"a\ufffd","name":"\ud83d","state_type":"FAILED"}"#,
    );
    assert_eq!(taken.repaired, ["/metadata/name"]);
}

#[test]
fn what_was_repaired_in_another_system_s_document_is_named_by_its_place_in_the_outcome() {
    let event = r#"{"eventType":"FAIL","eventTime":"2026-01-21T10:00:00Z","run":{"runId":"r-1","facets":{
        "errorMessage":{"message":"x\ud83d","stackTrace":"y"}}},"job":{"namespace":"n","name":"j\ud83d"},
        "outputs":[{"namespace":"n","name":"t","rows":NaN}],"unused":"\ud83d"}"#;
    let mut taken = mapped("openlineage", event);
    taken.repaired.sort();
    assert_eq!(
        taken.repaired,
        [
            "/dispatch_info/agent_id",
            "/execution_result/outcome/error",
            "/execution_result/outcome/outputs/0/rows",
            "/metadata/job_name",
        ]
    );
    let airflow = r#"{"task_instances":[{"dag_id":"d","dag_run_id":"r","task_id":"t","try_number":1,"map_index":-1,
        "state":"failed","rendered_fields":{"cmd":"\ud83d"}}]}"#;
    assert_eq!(
        mapped("airflow", airflow).repaired,
        ["/metadata/rendered_fields/cmd"]
    );
    let event = r#"{"specversion":"1.0","type":"chiffon.audit.outcome.v1","data":{"task_id":"a","status":"failed",
        "execution_result":{"outcome":{"x":"\ud83d"}}}}"#;
    assert_eq!(
        mapped("cloudevents", event).repaired,
        ["/execution_result/outcome/x"]
    );
}

#[test]
fn an_id_of_the_host_is_refused_unless_it_is_encoded() {
    let plain = Door {
        encodes_ids: false,
        ..door()
    };
    let text = br#"{"task_id":"chiffon-audit.end","status":"completed"}"#;
    let taken = plain.take(text.to_vec()).remove(0);
    let TakenKind::Refused { rejection, .. } = taken.kind else {
        panic!("{taken:?}");
    };
    assert!(
        rejection.to_string().contains("are reserved"),
        "{rejection}"
    );
    let mention = br#"{"task_id":"a","status":"completed","plan_id":"chiffon-audit.end"}"#;
    assert!(matches!(
        plain.take(mention.to_vec())[0].kind,
        TakenKind::Outcome { .. }
    ));
    assert!(matches!(
        door().take(text.to_vec())[0].kind,
        TakenKind::Outcome { .. }
    ));
}

#[test]
fn the_word_that_decided_is_the_native_state_whatever_the_sender_calls_so() {
    let text = r#"{"task_id":"a","status":"SUCCESS","execution_result":{"outcome":{"native_state":"mine"}}}"#;
    assert_eq!(
        take(&door(), text)["execution_result"]["outcome"],
        json!({"native_state": "SUCCESS", "reported_native_state": "mine"})
    );
}

#[test]
fn as_much_output_as_the_setting_says_is_taken_with_an_envelope() {
    let small = Door {
        accept_max_bytes: 2 << 20,
        ..door()
    };
    let of = |size: usize| {
        let text = format!(
            r#"{{"task_id":"a","status":"failed","execution_result":{{"outcome":{{"stdout":"{}"}}}}}}"#,
            "x".repeat(size)
        );
        small.take(text.into_bytes()).remove(0)
    };
    assert_eq!(of(2 << 20).shortened, ["/execution_result/outcome/stdout"]);
    let TakenKind::Refused {
        rejection, task_id, ..
    } = of(4 << 20).kind
    else {
        panic!("taken");
    };
    assert_eq!(task_id.as_deref(), Some("a"));
    assert!(
        rejection
            .to_string()
            .contains("2097152 bytes (setting outcome.accept_max_bytes)"),
        "{rejection}"
    );
}
