//! Reports by whatever door: ids, words, redeliveries, late plans, and what is refused.

use serde_json::{Value, json};

use super::*;

#[test]
fn any_id_is_taken_where_the_request_says_so() {
    let host = Host::new();
    let document = outcome("order/42", "completed");
    let refused = host.send("/api/v1/outcomes", &[JSON], document.as_bytes());
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("?ids=encode"), "{refused:?}");
    let taken = host.send(
        "/api/v1/outcomes?ids=encode&wait=committed",
        &[JSON],
        document.as_bytes(),
    );
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(
        host.get("/api/v1/tasks?source_id=order%2F42").json()["tasks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_refused_document_is_kept_and_listed() {
    let host = Host::new();
    let refused = host.post("/api/v1/outcomes", &outcome("a", "shrug"));
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["receipt"]["task_id"], "a", "{refused:?}");
    let listed = host.until("/api/v1/submissions?state=refused", |page| {
        !page["submissions"].as_array().unwrap().is_empty()
    });
    assert_eq!(
        listed["submissions"][0]["errors"][0]["pointer"], "/status",
        "{listed}"
    );
    host.commit("b", "completed");
    assert_eq!(host.entries(), 1);
}

#[test]
fn half_a_character_is_repaired_and_reported() {
    let host = Host::new();
    let document =
        r#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"stderr":"\ud83d"}}}"#;
    let taken = host.post("/api/v1/outcomes?wait=committed", document);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(
        taken.json()["repaired"],
        json!(["/execution_result/outcome/stderr"])
    );
    let report = r#"{"task_id":"b","status":"failed","output":"\udc00"}"#;
    let taken = host.post("/api/v1/work-results?wait=committed", report);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["repaired"], json!(["/output"]));
}

#[test]
fn a_work_result_that_is_delivered_again_is_no_conflict() {
    let host = Host::new();
    let send = |more: &str| {
        let report =
            format!(r#"{{"task_id":"w","status":"completed","exit_code":0,"output":"ok",{more}}}"#);
        host.post("/api/v1/work-results?wait=committed", &report)
    };
    assert_eq!(send(r#""request_id":"r-1","duration_ms":106"#).status, 200);
    let again = send(r#""request_id":"r-2","duration_ms":107,"trace_id":"t""#);
    assert_eq!(again.status, 200, "{again:?}");
    let entry = host.get("/api/v1/tasks/w/entry").json();
    assert_eq!(entry["metadata"]["request_id"], "r-1");
    let report = r#"{"task_id":"w","status":"completed","exit_code":1,"output":"ok"}"#;
    assert_eq!(
        host.post("/api/v1/work-results?wait=committed", report)
            .status,
        409
    );
}

#[test]
fn a_report_that_is_taken_is_202_unless_the_caller_waits_for_the_commit() {
    let host = Host::new();
    host.commit("a", "completed");
    let again = host.post("/api/v1/outcomes", &outcome("a", "completed"));
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(again.json()["state"], "committed");
    let line = host.send(
        "/api/v1/outcomes",
        &[LINES],
        outcome("a", "completed").as_bytes(),
    );
    assert_eq!(line.status, 202, "{line:?}");
    let report = r#"{"task_id":"w","status":"completed"}"#;
    let first = host.post("/api/v1/work-results?wait=committed", report);
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(host.post("/api/v1/work-results", report).status, 202);
}

#[test]
fn a_work_result_has_the_same_doors_as_an_outcome() {
    let host = Host::with_settings("status_map = \"common\"\n", &[]);
    let plan = r#"{"task_id":"Order/42","plan_id":"p"}"#;
    let planned = host.post("/api/v1/tasks?ids=encode", plan);
    assert_eq!(planned.status, 200, "{planned:?}");
    let report = r#"{"task_id":"Order/42","status":"SUCCESS","output":"ok"}"#;
    let path = "/api/v1/work-results?ids=encode&wait=committed";
    let taken = host.send(
        path,
        &[JSON, "Content-Encoding: gzip"],
        &gzip(report.as_bytes()),
    );
    assert_eq!(taken.status, 200, "{taken:?}");
    let task_id = taken.json()["task_id"].as_str().unwrap().to_owned();
    let entry = host.get(&format!("/api/v1/tasks/{task_id}/entry")).json();
    assert_eq!(entry["metadata"]["source_id"], "Order/42");
    assert_eq!(
        entry["execution_result"]["outcome"]["native_state"],
        "SUCCESS"
    );
    assert_eq!(entry["plan_id"], "p");
    let long = format!(
        r#"{{"task_id":"long","status":"failed","output":"{}"}}"#,
        "x".repeat(3 << 20)
    );
    let taken = host.post("/api/v1/work-results?wait=committed", &long);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["shortened"], json!(["/output"]));
    let running = host.post(
        "/api/v1/work-results",
        r#"{"task_id":"r","status":"RUNNING"}"#,
    );
    assert_eq!(
        (running.status, &running.json()["result"]),
        (200, &json!("not-terminal"))
    );
}

#[test]
fn what_is_refused_at_any_door_is_listed_with_its_reason_and_never_recorded() {
    let host = Host::new();
    // As an outcome it would be valid.
    let report = r#"{"task_id":"w","status":"failed","metadata":{}}"#;
    assert_eq!(host.post("/api/v1/work-results", report).status, 422);
    let foreign = host.post("/api/v1/outcomes", &outcome("Order/42", "completed"));
    assert_eq!(foreign.status, 422);
    assert_eq!(foreign.json()["receipt"]["accepted"], false, "{foreign:?}");
    let page = json!({"dag_id": "d", "dag_run_id": "r", "task_id": "t", "state": "success", "try_number": "x"});
    let mapped = host.send(
        "/api/v1/outcomes?from=airflow",
        &[JSON],
        page.to_string().as_bytes(),
    );
    assert_eq!(mapped.status, 422, "{mapped:?}");
    let broken = host.send("/api/v1/outcomes?from=airflow", &[JSON], b"{\"dag_id\":");
    assert_eq!(
        (broken.status, &broken.json()["type"]),
        (400, &json!("urn:chiffon-audit:problem:malformed"))
    );
    let listed = host.until("/api/v1/submissions?state=refused", |page| {
        page["submissions"].as_array().unwrap().len() == 3
    });
    let ids: Vec<&str> = listed["submissions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|submission| submission["task_id"].as_str().unwrap())
        .collect();
    assert!(ids.iter().any(|id| id.starts_with("order-42-")), "{listed}");
    let submissions = listed["submissions"].as_array().unwrap();
    let of_result = submissions.iter().find(|one| one["task_id"] == "w");
    let pointer = &of_result.unwrap()["errors"][0]["pointer"];
    assert_eq!(pointer, "/metadata", "{listed}");
    assert_eq!(host.get("/api/v1/tasks/w").status, 404);
    host.commit("after", "completed");
    assert_eq!(host.entries(), 1);
}

#[test]
fn a_plan_that_arrives_after_the_result_is_kept_beside_the_task() {
    let host = Host::new();
    host.commit("a", "completed");
    let plan = r#"{"task_id":"a","plan_id":"p"}"#;
    let late = host.post("/api/v1/tasks", plan);
    assert_eq!(late.status, 200, "{late:?}");
    assert!(late.json()["planned_late"].is_string(), "{late:?}");
    assert_eq!(host.post("/api/v1/tasks", plan).status, 200);
    let task = host.get("/api/v1/tasks/a").json();
    assert_eq!(task["planned_late"]["plan"]["plan_id"], "p");
    assert_eq!(
        (&task["plan"], &task["state"]),
        (&Value::Null, &json!("committed"))
    );
    let other = host.post("/api/v1/tasks", r#"{"task_id":"a","plan_id":"q"}"#);
    assert_eq!(other.status, 409, "{other:?}");
}
