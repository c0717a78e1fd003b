//! Permissions: tokens, the `Host` of loopback, the listening address.

use super::*;

const WRITE: &str = "Authorization: Bearer write-0123456789abcdef";
const READ: &str = "Authorization: Bearer read-0123456789abcdef";
const ADMIN: &str = "Authorization: Bearer admin-0123456789abcdef";
const JSON: &str = "Content-Type: application/json";

fn with_tokens() -> Host {
    let tokens =
        "write write-0123456789abcdef\nread read-0123456789abcdef\nadmin admin-0123456789abcdef\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tokens).unwrap();
    Host::with(&["--tokens", file.path().to_str().unwrap()])
}

#[test]
fn a_token_gives_what_its_line_says_and_no_more() {
    let host = with_tokens();
    let status = |method: &str, path: &str, token: &[&str]| {
        let headers = [token, &[JSON]].concat();
        let body = if method == "POST" {
            outcome("a", "completed")
        } else {
            String::new()
        };
        host.served
            .send(method, path, &headers, body.as_bytes())
            .status
    };
    for (method, path, expected) in [
        // without, unknown, write, read, admin
        ("POST", "/api/v1/outcomes", [401, 401, 202, 403, 202]),
        ("GET", "/api/v1/audit/query", [401, 401, 403, 200, 200]),
        ("GET", "/api/v1/tasks/a", [401, 401, 200, 200, 200]),
        ("GET", "/api/v1/submissions", [401, 401, 403, 200, 200]),
        ("GET", "/metrics", [401, 401, 403, 200, 200]),
        ("GET", "/healthz", [200; 5]),
        ("GET", "/readyz", [200; 5]),
    ] {
        let unknown = "Authorization: Bearer write-0123456789abcdeX";
        let given = [&[][..], &[unknown], &[WRITE], &[READ], &[ADMIN]];
        assert_eq!(
            given.map(|token| status(method, path, token)),
            expected,
            "{method} {path}"
        );
    }
    assert_eq!(status("POST", "/api/v1/policy", &[WRITE]), 403);
    assert_eq!(status("GET", "/api/v1/trail", &[WRITE, ADMIN]), 401);
    assert_eq!(status("GET", "/api/v1/trail", &[ADMIN, ADMIN]), 401);
    for wrong in [
        "Authorization: Basic eDp5",
        "Authorization: Bearer",
        "Authorization: \u{e9}",
    ] {
        assert_eq!(status("GET", "/api/v1/trail", &[wrong]), 401, "{wrong}");
    }
}

#[test]
fn no_web_page_can_post_to_a_loopback_port() {
    let host = Host::new();
    let body = outcome("a", "completed");
    let send = |headers: &[&str]| {
        host.served
            .send("POST", "/api/v1/outcomes", headers, body.as_bytes())
            .status
    };
    assert_eq!(send(&[JSON, "Host: evil.example"]), 421);
    assert_eq!(send(&["Content-Type: text/plain"]), 415);
    assert_eq!(send(&[]), 415);
    assert_eq!(
        send(&[
            "Content-Type: application/json; charset=utf-8",
            "Host: [::1]:1"
        ]),
        202
    );
    // Without tokens nobody may change the policy.
    assert_eq!(host.post("/api/v1/policy", "{}").status, 403);
}

#[test]
fn beyond_this_machine_it_listens_only_with_tokens_and_touches_nothing_without() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"])
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let output = program(
        dir.path(),
        &[
            "-C",
            "audit.git",
            "serve",
            "--listen",
            "0.0.0.0:0",
            "--json",
        ],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        said["error"]
            .as_str()
            .unwrap()
            .contains("there are no tokens"),
        "{said}"
    );
    assert!(
        !dir.path()
            .join("audit.git/chiffon-audit/store.sqlite")
            .exists()
    );
}

#[test]
fn without_a_repository_it_says_how_to_make_one() {
    let dir = crate::support::temporary();
    let output = program(dir.path(), &["serve", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        said["error"].as_str().unwrap().contains("init --bare"),
        "{said}"
    );
}

#[test]
fn a_unix_socket_serves_and_goes_when_it_ends() {
    let mut host = Host::with(&["--listen", "unix:audit.sock"]);
    let socket = host.dir.path().join("audit.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(stream).unwrap().status, 200);
    host.served.signal("-TERM");
    assert!(host.served.child.wait().unwrap().success());
    assert!(!socket.exists());
}
