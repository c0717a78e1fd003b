//! A pipeline that is stuck, a lock that is not released, a database that is not there yet.

use super::load;
use super::*;
use crate::store::server::Server;

/// Waits for the end of the process.
#[track_caller]
fn ended(served: &mut Served) -> std::process::ExitStatus {
    for _ in 0..12_000 {
        if let Some(status) = served.child.try_wait().unwrap() {
            return status;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("it does not end");
}

/// So that a stall is known after some seconds: the store's time limits of five and ten.
const IMPATIENT: &str =
    "lock_wait = 1\n[policy]\nwall_time = 1\n[serve]\nlease = 0.5\n[signing]\ntimeout = 1\n";

#[test]
fn a_writer_that_hangs_is_reported_and_ends_the_process_so_that_another_host_continues() {
    let mut host = Host::with_settings(IMPATIENT, &[]);
    host.commit("a", "completed");
    // Opening a pipe for reading waits for a writer: here the thread that holds the trail's lock.
    let trail = host.get("/api/v1/trail").json();
    let reference = host.trail().join(trail["reference"].as_str().unwrap());
    let kept = host.dir.path().join("kept");
    std::fs::rename(&reference, &kept).unwrap();
    let made = Command::new("mkfifo").arg(&reference).status().unwrap();
    assert!(made.success());
    for number in 0..5 {
        let body = outcome(&format!("t{number}"), "completed");
        assert_eq!(host.post("/api/v1/outcomes", &body).status, 202);
    }
    let ready = host.until("/readyz", |ready| {
        ready["causes"]
            .as_array()
            .is_some_and(|causes| causes.contains(&"stalled".into()))
    });
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert_eq!(host.get("/healthz").status, 503);
    assert!(
        host.get("/metrics")
            .body
            .contains("chiffon_audit_stalled 1")
    );
    assert_eq!(ended(&mut host.served).code(), Some(1));
    std::fs::remove_file(&reference).unwrap();
    std::fs::rename(&kept, &reference).unwrap();
    host.served = Served::start(host.dir.path(), &[]);
    host.until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    assert_eq!(host.entries(), 6);
}

#[test]
fn a_committer_that_is_stopped_with_the_lock_is_named_within_five_seconds_by_the_other_hosts() {
    let host = Host::new();
    host.commit("a", "completed");
    let log = host.dir.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let other = Served::start_with(
        host.dir.path(),
        &["--log", "info", "--drain", "0"],
        &[],
        stderr.into(),
    );
    other.until("/api/v1/trail", |trail| trail["role"] == "stand-by");
    let busy = load::Load::start("b", 4, &[&host.served.address]);
    // Until it is stopped while it holds the lock, which it does most of the time.
    let lock = std::fs::File::open(host.trail().join("chiffon-audit/lock")).unwrap();
    loop {
        busy.until_accepted(5);
        host.served.signal("-STOP");
        if matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            break;
        }
        lock.unlock().unwrap();
        host.served.signal("-CONT");
    }
    let stopped = std::time::Instant::now();
    let ready = other.until("/readyz", |ready| ready["lock_holder"].is_object());
    let within = stopped.elapsed();
    assert!(within < Duration::from_secs(5), "{within:?}");
    // It may hold a lock of the database too.
    let causes = ready["causes"].as_array().unwrap();
    assert!(causes.contains(&"locked".into()), "{ready}");
    let holder = &ready["lock_holder"];
    assert_eq!(holder["pid"], host.served.child.id(), "{ready}");
    assert_eq!(holder["state"], "stopped", "{ready}");
    let name = holder["host"].as_str().unwrap().to_owned();
    assert!(!name.is_empty(), "{ready}");
    let labels = format!(
        "{{host=\"{name}\",pid=\"{}\",state=\"stopped\"}} 1",
        host.served.child.id()
    );
    let metrics = other.send("GET", "/metrics", &[], b"").body;
    assert!(
        metrics.contains(&format!("chiffon_audit_lock_stuck{labels}")),
        "{metrics}"
    );
    let said = std::fs::read_to_string(&log).unwrap();
    let told = said
        .lines()
        .find(|line| line.contains("holds the trail's lock"));
    let told: Value = serde_json::from_str(told.unwrap()).unwrap();
    assert_eq!(
        (&told["pid"], &told["host"]),
        (&holder["pid"], &holder["host"])
    );
    host.served.signal("-CONT");
    other.until("/readyz", |ready| ready["lock_holder"].is_null());
    let told = busy.stop();
    assert!(told.unsure.is_empty());
    other.until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    assert_eq!(host.entries(), told.accepted.len() + 1);
}

/// A port that is free now.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_database_that_comes_later_is_waited_for_and_probes_are_answered_meanwhile() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let url = crate::store::run(server.database()).to_string();
    server.crash();
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let address = free();
    let args = [
        "-C",
        "audit.git",
        "serve",
        "--store",
        &url,
        "--listen",
        &address,
        "--drain",
        "0",
    ];
    let child = program(dir.path(), &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let served = Served { child, address };
    let get = |path: &str| served.try_send("GET", path, &[], b"");
    while get("/healthz").is_err() {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(get("/healthz").unwrap().status, 200);
    let ready = get("/readyz").unwrap();
    assert_eq!(
        (ready.status, ready.json()["causes"].clone()),
        (503, serde_json::json!(["store"]))
    );
    let refused = served.post("/api/v1/outcomes", &outcome("a", "completed"));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.head.to_ascii_lowercase().contains("retry-after"),
        "{refused:?}"
    );
    server.resume();
    served.until("/readyz", |ready| ready["status"] == "ready");
    let answer = served.post(
        "/api/v1/outcomes?wait=committed",
        &outcome("a", "completed"),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_database_that_does_not_come_or_lets_nobody_in_ends_the_start_with_its_reason() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let serve = |url: &str, wait: &str| {
        let args = [
            "-C",
            "audit.git",
            "serve",
            "--json",
            "--store",
            url,
            "--wait-for-store",
            wait,
            "--listen",
            "127.0.0.1:0",
        ];
        let output = program(dir.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let nowhere = format!("postgres://test@{}/none", free());
    for wait in ["0", "1"] {
        let said = serve(&nowhere, wait);
        assert!(said.contains("refused"), "{said}");
    }
    let Some(server) = Server::start() else {
        return;
    };
    crate::store::run(server.execute("postgres", "CREATE ROLE stranger NOLOGIN")).unwrap();
    let url = crate::store::run(server.database()).to_string();
    // Waiting would take longer than a test may.
    let said = serve(&url.replace("test@", "stranger@"), "100000");
    assert!(said.contains("not permitted to log in"), "{said}");
}

#[test]
fn a_signal_ends_what_waits_for_a_database() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let (nowhere, address) = (format!("postgres://test@{}/none", free()), free());
    let args = [
        "-C",
        "audit.git",
        "serve",
        "--store",
        &nowhere,
        "--listen",
        &address,
    ];
    let child = program(dir.path(), &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut served = Served { child, address };
    while served.try_send("GET", "/healthz", &[], b"").is_err() {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    served.signal("-TERM");
    assert!(ended(&mut served).success());
}
