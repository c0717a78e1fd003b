//! What a service offers to an auditor: a report with refusals and conflicts, checkpoints and their alarms.

use super::*;

#[test]
fn a_report_tells_what_the_service_turned_down() {
    let host = Host::new();
    host.commit("a", "completed");
    let conflict = host.post("/api/v1/outcomes?wait=committed", &outcome("a", "failed"));
    assert_eq!(conflict.status, 409, "{conflict:?}");
    let collides = host.post("/api/v1/outcomes?wait=committed", &outcome("A", "failed"));
    assert_eq!(collides.status, 422, "{collides:?}");
    let report = |directory: &str, arguments: &[&str]| {
        let all = [&["report", directory], arguments].concat();
        let output = program(host.dir.path(), &all).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let facts: Value = serde_json::from_str(&report("audit.git", &["--json"])).unwrap();
    let kept = &facts["kept"];
    assert_eq!(
        (&kept["known"], &kept["conflicting"], &kept["refused"]),
        (&"shown".into(), &1.into(), &1.into()),
        "{kept}"
    );
    assert_eq!(kept["latest"][0]["task_id"], "A");
    assert_eq!(kept["latest"][1]["kind"], "conflicting");
    let reason = kept["latest"][1]["reason"].as_str().unwrap();
    assert!(reason.contains("differs in /status"), "{reason}");
    let page = report("audit.git", &[]);
    assert!(page.contains("1 conflicting, 1 refused"), "{page}");
    let none: Value =
        serde_json::from_str(&report("audit.git", &["--json", "--until", "2020-01-01"])).unwrap();
    assert_eq!(none["kept"]["conflicting"], 0);
    // A clone has no store, and can be given one.
    host.git(&["clone", "-q", "--bare", ".", "../copy"]);
    let facts: Value = serde_json::from_str(&report("copy", &["--json"])).unwrap();
    assert_eq!(facts["kept"]["known"], "not-shown");
    let store = "sqlite:audit.git/chiffon-audit/store.sqlite";
    for (form, words) in [
        ("json", "\"conflicting\":1"),
        ("csv", "kept,a,conflicting,1"),
        ("markdown", "1 conflicting, 1 refused"),
        ("html", "an entry that differs in"),
    ] {
        let told = report("copy", &["--store", store, "--format", form]);
        assert!(told.contains(words), "{form}: {told}");
    }
    let missing = ["report", "copy", "--store", "sqlite:nowhere"];
    let output = program(host.dir.path(), &missing).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_service_that_keeps_checkpoints_sounds_the_alarm_when_the_trail_is_rolled_back() {
    let host = Host::new();
    for id in ["a", "b"] {
        host.commit(id, "completed");
    }
    assert!(host.get("/api/v1/trail").json()["checkpoint"].is_null());
    let Host { dir, served } = host;
    drop(served);
    let made = ["-C", "audit.git", "checkpoint", "--new-key", "key"];
    assert!(
        program(dir.path(), &made)
            .output()
            .unwrap()
            .status
            .success()
    );
    let keep = [
        "--checkpoint-every",
        "1",
        "--checkpoint-to",
        "kept",
        "--checkpoint-key",
        "key",
    ];
    let served = Served::start(dir.path(), &keep);
    let host = Host { dir, served };
    let trail = host.until("/api/v1/trail", |trail| trail["checkpoint"]["entries"] == 2);
    let checkpoint = &trail["checkpoint"];
    assert!(
        checkpoint["trouble"].is_null() && checkpoint["kept_at"].is_string(),
        "{trail}"
    );
    let metrics = host.get("/metrics").body;
    for name in [
        "chiffon_audit_checkpoint_age_seconds ",
        "chiffon_audit_checkpoint_failing 0",
        "chiffon_audit_checkpoint_entries 2",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    assert_eq!(host.get("/readyz").json()["status"], "ready");
    host.git(&["update-ref", "HEAD", "HEAD~1"]);
    let ready = host.until("/readyz", |ready| {
        ready["causes"]
            .as_array()
            .unwrap()
            .contains(&"rolled-back".into())
    });
    assert_eq!(ready["status"], "degraded");
    assert!(
        host.get("/metrics")
            .body
            .contains("chiffon_audit_checkpoint_failing 1")
    );
    // The recorder meets it as well, which is no second cause.
    host.served.send(
        "POST",
        "/api/v1/outcomes",
        &["Content-Type: application/json", "Prefer: wait=2"],
        outcome("later", "failed").as_bytes(),
    );
    let ready = host.get("/readyz").json();
    assert_eq!(ready["causes"], serde_json::json!(["rolled-back"]));
}

#[test]
fn what_nobody_could_sign_is_told_and_counted() {
    let dir = crate::support::temporary();
    let config = dir.path().join("home/.config/chiffon-audit");
    std::fs::create_dir_all(&config).unwrap();
    let init = ["init", "--bare", "audit.git"];
    assert!(
        program(dir.path(), &init)
            .output()
            .unwrap()
            .status
            .success()
    );
    std::fs::write(
        config.join("config.toml"),
        "[signing]\nopenpgp_key = \"host\"\nprogram = \"/bin/false\"\non_failure = \"unsigned\"\n",
    )
    .unwrap();
    let served = Served::start(dir.path(), &[]);
    let host = Host { dir, served };
    let mut stream = host.served.connect();
    let follow = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(follow).unwrap();
    let mut events = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(events.find(String::is_empty).unwrap(), "");
    let unavailable = &Value::from("unavailable");
    assert_eq!(&host.commit("a", "completed")["signature"], unavailable);
    let event = events.find(|line| line.starts_with("data: ")).unwrap();
    assert!(event.contains(r#""signature":"unavailable""#), "{event}");
    let task = host.get("/api/v1/tasks/a").json();
    assert_eq!(&task["recorded"]["signature"], unavailable);
    assert_eq!(&task["submissions"][0]["signature"], unavailable);
    let page = host.get("/api/v1/audit/query").json();
    assert_eq!(&page["tasks"][0]["signature"], unavailable);
    assert!(
        host.get("/metrics")
            .body
            .contains("chiffon_audit_unsigned_total 1")
    );
}
