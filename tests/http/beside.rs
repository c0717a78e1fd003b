//! What is recorded beside the service, by `commit` and `ingest` on the same trail.

use super::*;

#[test]
fn what_was_recorded_beside_the_service_is_shown() {
    let host = Host::new();
    let file = host.dir.path().join("beside.json");
    std::fs::write(&file, outcome("beside", "failed")).unwrap();
    assert_eq!(host.get("/api/v1/tasks/beside").status, 404);
    let commit = ["-C", "audit.git", "commit", "beside.json"];
    let committed = program(host.dir.path(), &commit).output().unwrap();
    assert!(committed.status.success(), "{committed:?}");
    let task = host.get("/api/v1/tasks/beside");
    assert_eq!(task.status, 200, "{task:?}");
    let task = task.json();
    assert_eq!(task["state"], "committed");
    assert_eq!(task["submissions"], Value::Array(Vec::new()));
    let recorded = &task["recorded"];
    assert_eq!(
        recorded["commit"],
        host.git(&["rev-parse", "HEAD"]).trim(),
        "{recorded}"
    );
    assert_eq!(recorded["entry"]["status"], "failed");
}

#[test]
fn whether_there_is_a_task_is_not_denied_while_the_trail_cannot_be_read() {
    let host = Host::new();
    host.commit("a", "completed");
    let tip = host.trail().join("refs/heads/main");
    let good = std::fs::read(&tip).unwrap();
    std::fs::write(&tip, "garbage\n").unwrap();
    let unknown = host.get("/api/v1/tasks/b");
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert_eq!(unknown.json()["type"], "urn:chiffon-audit:problem:trail");
    assert_eq!(host.get("/api/v1/tasks/a").json()["state"], "committed");
    std::fs::write(&tip, good).unwrap();
    assert_eq!(host.get("/api/v1/tasks/b").status, 404);
}
