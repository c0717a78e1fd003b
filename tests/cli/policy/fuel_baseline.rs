//! `policy test --baseline`: the fuel of each case, compared with what it was.

use super::{Machine, machine};

const CASES: &str = r#"now = 2026-01-21T10:00:00Z

[[case]]
name = "short"
outcome = "../deploy-1.json"
expect.result = "committed"

[[case]]
name = "long"
outcome = { task_id = "t", status = "failed", execution_result = { outcome = "LONG" } }
expect.result = "committed"
"#;

fn machine_with(text: &str) -> Machine {
    let machine = machine();
    machine.write("tests/a.test.toml", CASES.replace("LONG", text));
    machine
}

const TEST: &[&str] = &[
    "policy",
    "test",
    "builtin",
    "tests",
    "--baseline",
    "fuel.json",
];

#[test]
fn a_case_that_uses_more_fuel_than_before_fails_with_both_numbers() {
    let machine = machine_with("short");
    let ran = machine.run(&[TEST, &["--update-baseline"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let written = std::fs::read(machine.path("fuel.json")).unwrap();
    let baseline: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let before = baseline["cases"]["tests/a.test.toml"]["long"]
        .as_u64()
        .unwrap();

    // The paths in the baseline are those from its directory, wherever the command runs.
    for (directory, path) in [(".", "tests"), ("tests", ".")] {
        let mut command = machine.command(&["policy", "test", "builtin", path, "--baseline"]);
        command
            .arg(machine.path("fuel.json"))
            .current_dir(machine.path(directory));
        assert_eq!(super::Ran::of(command.output().unwrap()).exit, Some(0));
    }

    machine.write(
        "tests/a.test.toml",
        CASES.replace("LONG", &"much longer ".repeat(1000)),
    );
    let ran = machine.run(&[TEST, &["--json"]].concat());
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let tested = ran.object();
    assert_eq!(
        (&tested["passed"], &tested["failed"]),
        (&1.into(), &1.into())
    );
    let case = &tested["cases"][1];
    let how = case["mismatches"][0]["problem"].as_str().unwrap();
    assert_eq!(case["mismatches"][0]["what"], "fuel");
    assert!(how.contains(&format!("{} units, ", case["fuel"])), "{how}");
    assert!(
        how.contains(&format!(
            " % more than {before} in the baseline; the tolerance is 5 %"
        )),
        "{how}"
    );
    let ran = machine.run(TEST);
    assert!(
        ran.out
            .starts_with("failed tests/a.test.toml:8: long\n  fuel: "),
        "{ran:?}"
    );
    let ran = machine.run(&[TEST, &["--tolerance", "1000000"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(std::fs::read(machine.path("fuel.json")).unwrap(), written);
}

#[test]
fn a_filtered_update_keeps_the_other_cases_and_a_whole_one_drops_those_that_are_gone() {
    let machine = machine_with("short");
    machine.write(
        "fuel.json",
        r#"{"schema": 1, "cases": {"tests/a.test.toml": {"gone": 1, "short": 2}}}"#,
    );
    let ran = machine.run(TEST);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out
            .contains("the baseline does not have this case: --update-baseline adds it"),
        "{ran:?}"
    );
    let names = |args: &[&str]| {
        let ran = machine.run(&[TEST, &["--update-baseline"], args].concat());
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let written = std::fs::read(machine.path("fuel.json")).unwrap();
        let baseline: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let cases = baseline["cases"]["tests/a.test.toml"]
            .as_object()
            .unwrap()
            .clone();
        assert!(cases["short"].as_u64() > Some(2), "{cases:?}");
        cases.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&["--filter", "short"]), ["gone", "short"]);
    assert_eq!(names(&[]), ["long", "short"]);
}

#[test]
fn an_update_with_one_file_keeps_the_others_and_takes_no_fuel_of_a_failed_case() {
    let machine = machine_with("short");
    let other = CASES.replacen("committed", "refused", 1);
    machine.write("tests/b.test.toml", other);
    machine.write(
        "fuel.json",
        r#"{"schema": 1, "cases": {"tests/a.test.toml": {"kept": 1}, "tests/b.test.toml": {"gone": 1}}}"#,
    );
    let file = "tests/b.test.toml";
    let mut args = TEST.to_vec();
    args[3] = file;
    args.push("--update-baseline");
    let ran = machine.run(&args);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let written = std::fs::read(machine.path("fuel.json")).unwrap();
    let baseline: serde_json::Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(baseline["cases"]["tests/a.test.toml"]["kept"], 1);
    let names: Vec<_> = baseline["cases"][file]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["long"]);
}

#[test]
fn what_is_no_baseline_is_a_mistake_in_the_call() {
    let machine = machine_with("short");
    machine.write("text.json", "fuel");
    machine.write("newer.json", r#"{"schema": 2, "cases": {}}"#);
    for (file, exit, why) in [
        ("none.json", 2, "cannot read the baseline none.json"),
        ("tests", 2, "cannot read the baseline tests"),
        (
            "text.json",
            2,
            "text.json is not a baseline of `policy test`: ",
        ),
        ("newer.json", 2, "it has the version 2"),
        ("/dev/zero", 1, "it is larger than"),
    ] {
        let ran = machine.run(&["policy", "test", "builtin", "tests", "--baseline", file]);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    let ran = machine.run(&[TEST, &["--update-baseline", "--tolerance", "-1"]].concat());
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(!machine.path("fuel.json").exists());
}
