//! The trail is found in every kind of clone, with anything checked out; if it cannot be found, a message says so.

use super::{Machine, git, machine, on_audit, outcome};

#[test]
fn however_a_clone_was_made_the_trail_is_found() {
    let machine = on_audit();
    for args in [
        &["--bare"][..],
        &["--mirror"],
        &["--depth", "1", "--no-single-branch"],
        &["--single-branch", "-b", "audit"],
        &["--depth", "1", "-b", "audit"],
        &["-o", "team/hub"],
        &["--no-checkout"],
    ] {
        machine.clone(args, "job");
        let ran = machine.record("job", "one", "failed");
        assert_eq!(ran.exit, Some(5), "{args:?}: {ran:?}");
        let ran = machine.record("job", "two", "completed");
        assert_eq!(ran.exit, Some(0), "{args:?}: {ran:?}");
        assert_ne!(machine.rev("job", "audit~1"), None, "{args:?}");
        std::fs::remove_dir_all(machine.path("job")).unwrap();
    }
    // Refs in a separate namespace, and a detached head, as in a job of a hosting service.
    machine.clone(&[], "job");
    let job = machine.path("job");
    git(
        &job,
        &[
            "config",
            "remote.origin.fetch",
            "+refs/heads/*:refs/hub/copies/*",
        ],
    );
    for name in ["origin/audit", "origin/main", "origin/HEAD"] {
        git(
            &job,
            &[
                "update-ref",
                "--no-deref",
                "-d",
                &format!("refs/remotes/{name}"),
            ],
        );
    }
    git(&job, &["fetch", "-q"]);
    git(&job, &["pack-refs", "--all"]);
    git(&job, &["checkout", "-q", "--detach"]);
    assert_eq!(machine.record("job", "one", "failed").exit, Some(5));
    assert_eq!(
        machine.rev("job", "audit"),
        machine.rev("job", "refs/hub/copies/audit")
    );
}

#[test]
fn a_local_branch_that_holds_the_trail_is_found() {
    let machine = on_audit();
    machine.clone(&[], "job");
    git(
        &machine.path("job"),
        &["branch", "-q", "audit", "origin/audit"],
    );
    git(&machine.path("job"), &["remote", "remove", "origin"]);
    let ran = machine.record("job", "two", "completed");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(
        machine.tasks(&["-C", "job", "log", "--json"]),
        ["two", "one"]
    );
    assert_ne!(machine.rev("job", "audit"), None);
}

#[test]
fn a_trail_on_the_default_branch_is_gone_on_with_from_a_feature_branch() {
    let machine = machine(&[], "main");
    machine.clone(&[], "job");
    let job = machine.path("job");
    git(&job, &["switch", "-q", "-c", "feature"]);
    assert_eq!(machine.record("job", "one", "failed").exit, Some(5));
    assert_eq!(machine.record("job", "two", "completed").exit, Some(0));
    assert_eq!(
        machine.rev("job", "main~1"),
        machine.rev("job", "origin/main")
    );
    assert_eq!(
        machine.rev("job", "feature"),
        machine.rev("job", "origin/main")
    );
    // A clone of only the feature branch.
    git(&job, &["push", "-q", "origin", "main", "feature"]);
    machine.clone(&["-b", "feature"], "second");
    assert_eq!(machine.record("second", "two", "failed").exit, Some(5));
    assert_eq!(
        machine.rev("second", "main"),
        machine.rev("second", "origin/main")
    );
    let linked = machine.path("second");
    git(
        &linked,
        &["worktree", "add", "-q", "../linked", "-b", "topic"],
    );
    assert_eq!(machine.record("linked", "three", "completed").exit, Some(0));
    assert_eq!(
        machine.rev("second", "main~1"),
        machine.rev("second", "origin/main")
    );
}

#[test]
fn a_trail_that_was_started_and_is_empty_is_adopted_too() {
    let machine = Machine::new();
    git(
        machine.dir.path(),
        &["init", "-q", "--bare", "-b", "main", "hub.git"],
    );
    machine.clone(&[], "seed");
    let made = machine
        .run(&["-C", "seed", "init", "--ref", "audit", "--json"])
        .object();
    git(&machine.path("seed"), &["push", "-q", "origin", "audit"]);
    machine.clone(&[], "job");
    let ran = machine.run(&["-C", "job", "init", "--json"]).object();
    assert_eq!(ran["trail"], made["trail"]);
    assert_eq!(machine.record("job", "one", "completed").exit, Some(0));
    assert_eq!(machine.rev("job", "audit~1"), machine.rev("seed", "audit"));
}

#[test]
fn a_clone_that_cannot_see_or_keep_a_trail_says_so() {
    let machine = on_audit();
    machine.clone(&["--single-branch", "-b", "main"], "narrow");
    let words = "this clone has only refs/heads/main of its remote";
    let doctor = machine.run(&["-C", "narrow", "doctor"]);
    assert!(doctor.out.contains(words), "{doctor:?}");
    let ran = machine.record("narrow", "one", "failed");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.err.contains(words), "{ran:?}");
    // Once the trail has started, the warning is not repeated.
    assert_eq!(machine.record("narrow", "two", "failed").err, "");

    machine.clone(&["--mirror"], "mirror");
    assert_eq!(machine.record("mirror", "two", "completed").exit, Some(0));
    let doctor = machine.run(&["-C", "mirror", "doctor"]);
    assert!(
        doctor
            .out
            .contains("a `git fetch` sets refs/heads/audit to"),
        "{doctor:?}"
    );
}

/// As a build does with one commit of a branch or a pull request, with a remote that is configured as for all branches.
#[test]
fn a_clone_that_fetched_only_a_part_says_that_another_branch_may_hold_a_trail() {
    let machine = on_audit();
    let url = format!("file://{}", machine.path("hub.git").display());
    for (name, depth, refspec) in [
        ("pull", "--depth=1", "+HEAD:refs/remotes/pull/7/merge"),
        (
            "shallow",
            "--depth=1",
            "+refs/heads/main:refs/remotes/origin/main",
        ),
        ("merge", "--no-tags", "+HEAD:refs/remotes/pull/7/merge"),
    ] {
        let dir = machine.dir.path();
        git(dir, &["init", "-q", "-b", "main", name]);
        let clone = machine.path(name);
        git(&clone, &["remote", "add", "origin", &url]);
        git(&clone, &["fetch", "-q", depth, "origin", refspec]);
        git(&clone, &["checkout", "-q", "-B", "main", "FETCH_HEAD"]);
        let words = "only a part of the remote was fetched";
        let doctor = machine.run(&["-C", name, "doctor"]);
        assert!(doctor.out.contains(words), "{name}: {doctor:?}");
        let ran = machine.record(name, "two", "failed");
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(ran.err.contains(words), "{name}: {ran:?}");
        assert_eq!(machine.record(name, "three", "failed").err, "", "{name}");
    }
    // The remedy of a detached `HEAD` must not begin a second trail silently.
    let dir = machine.dir.path();
    git(dir, &["init", "-q", "-b", "main", "detached"]);
    let clone = machine.path("detached");
    git(&clone, &["remote", "add", "origin", &url]);
    git(
        &clone,
        &[
            "fetch",
            "-q",
            "--depth=1",
            "origin",
            "+HEAD:refs/remotes/pull/7/merge",
        ],
    );
    git(&clone, &["checkout", "-q", "--detach", "FETCH_HEAD"]);
    assert_eq!(machine.record("detached", "two", "failed").exit, Some(1));
    let ran = machine.run(&["-C", "detached", "init", "--ref", "refs/heads/audit"]);
    assert!(ran.err.contains("only a part of the remote"), "{ran:?}");
    // With all branches there is nothing to say.
    machine.clone(&[], "whole");
    assert!(
        !machine
            .record("whole", "two", "failed")
            .err
            .contains("a part of")
    );
}

/// As in a build: the trail is on the branch that was fetched, and its earlier commits were not.
#[test]
fn a_shallow_clone_says_what_is_missing_and_how_to_fetch_it() {
    let machine = Machine::with_repository();
    for task in ["a", "b", "c"] {
        machine.commit(&outcome(task, "completed"));
    }
    let url = format!("file://{}", machine.path("repo").display());
    let clone = ["clone", "-q", "--depth", "1", &url, "clone"];
    git(machine.dir.path(), &clone);
    let words = "`git fetch --unshallow`";
    let ran = machine.record("clone", "d", "completed");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.err.contains(words), "{ran:?}");
    let again = machine.record("clone", "e", "completed");
    assert_eq!(again.err, "", "the note comes once");
    for args in [
        &["log"][..],
        &["verify"],
        &["export"],
        &["doctor"],
        &["show", "a"],
    ] {
        let ran = machine.run(&[&["-C", "clone"], args].concat());
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains(words), "{args:?}: {ran:?}");
    }
    git(&machine.path("clone"), &["fetch", "-q", "--unshallow"]);
    let ran = machine.run(&["-C", "clone", "log", "--oneline"]);
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (5, ""));
}
