//! Entries that `commit` and `ingest` record beside the service on the same trail.

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

#[test]
fn what_is_recorded_beside_the_service_or_before_its_start_gets_its_rows() {
    let mut host = Host::new();
    host.commit("own", "failed");
    let beside = |host: &Host, task_id: &str| {
        let file = host.dir.path().join("beside.json");
        std::fs::write(file, outcome(task_id, "failed")).unwrap();
        let commit = ["-C", "audit.git", "commit", "beside.json"];
        let committed = program(host.dir.path(), &commit).output().unwrap();
        assert!(committed.status.success(), "{committed:?}");
    };
    let failures = |host: &Host, total: u64| {
        let page = host.until("/api/v1/audit/failures", |page| page["total"] == total);
        let ids = page["tasks"].as_array().unwrap().iter();
        ids.map(|task| task["task_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut stream = host.served.connect();
    let follow = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(follow).unwrap();
    let mut events = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(events.find(String::is_empty).unwrap(), "");
    beside(&host, "while-it-runs");
    assert_eq!(failures(&host, 2), ["while-it-runs", "own"]);
    let event = events.find(|line| line.starts_with("data: ")).unwrap();
    assert!(event.contains("\"while-it-runs\""), "{event}");
    host.served.signal("-KILL");
    host.served.child.wait().unwrap();
    beside(&host, "before-1");
    beside(&host, "before-2");
    host.served = Served::start(host.dir.path(), &[]);
    // Its row exists before those are read.
    host.commit("at-once", "failed");
    assert_eq!(
        failures(&host, 5),
        ["at-once", "before-2", "before-1", "while-it-runs", "own"]
    );
}

#[test]
fn what_is_recorded_where_history_is_cut_off_is_blocked_until_its_commit_can_be_found() {
    let host = Host::new();
    host.commit("a", "completed");
    host.commit("b", "completed");
    let dir = crate::support::temporary();
    let trail = dir.path().join("audit.git");
    let (from, to) = (host.trail(), trail.to_str().unwrap());
    let from = format!("file://{}", from.display());
    host.git(&["clone", "-q", "--bare", "--depth", "1", &from, to]);
    let served = Served::start(dir.path(), &[]);
    let body = outcome("a", "completed");
    let answer = served.post("/api/v1/outcomes?wait=committed", &body);
    assert_eq!(answer.status, 202, "{answer:?}");
    let receipt = answer.json();
    assert_eq!(
        (&receipt["state"], &receipt["cause"]),
        (&"blocked".into(), &"unreadable".into())
    );
    let reason = receipt["reason"].as_str().unwrap();
    assert!(reason.contains("history is cut off"), "{reason}");
    support::git(&trail, &["fetch", "-q", "--unshallow"]);
    served.signal("-HUP");
    served.until("/api/v1/tasks/a", |task| {
        task["submissions"][0]["state"] == "committed"
    });
}
