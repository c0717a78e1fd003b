//! `policy strip`: equal code gets equal digests, whatever the names and tools beside it.

use super::{Machine, machine};
use crate::policy::builtin;

/// The built-in policy with sections of a build appended, as tools write them.
fn built_by(machine: &Machine, file: &str, tool: &str) {
    let mut component = builtin().bytes().to_vec();
    for name in ["producers", "name-of-tool"] {
        let contents = [
            &[u8::try_from(name.len()).unwrap()],
            name.as_bytes(),
            tool.as_bytes(),
        ]
        .concat();
        component.push(0);
        component.push(u8::try_from(contents.len()).unwrap());
        component.extend(contents);
    }
    machine.write(file, component);
}

#[test]
fn builds_of_the_same_code_get_the_same_digest_and_decide_the_same() {
    let machine = machine();
    built_by(&machine, "one.wasm", "/home/mara/tidy, rustc 1.95");
    built_by(
        &machine,
        "two.wasm",
        "/build/x, rustc of another distribution",
    );
    let strip = |from: &str, to: &str| {
        let ran = machine.run(&["policy", "strip", from, "-o", to, "--json"]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        ran.object()
    };
    let (one, two) = (strip("one.wasm", "1.wasm"), strip("two.wasm", "2.wasm"));
    assert_ne!(one["former"], two["former"]);
    assert_eq!(one["policy"], two["policy"]);
    let removed = one["removed"].as_array().unwrap();
    assert!(
        removed
            .iter()
            .any(|section| section["name"] == "name-of-tool"),
        "{one}"
    );
    let again = strip("1.wasm", "again.wasm");
    assert_eq!(again["policy"], one["policy"]);
    assert_eq!(again["removed"].as_array().unwrap().len(), 0);

    let ran = machine.run(&["policy", "strip", "one.wasm", "-o", "1.wasm"]);
    assert!(ran.out.starts_with("stripped 1.wasm: "), "{ran:?}");
    assert!(ran.out.contains("\n  removed producers ("), "{ran:?}");
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
    assert_eq!(entry("1.wasm"), entry("builtin"));
}

#[test]
fn metadata_and_declared_settings_stay() {
    let machine = machine();
    machine.write(
        "settings.toml",
        "[limit]\ntype = \"integer\"\ndoc = \"The most.\"\n",
    );
    let annotate = [
        "policy",
        "annotate",
        "builtin",
        "--name",
        "tidy",
        "--version",
        "1.2.0",
        "--licence",
        "MIT",
        "--settings",
        "settings.toml",
        "-o",
        "tidy.wasm",
    ];
    assert_eq!(machine.run(&annotate).exit, Some(0));
    let ran = machine.run(&["policy", "strip", "tidy.wasm", "-o", "tidy.wasm"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let inspected = machine
        .run(&["policy", "inspect", "tidy.wasm", "--json"])
        .object();
    let metadata = &inspected["metadata"];
    assert_eq!(
        (
            &metadata["name"],
            &metadata["version"],
            &metadata["licenses"]
        ),
        (&"tidy".into(), &"1.2.0".into(), &"MIT".into())
    );
    assert_eq!(inspected["settings"]["limit"]["type"], "integer");
}

#[test]
fn what_cannot_be_stripped_is_named_and_nothing_is_written() {
    let machine = machine();
    machine.write("text.wasm", "(component)");
    machine.write("cut.wasm", b"\0asm\x0d\0\x01\0\x07\xff");
    let compose = [
        "policy",
        "compose",
        "builtin:redact",
        "builtin",
        "-o",
        "stack.wasm",
    ];
    assert_eq!(machine.run(&compose).exit, Some(0));
    for (policy, exit, why) in [
        ("text.wasm", 1, "it is WebAssembly text"),
        ("cut.wasm", 2, "cut.wasm: it cannot be stripped: "),
        (
            "stack.wasm",
            2,
            "stack.wasm: it is a stack: strip the parts",
        ),
        ("none.wasm", 2, "cannot read the policy none.wasm"),
        (".", 2, "cannot read the policy ."),
        (
            "/dev/zero",
            1,
            "cannot read the policy /dev/zero: it is larger than",
        ),
    ] {
        let ran = machine.run(&["policy", "strip", policy, "-o", "out.wasm"]);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
        assert!(!machine.path("out.wasm").exists());
    }
}
