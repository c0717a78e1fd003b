//! Large and compressed bodies.

use serde_json::{Value, json};

use super::*;

#[test]
fn compressed_bodies_are_taken_within_a_bound() {
    let host = Host::new();
    let one = |id: &str| outcome(id, "completed").into_bytes();
    let with = |encoding: &str, body: &[u8]| {
        let encoding = format!("Content-Encoding: {encoding}");
        host.send("/api/v1/outcomes", &[JSON, &encoding], body)
            .status
    };
    assert_eq!(with("gzip", &gzip(&one("a"))), 202);
    assert_eq!(with("zstd", &zstd::encode_all(&*one("b"), 0).unwrap()), 202);
    let members = [gzip(br#"{"task_id":"c","#), gzip(br#""status":"failed"}"#)].concat();
    assert_eq!(with("gzip", &members), 202);
    let bomb = vec![b' '; 64 << 20];
    assert_eq!(with("gzip", &gzip(&bomb)), 413);
    assert_eq!(with("zstd", &zstd::encode_all(&*bomb, 0).unwrap()), 413);
    let packed = gzip(&one("d"));
    assert_eq!(with("gzip", &packed[..packed.len() - 4]), 400);
    assert_eq!(with("gzip", b"no gzip"), 400);
    assert_eq!(with("br", &one("e")), 415);
    assert_eq!(with("gzip, zstd", &one("f")), 415);
}

#[test]
fn an_output_of_64_mib_keeps_head_tail_and_digest() {
    let host = Host::new();
    let long = "x".repeat((64 << 20) - 1000);
    let document = format!(
        r#"{{"task_id":"a","status":"failed","execution_result":{{"outcome":{{"stdout":"{long}"}}}}}}"#
    );
    let taken = host.post("/api/v1/outcomes?wait=committed", &document);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(
        taken.json()["shortened"],
        json!(["/execution_result/outcome/stdout"])
    );
    let entry = host.get("/api/v1/tasks/a/entry").json();
    let stdout = entry["execution_result"]["outcome"]["stdout"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        stdout.contains(" of 67107864 bytes left out; sha256:"),
        "{stdout:.100}"
    );
}

#[test]
fn large_documents_are_shortened_however_they_are_sent() {
    let host = Host::new();
    let long = "x".repeat(3 << 20);
    let document = |id: &str| json!({"task_id": id, "status": "failed", "execution_result": {"outcome": {"stdout": long}}});
    let path = "/api/v1/outcomes?wait=committed";
    let array = json!([document("a"), document("b")]).to_string();
    let many = host.send(path, &[JSON], array.as_bytes());
    assert_eq!(many.status, 200, "{}", many.head);
    let packed = gzip(document("c").to_string().as_bytes());
    let packed = host.send(path, &[JSON, "Content-Encoding: gzip"], &packed);
    assert_eq!(packed.status, 200, "{}", packed.head);
    assert_eq!(
        packed.json()["shortened"],
        json!(["/execution_result/outcome/stdout"])
    );
    let in_event = event("t", &document("d")).to_string();
    let in_event = host.send(path, &[EVENT], in_event.as_bytes());
    assert_eq!(in_event.status, 200, "{}", in_event.head);
    let mut failed = run_event("FAIL", "e", "2026-01-21T10:00:00Z");
    failed["run"]["facets"]["errorMessage"] =
        json!({"message": long, "programmingLanguage": "python", "stackTrace": "t"});
    let fields: Vec<Value> = (0..30_000)
        .map(|at| json!({"name": format!("column_{at}"), "type": "string"}))
        .collect();
    failed["outputs"][0]["facets"] = json!({"schema": {"fields": fields}});
    let lineage = host.send(
        "/api/v1/lineage?wait=committed",
        &[JSON],
        failed.to_string().as_bytes(),
    );
    assert_eq!(lineage.status, 200, "{lineage:?}");
    assert_eq!(host.entries(), 5);
}

#[test]
fn very_many_records_and_words_without_end_are_refused_within_bounds() {
    let host = Host::new();
    let many = gzip(&b"1\n".repeat(4 << 20));
    let lines = host.send(
        "/api/v1/outcomes",
        &[LINES, "Content-Encoding: gzip"],
        &many,
    );
    assert_eq!(lines.status, 413, "{}", lines.head);
    let array = format!("[{}1]", "1,".repeat(500_000));
    let of_lineage = host.send("/api/v1/lineage", &[JSON], array.as_bytes());
    assert_eq!(of_lineage.status, 413, "{}", of_lineage.head);
    let batch = ["Content-Type: application/cloudevents-batch+json"];
    let of_events = host.send("/api/v1/cloudevents", &batch, array.as_bytes());
    assert_eq!(of_events.status, 413, "{}", of_events.head);
    let array = format!("[{}1]", "1,".repeat(15_000));
    let refused = host.send("/api/v1/lineage", &[JSON], array.as_bytes());
    assert_eq!(refused.status, 207, "{}", refused.head);
    let word = host.send("/api/v1/outcomes", &[JSON], "1".repeat(8 << 20).as_bytes());
    assert_eq!(word.status, 413, "{}", word.head);
    host.commit("after", "completed");
}

#[test]
fn one_bad_event_of_a_batch_does_not_take_the_others_with_it() {
    let host = Host::new();
    let good = event(
        "chiffon.audit.outcome.v1",
        &json!({"task_id": "a", "status": "failed"}),
    );
    let mut bad = good.clone();
    bad["specversion"] = json!("0.3");
    let batch = ["Content-Type: application/cloudevents-batch+json"];
    let body = json!([bad, good]).to_string();
    let mixed = host.send(
        "/api/v1/cloudevents?wait=committed",
        &batch,
        body.as_bytes(),
    );
    assert_eq!(mixed.status, 207, "{mixed:?}");
    let mixed = mixed.json();
    assert_eq!(
        (&mixed["accepted"], &mixed["failed"]),
        (&json!(1), &json!(1)),
        "{mixed}"
    );
}
