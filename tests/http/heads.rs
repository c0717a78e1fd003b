//! Invalid request heads: the answer is a problem document, and the connection is closed.

use super::*;

/// Sends these bytes, ends sending, and reads to the end.
fn raw(served: &Served, bytes: &[u8]) -> Answer {
    let mut stream = served.connect();
    // The answer may come before all of it is read.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    read_answer(stream).unwrap()
}

#[track_caller]
fn check(served: &Served, bytes: &[u8], status: u16) {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let answer = raw(served, bytes);
    assert_eq!(answer.status, status, "{shown}: {answer:?}");
    let head = answer.head.to_ascii_lowercase();
    assert!(
        head.contains("content-type: application/problem+json"),
        "{shown}: {answer:?}"
    );
    assert!(head.contains("connection: close"), "{shown}: {answer:?}");
    assert_eq!(answer.json()["status"], status, "{shown}");
}

#[test]
fn what_is_no_request_is_400() {
    let host = Host::new();
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/x\r\nHost: localhost\r\n\r\n",
        b"GET /healthz http/1.1\r\nHost: localhost\r\n\r\n",
        b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GE T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"G@T /healthz HTTP/1.1\r\nHost: localhost\r\nX\x00Y: 1\r\n\r\n",
        b"GET /heal thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n: no name\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        b"POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n",
        b"POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        // Cut off in the middle of a head.
        b"GET /healthz HTTP/1.1\r\nHost: loc",
    ] {
        check(&host.served, request, 400);
    }
    // Other clients are not affected.
    assert_eq!(host.get("/healthz").status, 200);
}

#[test]
fn a_host_is_given_once_and_can_be_one() {
    let host = Host::new();
    for head in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "host: localhost\r\nHOST: localhost\r\n",
        "Host: local host\r\n",
        "Host: localhost/\r\n",
        "Host: user@localhost\r\n",
        "Host: localhost:http\r\n",
        "Host: [::1\r\n",
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\n{head}\r\n");
        check(&host.served, request.as_bytes(), 400);
    }
    for target in [
        "http://user@localhost/healthz",
        "http://user:password@localhost/healthz",
        "http://localhost@evil.example/healthz",
        "http://evil.example@localhost:8787/healthz",
        "http://localhost:http/healthz",
        "http://localhost:123456/healthz",
        "ftp://localhost/healthz",
        "file://localhost/healthz",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        check(&host.served, request.as_bytes(), 400);
    }
    // Before HTTP/1.1 the `Host` header is optional; without it only probes are answered.
    let old = raw(&host.served, b"GET /api/v1/trail HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 421, "{old:?}");
    let probe = raw(&host.served, b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(probe.status, 200, "{probe:?}");
    let absolute =
        b"GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(&host.served, absolute).status, 200);
    let absolute =
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(&host.served, absolute).status, 421);
}

#[test]
fn what_is_too_long_is_414_or_431() {
    let host = Host::new();
    for length in [16_000, 20_000, 70_000, 1_000_000] {
        let target = "a".repeat(length);
        let request = format!("GET /{target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let status = if length < 16_384 { 404 } else { 414 };
        if status == 404 {
            let close = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
            assert_eq!(raw(&host.served, close.as_bytes()).status, 404);
        } else {
            check(&host.served, request.as_bytes(), status);
        }
    }
    for length in [17_000, 100_000, 1_000_000] {
        let value = "a".repeat(length);
        let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {value}\r\n\r\n");
        check(&host.served, request.as_bytes(), 431);
    }
    for count in [101, 1000] {
        let many: String = (0..count)
            .map(|number| format!("X{number}: 1\r\n"))
            .collect();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
        check(&host.served, request.as_bytes(), 431);
    }
}

#[test]
fn another_version_is_505() {
    let host = Host::new();
    for line in [
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET / HTTP/0.9",
        "GET / HTTP/3",
        "PRI * HTTP/2.0",
    ] {
        let request = format!("{line}\r\nHost: localhost\r\n\r\n");
        check(&host.served, request.as_bytes(), 505);
    }
}

/// The well-formed request before it is answered first.
#[test]
fn a_malformed_head_behind_a_good_one_takes_nothing_from_it() {
    let host = Host::new();
    let both = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n";
    let answer = raw(&host.served, both);
    assert_eq!(answer.status, 200, "{answer:?}");
    let rest = answer.body.strip_prefix("alive\n").unwrap();
    assert!(rest.starts_with("HTTP/1.1 400 "), "{rest}");
    assert!(rest.contains("urn:chiffon-audit:problem:head"), "{rest}");
    let three = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3);
    let answer = raw(&host.served, &three);
    let text = format!("{}\r\n\r\n{}", answer.head, answer.body);
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
}

#[test]
fn methods_and_targets_that_there_are_not_are_told_apart() {
    let host = Host::new();
    for (method, path, status) in [
        ("TRACE", "/healthz", 405),
        ("OPTIONS", "/healthz", 405),
        ("DELETE", "/api/v1/tasks/a", 405),
        ("PUT", "/api/v1/outcomes", 405),
        ("PROPFIND", "/api/v1/trail", 405),
        ("OPTIONS", "*", 404),
        ("GET", "/healthz/", 404),
        ("GET", "//healthz", 404),
        ("GET", "/api/v1/tasks/", 404),
        ("GET", "/api/v1/tasks/a%2Fb", 404),
        ("GET", "/api/v1/tasks/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/api/v1/tasks/%00", 404),
        ("GET", "/api/v1/tasks/%ff", 404),
        ("GET", "/api/v1/../../healthz", 404),
        ("GET", "/HEALTHZ", 404),
    ] {
        let answer = host.served.send(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.json()["status"], status, "{method} {path}");
        let allows = answer.head.to_ascii_lowercase().contains("\r\nallow: ");
        assert_eq!(allows, status == 405, "{method} {path}: {answer:?}");
    }
    let head = host.served.send("HEAD", "/healthz", &[], b"");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

/// A proxy on this machine forwards the name that the client used.
#[test]
fn with_tokens_any_host_is_served_and_without_those_that_are_allowed() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "write writewritewrite1\n").unwrap();
    let with = Host::with(&["--tokens", tokens.path().to_str().unwrap()]);
    let headers = [
        "Host: audit.example.com",
        "Authorization: Bearer writewritewrite1",
        "Content-Type: application/json",
    ];
    let body = outcome("t", "completed");
    let post = |served: &Served, headers: &[&str]| {
        served
            .send("POST", "/api/v1/outcomes", headers, body.as_bytes())
            .status
    };
    assert_eq!(post(&with.served, &headers), 202);
    assert_eq!(post(&with.served, &[headers[0], headers[2]]), 401);
    let without = Host::with_settings("[serve]\nallowed_hosts = [\"audit.example.com\"]\n", &[]);
    assert_eq!(post(&without.served, &[headers[0], headers[2]]), 202);
    assert_eq!(
        post(
            &without.served,
            &["Host: AUDIT.example.com:8443", headers[2]]
        ),
        200 + 2
    );
    for evil in [
        "Host: evil.example",
        "Host: audit.example.com.evil",
        "Host: x.audit.example.com",
    ] {
        assert_eq!(post(&without.served, &[evil, headers[2]]), 421, "{evil}");
    }
    let plain = Host::new();
    assert_eq!(post(&plain.served, &[headers[0], headers[2]]), 421);
}

#[test]
fn preferences_are_read_as_they_may_be_written() {
    let host = Host::new();
    let ask = |task: &str, prefer: &[&str]| {
        let mut headers = vec!["Content-Type: application/json"];
        headers.extend(prefer);
        let body = outcome(task, "completed");
        host.served
            .send("POST", "/api/v1/outcomes", &headers, body.as_bytes())
    };
    for (number, prefer) in [
        &["Prefer: WAIT=30"][..],
        &["prefer: wait=30; x=y"],
        &["Prefer: respond-async, Wait=\"30\""],
        &["Prefer: foo", "Prefer: wait = 30"],
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(&format!("t-{number}"), prefer);
        assert_eq!(answer.status, 200, "{prefer:?}: {answer:?}");
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("preference-applied: wait=30"), "{answer:?}");
    }
    assert_eq!(ask("t-x", &["Prefer: waiting=30"]).status, 202);
}
