//! The settings that a policy declares: written by `policy annotate`, shown, and checked wherever settings are given.

use serde_json::json;

use super::super::{Machine, Ran};

const SCHEMA: &str = r#"[rules]
type = "json"
doc = "What is redacted."

[limit]
type = "integer"
default = 4096

[key]
type = "string"
secret = true
"#;

/// A machine with a trail and a policy that declares its settings, `own.wasm`.
fn machine() -> Machine {
    let machine = Machine::with_repository();
    machine.write("schema.toml", SCHEMA);
    let ran = declare(&machine, "builtin:redact", "own.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine
}

fn declare(machine: &Machine, policy: &str, file: &str) -> Ran {
    let annotate = ["policy", "annotate", policy, "--settings", "schema.toml"];
    machine.run(&[&annotate[..], &["-o", file]].concat())
}

#[test]
fn declared_settings_are_shown() {
    let machine = machine();
    let ran = machine.run(&["policy", "inspect", "own.wasm"]);
    let (_, settings) = ran.out.split_once("\nSettings\n").unwrap();
    assert_eq!(
        settings,
        "  key  string, secret\n  limit  integer, default 4096\n  rules  json\n      What is redacted.\n"
    );
    let object = machine
        .run(&["policy", "inspect", "own.wasm", "--json"])
        .object();
    assert_eq!(object["settings"]["limit"]["default"], "4096");
    assert_eq!(object["settings"]["key"]["secret"], true);
    // A case has to give each of them.
    machine.write(
        "a.test.toml",
        "outcome = { task_id = \"a\", status = \"completed\" }\nsettings = { limit = \"1\", rules = \"{}\" }\n\
         expect.result = \"committed\"\n",
    );
    let ran = machine.run(&["policy", "test", "own.wasm", "--coverage"]);
    assert!(
        ran.out.contains("  settings  key, limit (2 of 3)\n"),
        "{ran:?}"
    );
    let object = machine
        .run(&["policy", "inspect", "builtin", "--json"])
        .object();
    assert_eq!(object["settings"], json!(null));
}

#[test]
fn what_is_not_declared_is_a_mistake_in_the_call_of_every_command() {
    let machine = machine();
    machine.commit(&super::super::outcome("a", "completed"));
    machine.write("o.json", r#"{"task_id":"o","status":"completed"}"#);
    let before = machine.git(&["for-each-ref"]);
    for (setting, why) in [
        (
            "rule={}",
            r#"there is no setting "rule"; it declares key, limit, rules"#,
        ),
        ("rules={", r#"the setting "rules" must be JSON"#),
        (
            "limit=many",
            r#"the setting "limit" must be a whole number"#,
        ),
        (
            "key=hunter2",
            r#"the setting "key" is secret: give it as a secret setting"#,
        ),
    ] {
        for command in [
            &["policy", "run", "own.wasm", "--outcome", "o.json"][..],
            &["policy", "check", "own.wasm", "--hostile", "1"],
            &["policy", "bench", "own.wasm", "--seconds", "0.01"],
            &["-C", "repo", "policy", "backtest", "own.wasm"],
            &["-C", "repo", "policy", "activate", "own.wasm"],
            &["-C", "repo", "commit", "o.json", "--policy", "own.wasm"],
        ] {
            let ran = machine.run(&[command, &["--setting", setting]].concat());
            assert_eq!(ran.exit, Some(2), "{command:?} {ran:?}");
            assert!(ran.err.contains(why), "{command:?} {ran:?}");
            assert!(!ran.err.contains("hunter2"), "{ran:?}");
        }
    }
    assert_eq!(machine.git(&["for-each-ref"]), before);
}

#[test]
fn declared_settings_are_put_in_force_and_others_only_by_force() {
    let machine = machine();
    // Not every declared setting is asked for in the trial of the contract.
    machine.write("key", "hunter2hunter2");
    let activate = ["-C", "repo", "policy", "activate", "own.wasm", "--setting"];
    let ran = machine.run(&[&activate[..], &["limit=1", "--secret-setting", "key=key"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&[&activate[..], &["limit=many", "--force"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let log = machine.run(&["-C", "repo", "policy", "log"]);
    assert!(
        log.out
            .contains("in spite of the setting \"limit\" must be a whole number"),
        "{log:?}"
    );
}

#[test]
fn a_stack_declares_the_settings_of_its_parts() {
    let machine = machine();
    let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt/redact-layer.wasm");
    assert_eq!(declare(&machine, layer, "layer.wasm").exit, Some(0));
    let compose = |last| ["policy", "compose", "layer.wasm", last, "-o", "stack.wasm"];
    assert_eq!(machine.run(&compose("own.wasm")).exit, Some(0));
    let object = machine
        .run(&["policy", "inspect", "stack.wasm", "--json"])
        .object();
    let names: Vec<&String> = object["settings"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "layer.key",
            "layer.limit",
            "layer.rules",
            "own.key",
            "own.limit",
            "own.rules"
        ]
    );
    let ran = declare(&machine, "stack.wasm", "other.wasm");
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("a stack has the settings of its parts"),
        "{ran:?}"
    );
    // A part that declares nothing may ask for anything, so nothing is refused.
    assert_eq!(machine.run(&compose("builtin")).exit, Some(0));
    let object = machine
        .run(&["policy", "inspect", "stack.wasm", "--json"])
        .object();
    assert_eq!(object["settings"], json!(null));
}

#[test]
fn a_mistake_in_the_file_of_settings_is_named() {
    let machine = machine();
    for (schema, why) in [
        (
            "[a]\ntype = 'int'\n",
            "line 2: the setting \"a\": `type` must be one of string, ",
        ),
        (
            "[a]\ndefault = 1\n",
            "line 1: the setting \"a\": it has no `type`",
        ),
        ("a = 1\n", "line 1: the setting \"a\": it must be a table"),
        ("[a\n", "line 1: it is not TOML"),
    ] {
        machine.write("schema.toml", schema);
        let ran = declare(&machine, "builtin", "x.wasm");
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
        assert!(!machine.path("x.wasm").exists());
    }
}
