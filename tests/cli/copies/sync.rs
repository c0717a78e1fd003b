//! `sync`: what is pushed, what is taken, and what is an alarm.

use chiffon_audit_cli::remotes::{
    Limits, ObjectSource, PushRepository, Relation, Remote, RemoteUrl, Tips,
};

use super::{Machine, machine, on_main};
use crate::support::git;

#[test]
fn the_trail_is_pushed_and_a_second_sync_finds_it_in_step() {
    let machine = machine();
    let ran = machine.sync("work", &["--check"]);
    assert_eq!(
        (ran.exit, ran.out.contains("lacks 2 commits")),
        (Some(6), true),
        "{ran:?}"
    );
    assert_eq!(machine.rev("hub.git", "audit"), None);
    let ran = machine.sync("work", &[]);
    assert_eq!(
        (ran.exit, ran.out.contains("pushed 2 commits")),
        (Some(0), true),
        "{ran:?}"
    );
    assert_eq!(
        machine.rev("hub.git", "audit"),
        machine.rev("work", "audit")
    );
    assert_eq!(
        machine.rev("work", "refs/remotes/origin/audit"),
        machine.rev("work", "audit")
    );
    for more in [&[][..], &["--check"]] {
        let ran = machine.sync("work", more);
        assert_eq!(
            (ran.exit, ran.out.contains("in step")),
            (Some(0), true),
            "{ran:?}"
        );
    }
    git(&machine.path("hub.git"), &["fsck", "--strict"]);
}

#[test]
fn what_only_the_remote_has_is_taken() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "other");
    machine.record_in("other", "two");
    assert_eq!(machine.sync("other", &[]).exit, Some(0));
    let ran = machine.sync("work", &["--check"]);
    assert_eq!(
        (ran.exit, ran.out.contains("has 1 commit more")),
        (Some(6), true),
        "{ran:?}"
    );
    let ran = machine.sync("work", &["--json"]);
    let row = &ran.object()["remotes"][0];
    assert_eq!(
        (row["result"].as_str(), row["commits"].as_u64()),
        (Some("taken"), Some(1))
    );
    assert_eq!(
        machine.rev("work", "audit"),
        machine.rev("hub.git", "audit")
    );
    assert_eq!(machine.run(&["verify", "work"]).exit, Some(0));
    git(&machine.path("work"), &["fsck", "--strict"]);
}

#[test]
fn policies_and_checkpoints_are_copied_together_with_the_trail() {
    let machine = machine();
    let work = machine.path("work");
    for branch in ["audit-policies", "audit-checkpoints"] {
        git(&work, &["branch", branch, "main"]);
    }
    assert_eq!(machine.sync("work", &[]).exit, Some(0));
    for branch in ["audit", "audit-policies", "audit-checkpoints"] {
        assert_eq!(
            machine.rev("hub.git", branch),
            machine.rev("work", branch),
            "{branch}"
        );
    }
}

#[test]
fn a_long_history_arrives_in_steps_and_continues_after_the_last_one() {
    let machine = machine();
    for task in ["two", "three", "four"] {
        machine.record_in("work", task);
    }
    let hub = machine.path("hub.git");
    // Each push is one line. The third is refused.
    machine.hook("pre-receive", "[ \"$(cat pushes | wc -l)\" -lt 2 ]");
    machine.hook("post-receive", "cat >> pushes");
    machine.write("hub.git/pushes", "");
    let remote = Remote {
        name: "origin".to_owned(),
        url: RemoteUrl::parse(hub.to_str().unwrap(), machine.dir.path()).unwrap(),
        is_dedicated: false,
    };
    let limits = Limits {
        step: 2,
        ..Limits::default()
    };
    let objects = machine.path("work/.git/objects");
    let source = ObjectSource {
        objects: &objects,
        shallow: None,
    };
    let repository = PushRepository::create(Some(&source), "sha1", None, limits).unwrap();
    let tip = machine.rev("work", "audit").unwrap();
    let local = Tips::from([("refs/heads/audit".to_owned(), tip.clone())]);
    let compare = || {
        let refs = ["refs/heads/audit"];
        repository
            .compare(&remote, &refs, &local, &Tips::new())
            .unwrap()
    };
    assert_eq!(compare()[0].relation, Relation::RemoteLacks(5));
    assert!(repository.push(&remote, &compare()).is_err());
    assert_eq!(compare()[0].relation, Relation::RemoteBehind(1));
    std::fs::remove_file(hub.join("hooks/pre-receive")).unwrap();
    repository.push(&remote, &compare()).unwrap();
    assert_eq!(machine.rev("hub.git", "audit"), Some(tip));
    let pushes = std::fs::read_to_string(hub.join("pushes")).unwrap();
    assert_eq!(pushes.lines().count(), 3, "{pushes}");
}

#[test]
fn an_empty_remote_is_refused_unless_it_is_for_the_trail_only() {
    let machine = machine();
    git(machine.dir.path(), &["init", "-q", "--bare", "empty.git"]);
    git(
        &machine.path("work"),
        &["remote", "add", "empty", "../empty.git"],
    );
    for (args, exit) in [
        (&["-C", "work", "sync", "empty"][..], 4),
        (&["-C", "work", "sync", "empty", "--check"], 6),
    ] {
        let ran = machine.run(args);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
    }
    assert_eq!(git(&machine.path("empty.git"), &["for-each-ref"]), "");
    let ran = machine.run(&["-C", "work", "sync", "empty", "--dedicated"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.write(
        "config/chiffon-audit/config.toml",
        "[remotes.vault]\nurl = \"../../vault.git\"\ndedicated = true\n",
    );
    git(machine.dir.path(), &["init", "-q", "--bare", "vault.git"]);
    let mut command = machine.command(&["-C", "work", "sync"]);
    let output = command
        .env("XDG_CONFIG_HOME", machine.path("config"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        machine.rev("vault.git", "audit"),
        machine.rev("work", "audit")
    );
}

#[test]
fn diverged_trails_are_left_alone() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "other");
    machine.record_in("work", "here");
    machine.record_in("other", "there");
    assert_eq!(machine.sync("other", &[]).exit, Some(0));
    let before = machine.rev("hub.git", "audit");
    let ran = machine.sync("work", &["--json"]);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    assert_eq!(ran.object()["remotes"][0]["cause"], "diverged");
    assert_eq!(machine.rev("hub.git", "audit"), before);
}

#[test]
fn another_trail_at_the_remote_is_foreign() {
    let machine = machine();
    let other = Machine::new();
    git(other.dir.path(), &["init", "-q", "--bare", "t.git"]);
    other.run(&["-C", "t.git", "init", "--ref", "refs/heads/audit"]);
    let from = other.path("t.git");
    git(
        &from,
        &[
            "push",
            "-q",
            machine.path("hub.git").to_str().unwrap(),
            "audit",
        ],
    );
    let ran = machine.sync("work", &["--json"]);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    assert_eq!(ran.object()["remotes"][0]["cause"], "foreign");
    assert_eq!(machine.rev("hub.git", "audit"), other.rev("t.git", "audit"));
}

#[test]
fn a_remote_that_went_back_is_an_alarm_until_a_person_accepts_it() {
    let machine = machine();
    machine.record_in("work", "two");
    machine.sync("work", &[]);
    let tip = machine.rev("work", "audit");
    let back = machine.rev("work", "audit~1").unwrap();
    git(
        &machine.path("hub.git"),
        &["update-ref", "refs/heads/audit", &back],
    );
    for more in [&["--check", "--json"][..], &["--json"]] {
        let ran = machine.sync("work", more);
        assert_eq!(ran.exit, Some(3), "{ran:?}");
        assert_eq!(ran.object()["remotes"][0]["cause"], "went-back");
    }
    // A person's fetch moves the remote-tracking ref, and changes nothing about that.
    git(&machine.path("work"), &["fetch", "-q", "origin"]);
    assert_eq!(machine.sync("work", &[]).exit, Some(3));
    assert_eq!(machine.rev("hub.git", "audit").as_ref(), Some(&back));
    let ran = machine.sync("work", &["--accept-tip", tip.as_ref().unwrap()]);
    assert_eq!(ran.exit, Some(1), "it is not there: {ran:?}");
    let ran = machine.sync("work", &["--accept-tip", &back]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(machine.rev("hub.git", "audit"), tip);
}

#[test]
fn a_branch_that_the_remote_lost_is_an_alarm() {
    let machine = machine();
    machine.sync("work", &[]);
    git(
        &machine.path("hub.git"),
        &["update-ref", "-d", "refs/heads/audit"],
    );
    assert_eq!(machine.sync("work", &[]).exit, Some(3));
    assert_eq!(machine.rev("hub.git", "audit"), None);
    assert_eq!(
        machine.sync("work", &["--accept-tip", "none"]).exit,
        Some(0)
    );
    assert_eq!(
        machine.rev("hub.git", "audit"),
        machine.rev("work", "audit")
    );
}

#[test]
fn a_branch_that_is_checked_out_is_left_to_the_person() {
    let machine = on_main();
    let work = machine.path("work");
    assert_eq!(machine.sync("work", &[]).exit, Some(0));
    machine.clone_hub(&[], "other");
    machine.record_in("other", "two");
    assert_eq!(machine.sync("other", &[]).exit, Some(0));
    let ran = machine.sync("work", &[]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.err.contains("merge --ff-only origin/main"), "{ran:?}");
    git(&work, &["merge", "-q", "--ff-only", "origin/main"]);
    assert_eq!(machine.sync("work", &[]).exit, Some(0));
}

#[test]
fn a_remote_that_is_not_known_changes_nothing() {
    let machine = machine();
    for (args, says) in [
        (&["-C", "work", "sync"][..], "have to be named: origin"),
        (&["-C", "work", "sync", "nosuch"], "there are: origin"),
        (
            &["-C", "work", "sync", "--", "--upload-pack=x"],
            "there is no remote",
        ),
        (
            &["-C", "hub.git", "sync", "origin"],
            "there is no remote origin",
        ),
    ] {
        let ran = machine.run(args);
        assert_eq!(
            (ran.exit, ran.err.contains(says)),
            (Some(2), true),
            "{args:?} {ran:?}"
        );
    }
}

#[test]
fn a_remote_whose_trail_was_altered_is_an_alarm() {
    let machine = machine();
    machine.record_in("work", "two");
    machine.sync("work", &[]);
    machine.clone_hub(&["-b", "audit"], "person");
    let person = machine.path("person");
    git(&person, &["rm", "-q", "-r", ".audit"]);
    git(&person, &["commit", "-q", "-m", "tidy up"]);
    git(&person, &["push", "-q", "origin", "audit"]);
    let before = machine.rev("work", "audit");
    for _ in 0..2 {
        let ran = machine.sync("work", &["--json"]);
        assert_eq!(ran.exit, Some(3), "{ran:?}");
        assert_eq!(ran.object()["remotes"][0]["cause"], "altered");
    }
    assert_eq!(machine.rev("work", "audit"), before);
}

#[test]
fn a_remote_that_lost_its_policies_is_an_alarm_that_can_be_accepted() {
    let machine = machine();
    git(&machine.path("work"), &["branch", "audit-policies", "main"]);
    machine.sync("work", &[]);
    git(
        &machine.path("hub.git"),
        &["update-ref", "-d", "refs/heads/audit-policies"],
    );
    let ran = machine.sync("work", &[]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.err.contains("--accept-tip none"), "{ran:?}");
    assert_eq!(
        machine.sync("work", &["--accept-tip", "none"]).exit,
        Some(0)
    );
    assert_eq!(
        machine.rev("hub.git", "audit-policies"),
        machine.rev("work", "audit-policies")
    );
}

#[test]
fn a_remote_that_was_altered_and_repaired_is_in_step_again() {
    let machine = machine();
    machine.record_in("work", "two");
    machine.sync("work", &[]);
    let tip = machine.rev("work", "audit").unwrap();
    machine.clone_hub(&["-b", "audit"], "person");
    let person = machine.path("person");
    git(&person, &["rm", "-q", "-r", ".audit"]);
    git(&person, &["commit", "-q", "-m", "tidy up"]);
    git(&person, &["push", "-q", "origin", "audit"]);
    assert_eq!(machine.sync("work", &[]).exit, Some(3));
    git(
        &machine.path("hub.git"),
        &["update-ref", "refs/heads/audit", &tip],
    );
    assert_eq!(machine.sync("work", &[]).exit, Some(0));
}

#[test]
fn a_commit_that_is_accepted_is_here_afterwards() {
    let machine = machine();
    machine.sync("work", &[]);
    let hub = machine.path("hub.git");
    let tree = git(&hub, &["rev-parse", "audit^{tree}"]);
    let args = ["commit-tree", tree.trim(), "-m", "made up"];
    let other = git(&hub, &args).trim().to_owned();
    git(&hub, &["update-ref", "refs/heads/audit", &other]);
    assert_eq!(machine.sync("work", &[]).exit, Some(3));
    // It is accepted as what the remote has, and is still no copy of this trail.
    assert_eq!(
        machine.sync("work", &["--accept-tip", &other]).exit,
        Some(5)
    );
    git(&machine.path("work"), &["fsck", "--strict"]);
}

#[test]
fn policies_that_only_the_remote_has_are_taken() {
    let machine = machine();
    git(&machine.path("work"), &["branch", "audit-policies", "main"]);
    machine.sync("work", &[]);
    machine.clone_hub(&["-b", "audit-policies"], "other");
    let other = machine.path("other");
    git(
        &other,
        &["commit", "-q", "--allow-empty", "-m", "keep another"],
    );
    git(&other, &["push", "-q", "origin", "audit-policies"]);
    let ran = machine.sync("work", &["--check"]);
    assert_eq!(
        (ran.exit, ran.out.contains("has 1 commit more")),
        (Some(6), true),
        "{ran:?}"
    );
    assert_eq!(machine.sync("work", &[]).exit, Some(0));
    assert_eq!(
        machine.rev("work", "audit-policies"),
        machine.rev("hub.git", "audit-policies")
    );
    let ran = machine.sync("work", &["--check"]);
    assert_eq!(
        (ran.exit, ran.out.contains("in step")),
        (Some(0), true),
        "{ran:?}"
    );
}

#[test]
fn the_most_urgent_of_several_remotes_decides() {
    let machine = machine();
    machine.sync("work", &[]);
    let root = machine.dir.path();
    git(root, &["clone", "-q", "--bare", "hub.git", "second.git"]);
    let work = machine.path("work");
    git(&work, &["remote", "add", "second", "../second.git"]);
    machine.run(&["-C", "work", "sync", "second"]);
    machine.clone_hub(&[], "other");
    machine.record_in("other", "there");
    git(
        &machine.path("other"),
        &["push", "-q", "../second.git", "audit"],
    );
    machine.record_in("work", "here");
    // The first is behind, and the second has diverged.
    let ran = machine.run(&["-C", "work", "sync", "origin", "second", "--check"]);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
}
