//! `policy annotate`: an author's metadata in a component.

use super::{Machine, machine};
use crate::policy::builtin;

const ALL: &[&str] = &[
    "--name",
    "tidy",
    "--version",
    "1.2.0",
    "--source",
    "https://example.com/tidy",
    "--licence",
    "MIT OR Apache-2.0",
    "--description",
    "Removes what nobody reads",
];

fn annotate(machine: &Machine, policy: &str, args: &[&str], file: &str) -> super::Ran {
    machine.run(&[&["policy", "annotate", policy], args, &["-o", file]].concat())
}

/// The custom sections of the outermost component, as another reader finds them.
fn sections(component: &[u8]) -> Vec<(String, String)> {
    use wasmparser::{Parser, Payload};
    let mut depth = 0;
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(custom) if depth == 0 => {
                let text = String::from_utf8_lossy(custom.data()).into_owned();
                found.push((custom.name().to_owned(), text));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn metadata_is_written_as_other_tools_read_it_and_the_policy_stays_what_it_is() {
    let machine = machine();
    let ran = annotate(&machine, "builtin", ALL, "tidy.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains(" \"tidy 1.2.0\"\n"), "{ran:?}");
    assert!(ran.out.contains(builtin().digest()), "{ran:?}");
    let component = std::fs::read(machine.path("tidy.wasm")).unwrap();
    let found = sections(&component);
    for (name, text) in [
        ("version", "1.2.0"),
        ("source", "https://example.com/tidy"),
        ("licenses", "MIT OR Apache-2.0"),
        ("description", "Removes what nobody reads"),
    ] {
        let values: Vec<&str> = found
            .iter()
            .filter(|(section, _)| section == name)
            .map(|(_, text)| &**text)
            .collect();
        assert_eq!(values, [text], "{name}");
    }
    let inspected = machine
        .run(&["policy", "inspect", "tidy.wasm", "--json"])
        .object();
    assert_eq!(inspected["metadata"]["name"], "tidy");
    assert_eq!(inspected["metadata"]["licenses"], "MIT OR Apache-2.0");

    // One value is replaced, and the others stay.
    let ran = annotate(&machine, "tidy.wasm", &["--version", "2"], "tidy.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let inspected = machine.run(&["policy", "inspect", "tidy.wasm"]);
    assert!(
        inspected.out.contains("\n  name       tidy\n"),
        "{inspected:?}"
    );
    assert!(
        inspected.out.contains("\n  version    2\n"),
        "{inspected:?}"
    );
    assert!(!inspected.out.contains("1.2.0"), "{inspected:?}");
    let run = [
        "policy",
        "run",
        "--outcome",
        "deploy-1.json",
        "--now",
        "2026-01-21T10:00:00Z",
        "--json",
    ];
    let entry =
        |policy| machine.run(&[&run[..], &[policy]].concat()).object()["entry_text"].clone();
    assert_eq!(entry("tidy.wasm"), entry("builtin"));
}

#[test]
fn the_parts_of_an_annotated_stack_stay_in_it() {
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
    let ran = annotate(&machine, "stack.wasm", &["--name", "shop"], "named.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let parts =
        |file| machine.run(&["policy", "inspect", file, "--json"]).object()["parts"].clone();
    assert_eq!(parts("named.wasm"), parts("stack.wasm"));
    assert_eq!(parts("named.wasm")[0]["verbatim"], true);
}

#[test]
fn what_a_policy_calls_itself_is_in_quotes_beside_its_digest() {
    let machine = Machine::with_repository();
    // It would like to be taken for the built-in one.
    let args = ["--name", "x\" (builtin) in force", "--version", "1"];
    let ran = annotate(&machine, "builtin", &args, "tidy.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&["-C", "repo", "policy", "activate", "tidy.wasm"]);
    let label = r#" "x\" (builtin) in force 1""#;
    assert!(ran.out.contains(&format!("{label}\n")), "{ran:?}");
    machine.commit(&super::super::outcome("a", "completed"));
    let log = machine.run(&["-C", "repo", "policy", "log"]);
    assert!(log.out.contains(&format!("{label} since 20")), "{log:?}");
    assert!(
        log.out.contains(&format!("{label}\n  settings {{}}")),
        "{log:?}"
    );
    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    assert_eq!(log["in_force"]["label"], label.trim());
    assert_eq!(log["spans"][0]["label"], label.trim());
    assert_eq!(log["spans"][0]["name"], serde_json::Value::Null);
}

#[test]
fn a_value_of_the_wrong_form_is_a_mistake_in_the_call() {
    let machine = machine();
    machine.write("text.wasm", "(component)");
    machine.write("cut.wasm", b"\0asm\x0d\0\x01\0\x07\xff");
    for (policy, args, exit, why) in [
        ("builtin", &[][..], 2, "give at least one of --name"),
        ("builtin", &["--name", ""], 2, "the name is empty"),
        (
            "builtin",
            &["--name", "a\nb"],
            2,
            "the name is not on one line",
        ),
        ("builtin", &["--licence", "my own"], 2, "no SPDX expression"),
        ("builtin", &["--license", "Mit/"], 2, "no SPDX expression"),
        (
            "builtin",
            &["--source", "here"],
            2,
            "the source cannot be used: ",
        ),
        ("text.wasm", &["--name", "a"], 1, "it is WebAssembly text"),
        (
            "cut.wasm",
            &["--name", "a"],
            2,
            "cut.wasm: it cannot be annotated: ",
        ),
        (
            "none.wasm",
            &["--name", "a"],
            2,
            "cannot read the policy none.wasm",
        ),
    ] {
        let ran = annotate(&machine, policy, args, "out.wasm");
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
        assert!(!machine.path("out.wasm").exists());
    }
}
