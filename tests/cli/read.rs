//! `show` and `log`: recorded entries, for people and for programs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Machine, outcome};
use crate::support;

#[test]
fn show_prints_the_entry_with_its_commit() {
    let machine = Machine::with_repository();
    machine.commit(
        r#"{"task_id":"a","status":"completed","execution_result":{"outcome":{"n":1.0E+2}}}"#,
    );
    let head = machine.git(&["rev-parse", "HEAD"]);
    let entry = machine.git(&["cat-file", "blob", "HEAD:.audit/tasks/a.json"]);

    let ran = machine.run(&["-C", "repo", "show", "a"]);
    assert_eq!(
        ran.out,
        format!(
            "commit {}\nPath:  .audit/tasks/a.json\n\n{entry}",
            head.trim_end().to_owned()
        )
    );

    assert_eq!(
        machine.run(&["-C", "repo", "show", "a", "--raw"]).out,
        entry
    );

    let ran = machine.run(&["-C", "repo", "show", "a", "--json"]);
    let shown = ran.object();
    assert_eq!(shown["task_id"], "a");
    assert_eq!(shown["commit"], head.trim());
    assert_eq!(shown["path"], ".audit/tasks/a.json");
    assert_eq!(shown["entry"]["status"], "completed");
    // Numbers are shown as they were written.
    assert!(ran.out.contains(r#""outcome":{"n":1.0E+2}"#), "{}", ran.out);
}

#[test]
fn show_gives_an_entry_as_it_was_recorded_and_says_when_the_tip_has_another() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "failed"));
    let entry = machine.git(&["cat-file", "blob", "HEAD:.audit/tasks/a.json"]);
    let path = machine.path("repo").join(".audit/tasks/a.json");
    std::fs::write(&path, entry.replace("failed", "completed")).unwrap();
    machine.git(&["commit", "-qam", "edit"]);
    let ran = machine.run(&["-C", "repo", "show", "a", "--raw"]);
    assert_eq!((ran.exit, ran.out), (Some(0), entry));
    assert!(ran.err.contains("warning"), "{}", ran.err);
    let ran = machine.run(&["-C", "repo", "show", "a", "--json"]);
    assert_eq!(ran.object()["altered"], true);
    assert_eq!(ran.object()["entry"]["status"], "failed");
}

#[test]
fn a_repository_of_another_user_is_refused_with_git_s_advice() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "failed"));
    let git_dir = machine.path("repo/.git");
    if std::os::unix::fs::chown(&git_dir, Some(12345), Some(12345)).is_err() {
        // Only root can change the owner.
        return;
    }
    let ran = machine.run(&["-C", "repo", "log"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    let repo = machine.path("repo").canonicalize().unwrap();
    let advice = format!(
        "git config --global --add safe.directory {}",
        repo.display()
    );
    assert!(ran.err.contains(&advice), "{ran:?}");
}

#[test]
fn log_is_as_git_shows_it() {
    let machine = Machine::with_repository();
    machine.commit(
        r#"{"task_id":"a","status":"failed","plan_id":"p","dispatch_info":{"agent_pool":"pool","agent_id":"agent"},
            "execution_result":{"services_touched":["s1","s2"]}}"#,
    );
    machine.commit(&outcome("b", "completed"));
    let commits = machine.git(&["log", "--format=%H %s"]);
    let commits: Vec<_> = commits
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let timestamp = |subject: &str| subject.rsplit_once(' ').unwrap().1.to_owned();
    let [(b, b_subject), (a, a_subject)] = commits[..] else {
        panic!("{commits:?}")
    };
    let ran = machine.run(&["-C", "repo", "log"]);
    assert_eq!(
        ran.out,
        format!(
            "commit {b}\nTask:     b completed\nDate:     {}\n\n    {b_subject}\n\n\
             commit {a}\nTask:     a failed\nPlan:     p\nAgent:    pool / agent\nServices: s1, s2\nDate:     {}\n\n    {a_subject}\n",
            timestamp(b_subject),
            timestamp(a_subject)
        )
    );
    let ran = machine.run(&["-C", "repo", "log", "--oneline"]);
    assert_eq!(
        ran.out,
        machine.git(&["log", "--format=%h %s", "--abbrev=7"])
    );
    let ran = machine.run(&["-C", "repo", "log", "--json", "-n", "1"]);
    let logged = ran.object();
    assert_eq!(
        (&logged["task_id"], &logged["commit"]),
        (&json!("b"), &json!(b))
    );
    assert_eq!(logged["subject"], b_subject);
    assert!(logged["policy"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(logged["entry"]["timestamp"], timestamp(b_subject));
}

#[test]
fn log_filters_by_what_the_entries_say() {
    let machine = Machine::with_repository();
    let lines = [
        r#"{"task_id":"a","status":"failed","plan_id":"p1","execution_result":{"services_touched":["s1","s2"]}}"#,
        r#"{"task_id":"b","status":"completed","plan_id":"p1","dispatch_info":{"agent_pool":"x","agent_id":"one"}}"#,
        r#"{"task_id":"c","status":"failed","plan_id":"p2","dispatch_info":{"agent_pool":"x","agent_id":"two"}}"#,
        r#"{"task_id":"d","status":"cancelled","execution_result":{"services_touched":["s2"]}}"#,
    ];
    assert_eq!(
        machine
            .run_with_input(&["-C", "repo", "ingest"], lines.join("\n"))
            .exit,
        Some(0)
    );
    for (filter, expected) in [
        (&[][..], "d c b a"),
        (&["--status", "failed"], "c a"),
        (&["--status", "failed", "--status", "cancelled"], "d c a"),
        (&["--plan", "p1"], "b a"),
        (&["--plan", "p1", "--status", "failed"], "a"),
        (&["--service", "s2"], "d a"),
        (&["--service", "s1", "--service", "s2"], "d a"),
        (&["--agent", "two"], "c"),
        (&["--agent-pool", "x"], "c b"),
        (&["--agent-pool", "x", "-n", "1"], "c"),
        (&["--max-count", "0"], ""),
        (&["--status", "timed-out"], ""),
        (&["--since", "1 hour ago"], "d c b a"),
        (&["--since", "2001-01-01", "--until", "now"], "d c b a"),
        (&["--until", "yesterday"], ""),
        (&["--since", "2999-01-01"], ""),
    ] {
        let args = [&["-C", "repo", "log", "--json"], filter].concat();
        let ran = machine.run(&args);
        let found: Vec<_> = ran
            .json()
            .iter()
            .map(|logged| logged["task_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            (ran.exit, found.join(" ").as_str()),
            (Some(0), expected),
            "{filter:?}"
        );
    }
    // A status that no setting can add is an error, rather than an empty answer.
    for wrong in ["FAILED", "failed,completed", ""] {
        let ran = machine.run(&["-C", "repo", "log", "--status", wrong]);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains("a status is 1 to 32"), "{ran:?}");
    }
}

#[test]
fn an_empty_trail_has_an_empty_log() {
    let machine = Machine::with_repository();
    let ran = machine.run(&["-C", "repo", "log"]);
    assert_eq!(
        (ran.exit, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "", "")
    );
}

#[test]
fn what_entries_bring_cannot_act_on_a_terminal() {
    let machine = Machine::with_repository();
    machine.commit(
        "{\"task_id\":\"a\",\"status\":\"failed\",\"plan_id\":\"\\u001b[2J\u{202e}\\n\u{9b}\",
          \"dispatch_info\":{\"agent_id\":\"\u{2066}x\\u0007\"},
          \"execution_result\":{\"outcome\":\"\u{202e}\u{7f}\u{feff}\",\"services_touched\":[\"a\u{200b}\\tb\"]}}",
    );
    for args in [
        &["log"][..],
        &["show", "a"],
        &["log", "--json"],
        &["show", "a", "--json"],
        &["log", "--oneline"],
    ] {
        let ran = machine.run(&[&["-C", "repo"], args].concat());
        assert_eq!(ran.exit, Some(0));
        let hidden = |character: char| {
            character != '\n' && character.is_control()
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        assert!(!ran.out.contains(hidden), "{args:?} {:?}", ran.out);
    }
    // The value is the same, in another form.
    let shown = machine.run(&["-C", "repo", "show", "a", "--json"]).object();
    assert_eq!(shown["entry"]["plan_id"], "\u{1b}[2J\u{202e}\n\u{9b}");
    assert_eq!(
        shown["entry"]["execution_result"]["outcome"],
        "\u{202e}\u{7f}\u{feff}"
    );
}

#[test]
fn times_are_those_of_the_entries_and_not_of_their_commits() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    machine.commit(&outcome("b", "completed"));
    let own = |task| {
        let shown = machine.run(&["-C", "repo", "show", task, "--json"]);
        shown.object()["entry"]["timestamp"].clone()
    };
    let log = machine.run(&["-C", "repo", "log", "--json"]).json();
    assert_eq!((&log[0]["time"], &log[1]["time"]), (&own("b"), &own("a")));
    let spans = machine.run(&["-C", "repo", "policy", "log", "--json"]);
    let span = &spans.object()["spans"][0];
    assert_eq!(
        (&span["first"]["time"], &span["last"]["time"]),
        (&own("a"), &own("b"))
    );
}

/// Records outcomes with these numbers in one flat directory.
fn ingest(machine: &Machine, numbers: std::ops::Range<u32>) {
    // In no particular order, so that entries are inserted anywhere in the directory.
    let lines =
        numbers.map(|number| outcome(&format!("t{:05}", number * 7919 % 10_007), "completed"));
    let ran = machine.run_with_input(
        &["-C", "repo", "ingest", "-q"],
        lines.collect::<Vec<_>>().join("\n"),
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
}

#[test]
fn the_log_of_a_large_directory_shows_each_entry_as_its_commit_added_it() {
    let machine = Machine::with_repository();
    ingest(&machine, 0..700);
    // A person changes an entry in the middle, removes another, and the operator accepts this.
    let altered = machine.path("repo/.audit/tasks/t07919.json");
    let before = std::fs::read_to_string(&altered).unwrap();
    std::fs::write(&altered, before.replace("completed", "rejected")).unwrap();
    machine.git(&["rm", "-q", ".audit/tasks/t00000.json"]);
    machine.git(&["commit", "-qam", "alter"]);
    let tip = machine.git(&["rev-parse", "HEAD"]);
    let accept = ["-C", "repo", "init", "--accept-tip", tip.trim()];
    assert_eq!(machine.run(&accept).exit, Some(0));
    ingest(&machine, 700..1400);

    let log = machine.run(&["-C", "repo", "log", "--json"]).json();
    assert_eq!(log.len(), 1400);
    let shown: String = log
        .iter()
        .map(|logged| {
            let (commit, path) = (&logged["commit"], &logged["path"]);
            format!("{}:{}\n", commit.as_str().unwrap(), path.as_str().unwrap())
        })
        .collect();
    let mut batch = Command::new("git");
    support::isolated(&mut batch)
        .arg("-C")
        .arg(machine.path("repo"))
        .args(["cat-file", "--batch=%(objecttype)"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut batch = batch.spawn().unwrap();
    let mut stdin = batch.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(shown.as_bytes()).unwrap());
    let found = batch.wait_with_output().unwrap();
    writer.join().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let entries = found.split("blob\n").skip(1);
    assert_eq!(entries.clone().count(), log.len());
    for (logged, entry) in log.iter().zip(entries) {
        let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
        assert_eq!(logged["entry"], entry);
        assert_eq!(logged["entry"]["task_id"], logged["task_id"]);
    }
    let one = |task: &str| log.iter().find(|logged| logged["task_id"] == task).unwrap();
    assert_eq!(one("t07919")["entry"]["status"], "completed");
    assert_eq!(one("t00000")["entry"]["status"], "completed");
}

#[test]
fn an_entry_that_is_dated_back_is_listed_by_its_commits_time() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let digest = "0".repeat(64);
    machine.write(
        "repo/.audit/tasks/hidden.json",
        "{\n  \"task_id\": \"hidden\",\n  \"status\": \"failed\",\n  \"timestamp\": \"2001-01-01T00:00:00.000000Z\"\n}\n",
    );
    machine.git(&["add", "."]);
    let message = format!(
        "audit: task hidden failed\n\nAudit-Format: 1\nAudit-Task: hidden\nAudit-Interface: chiffon:audit@0.1.0\nAudit-Policy: sha256:{digest}\nAudit-Settings: sha256:{digest}\n"
    );
    machine.git(&["commit", "-q", "--cleanup=verbatim", "-m", &message]);
    machine.commit(&outcome("b", "completed"));
    for command in ["log", "export"] {
        let listed = machine.run(&["-C", "repo", command, "--since", "2 days ago"]);
        for task in ["a", "hidden", "b"] {
            assert!(listed.out.contains(task), "{command}: {listed:?}");
        }
        let before = machine.run(&["-C", "repo", command, "--until", "2001-12-31"]);
        assert!(!before.out.contains("hidden"), "{command}: {before:?}");
    }
}
