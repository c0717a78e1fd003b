//! `commit --push` and `ingest --push`: what an answer means, many at once, and refusals.

use std::process::Stdio;

use super::{Machine, machine, outcome};
use crate::support::git;

#[test]
fn an_answer_means_that_the_remote_has_the_commit() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&["--depth=1"], "job");
    let ran = machine.push("job", "two", &[]);
    let receipt = ran.object();
    assert_eq!(
        (ran.exit, receipt["result"].as_str()),
        (Some(0), Some("committed"))
    );
    assert_eq!(
        receipt["commit"].as_str(),
        machine.rev("hub.git", "audit").as_deref()
    );
    assert_eq!(machine.tasks_of_hub(), ["one", "two"]);
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "already-recorded"
    );
    let args = ["-C", "job", "commit", "--push", "origin", "-", "--json"];
    let ran = machine.run_with_input(&args, outcome("two", "failed"));
    assert_eq!(
        (ran.exit, ran.object()["result"].as_str()),
        (Some(5), Some("conflicting"))
    );
    // The clone shows what it has recorded, and people's branches stay where they are.
    assert_eq!(machine.run(&["-C", "job", "show", "two"]).exit, Some(0));
    assert_eq!(machine.rev("job", "main"), machine.rev("hub.git", "main"));
    git(&machine.path("hub.git"), &["fsck", "--strict"]);
    assert_eq!(machine.run(&["verify", "hub.git"]).exit, Some(0));
}

#[test]
fn twenty_runners_at_once_record_each_task_once() {
    const RUNNERS: usize = 20;
    let machine = machine();
    machine.sync("work", &[]);
    let running: Vec<_> = (0..RUNNERS)
        .map(|number| {
            let name = format!("job{number}");
            machine.clone_hub(&["--depth=1"], &name);
            // Each has a task that all report, and one that only it reports.
            let lines = [
                outcome("same", "completed"),
                outcome(&format!("own{number}"), "completed"),
            ];
            let file = machine.write(&format!("{name}.ndjson"), lines.join("\n"));
            let args = [
                "-C",
                &name,
                "ingest",
                "--push",
                "origin",
                "--json",
                file.to_str().unwrap(),
            ];
            let mut command = machine.command(&args);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut recorded = (0, 0);
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let tally: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        recorded.0 += tally["committed"].as_u64().unwrap();
        recorded.1 += tally["already_recorded"].as_u64().unwrap();
    }
    assert_eq!(recorded, (RUNNERS as u64 + 1, RUNNERS as u64 - 1));
    let mut tasks = machine.tasks_of_hub();
    assert_eq!(tasks.len(), RUNNERS + 2);
    tasks.sort();
    tasks.dedup();
    assert_eq!(tasks.len(), RUNNERS + 2);
    assert_eq!(machine.run(&["verify", "hub.git"]).exit, Some(0));
}

#[test]
fn entries_that_were_recorded_here_first_are_pushed_as_they_are() {
    let machine = machine();
    let one = machine.rev("work", "audit");
    assert_eq!(
        machine.push("work", "two", &[]).object()["result"],
        "committed"
    );
    assert_eq!(machine.tasks_of_hub(), ["one", "two"]);
    assert_eq!(machine.rev("hub.git", "audit~1"), one);
    // The branch here follows.
    assert_eq!(
        machine.rev("work", "audit"),
        machine.rev("hub.git", "audit")
    );
}

#[test]
fn nothing_is_left_in_the_temporary_directory() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    let document = machine.write("outcome.json", outcome("two", "completed"));
    let document = document.to_str().unwrap();
    let temporary = machine.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    for args in [
        &["-C", "job", "commit", "--push", "origin", document][..],
        &[
            "-C",
            "job",
            "verify",
            "--against",
            "remote:origin",
            "--full",
        ],
        &["-C", "job", "sync", "origin"],
    ] {
        let mut command = machine.command(args);
        command.env("TMPDIR", &temporary).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            std::fs::read_dir(&temporary).unwrap().count(),
            0,
            "{args:?}"
        );
    }
}

impl Machine {
    /// The commits of a ref here.
    fn count(&self, repository: &str, name: &str) -> usize {
        git(&self.path(repository), &["rev-list", name])
            .lines()
            .count()
    }
}

#[test]
fn a_push_that_is_refused_acknowledges_nothing() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    machine.hook("pre-receive", "echo the branch is protected >&2; exit 1");
    let ran = machine.push("job", "two", &[]);
    let receipt = ran.object();
    assert_eq!(
        (receipt["result"].as_str(), receipt["cause"].as_str()),
        (Some("unavailable"), Some("rejected"))
    );
    assert!(
        receipt["reason"]
            .as_str()
            .unwrap()
            .contains("the branch is protected"),
        "{receipt}"
    );
    assert_eq!(machine.count("job", "origin/audit"), 2);
    assert_eq!(machine.tasks_of_hub(), ["one"]);
}

#[test]
fn a_task_of_the_trail_before_is_not_recorded_again_at_a_remote() {
    let machine = Machine::new();
    let root = machine.dir.path();
    for (name, tasks) in [("old", &["one"][..])] {
        assert_eq!(machine.run(&["init", "--bare", name]).exit, Some(0));
        for task in tasks {
            assert_eq!(machine.record_in(name, task).exit, Some(0));
        }
    }
    let ran = machine.run(&["-C", "old", "trail", "end", "--successor", "new"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    git(root, &["init", "-q", "--bare", "hub.git"]);
    git(
        &machine.path("new"),
        &["remote", "add", "origin", "../hub.git"],
    );
    let ran = machine.run(&["-C", "new", "sync", "origin", "--dedicated"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(
        machine.push("new", "one", &[]).object()["result"],
        "already-recorded"
    );
    assert_eq!(
        machine.push("new", "two", &[]).object()["result"],
        "committed"
    );
    assert_eq!(
        machine.push("old", "three", &[]).exit,
        Some(2),
        "there is no remote"
    );
}

#[test]
fn what_the_remote_finds_too_large_is_pushed_in_parts() {
    let machine = machine();
    machine.sync("work", &[]);
    git(
        &machine.path("hub.git"),
        &["config", "receive.maxInputSize", "6000"],
    );
    machine.clone_hub(&[], "job");
    let random = |seed: u64| -> String {
        let mut numbers = fastrand::Rng::with_seed(seed);
        (0..2_500).map(|_| numbers.alphanumeric()).collect()
    };
    let lines: Vec<String> = (0..6)
        .map(|number| {
            let text = random(number);
            format!(r#"{{"task_id":"big{number}","status":"completed","execution_result":{{"outcome":{{"text":"{text}"}}}}}}"#)
        })
        .collect();
    let file = machine.write("lines", lines.join("\n"));
    let ran = machine.run(&[
        "-C",
        "job",
        "ingest",
        "--push",
        "origin",
        file.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(
        (ran.exit, ran.object()["committed"].as_u64()),
        (Some(0), Some(6)),
        "{ran:?}"
    );
}

#[test]
fn a_refusal_that_stays_is_not_tried_for_ever() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    machine.hook(
        "pre-receive",
        "echo policy: fetch first approval >&2; exit 1",
    );
    let ran = machine.push("job", "two", &[]).object();
    assert_eq!(
        (ran["cause"].as_str(), ran["retry"].as_bool()),
        (Some("rejected"), Some(false)),
        "{ran}"
    );
    std::fs::remove_file(machine.path("hub.git/hooks/pre-receive")).unwrap();
    // A lock that a crash has left.
    machine.write("hub.git/refs/heads/audit.lock", "");
    let ran = machine.push("job", "two", &[]).object();
    assert_eq!(ran["cause"], "rejected", "{ran}");
}
