//! Changes while the service runs: what SIGHUP reads again, and what it leaves alone.

use super::*;

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
    let (host, config, _tokens, log) = with_tokens("");
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

#[test]
fn a_file_that_would_block_fails_the_reload_and_nothing_else() {
    let (host, _, tokens, log) = with_tokens("");
    std::fs::remove_file(&tokens).unwrap();
    let fifo = Command::new("mkfifo").arg(&tokens).status().unwrap();
    assert!(fifo.success());
    reload(&host, &log, &["the reload failed", "it is not a file"]);
    assert_eq!(report(&host, "first-0123456789ab", "a"), 202);
    // It can be reloaded again.
    std::fs::remove_file(&tokens).unwrap();
    std::fs::write(&tokens, "write second-0123456789ab\n").unwrap();
    reload(&host, &log, &["were reloaded"]);
    assert_eq!(report(&host, "second-0123456789ab", "b"), 202);
}

#[test]
fn a_service_with_tokens_does_not_become_one_without_at_sighup() {
    let dir = crate::support::temporary();
    let home = dir.path().join("home/.config/chiffon-audit");
    std::fs::create_dir_all(&home).unwrap();
    let (config, tokens) = (home.join("config.toml"), dir.path().join("tokens"));
    std::fs::write(&tokens, "write first-0123456789ab\n").unwrap();
    std::fs::write(&config, format!("tokens_file = {tokens:?}\n")).unwrap();
    let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let log = dir.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let served = Served::start_with(dir.path(), &["--log", "info"], &[], stderr.into());
    let host = Host { dir, served };
    assert_eq!(report(&host, "first-0123456789ab", "a"), 202);
    std::fs::write(&config, "").unwrap();
    reload(
        &host,
        &log,
        &["the reload failed", "name no tokens any more"],
    );
    assert_eq!(report(&host, "none-0123456789abc", "b"), 401);
    assert_eq!(report(&host, "first-0123456789ab", "c"), 202);
}
