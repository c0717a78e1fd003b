//! Limits for clients: connections, bytes, memory. No client can block the others.

use super::*;

/// The peak memory of the process in megabytes.
fn peak(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() / 1024
}

fn large(task_id: &str, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(
        r#"{{"task_id":"{task_id}","status":"completed","execution_result":{{"outcome":"{text}"}}}}"#
    )
}

#[test]
fn a_page_is_bounded_in_bytes_and_continues_with_its_cursor() {
    let host = Host::new();
    let count = 60;
    for number in 0..count {
        let answer = host.post(
            "/api/v1/outcomes?wait=committed",
            &large(&format!("big-{number}"), 1_000_000),
        );
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let before = peak(&host.served);
    let mut seen = Vec::new();
    let mut path = "/api/v1/audit/query?limit=1000".to_owned();
    loop {
        let answer = host.get(&path);
        assert_eq!(answer.status, 200);
        let body = answer.body.clone();
        let page: Value = serde_json::from_str(&body).unwrap();
        let tasks = page["tasks"].as_array().unwrap();
        assert!(body.len() < 20 << 20, "{}", body.len());
        seen.extend(
            tasks
                .iter()
                .map(|task| task["task_id"].as_str().unwrap().to_owned()),
        );
        if path.ends_with("1000") {
            assert_eq!(
                (&page["total"], &page["limit"]),
                (&count.into(), &1000.into())
            );
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/audit/query?limit=1000&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..count)
        .rev()
        .map(|number| format!("big-{number}"))
        .collect();
    assert_eq!(seen, expected);
    // Clients that send requests and do not read the answers use little.
    let mut asking = Vec::new();
    for _ in 0..64 {
        let mut stream = host.served.connect();
        let head = b"GET /api/v1/audit/query?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(head).unwrap();
        asking.push(stream);
    }
    assert_eq!(host.get("/healthz").status, 200);
    let after = peak(&host.served);
    assert!(after < before + 150, "{before} MB, then {after} MB");
}

#[test]
fn many_large_submissions_of_one_task_are_told_in_full_and_in_little_memory() {
    let host = Host::new();
    let count = 40;
    for number in 0..count {
        let body = large("t", 900_000 + number);
        let answer = host.post("/api/v1/outcomes?wait=committed", &body);
        let expected = if number == 0 { 200 } else { 409 };
        assert_eq!(answer.status, expected, "{:?}", answer.head);
    }
    let before = peak(&host.served);
    let task: Value = serde_json::from_str(&host.get("/api/v1/tasks/t").body).unwrap();
    assert_eq!(
        (&task["state"], &task["conflicts"]),
        (&"committed".into(), &(count - 1).into())
    );
    let submissions = task["submissions"].as_array().unwrap();
    assert_eq!(submissions.len(), count);
    for (number, submission) in submissions.iter().enumerate().skip(1) {
        let text = submission["submission"].as_str().unwrap();
        assert_eq!(text, large("t", 900_000 + number));
    }
    let after = peak(&host.served);
    assert!(after < before + 100, "{before} MB, then {after} MB");
}

#[test]
fn a_large_body_that_does_not_come_is_in_nobodys_way() {
    let host = Host::with_settings("[serve]\nbytes_in_flight = 1000000\n", &[]);
    // A client that starts a request and does not continue uses all of it.
    let mut slow = host.served.connect();
    let head = "POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    host.until_metric("chiffon_audit_http_bytes_in_flight 1000000");
    // An ordinary report needs no reservation; a large one gets theirs.
    assert_eq!(
        host.post("/api/v1/outcomes", &outcome("small", "completed"))
            .status,
        202
    );
    assert_eq!(
        host.post("/api/v1/outcomes", &large("large", 900_000))
            .status,
        202
    );
    assert_eq!(read_answer(slow).unwrap().status, 408);
    host.until_metric("chiffon_audit_http_bytes_in_flight 0");
    // A body without a length, in chunks.
    let mut stream = host.served.connect();
    let body = large("pieces", 900_000);
    let head = "POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for piece in body.as_bytes().chunks(10_000) {
        let size = format!("{:x};extension=\"x\"\r\n", piece.len());
        stream
            .write_all(&[size.as_bytes(), piece, b"\r\n"].concat())
            .unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(stream).unwrap().status, 202);
}

#[test]
fn idle_connections_give_way_and_probes_are_always_answered() {
    let settings = "[serve]\nconnections = 20\nconnections_per_peer = 10\n";
    let host = Host::with_settings(settings, &[]);
    let mut idle = Vec::new();
    for number in 0..200 {
        let mut stream = host.served.connect();
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHos").unwrap();
        }
        idle.push(stream);
    }
    assert_eq!(host.get("/healthz").status, 200);
    assert_eq!(
        host.post("/api/v1/outcomes", &outcome("t", "completed"))
            .status,
        202
    );
    drop(idle);
    // All of them busy: there is room for probes, and for nothing else.
    let mut busy = Vec::new();
    for _ in 0..10 {
        let mut stream = host.served.connect();
        let head = "POST /api/v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100");
        busy.push(stream);
    }
    assert_eq!(host.get("/healthz").status, 200);
    assert_eq!(host.get("/readyz").status, 200);
    let refused = host.get("/api/v1/trail");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(
        refused.json()["type"],
        "urn:chiffon-audit:problem:too-many-connections"
    );
    drop(busy);
    host.until("/api/v1/trail", |trail| {
        trail["schema"] == 1 && trail["role"] == "committing"
    });
}

#[test]
fn probes_and_metrics_have_a_listener_of_their_own() {
    let dir = crate::support::temporary();
    let socket = dir.path().join("admin");
    let admin = format!("unix:{}", socket.display());
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "write writewritewrite1\n").unwrap();
    let tokens = tokens.path().to_str().unwrap();
    let host = Host::with(&["--tokens", tokens, "--admin-listen", &admin]);
    let ask = |path: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        read_answer(stream).unwrap()
    };
    assert_eq!(ask("/healthz").status, 200);
    assert_eq!(ask("/readyz").status, 200);
    assert!(
        ask("/metrics")
            .body
            .contains("chiffon_audit_accepted_total")
    );
    for path in ["/api/v1/trail", "/api/v1/audit/query", "/openapi.json"] {
        assert_eq!(ask(path).status, 404, "{path}");
    }
    // On the other address tokens are required as usual.
    assert_eq!(host.get("/metrics").status, 401);
    assert_eq!(host.get("/healthz").status, 200);
    let beyond = program(
        dir.path(),
        &[
            "-C",
            host.trail().to_str().unwrap(),
            "serve",
            "--admin-listen",
            "0.0.0.0:0",
        ],
    )
    .output()
    .unwrap();
    assert_eq!(beyond.status.code(), Some(2), "{beyond:?}");
}

impl Host {
    /// Polls until a line is among the metrics.
    #[track_caller]
    fn until_metric(&self, line: &str) {
        for _ in 0..1000 {
            if self.get("/metrics").body.contains(&format!("{line}\n")) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{line} is not among {}", self.get("/metrics").body);
    }
}
