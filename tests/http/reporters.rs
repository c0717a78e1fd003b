//! Reporters: the names of tokens, from the request to the commit, and the limits of each token.

use super::*;

const JSON: &str = "Content-Type: application/json";

const TOKENS: &str = "write deploy-bot Deploy-0123456789abcdef\nwrite ci Ci-0123456789abcdef\n\
    write Nameless-0123456789abcdef\nread dashboard Read-0123456789abcdef\nadmin Admin-0123456789abcdef\n";

/// A host with named tokens and these settings.
fn host(settings: &str) -> Host {
    Host::with_settings(&format!("tokens = \"\"\"\n{TOKENS}\"\"\"\n{settings}"), &[])
}

impl Served {
    fn report(&self, who: &str, path: &str, body: &str) -> Answer {
        let token = format!("Authorization: Bearer {who}-0123456789abcdef");
        self.send("POST", path, &[JSON, &token], body.as_bytes())
    }

    fn ask(&self, who: &str, path: &str) -> Answer {
        let token = format!("Authorization: Bearer {who}-0123456789abcdef");
        self.send("GET", path, &[&token], b"")
    }

    #[track_caller]
    fn ask_until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..2_000 {
            last = self.ask("Admin", path).json();
            if fits(&last) {
                return last;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{path} stays {last}");
    }
}

impl Host {
    #[track_caller]
    fn committed_by(&self, who: &str, task_id: &str) -> Value {
        let path = "/api/v1/outcomes?wait=committed";
        let answer = self
            .served
            .report(who, path, &outcome(task_id, "completed"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Task and reporter of every commit that adds an entry, oldest first.
    fn reporters(&self) -> Vec<String> {
        let format = "--format=%(trailers:key=Audit-Task,valueonly,separator=) %(trailers:key=Audit-Reporter,valueonly,separator=)";
        let lines = self.git(&["log", "--reverse", format]);
        let lines = lines.lines().map(|line| line.trim_end().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        program(self.dir.path(), &[&["-C", "audit.git"], args].concat())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn out(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_name_of_a_token_is_recorded_with_the_outcome_and_shown_wherever_it_is() {
    let host = host("");
    let commit = host.committed_by("Deploy", "a")["commit"].clone();
    host.committed_by("Nameless", "b");
    let message = host.git(&["log", "-1", "--format=%B", commit.as_str().unwrap()]);
    let names: Vec<&str> = message
        .trim_end()
        .lines()
        .skip(2)
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Audit-Format",
            "Audit-Task",
            "Audit-Interface",
            "Audit-Policy",
            "Audit-Settings",
            "Audit-Reporter"
        ]
    );
    assert_eq!(host.reporters(), ["a deploy-bot", "b"]);
    let verified = host.run(&["verify", "--json"]);
    assert!(
        !String::from_utf8_lossy(&verified.stdout).contains("\"broken\""),
        "{verified:?}"
    );

    let served = &host.served;
    let task = served.ask("Admin", "/api/v1/tasks/a").json();
    assert_eq!(task["submissions"][0]["reporter"], "deploy-bot");
    assert_eq!(task["recorded"]["reporter"], "deploy-bot");
    let task = served.ask("Admin", "/api/v1/tasks/b").json();
    assert_eq!(task["submissions"][0]["reporter"], Value::Null);
    assert_eq!(task["recorded"]["reporter"], Value::Null);
    let listed = served
        .ask("Read", "/api/v1/submissions?state=committed")
        .json();
    assert_eq!(listed["submissions"][1]["reporter"], "deploy-bot");
    for (query, expected) in [
        ("reporter=deploy-bot", vec!["a"]),
        ("reporter=ci", vec![]),
        ("status=completed", vec!["b", "a"]),
    ] {
        let page = served
            .ask("Read", &format!("/api/v1/audit/query?{query}"))
            .json();
        let tasks = page["tasks"].as_array().unwrap();
        let found: Vec<&str> = tasks
            .iter()
            .map(|task| task["task_id"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{query}");
        assert_eq!(page["total"], expected.len(), "{query}");
    }
    let wrong = served.ask("Read", "/api/v1/audit/query?reporter=Deploy%20Bot");
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert_eq!(wrong.json()["errors"][0]["parameter"], "reporter");

    assert!(
        host.out(&["show", "a"])
            .contains("\nReporter: deploy-bot\n")
    );
    assert!(!host.out(&["show", "b"]).contains("Reporter"));
    let shown: Value = serde_json::from_str(&host.out(&["show", "a", "--json"])).unwrap();
    assert_eq!(shown["reporter"], "deploy-bot");
    for store in [
        &[][..],
        &["--store", "sqlite:audit.git/chiffon-audit/store.sqlite"],
    ] {
        let log = host.out(&[&["log", "--json", "--reporter", "deploy-bot"], store].concat());
        let logged: Value = serde_json::from_str(&log).unwrap();
        assert_eq!(
            (&logged["task_id"], &logged["reporter"]),
            (&"a".into(), &"deploy-bot".into())
        );
    }
    assert!(host.out(&["log"]).contains("Reporter: deploy-bot\n"));
    let wrong = host.run(&["log", "--reporter", "Deploy Bot"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let exported = host.out(&["export"]);
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!(first["reporter"], "deploy-bot");
    let events = host.out(&["export", "--format", "cloudevents"]);
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["auditreporter"], "deploy-bot");
    assert_eq!(events[1].get("auditreporter"), None);
    let report = host.run(&["report", "--format", "json"]).stdout;
    let report: Value = serde_json::from_slice(&report).unwrap();
    let names: Vec<&str> = report["reporters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|named| named["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["", "deploy-bot"]);
    let submissions = host.out(&["submissions", "a"]);
    assert!(submissions.contains("by deploy-bot"), "{submissions}");
}

#[test]
fn who_reported_an_outcome_first_is_its_reporter() {
    let host = host("");
    host.committed_by("Deploy", "a");
    host.committed_by("Ci", "a");
    host.committed_by("Nameless", "b");
    host.committed_by("Deploy", "b");
    assert_eq!(host.reporters(), ["a deploy-bot", "b"]);
    let task = host.served.ask("Admin", "/api/v1/tasks/a").json();
    assert_eq!(task["recorded"]["reporter"], "deploy-bot");
    assert_eq!(task["submissions"][0]["reporter"], "deploy-bot");
    let task = host.served.ask("Admin", "/api/v1/tasks/b").json();
    assert_eq!(task["recorded"]["reporter"], Value::Null);
    // Another outcome for the same task is a conflict of its reporter.
    let path = "/api/v1/outcomes?wait=committed";
    let other = host.served.report("Ci", path, &outcome("a", "failed"));
    assert_eq!(other.status, 409, "{other:?}");
    let listed = host.served.ask("Read", "/api/v1/submissions").json();
    assert_eq!(listed["submissions"][0]["reporter"], "ci");
    assert!(host.run(&["reconcile"]).status.success());
}

#[test]
fn a_reporter_is_kept_while_git_is_away_and_by_the_next_committer() {
    let mut host = host("");
    host.committed_by("Deploy", "first");
    let (refs, away) = (host.trail().join("refs"), host.dir.path().join("away"));
    std::fs::rename(&refs, &away).unwrap();
    let accepted = host
        .served
        .report("Deploy", "/api/v1/outcomes", &outcome("a", "completed"));
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let repeated = host
        .served
        .report("Ci", "/api/v1/outcomes", &outcome("a", "completed"));
    assert_eq!(repeated.json()["repeated"], true);
    let result = r#"{"task_id":"w","status":"failed"}"#;
    assert_eq!(
        host.served
            .report("Ci", "/api/v1/work-results", result)
            .status,
        202
    );
    host.served.child.kill().unwrap();
    host.served.child.wait().unwrap();
    std::fs::rename(&away, &refs).unwrap();
    host.served = Served::start(host.dir.path(), &[]);
    for task in ["a", "w"] {
        host.served
            .ask_until(&format!("/api/v1/tasks/{task}"), |task| {
                task["state"] == "committed"
            });
    }
    assert_eq!(
        host.reporters(),
        ["first deploy-bot", "a deploy-bot", "w ci"]
    );
}

#[test]
fn a_repair_and_a_rebuild_keep_the_reporter() {
    let mut host = host("");
    host.committed_by("Deploy", "a");
    let before = host.git(&["rev-parse", "HEAD"]);
    host.committed_by("Ci", "b");
    host.served.signal("-TERM");
    host.served.child.wait().unwrap();
    assert!(host.out(&["reconcile", "--rebuild"]).contains('2'));
    assert!(host.run(&["reconcile"]).status.success());
    // A row with another reporter than its commit is found and corrected.
    let store = host.trail().join("chiffon-audit/store.sqlite");
    let database = rusqlite::Connection::open(&store).unwrap();
    database
        .execute_batch("UPDATE meta SET repairing = 1; UPDATE entries SET reporter = 'mallory' WHERE task_id = 'a'; UPDATE meta SET repairing = 0;")
        .unwrap();
    drop(database);
    let found = host.run(&["reconcile", "--json"]);
    assert_eq!(found.status.code(), Some(3), "{found:?}");
    assert!(
        String::from_utf8_lossy(&found.stdout).contains("\"reporter\""),
        "{found:?}"
    );
    assert!(host.run(&["reconcile", "--repair"]).status.success());
    // A trail that was rolled back: lost entries are recorded again, with their reporters.
    host.git(&["update-ref", "HEAD", before.trim()]);
    let accepted = host.run(&["init", "--accept-tip", before.trim()]);
    assert!(accepted.status.success(), "{accepted:?}");
    // The store knows the missing entries, and the message says what to do if that is intended.
    let refused = host.run(&["reconcile", "--repair"]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let (_, names) = said.split_once("--rebind ").expect("the way out");
    let names: Vec<&str> = names.split(['`', ' ']).take(2).collect();
    let repaired = host.run(&["reconcile", "--repair", "--rebind", names[0], names[1]]);
    // They differ until the restored outcomes are recorded.
    assert_eq!(repaired.status.code(), Some(3), "{repaired:?}");
    host.served = Served::start(host.dir.path(), &[]);
    host.served.ask_until("/api/v1/trail", |trail| {
        trail["backlog"]["pending"] == 0 && trail["degraded"] == false
    });
    assert_eq!(host.reporters(), ["a deploy-bot", "b ci"]);
}

#[test]
fn a_list_of_tokens_that_is_none_is_refused_with_its_line_and_quotes_nothing() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"])
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let file = dir.path().join("tokens");
    for (list, line) in [
        ("write a 0123456789abcdef\nwrite a fedcba9876543210", 2),
        ("# names\nwrite Deploy-Bot 0123456789abcdef", 2),
        ("read r 0123456789abcdef\n\nwrite b c 0123456789abcdef", 3),
        ("write deploy-bot", 1),
        ("write 0123456789abcdef deploy-bot-in-production", 1),
    ] {
        std::fs::write(&file, list).unwrap();
        let args = [
            "-C",
            "audit.git",
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--tokens",
            "tokens",
        ];
        let output = program(dir.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{list}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains(&format!("line {line} of the tokens")),
            "{list}: {said}"
        );
        assert!(
            !said.contains("0123") && !said.contains("fedc") && !said.contains("eploy"),
            "{said}"
        );
    }
}

#[test]
fn a_token_that_asks_too_often_is_told_when_to_ask_again_and_others_are_not() {
    let host = host("[serve]\ntoken_rate = 1\n");
    let limited = |who: &str| {
        // On a busy machine a second may pass between two requests.
        let answers = (0..200).map(|_| host.served.ask(who, "/api/v1/trail"));
        answers.into_iter().find(|answer| answer.status == 429)
    };
    let answer = limited("Deploy").unwrap();
    let head = answer.head.to_ascii_lowercase();
    assert!(
        head.contains("retry-after: 1") && head.contains("application/problem+json"),
        "{answer:?}"
    );
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:chiffon-audit:problem:limited");
    assert_eq!(problem["status"], 429);
    // Limits are not shared, a token without a name has one too, and reports count like queries.
    assert_eq!(host.served.ask("Ci", "/api/v1/trail").status, 200);
    assert!(limited("Nameless").is_some());
    let body = outcome("a", "completed");
    let reports = (0..200).map(|_| host.served.report("Deploy", "/api/v1/outcomes", &body));
    assert!(reports.into_iter().any(|answer| answer.status == 429));
    for _ in 0..20 {
        assert_eq!(
            host.served.ask("Deploy", "/healthz").status,
            200,
            "probes have no limit"
        );
    }
    // An unknown client has no allowance to use up.
    assert_eq!(host.served.ask("Unknown", "/api/v1/trail").status, 401);
    let metrics = host.served.ask("Admin", "/metrics").body;
    assert!(
        metrics
            .contains("chiffon_audit_http_limited_total{reporter=\"deploy-bot\",limit=\"rate\"} "),
        "{metrics}"
    );
    assert!(
        metrics.contains("chiffon_audit_http_limited_total{reporter=\"\",limit=\"rate\"} "),
        "{metrics}"
    );
}

#[test]
fn a_token_that_sends_too_much_waits_until_it_is_made_good() {
    let host = host("[serve]\ntoken_bytes = 1000\n");
    let long = "x".repeat(20_000);
    let body = format!(r#"{{"task_id":"a","status":"completed","metadata":{{"long":"{long}"}}}}"#);
    // One body is accepted whole, whatever its size.
    assert_eq!(
        host.served
            .report("Deploy", "/api/v1/outcomes", &body)
            .status,
        202
    );
    let answer = host
        .served
        .report("Deploy", "/api/v1/outcomes", &outcome("b", "completed"));
    assert_eq!(answer.status, 429, "{answer:?}");
    let wait = answer.head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("retry-after: ")?
            .parse::<u64>()
            .ok()
    });
    assert!(
        wait.is_some_and(|wait| (10..=20).contains(&wait)),
        "{answer:?}"
    );
    assert_eq!(
        host.served
            .report("Ci", "/api/v1/outcomes", &outcome("c", "completed"))
            .status,
        202
    );
    // Sent bytes count too.
    assert!(
        (0..200)
            .map(|_| host.served.ask("Read", "/metrics"))
            .into_iter()
            .any(|answer| answer.status == 429)
    );
}

#[test]
fn limits_are_taken_over_by_sighup() {
    let host = host("");
    let trail = |who: &str| host.served.ask(who, "/api/v1/trail").status;
    assert!((0..50).all(|_| trail("Deploy") == 200));
    let file = host
        .dir
        .path()
        .join("home/.config/chiffon-audit/config.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{settings}[serve]\ntoken_rate = 1\n")).unwrap();
    host.served.signal("-HUP");
    assert!((0..20_000).any(|_| trail("Deploy") == 429));
    std::fs::write(&file, settings).unwrap();
    host.served.signal("-HUP");
    let mut since_limited = 0;
    // The limit is one request a second, so two hundred successes in a row show that it is off.
    assert!((0..20_000).any(|_| {
        since_limited = if trail("Deploy") == 429 {
            0
        } else {
            since_limited + 1
        };
        since_limited == 200
    }));
}
