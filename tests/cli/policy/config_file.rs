//! `--config-file`: settings for a policy from a TOML file.

use super::{Machine, machine};

/// Runs the policy `redact` on an outcome that has a card number.
fn run_redact(machine: &Machine, args: &[&str]) -> super::Ran {
    machine.write(
        "card.json",
        r#"{"task_id":"t","status":"completed","metadata":{"card":"4111","pin":"9"}}"#,
    );
    let command = ["policy", "run", "builtin:redact", "--outcome", "card.json"];
    machine.run(&[&command[..], args].concat())
}

#[test]
fn settings_of_a_file_are_given_and_the_command_line_takes_precedence() {
    let machine = machine();
    machine.write("s.toml", "rules = '{\"pointers\": [\"/metadata/card\"]}'\n");
    let file = ["--config-file", "s.toml"];
    let ran = run_redact(&machine, &file);
    assert!(ran.out.contains(r#""card": "[redacted]""#), "{ran:?}");
    let flag = [
        &file[..],
        &["--setting", r#"rules={"pointers":["/metadata/pin"]}"#],
    ]
    .concat();
    let ran = run_redact(&machine, &flag);
    assert!(ran.out.contains(r#""card": "4111""#), "{ran:?}");
    assert!(ran.out.contains(r#""pin": "[redacted]""#), "{ran:?}");

    machine.write("misspelt.toml", "[rule]\nx = 1\n");
    let ran = run_redact(&machine, &["--config-file", "misspelt.toml"]);
    assert!(ran.err.contains("`rule.x`"), "{ran:?}");
}

#[test]
fn a_table_is_a_part_of_a_stack() {
    let machine = machine();
    let compose = [
        "policy",
        "compose",
        "builtin:redact",
        "builtin",
        "-o",
        "stack.wasm",
    ];
    assert_eq!(machine.run(&compose).exit, Some(0));
    machine.write(
        "s.toml",
        "[redact]\nrules = '{\"pointers\": [\"/execution_result/outcome/replicas\"]}'\n",
    );
    let run = [
        "policy",
        "run",
        "stack.wasm",
        "--outcome",
        "deploy-1.json",
        "--config-file",
        "s.toml",
    ];
    let ran = machine.run(&run);
    assert!(ran.out.contains(r#""replicas": "[redacted]""#), "{ran:?}");
}

#[test]
fn a_file_of_settings_is_activated_and_given_to_records() {
    let machine = Machine::with_repository();
    machine.write("s.toml", "rules = '{\"pointers\": [\"/metadata/card\"]}'\n");
    let activate = ["-C", "repo", "policy", "activate", "builtin:redact"];
    let file = ["--config-file", "s.toml"];
    assert_eq!(machine.run(&[&activate[..], &file].concat()).exit, Some(0));
    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    let flag = r#"rules={"pointers": ["/metadata/card"]}"#;
    let again = machine.run(&[&activate[..], &["--setting", flag, "--json"]].concat());
    assert_eq!(again.object()["settings"], log["in_force"]["settings"]);

    let other = Machine::with_repository();
    other.write("s.toml", "rules = '{\"pointers\": [\"/metadata/card\"]}'\n");
    let commit = ["-C", "repo", "commit", "-", "--policy", "builtin:redact"];
    let ran = other.run_with_input(
        &[&commit[..], &file].concat(),
        r#"{"task_id":"t","status":"completed","metadata":{"card":"4111"}}"#,
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let entry = other.git(&["show", "HEAD:.audit/tasks/t.json"]);
    assert!(entry.contains(r#""card": "[redacted]""#), "{entry}");
}

#[test]
fn a_mistake_in_a_file_of_settings_is_a_mistake_in_the_call() {
    let machine = machine();
    machine.write("large.toml", "#".repeat((1 << 20) + 1));
    machine.write("binary.toml", [0xff, 0xfe]);
    machine.write("list.toml", "a = 1\n[b]\nc = [1]\n");
    machine.write("broken.toml", "a = 1\n\nb = = 2\n");
    for (file, why) in [
        ("none.toml", "cannot be read: No such file"),
        (
            "binary.toml",
            "cannot be read: stream did not contain valid UTF-8",
        ),
        ("large.toml", "it is larger than 1048576 bytes"),
        ("/dev/zero", "it is larger than 1048576 bytes"),
        (
            "list.toml",
            "line 3: \"b.c\" is a list; a setting is a string, a number, a boolean or a time",
        ),
        ("broken.toml", "line 3: it is not TOML: extra `=`"),
    ] {
        let ran = run_redact(&machine, &["--config-file", file]);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{file} {ran:?}");
    }
}
