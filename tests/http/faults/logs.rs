//! A log that cannot be written, or that nobody reads: the service does not wait for it, and only its lines are lost.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::load;
use super::*;

/// More lines than a pipe and the queue behind it hold, each with a long name.
const MANY: usize = 400;

/// A pipe for the log, and its reader, which does not read by itself.
fn pipe() -> (Stdio, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Stdio::from(OwnedFd::from(writer)), reader)
}

/// Serves with a log of every line, to this stream.
fn host(stderr: Stdio) -> Host {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let args = ["--log", "trace", "--drain", "0"];
    let served = Served::start_with(dir.path(), &args, &[], stderr);
    Host { dir, served }
}

/// Checks that every report is committed, the host reports that it is healthy, and it ends when it is told to.
fn goes_on(mut host: Host) -> String {
    for number in 0..MANY {
        let body = outcome(&format!("task-{number}"), "completed");
        let trace = format!("X-Trace-Id: {}", "t".repeat(100));
        let headers = ["Content-Type: application/json", &trace];
        let answer = host
            .served
            .send("POST", "/api/v1/outcomes", &headers, body.as_bytes());
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    host.until("/api/v1/trail", |trail| {
        trail["backlog"]["pending"] == 0 && trail["degraded"] == false
    });
    assert_eq!(host.get("/readyz").json()["status"], "ready");
    let metrics = host.get("/metrics").body;
    load::end(&mut host.served);
    assert_eq!(host.entries(), MANY);
    metrics
}

fn lost(metrics: &str) -> u64 {
    let name = "chiffon_audit_log_lines_lost_total ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_log_whose_reader_has_died_holds_up_nothing() {
    let (stderr, reader) = pipe();
    let host = host(stderr);
    host.commit("before", "completed");
    drop(reader);
    for number in 0..MANY {
        let body = outcome(&format!("task-{number}"), "completed");
        assert_eq!(host.post("/api/v1/outcomes", &body).status, 202);
    }
    host.until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    assert!(lost(&host.get("/metrics").body) > 0);
    assert_eq!(host.entries(), MANY + 1);
}

#[test]
fn a_log_on_a_full_disk_holds_up_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert!(lost(&goes_on(host(full.into()))) > 0);
}

#[test]
fn a_log_that_is_closed_holds_up_nothing() {
    let dir = TempDir::new().unwrap();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let args = ["-C", "audit.git", "serve", "--json", "--drain", "0"];
    let serve = program(
        dir.path(),
        &[&args[..], &["--listen", "127.0.0.1:0"]].concat(),
    );
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"exec "$0" "$@" 2>&-"#])
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(dir.path())
        .env_clear();
    for (name, value) in serve.get_envs() {
        value.map(|value| command.env(name, value));
    }
    let served = Served::spawn(&mut command);
    goes_on(Host { dir, served });
}

#[test]
fn a_log_whose_reader_never_reads_holds_up_nothing_and_a_signal_ends_it() {
    let (stderr, reader) = pipe();
    goes_on(host(stderr));
    drop(reader);
}

#[test]
fn a_log_that_is_read_again_says_how_much_is_missing() {
    let (stderr, mut reader) = pipe();
    let host = host(stderr);
    // The pipe holds 64 KiB and the queue 4 MiB: at `trace` a body of this size is not in the log,
    // so it takes many requests.
    for number in 0.. {
        host.post(
            "/api/v1/outcomes",
            &outcome(&format!("t{number}"), "completed"),
        );
        if number % 100 == 99 && lost(&host.get("/metrics").body) > 0 {
            break;
        }
        assert!(number < 50_000, "nothing is lost");
    }
    let mut text = String::new();
    let mut bytes = [0; 1 << 16];
    while !text.contains("log lines were lost") {
        let read = reader.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "the log has ended without a word");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let report = text
        .lines()
        .find(|line| line.contains("log lines were lost"));
    let report: Value = serde_json::from_str(report.unwrap()).unwrap();
    assert!(report["lines"].as_u64() > Some(0), "{report}");
    // Reads the rest, so that the host's end does not wait for a reader.
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
}

#[test]
fn a_standard_output_that_nobody_can_write_is_no_reason_not_to_serve() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let socket = dir.path().join("socket");
    let listen = format!("unix:{}", socket.display());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = program(
        dir.path(),
        &[
            "-C",
            "audit.git",
            "serve",
            "--listen",
            &listen,
            "--drain",
            "0",
        ],
    )
    .stdout(full)
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    let mut answer = String::new();
    for _ in 0..2_000 {
        if let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&socket) {
            stream
                .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .unwrap();
            answer.clear();
            stream.read_to_string(&mut answer).unwrap();
            if answer.contains("\"ready\"") {
                break;
            }
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert!(answer.contains("\"ready\""), "{answer}");
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(sent.success());
    assert!(child.wait().unwrap().success());
}
