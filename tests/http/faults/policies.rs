//! Outcomes on which the policy faults, and what an operator can do: they are set aside, tried again, and resolved by
//! hand if needed.

use super::*;

const ADMIN: &str = "Authorization: Bearer admin-0123456789abcdef";

/// Enough fuel for usual outcomes, and not for [`large`] ones.
const LITTLE: &str = "[policy]\nfuel = 3000000\n";

fn large(task_id: &str) -> String {
    let padding = "x".repeat(400_000);
    format!(r#"{{"task_id":"{task_id}","status":"completed","metadata":{{"a":"{padding}"}}}}"#)
}

fn settings(host: &Host, text: &str) {
    let file = host
        .dir
        .path()
        .join("home/.config/chiffon-audit/config.toml");
    std::fs::write(file, text).unwrap();
}

#[test]
fn an_outcome_on_which_the_policy_faults_is_set_aside_and_is_committed_once_the_limit_is_raised() {
    let host = Host::with_settings(LITTLE, &[]);
    // More than three in a row; but the policy passes its trial, so they are at fault and not the policy.
    for number in 0..4 {
        let id = format!("large-{number}");
        let answer = host.post("/api/v1/outcomes?wait=committed", &large(&id));
        assert_eq!(answer.status, 202, "{answer:?}");
        let receipt = answer.json();
        assert_eq!(
            (&receipt["state"], &receipt["cause"]),
            (&"blocked".into(), &"policy-fuel".into())
        );
        let reason = receipt["reason"].as_str().unwrap();
        assert!(reason.contains("setting policy.fuel"), "{reason}");
    }
    host.commit("small", "completed");
    let trail = host.get("/api/v1/trail").json();
    assert_eq!(trail["policy"]["quarantined"], Value::Null, "{trail}");
    assert_eq!(trail["degraded"], false, "{trail}");
    assert_eq!(trail["backlog"]["blocked"], 4, "{trail}");
    assert_eq!(host.get("/readyz").json()["status"], "ready");
    let metrics = host.get("/metrics").body;
    assert!(metrics.contains("chiffon_audit_blocked 4"), "{metrics}");
    // The status names the time of the next attempt, which happens.
    let tried = |task: &Value| task["submissions"][0]["attempts"].as_u64() >= Some(2);
    let task = host.until("/api/v1/tasks/large-0", tried);
    assert!(task["submissions"][0]["next_attempt"].is_string(), "{task}");
    // By hand: the limit is raised and the host is told to reload.
    settings(&host, "[policy]\nfuel = 1000000000\n");
    host.served.signal("-HUP");
    host.until("/api/v1/trail", |trail| trail["backlog"]["blocked"] == 0);
    host.until("/api/v1/tasks/large-3", |task| task["state"] == "committed");
    assert_eq!(host.entries(), 5);
}

#[test]
fn a_policy_in_quarantine_gives_way_to_one_that_works_and_what_waited_is_committed() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "admin admin-0123456789abcdef\n").unwrap();
    let dir = crate::support::temporary();
    let file = dir.path().join("policy.wasm");
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    std::fs::copy(format!("{here}/host/demo/looping.wasm"), &file).unwrap();
    // A loaded policy is not tried at the start: it decides, and faults.
    let args = [
        "--policy",
        file.to_str().unwrap(),
        "--tokens",
        tokens.path().to_str().unwrap(),
    ];
    let host = Host::with(&args);
    let send = |method: &str, path: &str, body: &str| {
        let headers = [ADMIN, "Content-Type: application/json"];
        host.served.send(method, path, &headers, body.as_bytes())
    };
    let until = |path: &str, fits: &dyn Fn(&Value) -> bool| {
        for _ in 0..2_000 {
            if fits(&send("GET", path, "").json()) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{path} stays {:?}", send("GET", path, ""));
    };
    for number in 0..4 {
        let body = outcome(&format!("t{number}"), "completed");
        assert_eq!(send("POST", "/api/v1/outcomes", &body).status, 202);
    }
    until("/api/v1/trail", &|trail| {
        trail["policy"]["quarantined"].is_object()
    });
    let ready = host.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["causes"].clone()),
        (200, serde_json::json!(["policy-quarantined"]))
    );
    // An invalid file in its place is refused, and nothing changes.
    std::fs::write(&file, "garbage").unwrap();
    let refused = send("POST", "/api/v1/policy", "{}");
    assert_eq!(refused.status, 422, "{refused:?}");
    until("/api/v1/trail", &|trail| {
        trail["policy"]["quarantined"].is_object()
    });
    assert_eq!(host.entries(), 0);
    // A policy that works.
    std::fs::copy(format!("{here}/host/prebuilt/policy.wasm"), &file).unwrap();
    let changed = send("POST", "/api/v1/policy", "{}");
    assert_eq!(changed.status, 200, "{changed:?}");
    until("/api/v1/trail", &|trail| {
        trail["policy"]["quarantined"].is_null()
            && trail["backlog"]["pending"] == 0
            && trail["backlog"]["blocked"] == 0
    });
    assert_eq!(host.entries(), 4);
    assert!(
        send("GET", "/metrics", "")
            .body
            .contains("chiffon_audit_policy_quarantined 0")
    );
}
