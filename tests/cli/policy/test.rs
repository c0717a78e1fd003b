//! `policy test`: cases that pass, fail, are rewritten, and are invalid.

use super::{Machine, machine};
use crate::policy::guest::hostile;

/// Five cases, of which four fail.
const CASES: &str = r#"# What all cases share.
outcome = "deploy-1.json"
now = 2026-01-21T10:00:00Z

[[case]]
name = "is recorded"
expect.result = "committed"
expect.entry = { task_id = "deploy-1", execution_result.outcome.replicas = 4 } # three

[[case]]
name = "again"
after = "deploy-1.json"
expect.result = "already-recorded"

[[case]]
name = "no trail"
faults = { "git.commit" = "no-repository" }
expect.result = "unavailable"
expect.reason = { contains = "no such thing" }

[[case]]
name = "another outcome"
after = { task_id = "deploy-1", status = "failed" }
expect.result = "already-recorded"

[[case]]
name = "expects nothing"
"#;

fn machine_with(cases: &str) -> Machine {
    let machine = machine();
    machine.write("cases/a.test.toml", cases);
    machine.write(
        "cases/deploy-1.json",
        std::fs::read(machine.path("deploy-1.json")).unwrap(),
    );
    machine
}

#[test]
fn failures_are_shown_as_differences_and_passes_only_counted() {
    let machine = machine_with(CASES);
    let ran = machine.run(&["policy", "test", "builtin"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out.starts_with(
            "failed cases/a.test.toml:5: is recorded\n  \
               line 8, entry: /execution_result/outcome/replicas is 3, and 4 was expected\n\
             failed cases/a.test.toml:15: no trail\n  \
               line 19, reason: is \"could not ask for the commit: there is no trail to commit to\", and not one that contains \
               \"no such thing\"\n\
             failed cases/a.test.toml:21: another outcome\n  \
               line 24, result:  - expected, + actual\n    \
                 - already-recorded\n    \
                 + conflicting: the task has an entry that differs in "
        ),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("\n1 passed, 4 failed in "), "{}", ran.out);
    assert!(!ran.out.contains(": again\n"), "{}", ran.out);

    let object = machine
        .run(&["policy", "test", "builtin", "cases", "--json"])
        .object();
    assert_eq!(
        (&object["passed"], &object["failed"]),
        (&1.into(), &4.into())
    );
    assert_eq!(object["cases"][1]["outcome"], "passed");
    let place = (
        &object["cases"][2]["line"],
        &object["cases"][2]["mismatches"][0]["line"],
    );
    assert_eq!(place, (&15.into(), &19.into()));
    let verbose = machine.run(&["policy", "test", "builtin", "-v", "--filter", "again"]);
    assert!(
        verbose
            .out
            .starts_with("passed cases/a.test.toml:10: again (")
            && verbose.out.contains(" fuel)\n1 passed"),
        "{verbose:?}"
    );
}

#[test]
fn update_rewrites_what_is_expected_and_nothing_else() {
    let machine = machine_with(CASES);
    let ran = machine.run(&["policy", "test", "builtin", "--update"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("1 passed, 0 failed, 4 updated"), "{ran:?}");
    let text = std::fs::read_to_string(machine.path("cases/a.test.toml")).unwrap();
    assert!(text.starts_with("# What all cases share.\n"), "{text}");
    for part in [
        "expect.entry = { task_id = \"deploy-1\", execution_result.outcome.replicas = 3 } # three\n",
        "expect.reason = \"could not ask for the commit: there is no trail to commit to\"\n",
        "after = { task_id = \"deploy-1\", status = \"failed\" }\nexpect.result = \"conflicting\"\n",
        "name = \"expects nothing\"\nexpect.result = \"committed\"\nexpect.message = \"audit: task deploy-1 ",
        "expect.entry = '''\n{\n  \"task_id\": \"deploy-1\",\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let ran = machine.run(&["policy", "test", "builtin"]);
    assert!(ran.out.starts_with("5 passed, 0 failed in "), "{ran:?}");
}

#[test]
fn what_an_entry_must_not_contain_is_never_updated_away() {
    let machine = machine_with(
        "outcome = \"deploy-1.json\"\nexpect.entry_lacks = [\"replicas\"]\nexpect.message = \"x\"\n",
    );
    let ran = machine.run(&["policy", "test", "builtin", "--update"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out
            .contains("  line 2, entry: contains \"replicas\" in the name of a member of /execution_result/outcome, which it must not\n"),
        "{ran:?}"
    );
}

#[test]
fn an_entry_does_not_lack_a_text_that_is_written_with_escapes() {
    let machine = machine_with(
        r#"outcome = '{"task_id": "t", "status": "completed", "execution_result": {"outcome": {"to": "mara\u0040example.com"}}}'
expect.entry_lacks = ["mara@example.com"]
"#,
    );
    let ran = machine.run(&["policy", "test", "builtin"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out.contains("at /execution_result/outcome/to"),
        "{ran:?}"
    );
}

#[test]
fn a_policy_that_records_nothing_has_not_left_a_text_out() {
    let machine = machine_with(
        "outcome = \"deploy-1.json\"\nsettings = { rules = \"{\" }\nexpect.entry_lacks = [\"replicas\"]\n",
    );
    let ran = machine.run(&["policy", "test", "builtin:redact"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out
            .contains("  line 3, entry: there is none: the result is"),
        "{ran:?}"
    );
}

#[test]
fn entries_may_be_files_and_a_case_may_be_a_whole_file() {
    let machine = machine_with("");
    machine.write(
        "cases/a.test.toml",
        "outcome = \"deploy-1.json\"\nexpect.result = \"committed\"\nexpect.entry = \"entry.json\"\n",
    );
    assert_eq!(machine.run(&["policy", "test", "builtin"]).exit, Some(3));
    assert_eq!(
        machine.run(&["policy", "test", "builtin", "--update"]).exit,
        Some(0)
    );
    assert!(machine.path("cases/entry.json").exists());
    assert_eq!(machine.run(&["policy", "test", "builtin"]).exit, Some(0));
    machine.write(
        "cases/b.test.toml",
        "outcome = \"deploy-1.json\"\nexisting = \"entry.json\"\nexpect.result = \"already-recorded\"\n",
    );
    let ran = machine.run(&["policy", "test", "builtin", "cases/b.test.toml"]);
    assert!(ran.out.starts_with("1 passed, 0 failed"), "{ran:?}");
}

#[test]
fn a_recorded_call_becomes_a_case() {
    let machine = machine();
    let ran = machine.run(&[
        "policy",
        "run",
        "builtin",
        "--outcome",
        "deploy-1.json",
        "--record",
        "field.json",
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.write(
        "field.test.toml",
        "recording = \"field.json\"\nexpect.result = \"committed\"\n",
    );
    let ran = machine.run(&["policy", "test", "builtin"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.write("trap.wasm", hostile("trap", &[]));
    let ran = machine.run(&["policy", "test", "trap.wasm"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out
            .contains("+ fault: policy trapped: wasm `unreachable`"),
        "{ran:?}"
    );
}

#[test]
fn a_run_without_a_case_is_a_failure() {
    let machine = machine();
    for args in [
        &["policy", "test", "builtin"][..],
        &["policy", "test", "builtin", "."],
        &["policy", "test", "builtin", "--json"],
    ] {
        let ran = machine.run(args);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.err.contains("no test case was found in "), "{ran:?}");
    }
    let machine = machine_with(CASES);
    let ran = machine.run(&["policy", "test", "builtin", "--filter", "nonesuch"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert_eq!(
        machine.run(&["policy", "test", "builtin", "nowhere"]).exit,
        Some(2)
    );
}

#[test]
fn a_mistake_in_a_case_is_named_and_never_passes() {
    for (case, why) in [
        (
            "outcom = \"x\"",
            "there is no key \"outcom\"; the keys of a case are name, outcome, ",
        ),
        (
            "outcome = 3",
            "`outcome` must be a file's name, JSON text or a table",
        ),
        (
            "expect.result = \"done\"",
            "`expect.result` must be one of committed, ",
        ),
        ("expect.entries = {}", "there is no key `expect.entries`"),
        (
            "faults = { \"clock.now\" = \"other: x\" }",
            "no host function that can fail is named \"clock.now\"",
        ),
        (
            "faults = { \"git.commit\" = \"exists\" }",
            "git.commit does not fail with `exists`",
        ),
        ("now = \"soon\"", "`now` must be a time such as"),
        (
            "settings = { a = 1 }",
            "`settings` must be a table of strings",
        ),
        (
            "expect.reason = { matches = \"(\" }",
            "`expect.reason.matches`: ",
        ),
        ("a = = 1", "it is not TOML at line 1, column 5: "),
        (
            "expect.entry.a = { \"$matches\" = \"(\" }",
            "`expect.entry`: /a/$matches: ",
        ),
        (
            "expect.entry.a = { \"$absent\" = false }",
            "`expect.entry`: /a/$absent must be true",
        ),
    ] {
        let machine = machine_with(&format!("{case}\n"));
        let ran = machine.run(&["policy", "test", "builtin"]);
        assert_eq!(ran.exit, Some(1), "{case} {ran:?}");
        assert!(
            ran.err.contains(why) && ran.err.contains("a.test.toml:1: "),
            "{case} {ran:?}"
        );
    }
    for (case, why) in [
        ("expect.result = \"committed\"", "has no `outcome`"),
        (
            "outcome = \"none.json\"\nexpect.result = \"committed\"",
            "cannot read ",
        ),
        (
            "outcome = { task_id = \"a b\", status = \"x\" }\nexpect.result = \"committed\"",
            "`outcome` is not an outcome",
        ),
        (
            "outcome = \"deploy-1.json\"\nafter = \"deploy-1.json\"\nexisting = \"deploy-1.json\"\nexpect.result = \"committed\"",
            "give either `existing` or `after`",
        ),
    ] {
        let machine = machine_with(&format!("{case}\n"));
        let ran = machine.run(&["policy", "test", "builtin"]);
        assert_eq!(ran.exit, Some(3), "{case} {ran:?}");
        assert!(ran.out.contains(why), "{case} {ran:?}");
    }
}

#[test]
fn results_are_written_as_junit() {
    let machine = machine_with(CASES);
    let ran = machine.run(&["policy", "test", "builtin", "--junit", "results.xml"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let xml = std::fs::read_to_string(machine.path("results.xml")).unwrap();
    assert!(
        xml.contains("tests=\"5\" skipped=\"0\" failures=\"4\" errors=\"0\""),
        "{xml}"
    );
    assert!(
        xml.contains("line 8, entry: /execution_result/outcome/replicas is 3, and 4 was expected"),
        "{xml}"
    );
    assert!(
        xml.contains("file=\"cases/a.test.toml\" line=\"15\""),
        "{xml}"
    );
}

#[test]
fn a_matcher_accepts_many_values_and_is_never_updated_away() {
    let cases = r#"outcome = { task_id = "t", status = "completed", metadata = { who = "mara", build = "v12" } }
[[case]]
name = "holds"
expect.entry.metadata = { who = { "$one_of" = ["mara", "bo"] }, build = { "$matches" = '^v\d+$' }, key = { "$absent" = true } }
expect.entry.timestamp."$present" = true
[[case]]
name = "fails"
expect.entry.metadata = { who = { "$contains" = "x" }, build = "v11" }
"#;
    let machine = machine_with(cases);
    let ran = machine.run(&["policy", "test", "builtin", "--update"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out.starts_with(
            "failed cases/a.test.toml:6: fails\n  \
               line 8, entry: /metadata/who is \"mara\", and a text that contains \"x\" was expected\n\
             1 passed, 1 failed in "
        ),
        "{ran:?}"
    );
    let text = std::fs::read_to_string(machine.path("cases/a.test.toml")).unwrap();
    let updated = cases.replace("v11", "v12") + "expect.result = \"committed\"\n";
    assert_eq!(text, updated);
}

#[test]
fn coverage_names_what_no_case_exercises() {
    let machine = machine_with(CASES);
    let ran = machine.run(&["policy", "test", "builtin:redact", "--coverage"]);
    let (_, coverage) = ran.out.split_once("not exercised by any case\n").unwrap();
    assert_eq!(
        coverage,
        "  answers   refused (1 of 5)\n  \
           settings  rules (1 of 1)\n  \
           imports   none (0 of 5)\n  \
           failures  filesystem.read, filesystem.write-new (2 of 3)\n"
    );
    let object = machine
        .run(&["policy", "test", "builtin", "--coverage", "--json"])
        .object();
    let answers = &object["coverage"]["answers"];
    assert_eq!(answers["missing"], serde_json::json!(["refused"]));
    assert_eq!(object["coverage"]["failures"]["exercised"][0], "git.commit");
    let plain = machine.run(&["policy", "test", "builtin", "--json"]);
    assert!(plain.object().get("coverage").is_none());
}

#[test]
fn a_file_that_is_too_large_for_a_case_is_refused() {
    let machine = machine_with("outcome = \"large.json\"\nexpect.result = \"committed\"\n");
    let large = std::fs::File::create(machine.path("cases/large.json")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let ran = machine.run(&["policy", "test", "builtin"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.out.contains("large.json: it is larger than"), "{ran:?}");
}
