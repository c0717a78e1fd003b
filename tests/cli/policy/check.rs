//! `policy check` and `policy bench` on the command line.

use super::machine;
use crate::policy::guest::minimal;

#[test]
fn a_policy_that_keeps_the_contract_is_told_claim_by_claim() {
    let machine = machine();
    let ran = machine.run(&["policy", "check", "builtin", "--hostile", "20"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("  holds      called with its own entry, it makes the same bytes\n             11 entries\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("\nIt keeps the contract ("), "{}", ran.out);
    let object = machine
        .run(&["policy", "check", "builtin", "--hostile", "20", "--json"])
        .object();
    assert_eq!(object["holds"], true);
    assert!(
        object["claims"]
            .as_array()
            .unwrap()
            .iter()
            .all(|claim| claim["standing"] == "holds")
    );
}

#[test]
fn a_call_that_shows_a_breach_is_kept_and_can_be_made_again() {
    let machine = machine();
    machine.write("bad.wasm", minimal(&[("ON_SAME", "call $unavailable")]));
    let ran = machine.run(&[
        "policy",
        "check",
        "bad.wasm",
        "--hostile",
        "20",
        "--keep",
        "kept",
    ]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out.contains(
            "\nRepeat it: chiffon-audit policy run bad.wasm --replay kept/idempotent.recording.json\n"
        ),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("It breaks the contract in "),
        "{}",
        ran.out
    );
    let ran = machine.run(&[
        "policy",
        "run",
        "bad.wasm",
        "--replay",
        "kept/idempotent.recording.json",
    ]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.out.starts_with("unavailable t\n  not now\n"),
        "{}",
        ran.out
    );
    let object = machine
        .run(&["policy", "check", "bad.wasm", "--hostile", "20", "--json"])
        .object();
    let claims = object["claims"].as_array().unwrap();
    let claim = claims
        .iter()
        .find(|claim| claim["name"] == "idempotent")
        .unwrap();
    let kept = claim["kept"].as_str().unwrap();
    assert!(std::fs::exists(kept).unwrap(), "{kept}");
    std::fs::remove_dir_all(std::path::Path::new(kept).parent().unwrap()).unwrap();
}

#[test]
fn a_policy_is_measured_beside_the_built_in_one_and_held_to_thresholds() {
    let machine = machine();
    let args = ["policy", "bench", "builtin", "--seconds", "0.02"];
    let ran = machine.run(&[&args[..], &["--json"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let object = ran.object();
    let first = &object["workloads"][0];
    assert_eq!(first["name"], "ordinary, new");
    assert_eq!(first["policy"]["fuel_most"], first["builtin"]["fuel_most"]);
    machine.write("before.json", &ran.out);
    let ran = machine.run(&[&args[..], &["--baseline", "before.json"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("calls/s"), "{ran:?}");

    let mut less = object.clone();
    less["workloads"][0]["policy"]["fuel_most"] = 1000.into();
    machine.write("less.json", less.to_string());
    let ran = machine.run(&[&args[..], &["--baseline", "less.json"]].concat());
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out
            .contains("fuel are more than the baseline's 1000 and 5 %"),
        "{ran:?}"
    );
    let ran = machine.run(&[&args[..], &["--fail-below", "1000"]].concat());
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.out
            .contains("times the built-in policy's speed are below 1000"),
        "{ran:?}"
    );
    assert_eq!(
        machine
            .run(&["policy", "bench", "builtin", "--seconds", "0"])
            .exit,
        Some(2)
    );
}
