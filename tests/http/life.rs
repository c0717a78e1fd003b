//! The life of the service: another policy while it runs, signals, notifications to systemd.

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

/// A host with tokens in a file, a log in another, and settings.
fn with_tokens(settings: &str) -> (Host, PathBuf, PathBuf, PathBuf) {
    let dir = crate::support::temporary();
    let home = dir.path().join("home/.config/chiffon-audit");
    std::fs::create_dir_all(&home).unwrap();
    let (config, tokens) = (home.join("config.toml"), dir.path().join("tokens"));
    std::fs::write(&config, settings).unwrap();
    std::fs::write(
        &tokens,
        "write first-0123456789ab\nread reader-0123456789ab\n",
    )
    .unwrap();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let log = dir.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let args = ["--tokens", tokens.to_str().unwrap(), "--log", "info"];
    let served = Served::start_with(dir.path(), &args, &[], stderr.into());
    (Host { dir, served }, config, tokens, log)
}

/// The status of the answer to a report with that token.
fn report(host: &Host, token: &str, task_id: &str) -> u16 {
    let token = format!("Authorization: Bearer {token}");
    let headers = ["Content-Type: application/json", &token];
    let body = outcome(task_id, "completed");
    let served = &host.served;
    served
        .send("POST", "/api/v1/outcomes", &headers, body.as_bytes())
        .status
}

/// Sends SIGHUP, and waits for a new line of the log with these words.
#[track_caller]
fn reload(host: &Host, log: &Path, words: &[&str]) -> String {
    let before = std::fs::read_to_string(log).unwrap().len();
    host.served.signal("-HUP");
    for _ in 0..6_000 {
        let text = std::fs::read_to_string(log).unwrap();
        let new = text[before..].lines();
        let mut found = new.filter(|line| words.iter().all(|word| line.contains(word)));
        if let Some(line) = found.next() {
            return line.to_owned();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let text = std::fs::read_to_string(log).unwrap();
    panic!("{words:?} is not in {}", &text[before..]);
}

#[test]
fn sighup_reloads_tokens_and_settings_and_says_what_needs_a_start() {
    let (host, config, tokens, log) = with_tokens("");
    assert_eq!(report(&host, "first-0123456789ab", "a"), 202);
    assert_eq!(report(&host, "second-0123456789ab", "b"), 401);
    std::fs::write(&tokens, "write second-0123456789ab\n").unwrap();
    std::fs::write(
        &config,
        "lock_wait = 7\n[policy]\nfuel = 999999999\n[serve]\non_policy_fault = \"builtin\"\n",
    )
    .unwrap();
    reload(&host, &log, &["lock_wait", "take effect at the next start"]);
    let said = std::fs::read_to_string(&log).unwrap();
    let done = said.lines().find(|line| line.contains("were reloaded"));
    let done: Value = serde_json::from_str(done.unwrap()).unwrap();
    assert_eq!(
        done["changed"], "serve.on_policy_fault, policy.fuel",
        "{done}"
    );
    assert_eq!(done["tokens_changed"], true, "{done}");
    assert_eq!(report(&host, "first-0123456789ab", "c"), 401);
    assert_eq!(report(&host, "second-0123456789ab", "d"), 202);
    // Settings that need a restart are reported each time, until there is one.
    let said = reload(&host, &log, &["take effect at the next start"]);
    assert!(
        said.contains("lock_wait") && !said.contains("policy.fuel"),
        "{said}"
    );
    assert!(!said.contains("0123456789ab"), "{said}");
}

#[test]
fn sighup_changes_how_long_conflicts_are_kept() {
    let (host, config, tokens, log) = with_tokens("");
    let rights = "write first-0123456789ab\nread reader-0123456789ab\n";
    std::fs::write(&tokens, rights).unwrap();
    reload(&host, &log, &["were reloaded"]);
    let conflicts = || {
        let path = "/api/v1/submissions?state=conflicting";
        let headers = ["Authorization: Bearer reader-0123456789ab"];
        let answer = host.served.send("GET", path, &headers, b"").json();
        answer["submissions"].as_array().unwrap().len()
    };
    // The newest submission stays, so that no number is given twice.
    for (id, status) in [("a", "completed"), ("a", "failed"), ("b", "completed")] {
        let body = format!(r#"{{"task_id":"{id}","status":"{status}"}}"#);
        let headers = [
            "Content-Type: application/json",
            "Authorization: Bearer first-0123456789ab",
        ];
        let path = "/api/v1/outcomes?wait=committed";
        host.served.send("POST", path, &headers, body.as_bytes());
    }
    assert_eq!(conflicts(), 1);
    std::fs::write(&config, "[store]\nkeep_turned_down = \"1s\"\n").unwrap();
    let said = reload(&host, &log, &["were reloaded"]);
    assert!(said.contains("store.keep_turned_down"), "{said}");
    let is_deleted = (0..3_000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        conflicts() == 0
    });
    assert!(is_deleted);
}

#[test]
fn a_file_that_is_wrong_changes_nothing_at_sighup_and_says_why() {
    let (host, config, tokens, log) = with_tokens("");
    let good = std::fs::read_to_string(&tokens).unwrap();
    let cases = [
        (
            "nonsense = 1",
            "write second-0123456789ab\n",
            "",
            "unknown setting nonsense",
        ),
        (
            "lock_wait = \"x\"",
            "write second-0123456789ab\n",
            "",
            "setting lock_wait",
        ),
        ("not toml", "write second-0123456789ab\n", "", "config.toml"),
        (
            "[outcome]\ndepth = 99",
            "write second-0123456789ab\n",
            "",
            "outcome.depth",
        ),
        ("", "wite second-0123456789ab\n", "", "line 1 of the tokens"),
        ("", "\n", "", "no tokens"),
        ("", "write second-0123456789ab\n", "garbage", "policy"),
    ];
    for (number, (settings, list, policy, says)) in cases.into_iter().enumerate() {
        let id = format!("t{number}");
        let file = host.dir.path().join("policy.wasm");
        let named = format!("{settings}\n[policy]\nfile = \"{}\"\n", file.display());
        std::fs::write(&file, policy).unwrap();
        std::fs::write(&config, if policy.is_empty() { settings } else { &named }).unwrap();
        std::fs::write(&tokens, list).unwrap();
        reload(
            &host,
            &log,
            &["the reload failed and changed nothing", says],
        );
        assert_eq!(report(&host, "first-0123456789ab", &id), 202, "{says}");
        assert_eq!(report(&host, "second-0123456789ab", &id), 401, "{says}");
    }
    std::fs::write(&config, "").unwrap();
    std::fs::write(&tokens, good).unwrap();
    reload(&host, &log, &["were reloaded"]);
}

/// Opens a stream of events, which takes a place; returns it with the status.
fn follow(host: &Host) -> (TcpStream, u16) {
    let mut stream = host.served.connect();
    let headers = "Host: localhost\r\nAuthorization: Bearer admin-0123456789ab";
    let request = format!("GET /api/v1/events HTTP/1.1\r\n{headers}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    let status = line[9..12].parse().unwrap();
    (stream, status)
}

#[test]
fn sighup_changes_what_documents_and_followers_are_held_to() {
    let (host, config, tokens, log) =
        with_tokens("[serve]\nfollowers = 1\n[outcome]\nmax_bytes = 200\n");
    std::fs::write(
        &tokens,
        "write first-0123456789ab\nadmin admin-0123456789ab\n",
    )
    .unwrap();
    reload(&host, &log, &["were reloaded"]);
    let long = |id: &str| {
        let words = "word ".repeat(60);
        let body = format!(r#"{{"task_id":"{id}","status":"completed","plan_id":"{words}"}}"#);
        let headers = [
            "Content-Type: application/json",
            "Authorization: Bearer first-0123456789ab",
        ];
        host.served
            .send(
                "POST",
                "/api/v1/outcomes?wait=committed",
                &headers,
                body.as_bytes(),
            )
            .status
    };
    assert_eq!(long("a"), 422);
    let (_first, status) = follow(&host);
    assert_eq!(status, 200);
    assert_eq!(follow(&host).1, 503);
    let wider = "[serve]\nfollowers = 2\nqueries = 3\nbytes_in_flight = 1000000\nconnections = 100\n\
                 connections_per_peer = 50\n[outcome]\nmax_bytes = 2000\n";
    std::fs::write(&config, wider).unwrap();
    let said = reload(&host, &log, &["were reloaded"]);
    for name in [
        "outcome.max_bytes",
        "serve.followers",
        "serve.queries",
        "serve.bytes_in_flight",
        "serve.connections",
    ] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(long("b"), 200);
    let (_second, status) = follow(&host);
    assert_eq!(status, 200);
    assert_eq!(follow(&host).1, 503);
    // With fewer places the current followers stay, and no other is admitted.
    std::fs::write(
        &config,
        "[serve]\nfollowers = 1\n[outcome]\nmax_bytes = 200\n",
    )
    .unwrap();
    reload(&host, &log, &["were reloaded"]);
    assert_eq!(long("c"), 422);
    assert_eq!(follow(&host).1, 503);
}
