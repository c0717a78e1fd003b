//! Clones: the trail of a remote is adopted, never started a second time, and no task that a remote has is recorded
//! again.

mod kinds;

use super::{Machine, Ran, outcome};
use crate::support::git;

/// A hub, and `seed`, which has pushed a trail with the task `one` to it.
fn machine(init: &[&str], branch: &str) -> Machine {
    let machine = Machine::new();
    git(
        machine.dir.path(),
        &["init", "-q", "--bare", "-b", "main", "hub.git"],
    );
    git(machine.dir.path(), &["init", "-q", "-b", "main", "seed"]);
    let seed = machine.path("seed");
    std::fs::write(seed.join("readme"), "hello").unwrap();
    git(&seed, &["add", "."]);
    git(&seed, &["commit", "-q", "-m", "start"]);
    git(&seed, &["remote", "add", "origin", "../hub.git"]);
    git(&seed, &["push", "-q", "origin", "main"]);
    let ran = machine.run(&[&["-C", "seed", "init"], init].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(machine.record("seed", "one", "completed").exit, Some(0));
    git(&seed, &["push", "-q", "origin", branch]);
    machine
}

/// A machine whose trail is on a separate ref.
fn on_audit() -> Machine {
    machine(&["--ref", "refs/heads/audit"], "audit")
}

impl Machine {
    fn record(&self, repository: &str, task: &str, status: &str) -> Ran {
        self.run_with_input(
            &["-C", repository, "commit", "-", "--json"],
            outcome(task, status),
        )
    }

    fn clone(&self, args: &[&str], name: &str) {
        let from = format!("file://{}", self.path("hub.git").display());
        let args = [&["clone", "-q"], args, &[&from, name]].concat();
        git(self.dir.path(), &args);
    }

    /// The tasks of a trail, newest first.
    fn tasks(&self, args: &[&str]) -> Vec<String> {
        let ran = self.run(args);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let told = ran.json().into_iter();
        told.map(|entry| entry["task_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn a_clone_adopts_the_trail_of_its_remote_and_records_nothing_twice() {
    let machine = on_audit();
    machine.clone(&[], "job");
    // Reading changes nothing, and says which ref is read.
    let log = machine.run(&["-C", "job", "log", "--oneline"]);
    assert!(log.out.contains("task one completed"), "{log:?}");
    assert!(
        log.err.contains("read from refs/remotes/origin/audit"),
        "{log:?}"
    );
    let shown = machine.run(&["-C", "job", "show", "one"]);
    assert_eq!(shown.exit, Some(0), "{shown:?}");
    let doctor = machine.run(&["-C", "job", "doctor"]);
    assert!(
        doctor.out.contains("the next record adopts it"),
        "{doctor:?}"
    );
    assert_eq!(machine.rev("job", "refs/heads/audit"), None);
    assert!(!machine.path("job/.git/chiffon-audit").exists());

    let ran = machine.record("job", "one", "failed");
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    assert!(
        ran.err.contains(
            "continued the trail of refs/remotes/origin/audit: refs/heads/audit begins at"
        ),
        "{ran:?}"
    );
    let ran = machine.record("job", "one", "completed").object();
    assert_eq!(ran["result"], "already-recorded");
    let ran = machine.record("job", "two", "completed").object();
    assert_eq!(ran["result"], "committed");
    assert_eq!(
        machine.tasks(&["-C", "job", "log", "--json"]),
        ["two", "one"]
    );
    assert_eq!(
        machine.rev("job", "main"),
        machine.rev("job", "origin/main")
    );
    assert_eq!(machine.run(&["verify", "job"]).exit, Some(0));
    // New entries continue the remote's trail.
    git(&machine.path("job"), &["push", "-q", "origin", "audit"]);
}

#[test]
fn init_in_a_clone_adopts_the_trail_and_starts_a_second_one_only_by_name() {
    let machine = on_audit();
    for args in [
        &["init"][..],
        &["init", "--ref", "refs/heads/audit"],
        &["init", "--ref", "audit"],
    ] {
        machine.clone(&[], "job");
        let ran = machine.run(&[&["-C", "job", "--json"], args].concat());
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let told = ran.object();
        assert_eq!(told["created_trail"], false);
        assert_eq!(told["adopted"], "refs/remotes/origin/audit");
        assert_eq!(told["reference"], "refs/heads/audit");
        assert_eq!(
            machine.rev("job", "audit"),
            machine.rev("job", "origin/audit")
        );
        std::fs::remove_dir_all(machine.path("job")).unwrap();
    }
    machine.clone(&[], "job");
    let other = ["-C", "job", "init", "--ref", "refs/heads/other"];
    let ran = machine.run(&other);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err
            .contains("refs/remotes/origin/audit holds a trail already"),
        "{ran:?}"
    );
    assert_eq!(machine.rev("job", "other"), None);
    let ran = machine.run(&[&other[..], &["--second-trail"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(machine.rev("job", "other").is_some());
}

#[test]
fn ingest_adopts_the_trail_too() {
    let machine = on_audit();
    machine.clone(&[], "job");
    let lines = [outcome("one", "completed"), outcome("two", "failed")].join("\n");
    let ran = machine.run_with_input(&["-C", "job", "ingest", "-", "--receipts", "-"], lines);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.err.contains("continued the trail"), "{ran:?}");
    let results: Vec<_> = ran
        .json()
        .into_iter()
        .map(|receipt| receipt["result"].clone())
        .collect();
    assert_eq!(results, ["already-recorded", "committed"]);
}

#[test]
fn a_trail_that_its_remote_is_ahead_of_moves_forward_first() {
    let machine = on_audit();
    machine.clone(&[], "job");
    assert_eq!(machine.record("job", "two", "completed").exit, Some(0));
    git(&machine.path("job"), &["push", "-q", "origin", "audit"]);
    let seed = machine.path("seed");
    git(&seed, &["fetch", "-q"]);
    assert_eq!(machine.record("seed", "two", "failed").exit, Some(5));
    let ran = machine.record("seed", "three", "completed");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(
        machine.tasks(&["-C", "seed", "log", "--json"]),
        ["three", "two", "one"]
    );
    git(&seed, &["push", "-q", "origin", "audit"]);
}

#[test]
fn if_trails_have_diverged_tasks_of_the_remote_are_not_recorded_again() {
    let machine = on_audit();
    machine.clone(&[], "job");
    assert_eq!(machine.record("job", "mine", "completed").exit, Some(0));
    assert_eq!(machine.record("seed", "theirs", "completed").exit, Some(0));
    git(&machine.path("seed"), &["push", "-q", "origin", "audit"]);
    git(&machine.path("job"), &["fetch", "-q"]);
    // The refs may be packed.
    git(&machine.path("job"), &["pack-refs", "--all"]);
    let ran = machine.record("job", "theirs", "completed");
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    let answer = ran.object();
    assert_eq!(
        (&answer["cause"], &answer["retry"]),
        (&"elsewhere".into(), &false.into())
    );
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .contains("refs/remotes/origin/audit"),
        "{answer}"
    );
    assert_eq!(machine.record("job", "more", "completed").exit, Some(0));
    let doctor = machine.run(&["-C", "job", "doctor"]);
    assert!(doctor.out.contains("have diverged"), "{doctor:?}");
    // The other trail can be read by the name of its ref.
    for name in ["refs/remotes/origin/audit", "origin/audit"] {
        let log = ["-C", "job", "log", "--json", "--ref", name];
        assert_eq!(machine.tasks(&log), ["theirs", "one"]);
        // An audit accepts a name that is not ambiguous.
        for command in ["verify", "report"] {
            let audit = ["-C", "job", command, "--ref", "refs/remotes/origin/audit"];
            let ran = machine.run(&audit);
            assert_eq!(ran.exit, Some(0), "{ran:?}");
        }
        let shown = machine.run(&["-C", "job", "show", "theirs", "--ref", name, "--json"]);
        let commit = machine.rev("job", "origin/audit").unwrap();
        assert_eq!(shown.object()["commit"], commit);
    }
    let ran = machine.run(&["-C", "job", "log", "--ref", "refs/remotes/origin/none"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
}

#[test]
fn remotes_with_the_same_trail_are_one_and_diverged_ones_are_named() {
    let machine = on_audit();
    git(
        machine.dir.path(),
        &["clone", "-q", "--bare", "hub.git", "copy.git"],
    );
    // The copy has one more entry.
    machine.clone(&[], "writer");
    assert_eq!(machine.record("writer", "two", "completed").exit, Some(0));
    git(
        &machine.path("writer"),
        &["push", "-q", "../copy.git", "audit"],
    );
    let clone = |name: &str| {
        machine.clone(&[], name);
        git(
            &machine.path(name),
            &["remote", "add", "copy", "../copy.git"],
        );
        git(&machine.path(name), &["fetch", "-q", "copy"]);
    };
    clone("job");
    assert_eq!(machine.record("job", "two", "failed").exit, Some(5));
    assert_eq!(
        machine.rev("job", "audit"),
        machine.rev("job", "copy/audit")
    );

    assert_eq!(machine.record("seed", "other", "completed").exit, Some(0));
    git(&machine.path("seed"), &["push", "-q", "origin", "audit"]);
    clone("parted");
    let ran = machine.record("parted", "new", "completed");
    let answer = ran.object();
    assert_eq!(
        (ran.exit, &answer["cause"]),
        (Some(1), &"several-trails".into())
    );
    let reason = answer["reason"].as_str().unwrap();
    for name in ["refs/remotes/copy/audit", "refs/remotes/origin/audit"] {
        assert!(reason.contains(name), "{reason}");
    }
    for args in [
        &["init"][..],
        &["init", "--ref", "refs/heads/audit"],
        &["log"],
    ] {
        let ran = machine.run(&[&["-C", "parted"], args].concat());
        assert!(
            ran.exit != Some(0) && ran.err.contains("refs/remotes/copy/audit"),
            "{ran:?}"
        );
    }
    assert_eq!(machine.rev("parted", "audit"), None);
    // The command that the message names.
    let command = reason.split('`').nth(1).unwrap();
    assert_eq!(command, "git branch audit refs/remotes/copy/audit");
    git(
        &machine.path("parted"),
        &["branch", "-q", "audit", "refs/remotes/copy/audit"],
    );
    assert_eq!(machine.record("parted", "new", "completed").exit, Some(0));
    assert_eq!(
        machine.record("parted", "other", "completed").object()["cause"],
        "elsewhere"
    );
}

#[test]
fn a_branch_that_is_checked_out_behind_its_remote_is_for_git_to_move() {
    let machine = machine(&[], "main");
    machine.clone(&[], "job");
    assert_eq!(machine.record("job", "two", "completed").exit, Some(0));
    git(&machine.path("job"), &["push", "-q", "origin", "main"]);
    let seed = machine.path("seed");
    git(&seed, &["fetch", "-q"]);
    let before = machine.rev("seed", "main");
    for task in ["two", "three"] {
        let ran = machine.record("seed", task, "completed");
        let answer = ran.object();
        assert_eq!((ran.exit, &answer["cause"]), (Some(1), &"behind".into()));
        assert_eq!(answer["retry"], true);
        assert!(
            answer["reason"]
                .as_str()
                .unwrap()
                .contains("`git merge --ff-only origin/main`"),
            "{answer}"
        );
    }
    assert_eq!(machine.rev("seed", "main"), before);
    git(&seed, &["merge", "-q", "--ff-only", "origin/main"]);
    assert_eq!(machine.record("seed", "two", "failed").exit, Some(5));
    assert_eq!(machine.record("seed", "three", "completed").exit, Some(0));
    // Other people's commits at the remote are no reason to wait.
    git(
        &machine.path("job"),
        &["commit", "-q", "--allow-empty", "-m", "work"],
    );
    git(&machine.path("job"), &["push", "-q", "origin", "main"]);
    git(&seed, &["fetch", "-q"]);
    assert_eq!(machine.record("seed", "four", "completed").exit, Some(0));
    // A clone without a checked-out commit is told what to do.
    git(machine.dir.path(), &["init", "-q", "-b", "main", "unborn"]);
    let unborn = machine.path("unborn");
    git(&unborn, &["remote", "add", "origin", "../hub.git"]);
    git(&unborn, &["fetch", "-q"]);
    assert_eq!(
        machine.record("unborn", "new", "completed").object()["cause"],
        "behind"
    );
    git(&unborn, &["merge", "-q", "--ff-only", "origin/main"]);
    assert_eq!(machine.record("unborn", "new", "completed").exit, Some(0));
    git(&unborn, &["diff", "--exit-code", "HEAD"]);
}

#[test]
fn a_remote_that_changes_entries_is_not_adopted() {
    let machine = on_audit();
    machine.clone(&[], "evil");
    let evil = machine.path("evil");
    assert_eq!(machine.record("evil", "two", "completed").exit, Some(0));
    git(&evil, &["checkout", "-q", "audit"]);
    git(&evil, &["rm", "-q", "-r", ".audit/tasks/7"]);
    git(&evil, &["commit", "-q", "-m", "nothing to see"]);
    git(&evil, &["push", "-q", "origin", "audit"]);
    git(&machine.path("seed"), &["fetch", "-q"]);
    let before = machine.rev("seed", "audit").unwrap();
    assert_eq!(machine.record("seed", "one", "failed").exit, Some(5));
    assert_eq!(
        machine.record("seed", "two", "completed").object()["cause"],
        "elsewhere"
    );
    assert_eq!(machine.record("seed", "three", "completed").exit, Some(0));
    assert_eq!(machine.rev("seed", "audit~1"), Some(before));
}
