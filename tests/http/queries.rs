//! Ambiguous or malformed queries and headers: refused by name, on every route.

use super::*;

/// Checks that the problem document names this parameter.
#[track_caller]
fn check(host: &Host, method: &str, target: &str, parameter: &str) {
    let answer = host.served.send(
        method,
        target,
        &["Content-Type: application/json"],
        outcome("t", "completed").as_bytes(),
    );
    assert_eq!(answer.status, 422, "{method} {target}: {answer:?}");
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:chiffon-audit:problem:parameter");
    assert_eq!(problem["errors"][0]["parameter"], parameter, "{target}");
}

#[test]
fn what_is_no_text_is_refused_by_name_on_every_route() {
    let host = Host::new();
    host.commit("a", "completed");
    for (method, path, name) in [
        ("GET", "/api/v1/audit/query", "intent"),
        ("GET", "/api/v1/audit/query", "service"),
        ("GET", "/api/v1/audit/query", "status"),
        ("GET", "/api/v1/audit/query", "since"),
        ("GET", "/api/v1/audit/query", "cursor"),
        ("GET", "/api/v1/audit/failures", "service"),
        ("GET", "/api/v1/audit/failures", "reporter"),
        ("GET", "/api/v1/audit/by-service/a", "status"),
        ("GET", "/api/v1/submissions", "state"),
        ("GET", "/api/v1/submissions", "limit"),
        ("GET", "/api/v1/events", "after"),
        ("GET", "/api/v1/tasks/a", "x"),
        ("GET", "/api/v1/tasks/a/entry", "x"),
        ("GET", "/api/v1/tasks/a/proof", "x"),
        ("GET", "/api/v1/trail", "x"),
        ("GET", "/healthz", "x"),
        ("GET", "/readyz", "x"),
        ("GET", "/metrics", "x"),
        ("GET", "/openapi.json", "x"),
        ("POST", "/api/v1/outcomes", "wait"),
        ("POST", "/api/v1/work-results", "wait"),
        ("POST", "/api/v1/tasks", "x"),
    ] {
        for value in ["%ff", "a%c3", "%ed%a0%80", "%", "%f", "%zz"] {
            check(&host, method, &format!("{path}?{name}={value}"), name);
        }
    }
    // Nothing was accepted.
    assert_eq!(host.get("/api/v1/tasks/t").status, 404);
    let found = host.get("/api/v1/audit/query?intent=%C3%A9%00");
    assert_eq!(found.status, 200, "{found:?}");
}

#[test]
fn what_is_given_twice_or_not_known_is_refused_by_name() {
    let host = Host::new();
    host.commit("a", "completed");
    for (method, target, name) in [
        ("GET", "/api/v1/audit/query?limit=1&limit=2", "limit"),
        (
            "GET",
            "/api/v1/audit/query?service=a&servic%65=a",
            "service",
        ),
        (
            "GET",
            "/api/v1/submissions?state=pending&state=blocked",
            "state",
        ),
        ("GET", "/api/v1/events?after=&after=", "after"),
        (
            "POST",
            "/api/v1/outcomes?wait=accepted&wait=committed",
            "wait",
        ),
        ("GET", "/api/v1/audit/query?Limit=1", "Limit"),
        ("GET", "/api/v1/audit/failures?status=failed", "status"),
        ("GET", "/api/v1/submissions?offset=1", "offset"),
        ("GET", "/api/v1/events?since=2026-01-01", "since"),
        ("GET", "/api/v1/tasks/a?full=1", "full"),
        ("GET", "/api/v1/tasks/a/entry?x=1", "x"),
        ("GET", "/api/v1/tasks/a/proof?x=1", "x"),
        ("GET", "/api/v1/trail?x=1", "x"),
        ("POST", "/api/v1/tasks?wait=committed", "wait"),
        ("POST", "/api/v1/outcomes?dry-run=true", "dry-run"),
    ] {
        check(&host, method, target, name);
    }
    // Probes may have a query, so that no cache answers.
    assert_eq!(host.get("/healthz?now=1").status, 200);
}

#[test]
fn a_number_is_one_in_range() {
    let host = Host::new();
    for (name, values) in [
        (
            "limit",
            &[
                "0",
                "-1",
                "1001",
                "%2B5",
                "5.0",
                "1e2",
                "+5",
                "",
                "99999999999999999999999",
            ][..],
        ),
        ("offset", &["-1", "%2B5", "4294967296", "x"]),
        (
            "days",
            &["0", "-1", "91", "%2B7", "99999999999999999999999"],
        ),
    ] {
        for value in values {
            check(
                &host,
                "GET",
                &format!("/api/v1/audit/failures?{name}={value}"),
                name,
            );
        }
    }
    for cursor in ["-1", "%2B5", "x", "9223372036854775808"] {
        check(
            &host,
            "GET",
            &format!("/api/v1/submissions?cursor={cursor}"),
            "cursor",
        );
    }
}

#[test]
fn headers_that_contradict_each_other_are_refused() {
    let host = Host::new();
    let json = "Content-Type: application/json";
    let post = |headers: &[&str]| {
        let body = outcome("t", "completed");
        host.served
            .send("POST", "/api/v1/outcomes", headers, body.as_bytes())
            .status
    };
    for headers in [
        &[json, json][..],
        &[json, "Content-Type: text/plain"],
        &["Content-Type: application/json; charset=latin1"],
        &["Content-Type: application/json; charset=\"utf-16\""],
        &["Content-Type: application/json; charset=utf-8; charset=utf-16"],
        &["Content-Type: application/jsonx"],
        &["Content-Type: application/json, text/plain"],
        &[json, "Content-Encoding: br"],
        &[json, "Content-Encoding: gzip", "Content-Encoding: zstd"],
    ] {
        assert_eq!(post(headers), 415, "{headers:?}");
    }
    assert_eq!(host.get("/api/v1/tasks/t").status, 404);
    for headers in [
        &["Content-Type: application/json; charset=utf-8"][..],
        &["Content-Type: Application/JSON ; Charset=\"UTF-8\"; x=y"],
        &[json, "Content-Encoding: Identity"],
    ] {
        // The second and the third repeat the first.
        assert!([200, 202].contains(&post(headers)), "{headers:?}");
    }
    let twice = ["Last-Event-ID: 1", "Last-Event-ID: 2"];
    let answer = host.served.send("GET", "/api/v1/events", &twice, b"");
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[test]
fn what_is_refused_is_in_the_log_with_who_reported_it_and_the_requests_name() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    std::fs::write(
        dir.path().join("tokens"),
        "write deploy-bot Deploy-0123456789abcdef\n",
    )
    .unwrap();
    let file = dir.path().join("log");
    let log = std::fs::File::create(&file).unwrap();
    let args = ["--log", "info", "--tokens", "tokens"];
    let mut served = Served::start_with(dir.path(), &args, &[], log.into());
    let headers = [
        "Content-Type: application/json",
        "Authorization: Bearer Deploy-0123456789abcdef",
        "X-Request-Id: request-7",
    ];
    for path in ["/api/v1/outcomes", "/api/v1/work-results", "/api/v1/tasks"] {
        let body = br#"{"task_id":"t","status":"secret"}"#;
        let answer = served.send("POST", path, &headers, body);
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    served.signal("-TERM");
    served.child.wait().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let refused: Vec<Value> = lines.filter(|line| line["message"] == "refused").collect();
    assert_eq!(refused.len(), 3, "{text}");
    for line in refused {
        assert_eq!(line["reporter"], "deploy-bot", "{line}");
        assert_eq!(line["request_id"], "request-7", "{line}");
        assert!(
            line["peer"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{line}"
        );
        let violations = line["violations"].as_str().unwrap();
        assert!(violations.contains("/status"), "{line}");
    }
}
