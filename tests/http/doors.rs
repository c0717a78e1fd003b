//! The doors: lines, compressed bodies, events, lineage, documents of other systems, and what is refused.

mod hooks;
mod large;
mod overdue;
mod reports;

use serde_json::{Value, json};

use super::{Answer, Host, outcome, program};

const JSON: &str = "Content-Type: application/json";
const LINES: &str = "Content-Type: application/x-ndjson";
const EVENT: &str = "Content-Type: application/cloudevents+json";

impl Host {
    fn send(&self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.served.send("POST", path, headers, body)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut packed = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut packed).unwrap();
    packed.truncate(length);
    packed
}

fn event(kind: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "1", "source": "/x", "type": kind, "datacontenttype": "application/json", "data": data})
}

#[test]
fn lines_are_answered_one_by_one_and_in_order() {
    let host = Host::new();
    let lines: Vec<String> = (0..500)
        .map(|index| outcome(&format!("t-{index}"), "completed"))
        .collect();
    let taken = host.send("/api/v1/outcomes", &[LINES], lines.join("\n").as_bytes());
    assert_eq!(taken.status, 202, "{taken:?}");
    let answers: Vec<Value> = taken
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 500);
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer["task_id"], format!("t-{index}"));
        assert_eq!(
            (&answer["line"], &answer["code"]),
            (&json!(index + 1), &json!(202))
        );
    }
    let committed = host.send(
        "/api/v1/outcomes?wait=committed",
        &[LINES],
        lines.join("\n").as_bytes(),
    );
    assert_eq!(committed.status, 200, "{}", committed.head);
}

#[test]
fn a_bad_line_is_refused_and_the_others_are_taken() {
    let host = Host::new();
    let mut lines: Vec<String> = (0..500)
        .map(|index| outcome(&format!("t-{index}"), "completed"))
        .collect();
    lines[499] = outcome("t-499", "shrug");
    let mixed = host.send(
        "/api/v1/outcomes",
        &[LINES],
        (lines.join("\r\n") + "\n\n").as_bytes(),
    );
    assert_eq!(mixed.status, 207, "{}", mixed.head);
    let last: Value = serde_json::from_str(mixed.body.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["line"], &last["code"]),
        (&json!(500), &json!(422)),
        "{last}"
    );
    assert_eq!(last["errors"][0]["pointer"], "/status");
}

#[test]
fn an_array_of_outcomes_is_taken() {
    let host = Host::new();
    let array = format!("[{},{}]", outcome("a", "completed"), outcome("b", "failed"));
    let taken = host.send("/api/v1/outcomes?wait=committed", &[JSON], array.as_bytes());
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["accepted"], 2);
    assert_eq!(host.entries(), 2);
}

#[test]
fn an_event_whose_data_is_an_outcome_is_taken_whatever_its_type() {
    let host = Host::new();
    let of = |id: &str| event("t", &json!({"task_id": id, "status": "completed"}));
    let one = host.send(
        "/api/v1/outcomes?wait=committed",
        &[EVENT],
        of("a").to_string().as_bytes(),
    );
    assert_eq!(one.status, 200, "{one:?}");
    assert_eq!(one.json()["task_id"], "a");
    let batch = ["Content-Type: application/cloudevents-batch+json"];
    let many = json!([of("b"), of("c")]).to_string();
    let many = host.send("/api/v1/outcomes", &batch, many.as_bytes());
    assert_eq!(
        (many.status, &many.json()["accepted"]),
        (202, &json!(2)),
        "{many:?}"
    );
    let empty = host.send(
        "/api/v1/outcomes",
        &[EVENT],
        event("t", &Value::Null).to_string().as_bytes(),
    );
    assert_eq!(empty.status, 422, "{empty:?}");
}

fn task_run(reason: &str) -> Value {
    json!({"taskRun": {"metadata": {"name": "build-1", "namespace": "ci", "uid": "c6b7d5a0"},
        "status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": reason}]}}})
}

#[test]
fn cloudevents_are_taken_in_every_mode_and_an_unknown_type_is_unmapped() {
    let host = Host::new();
    let path = "/api/v1/cloudevents?wait=committed";
    let started = event("dev.tekton.event.taskrun.started.v1", &task_run("Started")).to_string();
    let announced = host.send(path, &[EVENT], started.as_bytes());
    assert_eq!(
        (announced.status, &announced.json()["result"]),
        (200, &json!("announced"))
    );
    let binary = [
        JSON,
        "ce-specversion: 1.0",
        "ce-type: dev.tekton.event.taskrun.failed.v1",
        "ce-source: /apis/%E2%82%AC",
        "ce-id: 2",
    ];
    let failed = host.send(
        path,
        &binary,
        task_run("TaskRunCancelled").to_string().as_bytes(),
    );
    assert_eq!(failed.status, 200, "{failed:?}");
    let entry = host.get("/api/v1/tasks/c6b7d5a0/entry").json();
    assert_eq!(entry["status"], "cancelled");
    assert_eq!(entry["metadata"]["event_source"], "/apis/€");
    let other = event("com.example.other", &json!({})).to_string();
    let unmapped = host.send(path, &[EVENT], other.as_bytes());
    assert_eq!(
        (unmapped.status, &unmapped.json()["result"]),
        (200, &json!("unmapped"))
    );
    let none = host.send(path, &[JSON], b"{}");
    assert_eq!(none.status, 415, "{none:?}");
    let without_id = host.send(
        path,
        &[JSON, "ce-specversion: 1.0", "ce-type: t", "ce-source: /"],
        b"{}",
    );
    assert_eq!(without_id.status, 400, "{without_id:?}");
}

#[test]
fn a_sender_of_events_learns_that_they_are_wanted() {
    let host = Host::new();
    let asks = ["WebHook-Request-Origin: eventemitter.example.com"];
    let answer = host
        .served
        .send("OPTIONS", "/api/v1/cloudevents", &asks, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let head = answer.head.to_ascii_lowercase();
    assert!(
        head.contains("webhook-allowed-origin: eventemitter.example.com"),
        "{head}"
    );
    // A web page may still not post.
    assert!(!head.contains("access-control-allow"), "{head}");
}

fn run_event(kind: &str, run: &str, time: &str) -> Value {
    json!({"eventType": kind, "eventTime": time, "run": {"runId": run, "facets": {"parent": {"run": {"runId": "p-1"}, "job":
        {"namespace": "n", "name": "dag"}}}}, "job": {"namespace": "n", "name": "dag.task"}, "inputs": [],
        "outputs": [{"namespace": "db", "name": "orders"}], "producer": "p", "schemaURL": "s"})
}

#[test]
fn lineage_events_are_outcomes_in_any_order() {
    let host = Host::new();
    let send = |event: &Value| {
        let answer = host.send(
            "/api/v1/lineage?wait=committed",
            &[JSON],
            event.to_string().as_bytes(),
        );
        (answer.status, answer.json())
    };
    let run = "0176a8c2-fe01-7439-87e6-56a1a1b4029f";
    assert_eq!(
        send(&run_event("START", run, "2026-01-21T10:00:00Z")).1["result"],
        "announced"
    );
    assert_eq!(
        send(&run_event("RUNNING", run, "2026-01-21T10:00:01Z")).1["result"],
        "not-terminal"
    );
    assert_eq!(send(&run_event("FAIL", run, "2026-01-21T10:00:02Z")).0, 200);
    // The same end, reported by another integration a moment later.
    let echo = send(&run_event("FAIL", run, "2026-01-21T10:00:03Z"));
    assert_eq!(echo.0, 200, "{echo:?}");
    let other = send(&run_event("COMPLETE", run, "2026-01-21T10:00:04Z"));
    assert_eq!(other.0, 409, "{other:?}");
    // A START that arrives late changes nothing.
    assert_eq!(
        send(&run_event("START", run, "2026-01-21T10:00:00Z")).0,
        200
    );
    let entry = host.get(&format!("/api/v1/tasks/{run}/entry")).json();
    assert_eq!(entry["plan_id"], "p-1");
    assert_eq!(
        entry["execution_result"]["services_touched"],
        json!(["db/orders"])
    );
    let job = json!({"eventTime": "2026-01-21T10:00:00Z", "job": {"namespace": "n", "name": "j"}, "producer": "p", "schemaURL": "s"});
    let skipped = send(&job);
    assert_eq!((skipped.0, &skipped.1["result"]), (200, &json!("skipped")));
}

#[test]
fn a_system_is_taken_in_its_own_format_and_found_by_its_own_id() {
    let host = Host::new();
    let page = json!({"task_instances": [
        {"dag_id": "etl", "dag_run_id": "r-1", "task_id": "x", "state": "success", "try_number": 1, "map_index": -1},
        {"dag_id": "etl", "dag_run_id": "r-1", "task_id": "x", "state": "failed", "try_number": 2, "map_index": -1},
        {"dag_id": "etl", "dag_run_id": "r-1", "task_id": "y", "state": "running", "try_number": 1, "map_index": -1},
    ]});
    let taken = host.send(
        "/api/v1/outcomes?from=airflow&wait=committed",
        &[JSON],
        page.to_string().as_bytes(),
    );
    assert_eq!(taken.status, 200, "{taken:?}");
    let batch = taken.json();
    assert_eq!(
        (&batch["accepted"], &batch["not_terminal"]),
        (&json!(2), &json!(1)),
        "{batch}"
    );
    let found = host.get("/api/v1/tasks?source_id=etl/r-1/x").json();
    let statuses: Vec<&str> = found["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["completed", "failed"], "{found}");
    let unknown = host.send("/api/v1/outcomes?from=cron", &[JSON], b"{}");
    assert_eq!(unknown.status, 422, "{unknown:?}");
}

#[test]
fn an_event_must_be_one_of_version_1_and_foreign_data_is_no_reason_to_send_it_again() {
    let host = Host::new();
    let path = "/api/v1/cloudevents";
    let good = event(
        "chiffon.audit.outcome.v1",
        &json!({"task_id": "a", "status": "failed"}),
    );
    for (member, value) in [
        ("specversion", json!("0.3")),
        ("id", json!("")),
        ("source", Value::Null),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let answer = host.send(path, &[EVENT], bad.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{member}: {answer:?}");
    }
    let twice = [
        JSON,
        "ce-specversion: 1.0",
        "ce-id: 1",
        "ce-source: /x",
        "ce-type: chiffon.audit.outcome.v1",
        "ce-type: com.example.other",
    ];
    let answer = host.send(path, &twice, br#"{"task_id":"a","status":"failed"}"#);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("ce-type"), "{answer:?}");
    let mut encoded = good.clone();
    encoded.as_object_mut().unwrap().remove("data");
    encoded["data_base64"] = json!("eyJ0YXNrX2lkIjoiYiIsInN0YXR1cyI6ImZhaWxlZCJ9");
    let taken = host.send(
        "/api/v1/cloudevents?wait=committed",
        &[EVENT],
        encoded.to_string().as_bytes(),
    );
    assert_eq!(taken.status, 200, "{taken:?}");
    let foreign = [
        "Content-Type: text/plain",
        "ce-specversion: 1.0",
        "ce-type: com.example.other",
        "ce-source: /",
        "ce-id: 1",
    ];
    let unmapped = host.send(path, &foreign, b"hello");
    assert_eq!(
        (unmapped.status, &unmapped.json()["result"]),
        (200, &json!("unmapped"))
    );
}

#[test]
fn media_types_that_a_web_page_can_send_are_refused() {
    let host = Host::new();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        for path in ["/api/v1/outcomes", "/api/v1/lineage", "/api/v1/cloudevents"] {
            let kind = format!("Content-Type: {kind}");
            let answer = host.send(path, &[&kind], outcome("a", "completed").as_bytes());
            assert_eq!(answer.status, 415, "{path} {kind}");
        }
    }
}
