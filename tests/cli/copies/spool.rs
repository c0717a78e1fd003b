//! The spool: outcomes that wait while a remote cannot be used.

use std::process::Stdio;

use super::{machine, outcome};

#[test]
fn a_remote_that_is_away_makes_an_outcome_unavailable_or_spooled() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    std::fs::rename(machine.path("hub.git"), machine.path("away")).unwrap();
    let ran = machine.push("job", "two", &[]);
    let receipt = ran.object();
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert_eq!(
        (receipt["result"].as_str(), receipt["cause"].as_str()),
        (Some("unavailable"), Some("unreachable"))
    );
    assert_eq!(receipt["retry"], true);
    let spool = ["--spool", "spool"];
    for task in ["two", "three"] {
        let ran = machine.push("job", task, &spool);
        assert_eq!(
            (ran.exit, ran.object()["result"].as_str()),
            (Some(0), Some("spooled")),
            "{ran:?}"
        );
    }
    // A document on several lines stays one.
    let args = [
        "-C", "job", "commit", "--push", "origin", "-", "--spool", "spool",
    ];
    let ran = machine.run_with_input(
        &args,
        "{\n  \"task_id\": \"lines\",\n  \"status\": \"completed\"\n}\n",
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    std::fs::rename(machine.path("away"), machine.path("hub.git")).unwrap();
    let ran = machine.push("job", "four", &spool);
    assert_eq!(ran.object()["result"], "committed");
    // In the order in which they were kept.
    assert_eq!(
        machine.tasks_of_hub(),
        ["one", "two", "three", "lines", "four"]
    );
    assert_eq!(std::fs::read_dir(machine.path("spool")).unwrap().count(), 0);
}

#[test]
fn what_nobody_can_record_does_not_stay_in_the_spool_for_ever() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    let lines = [outcome("one", "failed"), outcome("two", "completed")].join("\n");
    machine.write(
        "spool/a.push.ndjson",
        format!("{lines}\n{{\"task_id\":\"torn"),
    );
    let ran = machine.push("job", "three", &["--spool", "spool"]);
    assert_eq!(ran.object()["result"], "committed", "{ran:?}");
    assert!(ran.err.contains("a.push.refused"), "{ran:?}");
    assert_eq!(machine.tasks_of_hub(), ["one", "two", "three"]);
    let refused = std::fs::read_to_string(machine.path("spool/a.push.refused")).unwrap();
    assert!(
        refused.contains("\"failed\"") && refused.ends_with("torn"),
        "{refused}"
    );
    assert!(!machine.path("spool/a.push.ndjson").exists());
}

#[test]
fn a_coprocess_goes_on_when_the_remote_is_back() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    let mut command =
        machine.command(&["-C", "job", "ingest", "--push", "origin", "--receipts", "-"]);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut receipts = BufReader::new(stdout).lines();
    let mut report = |task: &str| {
        writeln!(stdin, "{}", outcome(task, "completed")).unwrap();
        let receipt: serde_json::Value =
            serde_json::from_str(&receipts.next().unwrap().unwrap()).unwrap();
        receipt["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(report("two"), "committed");
    std::fs::rename(machine.path("hub.git"), machine.path("away")).unwrap();
    assert_eq!(report("three"), "unavailable");
    std::fs::rename(machine.path("away"), machine.path("hub.git")).unwrap();
    // A remote that could not be used is left alone for a while.
    let back = (0..200).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
        report("three") == "committed"
    });
    assert!(back);
    drop(stdin);
    child.wait().unwrap();
}

#[test]
fn what_is_no_outcome_is_refused_and_not_kept() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    std::fs::rename(machine.path("hub.git"), machine.path("away")).unwrap();
    let args = [
        "-C", "job", "commit", "--push", "origin", "-", "--spool", "spool",
    ];
    for document in [
        "",
        "not json",
        "{\"task_id\": \"a\nb\", \"status\": \"completed\"}",
    ] {
        let ran = machine.run_with_input(&args, document);
        assert_eq!(ran.exit, Some(4), "{document:?} {ran:?}");
    }
    assert!(!machine.path("spool").exists());
}

#[test]
fn one_outcome_that_is_too_large_does_not_block_the_others() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    let hub = machine.path("hub.git");
    let mut numbers = fastrand::Rng::with_seed(7);
    let text: String = (0..30_000).map(|_| numbers.alphanumeric()).collect();
    let large = format!(
        r#"{{"task_id":"large","status":"completed","execution_result":{{"outcome":{{"text":"{text}"}}}}}}"#
    );
    let lines = [large, outcome("two", "completed")].join("\n");
    machine.write("spool/0.push.ndjson", lines + "\n");
    machine.write("spool/1.push.ndjson", outcome("three", "completed") + "\n");
    crate::support::git(&hub, &["config", "receive.maxInputSize", "8000"]);
    let ran = machine.push("job", "four", &["--spool", "spool"]);
    assert_eq!(ran.object()["result"], "committed", "{ran:?}");
    assert_eq!(machine.tasks_of_hub(), ["one", "two", "three", "four"]);
    assert!(machine.path("spool/0.push.refused").exists());
}

#[test]
fn a_spool_in_trouble_does_not_keep_new_outcomes_from_the_remote() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    machine.write("spool/0.push.ndjson", outcome("one", "failed") + "\n");
    // What is refused cannot be set aside.
    std::fs::create_dir(machine.path("spool/0.push.refused")).unwrap();
    let ran = machine.push("job", "two", &["--spool", "spool"]);
    assert_eq!(ran.object()["result"], "committed", "{ran:?}");
    assert!(ran.err.contains("warning"), "{ran:?}");
}

#[test]
fn an_ingest_whose_lines_wait_for_a_person_says_so() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    machine.hook("pre-receive", "echo the branch is protected >&2; exit 1");
    let file = machine.write("lines", outcome("two", "completed"));
    let args = [
        "-C",
        "job",
        "ingest",
        "--push",
        "origin",
        "--spool",
        "spool",
        file.to_str().unwrap(),
    ];
    let ran = machine.run(&args);
    assert_eq!(ran.exit, Some(4), "{ran:?}");
    assert!(ran.out.contains("1 kept in the spool"), "{ran:?}");
}
