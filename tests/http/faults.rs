//! Faults of clients, git and the policy. No accepted outcome is lost.

mod certificates;
mod clients;
mod clock;
mod database;
mod disks;
mod kills;
pub(super) mod load;
mod logs;
mod policies;
mod postgres;
mod stalls;

use super::*;

#[test]
fn clients_that_send_too_much_or_nothing_do_no_harm() {
    let host = Host::new();
    let idle: Vec<TcpStream> = (0..1_000).map(|_| host.served.connect()).collect();
    let mut slow = host.served.connect();
    slow.write_all(b"POST /api/v1/outcomes HT").unwrap();
    let json = ["Content-Type: application/json"];
    let large = vec![b' '; 10 << 20];
    let answer = host.served.send("POST", "/api/v1/outcomes", &json, &large);
    assert_eq!(answer.status, 413, "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], 413, "{problem}");
    let mut chunked = host.served.connect();
    let head = "POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.write_all(head.as_bytes()).unwrap();
    chunked.write_all(b"200000\r\n").unwrap();
    chunked.write_all(&large[..0x20_0000]).unwrap();
    chunked.write_all(b"\r\n0\r\n\r\n").unwrap();
    let mut status = [0; 12];
    chunked.read_exact(&mut status).unwrap();
    assert!(
        status.ends_with(b"413"),
        "{:?}",
        String::from_utf8_lossy(&status)
    );
    // A client that asks first gets this answer, and sends nothing.
    let mut asking = host.served.connect();
    let head = "POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\nExpect: 100-continue\r\n\r\n";
    asking.write_all(head.as_bytes()).unwrap();
    asking.read_exact(&mut status).unwrap();
    assert!(
        status.ends_with(b"413"),
        "{:?}",
        String::from_utf8_lossy(&status)
    );
    host.commit("a", "completed");
    drop((idle, slow));
    assert_eq!(host.get("/nowhere").status, 404);
    assert_eq!(
        host.served
            .send("DELETE", "/api/v1/outcomes", &[], b"")
            .status,
        405
    );
}

#[test]
fn git_trouble_never_fails_a_report_and_what_waited_is_committed_without_a_hand() {
    let host = Host::new();
    host.commit("a", "completed");
    let away = host.dir.path().join("away.git");
    // The ref cannot be read any more; accepting continues.
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    for number in 0..50 {
        let body = format!(r#"{{"task_id":"w{number}","status":"failed"}}"#);
        assert_eq!(host.post("/api/v1/work-results", &body).status, 202);
    }
    let trail = host.until("/api/v1/trail", |trail| trail["degraded"] == true);
    assert_eq!(trail["backlog"]["pending"], 50, "{trail}");
    let ready = host.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["status"].clone()),
        (200, "degraded".into())
    );
    let task = host.get("/api/v1/tasks/w9").json();
    assert_eq!(task["state"], "blocked", "{task}");
    assert!(task["submissions"][0]["cause"].is_string(), "{task}");
    // Nothing prevents restoring it.
    assert!(!host.trail().join("refs").exists());
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    host.until("/api/v1/trail", |trail| {
        trail["backlog"]["pending"] == 0 && trail["degraded"] == false
    });
    assert_eq!(host.entries(), 51);
}

#[test]
fn while_git_is_away_nothing_is_recorded_in_a_repository_around_it() {
    let host = Host::new();
    let around = host.dir.path();
    support::git(around, &["init", "--quiet"]);
    let away = around.join("away.git");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    host.post("/api/v1/outcomes", r#"{"task_id":"a","status":"failed"}"#);
    // It has failed twice, and the trail was opened again before the third attempt.
    let tried = |task: &serde_json::Value| {
        task["state"] == "committed" || task["submissions"][0]["attempts"].as_u64() >= Some(3)
    };
    let task = host.until("/api/v1/tasks/a", tried);
    assert_eq!(task["state"], "blocked", "{task}");
    assert!(!around.join(".git/chiffon-audit").exists());
    assert_eq!(support::git(around, &["for-each-ref"]), "");
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    host.until("/api/v1/tasks/a", |task| task["state"] == "committed");
    assert_eq!(host.entries(), 1);
}

#[test]
fn what_was_accepted_before_a_crash_is_committed_after_it() {
    let mut host = Host::new();
    let away = host.dir.path().join("away.git");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    for number in 0..200 {
        assert_eq!(
            host.post(
                "/api/v1/outcomes",
                &outcome(&format!("t{number}"), "completed")
            )
            .status,
            202
        );
    }
    host.served.child.kill().unwrap();
    host.served.child.wait().unwrap();
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    host.served = Served::start(host.dir.path(), &[]);
    host.until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    assert_eq!(host.entries(), 200);
    load::end(&mut host.served);
    support::git(&host.trail(), &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn it_ends_in_order_and_commits_what_waits() {
    let mut host = Host::new();
    for number in 0..100 {
        assert_eq!(
            host.post(
                "/api/v1/outcomes",
                &outcome(&format!("t{number}"), "completed")
            )
            .status,
            202
        );
    }
    host.served.signal("-TERM");
    assert!(host.served.child.wait().unwrap().success());
    assert_eq!(host.entries(), 100);
}

#[test]
fn a_policy_that_faults_on_everything_is_quarantined_and_nothing_is_lost() {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/demo/looping.wasm");
    for (what, waits) in [("hold", true), ("builtin", false)] {
        // The usual limit takes seconds each time.
        let settings = "[policy]\nfuel = 50000000\n";
        let host = Host::with_settings(settings, &["--policy", policy, "--on-policy-fault", what]);
        for number in 0..5 {
            assert_eq!(
                host.post(
                    "/api/v1/outcomes",
                    &outcome(&format!("t{number}"), "completed")
                )
                .status,
                202
            );
        }
        let trail = host.until("/api/v1/trail", |trail| {
            trail["policy"]["quarantined"].is_object()
        });
        assert_eq!(trail["degraded"], true);
        assert!(
            host.get("/metrics")
                .body
                .contains("chiffon_audit_policy_quarantined 1")
        );
        if waits {
            let task = host.get("/api/v1/tasks/t0").json();
            assert_eq!(
                (&task["state"], &task["submissions"][0]["cause"]),
                (&"blocked".into(), &"policy-fuel".into())
            );
            assert_eq!(host.entries(), 0);
        } else {
            host.until("/api/v1/tasks/t4", |task| task["state"] == "committed");
        }
    }
}
