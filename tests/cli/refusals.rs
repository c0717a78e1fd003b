//! Refusals: each names the way out.

use super::{Machine, Ran, outcome};
use crate::support;

#[test]
fn a_reftable_is_refused_with_the_command_that_makes_files_of_it() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("repo")).unwrap();
    let made = support::try_git(
        &machine.path("repo"),
        &["init", "-q", "-b", "main", "--ref-format=reftable"],
    );
    if !made.status.success() {
        return;
    }
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], outcome("a", "failed"));
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("git refs migrate --ref-format=files"),
        "{ran:?}"
    );
    let migrated = support::try_git(
        &machine.path("repo"),
        &["refs", "migrate", "--ref-format=files"],
    );
    if migrated.status.success() {
        machine.commit(&outcome("a", "failed"));
    }
}

#[test]
fn a_partial_clone_is_refused_with_the_commands_that_make_it_whole() {
    let machine = Machine::with_repository();
    machine.write("repo/file", "1");
    machine.git(&["add", "."]);
    machine.git(&["commit", "-q", "-m", "1"]);
    machine.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", machine.path("repo").display());
    let clone = machine.path("clone");
    support::git(
        &machine.path("."),
        &[
            "clone",
            "-q",
            "--filter=blob:none",
            "--no-checkout",
            &url,
            "clone",
        ],
    );
    let ran = machine.run_with_input(&["-C", "clone", "commit", "-"], outcome("a", "failed"));
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.err.contains("`chiffon-audit doctor`"), "{ran:?}");
    let doctor = machine.run(&["-C", "clone", "doctor"]);
    let advice: Vec<&str> = doctor
        .out
        .split('`')
        .filter(|text| text.starts_with("git "))
        .collect();
    assert_eq!(advice.len(), 4, "{doctor:?}");
    for command in advice {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        support::try_git(&clone, &words);
    }
    support::git(&clone, &["reset", "-q", "--hard"]);
    let ran = machine.run_with_input(&["-C", "clone", "commit", "-"], outcome("a", "failed"));
    assert_eq!(ran.exit, Some(0), "{ran:?}");
}

#[test]
fn a_lock_that_a_killed_git_left_and_a_detached_head_name_doctor_and_doctor_the_way_out() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "failed"));
    machine.write("repo/.git/index.lock", "");
    let input = outcome("b", "failed");
    let ran = machine.run_with_input(&["-C", "repo", "commit", "--lock-wait", "0", "-"], &input);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.err.contains("chiffon-audit doctor"), "{ran:?}");
    let mut command = machine.command(&["-C", "repo", "doctor"]);
    let ran = Ran::of(
        command
            .env("CHIFFON_AUDIT_LOCK_WAIT", "0")
            .output()
            .unwrap(),
    );
    assert!(
        ran.out.contains("index.lock") && ran.out.contains("remove it"),
        "{ran:?}"
    );
    let machine = Machine::with_repository();
    machine.git(&["commit", "-q", "--allow-empty", "-m", "start"]);
    machine.git(&["switch", "-q", "--detach"]);
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], &input);
    assert!(ran.err.contains("chiffon-audit doctor"), "{ran:?}");
    let ran = machine.run(&["-C", "repo", "doctor"]);
    assert!(ran.out.contains("init --ref refs/heads/audit"), "{ran:?}");
}
