//! Announced tasks that do not end in time.

use serde_json::json;

use super::*;

#[test]
fn a_task_that_was_announced_and_does_not_end_in_time_is_listed_counted_and_recorded() {
    let host = Host::with_settings("[tasks.overdue]\ngpu = \"1s\"\n", &[]);
    for (id, pool) in [("slow", "gpu"), ("other", "cpu"), ("done", "gpu")] {
        let plan = json!({"task_id": id, "dispatch_info": {"agent_pool": pool}}).to_string();
        assert_eq!(host.post("/api/v1/tasks", &plan).status, 200);
    }
    host.commit("done", "completed");
    let listed = host.until("/api/v1/submissions?state=overdue", |page| {
        !page["overdue"].as_array().unwrap().is_empty()
    });
    assert_eq!(listed["overdue"].as_array().unwrap().len(), 1, "{listed}");
    let overdue = &listed["overdue"][0];
    assert_eq!(
        (&overdue["task_id"], &overdue["agent_pool"]),
        (&json!("slow"), &json!("gpu"))
    );
    let program = |args: &[&str]| {
        let output = program(host.dir.path(), args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = program(&["-C", "audit.git", "submissions", "--state", "overdue"]);
    assert!(shown.contains("overdue      slow"), "{shown}");
    let compared = program(&["-C", "audit.git", "reconcile"]);
    assert!(
        compared.contains("2 announced tasks without an entry"),
        "{compared}"
    );

    let settings = "[tasks]\nrecord_overdue = true\noverdue = { gpu = \"1s\" }\n";
    let host = Host::with_settings(settings, &[]);
    let plan = r#"{"task_id":"slow","plan_id":"p","dispatch_info":{"agent_pool":"gpu"}}"#;
    assert_eq!(host.post("/api/v1/tasks", plan).status, 200);
    let task = host.until("/api/v1/tasks/slow", |task| task["recorded"].is_object());
    let entry = &task["recorded"]["entry"];
    assert_eq!(entry["status"], "timed_out", "{task}");
    assert_eq!(entry["plan_id"], "p");
}

#[test]
fn a_task_that_is_given_to_a_pool_with_a_deadline_later_is_overdue_as_well() {
    let settings = "[tasks]\nrecord_overdue = true\noverdue = { gpu = \"1s\" }\n";
    let host = Host::with_settings(settings, &[]);
    assert_eq!(
        host.post("/api/v1/tasks", r#"{"task_id":"late"}"#).status,
        200
    );
    // Another task shows that the host has looked, and that both were there.
    let other = r#"{"task_id":"other","dispatch_info":{"agent_pool":"gpu"}}"#;
    assert_eq!(host.post("/api/v1/tasks", other).status, 200);
    host.until("/api/v1/tasks/other", |task| task["recorded"].is_object());
    assert!(host.get("/api/v1/tasks/late").json()["recorded"].is_null());
    let dispatched = r#"{"task_id":"late","dispatch_info":{"agent_pool":"gpu"}}"#;
    assert_eq!(host.post("/api/v1/tasks", dispatched).status, 200);
    let task = host.until("/api/v1/tasks/late", |task| task["recorded"].is_object());
    assert_eq!(task["recorded"]["entry"]["status"], "timed_out", "{task}");
}
