//! What may be put in force, and what overriding that leaves behind.

use super::super::Machine;

#[test]
fn force_puts_a_policy_in_force_in_spite_of_objections_and_the_log_says_so() {
    let machine = Machine::with_repository();
    let stages_twice = crate::policy::guest::hostile("already-recorded", &[]);
    machine.write("bad.wasm", stages_twice);
    let activate = ["-C", "repo", "policy", "activate", "bad.wasm"];
    assert_eq!(machine.run(&activate).exit, Some(3));
    let ran = machine.run(&[&activate[..], &["--force", "--json"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let object = ran.object();
    assert_eq!(object["in_force"], true);
    let overridden = object["overridden"][0].as_str().unwrap();
    assert!(
        overridden.starts_with("it breaks the contract"),
        "{overridden}"
    );
    let log = ["-C", "repo", "policy", "log"];
    let shown = machine.run(&log).out;
    assert!(
        shown.contains("in spite of it breaks the contract"),
        "{shown}"
    );
    let json = machine.run(&[&log[..], &["--json"]].concat()).object();
    assert_eq!(json["in_force"]["overridden"][0], overridden);
}

#[test]
fn reproduce_says_how_to_fetch_the_policies_that_a_clone_does_not_have() {
    let machine = Machine::with_repository();
    let mut own = chiffon_audit_cli::policy::Policy::builtin_component().to_vec();
    own.extend_from_slice(&[0, 2, 1, b'x']);
    machine.write("own.wasm", own);
    let commit = ["-C", "repo", "commit", "-", "--policy", "own.wasm"];
    let ran = machine.run_with_input(&commit, super::super::outcome("a", "completed"));
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    crate::support::git(
        machine.dir.path(),
        &[
            "clone",
            "-q",
            "--no-local",
            "--single-branch",
            "-o",
            "hub",
            "repo",
            "copy",
        ],
    );
    let reproduce = ["-C", "copy", "policy", "reproduce"];
    let ran = machine.run(&reproduce);
    assert_eq!(ran.exit, Some(6), "{ran:?}");
    let command = "git fetch hub audit-policies:audit-policies";
    assert!(ran.err.contains(command), "{ran:?}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    crate::support::git(&machine.path("copy"), &words);
    assert_eq!(machine.run(&reproduce).exit, Some(0));
}

#[test]
fn inspect_refuses_a_component_that_cannot_be_loaded_with_the_limits() {
    let machine = Machine::new();
    let memories = "(component (core module $m (memory 1))
        (core instance (instantiate $m)) (core instance (instantiate $m)))";
    machine.write("two.wasm", wat::parse_str(memories).unwrap());
    for command in ["inspect", "check"] {
        let ran = machine.run(&["policy", command, "two.wasm", "--limit", "memories=1"]);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.err.contains("limit of 1 memories"), "{ran:?}");
    }
}
