//! A policy or a setting that is changed: outcomes that come again stay recorded.

use super::super::{Machine, Ran};

const WITH_SECRET: &str = r#"{"task_id":"s-1","status":"completed","execution_result":{"outcome":{"password":"hunter2"}}}"#;

fn activate(machine: &Machine, policy: &[&str]) {
    let ran = machine.run(&[&["-C", "repo", "policy", "activate"], policy].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
}

fn again(machine: &Machine) -> Ran {
    machine.run_with_input(&["-C", "repo", "commit", "-"], WITH_SECRET)
}

#[test]
fn a_redelivery_stays_already_recorded_over_any_number_of_swaps() {
    let machine = Machine::with_repository();
    machine.commit(WITH_SECRET);
    let swaps: [&[&str]; 5] = [
        &["builtin:redact"],
        &[
            "builtin:redact",
            "--setting",
            r#"rules={"pointers":["/plan_id"]}"#,
        ],
        &["builtin:bound", "--setting", "max_text=600"],
        &["builtin:bound"],
        &["builtin"],
    ];
    for swap in swaps {
        activate(&machine, swap);
        let ran = again(&machine);
        assert_eq!(ran.exit, Some(0), "{swap:?} {ran:?}");
        assert!(ran.out.starts_with("already recorded s-1"), "{ran:?}");
    }
    // Another outcome is still a conflict, for each policy.
    activate(&machine, &["builtin:redact"]);
    let other = WITH_SECRET.replace("completed", "failed");
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], other);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
}

#[test]
fn settings_that_decided_an_entry_are_asked_again_after_they_changed() {
    let machine = Machine::with_repository();
    let rules = r#"rules={"pointers":["/execution_result/outcome/password"]}"#;
    activate(&machine, &["builtin:redact", "--setting", rules]);
    let long = "x".repeat(9_000);
    let outcome = format!(
        r#"{{"task_id":"s-1","status":"completed","execution_result":{{"outcome":{{"password":"{long}"}}}}}}"#
    );
    machine.commit(&outcome);
    activate(&machine, &["builtin"]);
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], &outcome);
    assert!(ran.out.starts_with("already recorded s-1"), "{ran:?}");
}

#[test]
fn a_policy_that_was_never_used_here_is_not_asked_whatever_a_fetched_commit_names() {
    let machine = Machine::with_repository();
    // A policy that calls everything recorded already. The clone has its entry and its component, and has never used it.
    let credulous = crate::policy::guest::hostile("already-recorded", &[]);
    machine.write("credulous.wasm", &credulous);
    machine.commit(WITH_SECRET);
    let digest = chiffon_audit_cli::outcome::digest::sha256(&credulous);
    let message = machine.git(&["log", "-1", "--format=%B"]);
    let own = message
        .lines()
        .find_map(|line| line.strip_prefix("Audit-Policy: "))
        .unwrap();
    let forged = message.replace(own, &digest);
    machine.git(&[
        "commit",
        "-q",
        "--amend",
        "--no-verify",
        "-m",
        forged.trim_end(),
    ]);
    std::fs::remove_dir_all(machine.path("repo/.git/chiffon-audit")).unwrap();
    let other = WITH_SECRET.replace("hunter2", "hunter3");
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], &other);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    assert!(ran.err.contains("was not in force"), "{ran:?}");
}

#[test]
fn a_distrusted_policy_is_not_asked_until_it_is_put_in_force_again() {
    let machine = Machine::with_repository();
    machine.commit(WITH_SECRET);
    activate(&machine, &["builtin:redact"]);
    let digest = crate::policy::builtin().digest().to_owned();
    let distrust = ["-C", "repo", "policy", "distrust"];
    let ran = machine.run(&[&distrust[..], &[&digest]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = again(&machine);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    assert!(ran.err.contains("distrusted on this machine"), "{ran:?}");
    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    assert_eq!(log["distrusted"][0], digest);
    // What is in force decides, so that it cannot be distrusted; and a misspelt digest excludes nothing.
    let in_force = log["in_force"]["policy"].as_str().unwrap();
    for wrong in [in_force, "sha256:1234"] {
        let ran = machine.run(&[&distrust[..], &[wrong]].concat());
        assert_eq!(ran.exit, Some(2), "{ran:?}");
    }
    activate(&machine, &["builtin"]);
    // It decides although nothing is noted.
    let ran = machine.run(&[&distrust[..], &[&digest]].concat());
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    activate(&machine, &["builtin:redact"]);
    assert_eq!(again(&machine).exit, Some(0));
}
