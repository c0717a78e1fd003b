//! A real call is recorded and replayed: a problem in the field becomes a test.

use std::os::unix::fs::PermissionsExt as _;

use super::super::{Machine, outcome};
use crate::policy::guest::hostile;

const LEAK: &str = r#"{"task_id":"leak","status":"failed","execution_result":{"outcome":{"password":"hunter2","n":1.0E+2}}}"#;

#[test]
fn a_call_that_recorded_is_made_again_with_the_same_result_and_becomes_a_case() {
    let machine = Machine::with_repository();
    machine.write("leak.json", LEAK);
    let ran = machine.run(&[
        "-C",
        "repo",
        "commit",
        "leak.json",
        "--policy",
        "builtin:redact",
        "--policy-setting",
        r#"rules={"pointers":["/execution_result/outcome/n"]}"#,
        "--record",
        "call.json",
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let mode = machine
        .path("call.json")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "it holds the password");
    let entry = machine.run(&["-C", "repo", "show", "leak", "--raw"]).out;
    assert!(!entry.contains("hunter2") && !entry.contains("1.0E+2"));

    let again = machine
        .run(&[
            "policy",
            "run",
            "builtin:redact",
            "--replay",
            "call.json",
            "--json",
        ])
        .object();
    assert_eq!(again["differences"], serde_json::json!([]));
    assert_eq!(again["entry_text"], entry.as_str());
    let other = machine.run(&["policy", "run", "builtin", "--replay", "call.json"]);
    assert_eq!(other.exit, Some(3), "{other:?}");

    machine.write("cases/leak.json", &entry);
    machine.write(
        "cases/leak.test.toml",
        "recording = \"../call.json\"\nexpect.result = \"committed\"\nexpect.entry = \"leak.json\"\n",
    );
    let ran = machine.run(&["policy", "test", "builtin:redact", "cases"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&["policy", "test", "builtin", "cases"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
}

#[test]
fn a_call_that_met_an_entry_or_failed_is_kept_with_what_it_met() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("t", "completed"));
    machine.write("t.json", outcome("t", "failed"));
    machine.write("trap.wasm", hostile("trap", &[]));
    for (policy, exit) in [("builtin", 5), ("trap.wasm", 1)] {
        let ran = machine.run(&[
            "-C",
            "repo",
            "commit",
            "t.json",
            "--policy",
            policy,
            "--record",
            "call.json",
        ]);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        let again = machine.run(&["policy", "run", policy, "--replay", "call.json"]);
        assert_eq!(again.exit, Some(exit), "{again:?}");
        assert!(again.out.ends_with("the same as recorded\n"), "{again:?}");
    }
}

#[test]
fn where_nothing_can_be_kept_nothing_is_recorded_and_where_no_call_is_made_nothing_is_kept() {
    let machine = Machine::with_repository();
    machine.write("t.json", outcome("t", "completed"));
    machine.write("bad.json", r#"{"task_id":"t"}"#);
    let commit =
        |document, file| machine.run(&["-C", "repo", "commit", document, "--record", file]);
    let ran = commit("t.json", "nowhere/call.json");
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err
            .starts_with("error: cannot write the recording nowhere/call.json: "),
        "{ran:?}"
    );
    assert_eq!(machine.run(&["-C", "repo", "show", "t"]).exit, Some(1));
    let ran = commit("bad.json", "call.json");
    assert_eq!(ran.exit, Some(4), "{ran:?}");
    assert!(
        ran.err
            .contains("no policy was called, so there is nothing to write to call.json"),
        "{ran:?}"
    );
    assert!(!machine.path("call.json").exists());
}
