//! The access log: one line for each request, without secrets and safe from forged lines.

use super::*;

/// The lines of a service's access log after these requests, which are sent verbatim.
fn lines(settings: &str, args: &[&str], requests: &[&str]) -> Vec<Value> {
    let mut host = Host::with_settings(settings, &[]);
    host.served.signal("-TERM");
    host.served.child.wait().unwrap();
    let tokens = host.dir.path().join("tokens");
    std::fs::write(
        &tokens,
        "write deploy-bot Deploy-0123456789abcdef\nadmin Admin-0123456789abcdef\n",
    )
    .unwrap();
    let log = std::fs::File::create(host.dir.path().join("log")).unwrap();
    let all = [
        &[
            "-C",
            "audit.git",
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--tokens",
            "tokens",
            "--drain",
            "0",
        ],
        args,
    ]
    .concat();
    let mut child = program(host.dir.path(), &all)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let address = said["listening"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://")
        .to_owned();
    host.served = Served { child, address };
    for request in requests {
        let mut stream = host.served.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_answer(stream).unwrap();
        assert!(answer.status > 0, "{request}: {answer:?}");
    }
    host.served.signal("-TERM");
    host.served.child.wait().unwrap();
    let text = std::fs::read_to_string(host.dir.path().join("log")).unwrap();
    for secret in ["0123456789abcdef", "hidden", "\u{1b}"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    text.lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
        .filter(|line| line["target"] == "chiffon_audit::access")
        .collect()
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

#[test]
fn every_request_has_one_line_without_its_secrets() {
    let token =
        "Authorization: Bearer Deploy-0123456789abcdef\r\nContent-Type: application/json\r\n";
    let body = r#"{"task_id":"a","status":"completed","metadata":{"a":"hidden"}}"#;
    let requests = [
        request(
            "POST",
            "/api/v1/outcomes?wait=committed",
            &format!("{token}X-Request-Id: mine-1\r\n"),
            body,
        ),
        request("GET", "/api/v1/audit/query?intent=hidden", token, ""),
        request(
            "GET",
            "/api/v1/tasks/a%0a%1b[31m",
            "Authorization: Bearer hidden-0123456789abcdef\r\n",
            "",
        ),
        request(
            "GET",
            "/no/such/\"}\u{e4}",
            "X-Request-Id: a\u{e9}b\r\n",
            "",
        ),
        request("GET", "/healthz", "", ""),
        "hidden 0123456789abcdef\r\n\r\n".to_owned(),
    ];
    let requests = requests.each_ref().map(String::as_str);
    let lines = lines("", &[], &requests);
    assert_eq!(lines.len(), 6, "{lines:?}");
    let told = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {} {} {}",
            text("method"),
            text("route"),
            text("path"),
            line["status"],
            text("reporter")
        )
    };
    assert_eq!(
        lines.iter().map(told).collect::<Vec<_>>(),
        [
            "POST /api/v1/outcomes /api/v1/outcomes 200 deploy-bot",
            "GET /api/v1/audit/query /api/v1/audit/query 403 deploy-bot",
            "GET /api/v1/tasks/{id} /api/v1/tasks/a%0a%1b[31m 401 -",
            "GET (none) /no/such/%22}%C3%A4 404 -",
            "GET /healthz /healthz 200 -",
            "- (none) - 400 -",
        ]
    );
    let first = &lines[0];
    assert_eq!(first["request_id"], "mine-1");
    assert_eq!(first["received"], body.len());
    assert!(
        first["sent"].as_u64().is_some_and(|bytes| bytes > 100),
        "{first}"
    );
    assert!(
        first["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0),
        "{first}"
    );
    assert!(
        first["peer"]
            .as_str()
            .is_some_and(|peer| peer.starts_with("127.0.0.1:")),
        "{first}"
    );
    assert!(first["timestamp"].is_string(), "{first}");
    let ids: std::collections::HashSet<_> = lines
        .iter()
        .map(|line| line["request_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 6, "{lines:?}");
}

#[test]
fn there_is_no_access_log_where_the_settings_or_the_level_say_so() {
    let request = request("GET", "/healthz", "", "");
    for (settings, args) in [
        ("[serve]\naccess_log = false\n", &[][..]),
        ("", &["--log", "warn"]),
        ("", &["--log", "info,chiffon_audit::access=off"]),
    ] {
        assert_eq!(
            lines(settings, args, &[&request]),
            Vec::<Value>::new(),
            "{settings}{args:?}"
        );
    }
}
