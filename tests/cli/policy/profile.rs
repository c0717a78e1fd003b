//! `policy run --profile`: where a call spends its time, as a file that Speedscope opens.

use super::{Machine, Ran, machine};
use crate::policy::guest::hostile;

const BUSY: &str = "(func $busy (param $turns i32)
  (loop $again
    (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
    (br_if $again (local.get $turns))))
(func $decide";

fn profile(machine: &Machine, policy: &str) -> Ran {
    machine.write("t.json", r#"{"task_id":"t","status":"completed"}"#);
    machine.run(&[
        "policy",
        "run",
        policy,
        "--outcome",
        "t.json",
        "--now",
        "2026-01-21T10:05:02.000123Z",
        "--profile",
        "profile.json",
    ])
}

#[test]
fn the_functions_that_run_longest_are_named_and_the_file_has_their_stacks() {
    let machine = machine();
    let busy = [
        ("(func $decide", BUSY),
        (
            "(call $stage_entry)",
            "(call $busy (i32.const 100000)) (call $stage_entry)",
        ),
    ];
    machine.write("busy.wasm", hostile("honest", &busy));
    let ran = profile(&machine, "busy.wasm");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("committed t\n"), "{ran:?}");
    let mut lines = ran.err.lines();
    assert!(
        lines.next().unwrap().starts_with("profile profile.json: "),
        "{ran:?}"
    );
    assert!(lines.next().unwrap().ends_with(" %  busy"), "{ran:?}");

    let file = std::fs::read(machine.path("profile.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(
        file["$schema"],
        "https://www.speedscope.app/file-format-schema.json"
    );
    let names = file["shared"]["frames"].as_array().unwrap();
    let profile = &file["profiles"][0];
    assert_eq!(
        (&profile["type"], &profile["unit"]),
        (&"sampled".into(), &"microseconds".into())
    );
    let (samples, weights) = (
        profile["samples"].as_array().unwrap(),
        profile["weights"].as_array().unwrap(),
    );
    assert_eq!(samples.len(), weights.len());
    let total: f64 = weights.iter().map(|weight| weight.as_f64().unwrap()).sum();
    let end = profile["endValue"].as_f64().unwrap();
    assert!((total - end).abs() < end / 1000.0, "{total} {end}");
    let stack = |sample: &serde_json::Value| -> Vec<String> {
        let frames = sample.as_array().unwrap().iter();
        frames
            .map(|frame| {
                names[usize::try_from(frame.as_u64().unwrap()).unwrap()]["name"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    let busy = samples
        .iter()
        .map(stack)
        .find(|stack| stack.ends_with(&["decide".to_owned(), "busy".to_owned()]));
    assert!(busy.is_some(), "{names:?}");
}

#[test]
fn a_component_without_names_has_no_profile_and_nothing_is_written() {
    let machine = machine();
    let ran = profile(&machine, "builtin");
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.out.starts_with("committed t\n"), "{ran:?}");
    assert!(
        ran.err.contains(
            "cannot profile the policy built-in: most functions of the component have no name"
        ),
        "{ran:?}"
    );
    assert!(!machine.path("profile.json").exists());
}

#[test]
fn a_policy_that_never_ends_is_stopped_by_its_limits() {
    let machine = machine();
    machine.write("loop.wasm", hostile("endless-loop", &[]));
    let ran = machine.run(&[
        "policy",
        "run",
        "loop.wasm",
        "--outcome",
        "deploy-1.json",
        "--profile",
        "profile.json",
        "--limit",
        "fuel=1000000000000",
        "--limit",
        "wall_time=0.5",
    ]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.out.contains("its time limit of 0.5 s"), "{ran:?}");
    assert!(machine.path("profile.json").exists(), "{ran:?}");
}
