//! `verify`: its exit codes and output. Its findings are tested in `tests/verify`.

use super::{Machine, outcome};

fn trail() -> Machine {
    let machine = Machine::new();
    assert_eq!(machine.run(&["init", "repo"]).exit, Some(0));
    for (task_id, status) in [("a", "completed"), ("b", "failed")] {
        machine.commit(&outcome(task_id, status));
    }
    machine
}

#[test]
fn a_sound_trail_is_exit_code_0_and_a_table_of_claims() {
    let machine = trail();
    let ran = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("3 commits, 2 entries"), "{}", ran.out);
    assert!(
        ran.out.contains("  holds      no task is recorded twice"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with("Every claim that was asked for holds.\n"),
        "{}",
        ran.out
    );

    let report = machine.run(&["verify", "repo", "--json"]).object();
    assert_eq!(report["outcome"], "holds");
    assert_eq!(
        (report["commits"].as_u64(), report["entries"].as_u64()),
        (Some(3), Some(2))
    );
    assert!(
        report["claims"]
            .as_array()
            .unwrap()
            .iter()
            .any(|claim| claim["verdict"] == "holds")
    );
}

#[test]
fn a_branch_that_a_person_renamed_is_audited_and_what_the_machine_remembers_is_a_note() {
    let machine = trail();
    machine.git(&["branch", "-m", "renamed"]);
    let ran = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("on refs/heads/renamed"), "{}", ran.out);
    assert!(ran.err.contains("note: "), "{}", ran.err);
}

#[test]
fn a_removed_entry_is_exit_code_3_and_the_commit_is_named() {
    let machine = trail();
    machine.git(&["rm", "-q", ".audit/tasks/a.json"]);
    machine.git(&["commit", "-q", "-m", "tidy up"]);
    let head = machine.git(&["rev-parse", "HEAD"]);
    let ran = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out.contains(&format!("commit {}", head.trim())),
        "{}",
        ran.out
    );
    let report = machine.run(&["-C", "repo", "verify", "--json"]);
    assert_eq!(
        (report.exit, report.object()["outcome"].as_str()),
        (Some(3), Some("broken"))
    );
}

#[test]
fn a_trail_that_cannot_be_seen_is_exit_code_6() {
    let machine = Machine::with_repository();
    let ran = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(ran.exit, Some(6), "{ran:?}");
}

#[test]
fn without_a_repository_there_is_nothing_to_audit() {
    let machine = Machine::new();
    let ran = machine.run(&["verify", "--json"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.object()["error"]
            .as_str()
            .unwrap()
            .contains("no git repository"),
        "{ran:?}"
    );
}

#[test]
fn nothing_in_the_environment_leads_the_audit_elsewhere() {
    let machine = trail();
    let other = machine.path("other");
    std::fs::create_dir(&other).unwrap();
    crate::support::git(&other, &["init", "-q", "--bare"]);
    let other = other.to_str().unwrap();
    let replaced = machine.git(&["rev-parse", "HEAD"]);
    machine.git(&["update-ref", "refs/elsewhere/x", replaced.trim()]);
    let honest = machine.run(&["-C", "repo", "verify"]);
    for (name, value) in [
        ("GIT_DIR", other),
        ("GIT_COMMON_DIR", other),
        ("GIT_WORK_TREE", other),
        ("GIT_OBJECT_DIRECTORY", other),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", other),
        ("GIT_CEILING_DIRECTORIES", other),
        ("GIT_NAMESPACE", "x"),
        ("GIT_REPLACE_REF_BASE", "refs/elsewhere/"),
        ("GIT_GRAFT_FILE", other),
        ("GIT_SHALLOW_FILE", other),
        ("GIT_CONFIG_PARAMETERS", "'core.bare=true'"),
        ("GIT_DEFAULT_HASH", "sha256"),
    ] {
        let mut command = machine.command(&["-C", "repo", "verify"]);
        let output = command.env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            honest.out,
            "{name}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_repository_of_another_user_is_audited_and_nothing_it_names_is_run() {
    let machine = trail();
    let marker = machine.path("ran");
    let script = machine.write("evil", format!("#!/bin/sh\ntouch {}\n", marker.display()));
    crate::support::isolated(std::process::Command::new("chmod").arg("+x").arg(&script))
        .status()
        .unwrap();
    let evil = script.to_str().unwrap();
    for name in [
        "core.fsmonitor",
        "core.sshCommand",
        "gpg.program",
        "gpg.ssh.program",
        "core.pager",
        "diff.external",
    ] {
        machine.git(&["config", name, evil]);
    }
    machine.git(&["config", "filter.x.smudge", evil]);
    // Only root can change the owner; if the tests run as another user, the rest still counts.
    let _ = std::os::unix::fs::lchown(machine.path("repo/.git"), Some(12345), Some(12345));
    let ran = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&["-C", "repo", "report", "--json"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(!marker.exists());
}

#[test]
fn a_ref_that_is_not_there_is_a_mistake_in_the_call() {
    let machine = trail();
    for name in ["nosuch", "refs/tags/nosuch", "refs/heads/../x"] {
        let ran = machine.run(&["verify", "repo", "--ref", name]);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains("there is no ref"), "{ran:?}");
        assert!(ran.err.contains("git for-each-ref"), "{ran:?}");
    }
}
