//! Operation: the description, metrics, another policy while it runs.

use super::*;

const ADMIN: &str = "Authorization: Bearer admin-0123456789abcdef";

#[test]
fn the_description_names_every_route_and_the_metrics_are_there() {
    let host = Host::new();
    let description = host.get("/openapi.json").json();
    for (path, method) in [
        ("/api/v1/outcomes", "post"),
        ("/api/v1/work-results", "post"),
        ("/api/v1/tasks", "post"),
        ("/api/v1/tasks/{id}", "get"),
        ("/api/v1/tasks/{id}/entry", "get"),
        ("/api/v1/tasks/{id}/proof", "get"),
        ("/api/v1/submissions", "get"),
        ("/api/v1/audit/failures", "get"),
        ("/api/v1/audit/by-service/{name}", "get"),
        ("/api/v1/audit/query", "get"),
        ("/api/v1/events", "get"),
        ("/api/v1/trail", "get"),
        ("/api/v1/policy", "post"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    ] {
        assert!(description["paths"][path][method].is_object(), "{path}");
    }
    host.commit("a", "completed");
    let metrics = host.get("/metrics").body;
    for name in [
        "chiffon_audit_accepted_total 1",
        "chiffon_audit_settled_total{state=\"committed\"} 1",
        "chiffon_audit_backlog 0",
        "chiffon_audit_oldest_pending_seconds 0",
        "chiffon_audit_flush_seconds_count 1",
        "chiffon_audit_policy_seconds_count 1",
        "chiffon_audit_policy_faults_total 0",
        "chiffon_audit_http_connections 1",
        "chiffon_audit_followers 0",
        "chiffon_audit_http_bytes_in_flight 0",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
}

#[test]
fn a_bad_policy_is_refused_with_its_reason_and_the_one_in_force_stays() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "admin admin-0123456789abcdef\n").unwrap();
    let host = Host::with(&["--tokens", tokens.path().to_str().unwrap()]);
    let send = |kind: &str, body: &[u8]| {
        let kind = format!("Content-Type: {kind}");
        host.served
            .send("POST", "/api/v1/policy", &[ADMIN, &kind], body)
    };
    let before = host
        .served
        .send("GET", "/api/v1/trail", &[ADMIN], b"")
        .json()["policy"]
        .clone();
    let garbage = send("application/wasm", b"garbage");
    assert_eq!(garbage.status, 422, "{garbage:?}");
    let looping = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../host/demo/looping.wasm"
    ))
    .unwrap();
    let looping = send("application/wasm", &looping);
    assert_eq!(looping.status, 422, "{looping:?}");
    let detail = looping.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("fuel limit"), "{detail}");
    let after = host
        .served
        .send("GET", "/api/v1/trail", &[ADMIN], b"")
        .json()["policy"]
        .clone();
    assert_eq!(before["digest"], after["digest"]);
    // An array of members without names is not an object.
    for body in [&b"[null,null]"[..], b"[]", b"null", b"1", b"\"x\""] {
        assert_eq!(send("application/json", body).status, 400);
    }
    assert_eq!(send("application/json", b"{}").status, 200);
    assert_eq!(send("text/plain", b"{}").status, 415);
}

#[test]
fn a_policy_file_that_becomes_garbage_harms_no_call_and_a_reload_is_refused() {
    let dir = crate::support::temporary();
    let file = dir.path().join("policy.wasm");
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../host/prebuilt/policy.wasm"),
        &file,
    )
    .unwrap();
    let host = Host::with(&["--policy", file.to_str().unwrap()]);
    host.commit("a", "completed");
    std::fs::write(&file, "garbage").unwrap();
    host.served.signal("-HUP");
    host.commit("b", "completed");
    assert_eq!(host.entries(), 2);
}

#[test]
fn ready_says_whether_the_service_takes_outcomes() {
    let mut host = Host::new();
    let address = host.served.address.clone();
    let ask = || {
        let args = ["ready", "--listen", &address];
        program(host.dir.path(), &args).output().unwrap()
    };
    let ready = ask();
    assert!(ready.status.success(), "{ready:?}");
    let answer: Value = serde_json::from_slice(&ready.stdout).unwrap();
    assert_eq!(answer["status"], "ready");

    host.served.child.kill().unwrap();
    host.served.child.wait().unwrap();
    let args = ["ready", "--listen", &address];
    let gone = program(host.dir.path(), &args).output().unwrap();
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    let error = String::from_utf8(gone.stderr).unwrap();
    assert!(
        error.contains("cannot ask the service on 127.0.0.1:"),
        "{error}"
    );
}
