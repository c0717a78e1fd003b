//! `policy cases`: test cases from recorded entries.

use super::super::{Machine, outcome};
use super::trail::{WITH_SECRET, keep_submission};

/// Runs `policy cases` on the machine's trail.
fn cases(machine: &Machine, args: &[&str]) -> super::Ran {
    let command = ["policy", "cases", "--from", "repo"];
    machine.run(&[&command[..], args].concat())
}

#[test]
fn recorded_entries_are_cases_that_their_policy_passes_and_another_does_not() {
    let machine = Machine::with_repository();
    machine.commit(
        r#"{"task_id":"a","status":"failed","metadata":{"card":"4111"},
        "execution_result":{"outcome":{"n":1.0E+2,"note":"it's '''\u0000"}}}"#,
    );
    let rules = r#"rules={"pointers":["/metadata/card"]}"#;
    let activate = ["-C", "repo", "policy", "activate", "builtin:redact"];
    let ran = machine.run(&[&activate[..], &["--setting", rules]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.commit(r#"{"task_id":"b","status":"completed","metadata":{"card":"4111"}}"#);

    let ran = cases(&machine, &["-o", "all.test.toml"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(ran.out, "wrote all.test.toml with 2 cases\n");
    let text = std::fs::read_to_string(machine.path("all.test.toml")).unwrap();
    assert!(
        text.contains(r#"settings = { rules = '{"pointers":["#),
        "{text}"
    );
    for policy in ["builtin", "builtin:redact"] {
        let ran = machine.run(&["policy", "test", policy, "all.test.toml"]);
        assert!(ran.out.starts_with("2 passed, 0 failed"), "{ran:?}");
    }
    let ran = machine.run(&["policy", "test", "builtin:bound", "all.test.toml", "-v"]);
    assert!(
        ran.out.contains("passed all.test.toml:1: b: completed"),
        "{ran:?}"
    );

    // A file is never overwritten: it may have been edited.
    let again = cases(&machine, &["-o", "all.test.toml"]);
    assert_eq!(again.exit, Some(1), "{again:?}");
    assert_eq!(
        cases(&machine, &["-o", "all.toml"]).exit,
        Some(2),
        "`policy test` would not find it"
    );
}

#[test]
fn cases_are_the_newest_entries_or_those_of_failed_tasks() {
    let machine = Machine::with_repository();
    for (id, status) in [("a", "failed"), ("b", "completed"), ("c", "failed")] {
        machine.commit(&outcome(id, status));
    }
    let names = |args: &[&str]| {
        let ran = cases(&machine, args);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let names = ran.out.lines().filter(|line| line.starts_with("name = "));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let (a, b, c) = ("a: failed", "b: completed", "c: failed");
    let named = |name: &str| format!("name = {name:?}");
    assert_eq!(names(&[]), [c, b, a].map(named));
    assert_eq!(names(&["-n", "2"]), [c, b].map(named));
    assert_eq!(names(&["--failures"]), [c, a].map(named));
    let object = cases(&machine, &["--json", "-n", "1"]).object();
    assert_eq!(object["cases"], 1);
    assert!(object["text"].as_str().unwrap().starts_with("[[case]]\n"));

    let empty = Machine::with_repository();
    let ran = cases(&empty, &[]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.err.contains("the trail has no entry"), "{ran:?}");
    assert_eq!(cases(&empty, &["-n", "0"]).exit, Some(2));
}

#[test]
fn a_case_has_what_was_submitted_only_if_that_is_asked() {
    let machine = Machine::with_repository();
    let ran = machine.run_with_input(
        &["-C", "repo", "commit", "-", "--policy", "builtin:redact"],
        WITH_SECRET,
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    keep_submission(&machine);
    let ran = cases(&machine, &[]);
    assert!(!ran.out.contains("hunter2"), "{ran:?}");
    let ran = cases(&machine, &["--submissions", "-o", "x.test.toml"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let text = std::fs::read_to_string(machine.path("x.test.toml")).unwrap();
    assert!(text.contains("hunter2"), "{text}");
    assert!(text.contains("from what was submitted."), "{text}");
    let passes = machine.run(&["policy", "test", "builtin:redact", "x.test.toml"]);
    assert_eq!(passes.exit, Some(0), "{passes:?}");
    let fails = machine.run(&["policy", "test", "builtin", "x.test.toml"]);
    assert_eq!(fails.exit, Some(3), "{fails:?}");
}

#[test]
fn a_secret_setting_is_named_in_a_case_and_its_value_is_not_in_it() {
    let machine = Machine::with_repository();
    machine.write("key", r#"{"pointers": ["/metadata/card"]}"#);
    let activate = ["-C", "repo", "policy", "activate", "builtin:redact"];
    let ran = machine.run(&[&activate[..], &["--secret-setting", "rules=key"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.commit(r#"{"task_id":"b","status":"completed","metadata":{"card":"4111"}}"#);
    let ran = cases(&machine, &[]);
    assert!(
        ran.out
            .contains("# The secret setting rules is not here: the case can fail without it.\n"),
        "{ran:?}"
    );
    assert!(!ran.out.contains("pointers"), "{ran:?}");
}
