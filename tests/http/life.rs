//! The life of the service: another policy while it runs, signals that end it, notifications to systemd.

use std::os::unix::net::UnixDatagram;
use std::process::ExitStatus;

use super::*;

const ADMIN: &str = "Authorization: Bearer admin-0123456789abcdef";
const REDACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/prebuilt/redact.wasm");

/// The policy that the service reports, after a check that the newest commit names the same one.
fn deciding(host: &Host, headers: &[&str]) -> String {
    let trail = host.served.send("GET", "/api/v1/trail", headers, b"");
    trail.json()["policy"]["digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn recorded_by(host: &Host) -> String {
    let format = "--format=%(trailers:key=Audit-Policy,valueonly,separator=)";
    host.git(&["log", "-1", format]).trim().to_owned()
}

/// Waits for the end of the process.
#[track_caller]
fn ended(served: &mut Served) -> ExitStatus {
    for _ in 0..6_000 {
        if let Some(status) = served.child.try_wait().unwrap() {
            return status;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("it does not end");
}

#[test]
fn what_was_activated_decides_after_sighup() {
    let host = Host::new();
    host.commit("a", "completed");
    let before = deciding(&host, &[]);
    assert_eq!(recorded_by(&host), before);
    let activate = ["-C", "audit.git", "policy", "activate", "builtin:redact"];
    let activated = program(host.dir.path(), &activate).output().unwrap();
    assert!(activated.status.success(), "{activated:?}");
    assert_eq!(deciding(&host, &[]), before);
    host.served.signal("-HUP");
    host.until("/api/v1/trail", |trail| {
        trail["policy"]["digest"] != *before
    });
    host.commit("b", "completed");
    let after = deciding(&host, &[]);
    assert_eq!(recorded_by(&host), after);
    assert_ne!(after, before);
}

#[test]
fn a_policy_that_is_sent_decides_at_once_and_after_a_restart() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "admin admin-0123456789abcdef\n").unwrap();
    let args = ["--tokens", tokens.path().to_str().unwrap()];
    let mut host = Host::with(&args);
    let commit = |host: &Host, task_id: &str| {
        let headers = [ADMIN, "Content-Type: application/json"];
        let path = "/api/v1/outcomes?wait=committed";
        let body = outcome(task_id, "completed");
        let answer = host.served.send("POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    commit(&host, "a");
    let before = deciding(&host, &[ADMIN]);
    let component = std::fs::read(REDACT).unwrap();
    let headers = [ADMIN, "Content-Type: application/wasm"];
    let swapped = host
        .served
        .send("POST", "/api/v1/policy", &headers, &component);
    assert_eq!(swapped.status, 200, "{swapped:?}");
    let after = deciding(&host, &[ADMIN]);
    assert_ne!(after, before);
    commit(&host, "b");
    assert_eq!(recorded_by(&host), after);
    host.served.signal("-TERM");
    assert!(ended(&mut host.served).success());
    host.served = Served::start(host.dir.path(), &args);
    assert_eq!(deciding(&host, &[ADMIN]), after);
}

#[test]
fn a_second_signal_ends_it_at_once_and_what_was_accepted_stays() {
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM"), ("-TERM", "-INT")] {
        let mut host = Host::with(&["--grace", "3600"]);
        host.commit("a", "completed");
        let away = host.dir.path().join("away.git");
        std::fs::rename(host.trail().join("refs"), &away).unwrap();
        let body = outcome("b", "completed");
        assert_eq!(host.post("/api/v1/outcomes", &body).status, 202);
        host.served.signal(first);
        // It accepts no more connections, and continues with the pending outcomes.
        while TcpStream::connect(&host.served.address).is_ok() {
            std::thread::yield_now();
        }
        assert!(host.served.child.try_wait().unwrap().is_none());
        host.served.signal(second);
        assert!(ended(&mut host.served).success());
        std::fs::rename(&away, host.trail().join("refs")).unwrap();
        host.served = Served::start(host.dir.path(), &[]);
        host.until("/api/v1/tasks/b", |task| task["state"] == "committed");
    }
}

#[test]
fn what_waits_for_git_is_committed_after_a_signal_if_git_comes_back_in_time() {
    let mut host = Host::with(&["--grace", "3600"]);
    host.commit("a", "completed");
    let away = host.dir.path().join("away.git");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    let body = outcome("b", "completed");
    assert_eq!(host.post("/api/v1/outcomes", &body).status, 202);
    host.until("/api/v1/trail", |trail| trail["degraded"] == true);
    host.served.signal("-TERM");
    while TcpStream::connect(&host.served.address).is_ok() {
        std::thread::yield_now();
    }
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    assert!(ended(&mut host.served).success());
    assert_eq!(host.entries(), 2);
}

#[test]
fn systemd_is_notified_of_ready_alive_and_stopping() {
    let dir = crate::support::temporary();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let init = program(dir.path(), &["init", "--bare", "audit.git"])
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let serve = [
        "-C",
        "audit.git",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--drain",
        "0",
    ];
    let mut child = program(dir.path(), &serve)
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let heard = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!(heard(), "READY=1");
    assert_eq!(heard(), "WATCHDOG=1");
    assert_eq!(heard(), "WATCHDOG=1");
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(sent.success());
    let mut last = heard();
    while last == "WATCHDOG=1" {
        last = heard();
    }
    assert_eq!(last, "STOPPING=1");
    assert!(child.wait().unwrap().success());
}
