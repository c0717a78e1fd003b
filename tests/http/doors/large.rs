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
