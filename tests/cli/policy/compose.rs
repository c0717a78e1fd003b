//! `policy compose`: layers and a policy become one, which every other command takes.

use serde_json::json;

use super::super::Machine;

const WITH_SECRET: &str = r#"{"task_id":"leak","status":"failed","execution_result":
    {"outcome":{"log":"psql postgres://shop:hunter2@db/orders","password":"hunter2","n":12345678901234567890123}}}"#;

fn compose(machine: &Machine, parts: &[&str], file: &str) -> super::super::Ran {
    machine.run(&[&["policy", "compose"], parts, &["-o", file]].concat())
}

#[test]
fn a_layer_that_imports_more_than_layers_may_have_is_refused() {
    let machine = Machine::with_repository();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt/redact-layer.wasm");
    let mut layer = std::fs::read(path).unwrap();
    let (had, wants) = (b"chiffon:audit/config@0.1.0", b"chiffon:audit/gitabc@0.1.0");
    while let Some(at) = layer.windows(had.len()).position(|window| window == had) {
        layer[at..at + had.len()].copy_from_slice(wants);
    }
    machine.write("layer.wasm", &layer);
    let ran = compose(&machine, &["layer.wasm", "builtin"], "stack.wasm");
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(ran.err.contains("`chiffon:audit/gitabc@0.1.0`"), "{ran:?}");
    assert!(!machine.path("stack.wasm").exists());
}

#[test]
fn a_stack_is_a_policy_for_every_command_and_names_its_parts() {
    let machine = Machine::with_repository();
    let parts = ["builtin:redact", "builtin:bound", "builtin"];
    let ran = compose(&machine, &parts, "stack.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    // The same parts give the same bytes.
    compose(&machine, &parts, "again.wasm");
    let read = |name: &str| std::fs::read(machine.path(name)).unwrap();
    assert!(read("stack.wasm") == read("again.wasm"));

    let inspected = machine
        .run(&["policy", "inspect", "stack.wasm", "--json"])
        .object();
    let names: Vec<_> = inspected["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["name"].clone(), part["verbatim"].clone()))
        .collect();
    let whole = |name: &str| (json!(name), json!(true));
    assert_eq!(names, [whole("redact"), whole("bound"), whole("builtin")]);
    let ran = machine.run(&["policy", "check", "stack.wasm", "--hostile", "200"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");

    let ran = machine.run(&["-C", "repo", "policy", "activate", "stack.wasm"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.commit(WITH_SECRET);
    let long = "x y ".repeat(10_000);
    machine.commit(&format!(
        r#"{{"task_id":"long","status":"completed","execution_result":{{"outcome":{{"log":"{long}"}}}}}}"#
    ));
    let entry = machine.run(&["-C", "repo", "show", "leak", "--raw"]).out;
    assert!(!entry.contains("hunter2"), "{entry}");
    assert!(
        entry.contains("\"n\": 12345678901234567890123\n"),
        "{entry}"
    );
    let entry = machine.run(&["-C", "repo", "show", "long", "--raw"]).out;
    assert!(entry.contains("of 40000 bytes left out"), "{entry}");
    let ran = machine.run(&["-C", "repo", "policy", "reproduce"]);
    assert_eq!(ran.out, "reproduced 2 of 2 entries, byte for byte\n");
    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    assert_eq!(
        log["spans"][0]["parts"],
        json!(["redact", "bound", "builtin"])
    );
    assert_eq!(machine.run(&["-C", "repo", "verify"]).exit, Some(0));
}

#[test]
fn settings_of_a_part_begin_with_its_name() {
    let machine = Machine::new();
    machine.write("o.json", WITH_SECRET);
    compose(
        &machine,
        &["rules=builtin:redact", "builtin:bound", "builtin"],
        "stack.wasm",
    );
    let run = [
        "policy",
        "run",
        "stack.wasm",
        "--outcome",
        "o.json",
        "--json",
    ];
    let rules = r#"rules.rules={"pointers":["/execution_result/outcome/n"]}"#;
    let ran = machine.run(&[&run[..], &["--setting", rules]].concat());
    let entry = &ran.object()["entry_text"];
    assert!(
        entry.as_str().unwrap().contains("\"n\": \"[redacted]\""),
        "{entry}"
    );
    // A setting without the name of a part is nobody's.
    let ran = machine.run(&[&run[..], &["--setting", "max_text=600"]].concat());
    assert!(
        ran.err.contains("did not ask for the setting `max_text`"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("It asked for bound.max_text, rules.rules"),
        "{ran:?}"
    );
    // A refusal says which layer refuses.
    let ran = machine.run(&[&run[..], &["--setting", "bound.max_text=2"]].concat());
    let object = ran.object();
    assert_eq!(object["result"], "unavailable");
    assert!(
        object["reason"]
            .as_str()
            .unwrap()
            .starts_with("layer bound: "),
        "{object}"
    );
}

#[test]
fn both_orders_of_redact_and_bound_reproduce_what_they_record() {
    let machine = Machine::new();
    for (file, parts) in [
        ("a.wasm", ["builtin:redact", "builtin:bound", "builtin"]),
        ("b.wasm", ["builtin:bound", "builtin:redact", "builtin"]),
    ] {
        compose(&machine, &parts, file);
        let settings = ["--setting", "bound.max_text=700"];
        let check = ["policy", "check", file, "--hostile", "300", "--seed", "7"];
        let ran = machine.run(&[&check[..], &settings].concat());
        assert_eq!(ran.exit, Some(0), "{parts:?} {ran:?}");
    }
}

#[test]
fn parts_that_do_not_fit_are_refused_with_the_reason() {
    let machine = Machine::new();
    compose(&machine, &["builtin:redact", "builtin"], "stack.wasm");
    machine.write("text.wasm", "no component");
    let cases: [(&[&str], &str); 6] = [
        (&["builtin", "builtin"], "two parts are called `builtin`"),
        (
            &["a=builtin", "builtin"],
            "part `a` is a policy, which only the last part can be",
        ),
        (
            &["builtin:redact", "x=stack.wasm"],
            "part `x` is a stack itself",
        ),
        (&["text.wasm", "builtin"], "part `text` is not a component"),
        (
            &["4=builtin:redact", "builtin"],
            "`4` is not a name for a part of a stack",
        ),
        (
            &["builtin:redact", "builtin:nothing"],
            "there is no policy builtin:nothing",
        ),
    ];
    for (parts, says) in cases {
        let ran = compose(&machine, parts, "out.wasm");
        assert_ne!(ran.exit, Some(0), "{parts:?}");
        assert!(ran.err.contains(says), "{parts:?} {ran:?}");
        assert!(!machine.path("out.wasm").exists());
    }
}

#[test]
fn any_policy_can_be_the_last_part() {
    let machine = Machine::new();
    machine.write("o.json", WITH_SECRET);
    let mut own = chiffon_audit_cli::policy::Policy::builtin_component().to_vec();
    own.extend_from_slice(&[0, 2, 1, b'x']);
    machine.write("own.wasm", own);
    for last in ["builtin:bound", "own.wasm"] {
        let ran = compose(&machine, &["builtin:redact", last], "stack.wasm");
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let ran = machine.run(&["policy", "run", "stack.wasm", "--outcome", "o.json"]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(!ran.out.contains("hunter2"), "{ran:?}");
    }
}
