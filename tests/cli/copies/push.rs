//! `commit --push` and `ingest --push`: clones that are thrown away, many at once, and a remote that is away for a while.

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
fn a_trail_that_a_clone_of_one_branch_does_not_show_is_continued() {
    let machine = machine();
    let work = machine.path("work");
    git(
        &work,
        &["push", "-q", "origin", "audit:refs/heads/evidence"],
    );
    machine.clone_hub(&["--single-branch"], "job");
    let ran = machine.push("job", "two", &[]);
    assert_eq!(ran.object()["ref"], "refs/heads/evidence", "{ran:?}");
    assert_eq!(machine.rev("hub.git", "audit"), None);
}

#[test]
fn a_new_trail_begins_on_a_ref_that_no_person_works_on() {
    let machine = machine();
    machine.clone_hub(&[], "job");
    let main = machine.rev("hub.git", "main");
    let ran = machine.push("job", "first", &[]);
    assert_eq!(ran.object()["ref"], "refs/heads/audit", "{ran:?}");
    assert_eq!(machine.rev("hub.git", "main"), main);
    let ran = machine.push("job", "second", &[]);
    assert_eq!(ran.object()["result"], "committed", "{ran:?}");
    assert_eq!(machine.tasks_of_hub(), ["first", "second"]);
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
fn nothing_is_left_in_the_temporary_directory() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    let temporary = machine.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    for args in [
        &["-C", "job", "commit", "--push", "origin", "-"][..],
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
        command.output().unwrap();
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

/// A trail on people's default branch, with the task `one`.
fn on_main() -> Machine {
    let machine = Machine::new();
    let root = machine.dir.path();
    git(root, &["init", "-q", "--bare", "-b", "main", "hub.git"]);
    git(root, &["init", "-q", "-b", "main", "work"]);
    let work = machine.path("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "start"]);
    git(&work, &["remote", "add", "origin", "../hub.git"]);
    assert_eq!(machine.record_in("work", "one").exit, Some(0));
    git(&work, &["push", "-q", "origin", "main"]);
    machine
}

#[test]
fn a_job_without_a_branch_records_on_the_trail_of_the_remote() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&["--depth=1"], "job");
    git(&machine.path("job"), &["checkout", "-q", "--detach"]);
    assert_eq!(
        machine.push("job", "two", &[]).object()["ref"],
        "refs/heads/audit"
    );
    assert_eq!(machine.tasks_of_hub(), ["one", "two"]);
    // Where there is no trail at all, too.
    let machine = super::machine();
    machine.clone_hub(&[], "job");
    git(&machine.path("job"), &["checkout", "-q", "--detach"]);
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "committed"
    );
}

#[test]
fn a_trail_among_peoples_commits_is_found_whatever_is_checked_out() {
    let machine = on_main();
    let work = machine.path("work");
    // The newest commits are people's, and a branch was made from an entry.
    git(
        &work,
        &["commit", "-q", "--allow-empty", "-m", "a person's"],
    );
    git(&work, &["branch", "feature"]);
    git(&work, &["push", "-q", "origin", "main", "feature"]);
    machine.clone_hub(&["--depth=1", "-b", "feature"], "job");
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "already-recorded"
    );
    let ran = machine.push("job", "two", &[]).object();
    assert_eq!(
        (ran["result"].as_str(), ran["ref"].as_str()),
        (Some("committed"), Some("refs/heads/main"))
    );
    assert_eq!(machine.rev("hub.git", "refs/heads/audit"), None);
    // A pull request is merged in the clone, and is not pushed.
    let job = machine.path("job");
    git(&job, &["checkout", "-q", "-b", "pull/1/merge"]);
    git(
        &job,
        &["commit", "-q", "--allow-empty", "-m", "not reviewed"],
    );
    assert_eq!(
        machine.push("job", "three", &[]).object()["ref"],
        "refs/heads/main"
    );
    assert_eq!(machine.rev("hub.git", "refs/heads/pull/1/merge"), None);
    assert!(
        !git(&machine.path("hub.git"), &["log", "--all", "--format=%s"]).contains("not reviewed")
    );
    assert_eq!(machine.run(&["verify", "hub.git"]).exit, Some(0));
}

#[test]
fn a_persons_commits_are_not_pushed_by_recording() {
    let machine = on_main();
    git(
        &machine.path("work"),
        &["commit", "-q", "--allow-empty", "-m", "not reviewed"],
    );
    let ran = machine.push("work", "two", &["--spool", "spool"]);
    assert_eq!(ran.object()["result"], "spooled", "{ran:?}");
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        !git(&machine.path("hub.git"), &["log", "--format=%s", "main"]).contains("not reviewed")
    );
}

#[test]
fn a_trail_with_a_persons_commit_on_top_is_not_begun_again() {
    let machine = machine();
    let work = machine.path("work");
    git(&work, &["push", "-q", "origin", "audit:refs/heads/trail"]);
    machine.clone_hub(&["-b", "trail"], "person");
    git(
        &machine.path("person"),
        &["commit", "-q", "--allow-empty", "-m", "note"],
    );
    git(&machine.path("person"), &["push", "-q", "origin", "trail"]);
    machine.clone_hub(&["--single-branch"], "job");
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "already-recorded"
    );
    assert_eq!(machine.rev("hub.git", "refs/heads/audit"), None);
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
