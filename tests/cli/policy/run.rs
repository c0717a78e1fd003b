//! `policy run`: one call shown in full, recorded, and replayed.

use super::{Ran, machine};
use crate::policy::guest::hostile;

const AT: &str = "2026-01-21T10:00:00Z";

fn calls(ran: &Ran) -> Vec<String> {
    let calls = ran.object()["calls"].as_array().unwrap().clone();
    let name = |call: &serde_json::Value| call["call"].as_str().unwrap().to_owned();
    calls.iter().map(name).collect()
}

#[test]
fn a_call_is_shown_with_its_answer_entry_message_host_calls_and_cost() {
    let machine = machine();
    let args = [
        "policy",
        "run",
        "builtin",
        "--outcome",
        "deploy-1.json",
        "--now",
        AT,
    ];
    let ran = machine.run(&args);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    for part in [
        "committed deploy-1\n",
        "message  audit: task deploy-1 completed at 2026-01-21T10:00:00.000000Z\n",
        "entry    .audit/tasks/deploy-1.json (",
        "      \"replicas\": 3\n",
        "  4 git.commit(\"audit: task deploy-1 completed at 2026-01-21T10:00:00.000000Z\") → ok\n",
        " fuel, ",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    let ran = machine.run(&[&args[..], &["--json"]].concat());
    let object = ran.object();
    assert_eq!(object["result"], "committed");
    assert_eq!(object["entry"]["timestamp"], "2026-01-21T10:00:00.000000Z");
    assert!(object["fuel"].as_u64().unwrap() > 1000);
    assert_eq!(
        calls(&ran),
        [
            "filesystem.read",
            "clock.now",
            "filesystem.write-new",
            "git.commit"
        ]
    );
    assert!(
        std::fs::read_dir(machine.path("")).unwrap().count() <= 2,
        "nothing was written"
    );
}

#[test]
fn what_the_trail_holds_is_given_as_a_file_or_a_directory() {
    let machine = machine();
    let args = ["policy", "run", "builtin", "--outcome", "deploy-1.json"];
    let ran = machine.run(&[&args[..], &["--now", AT, "--json"]].concat());
    let entry = ran.object()["entry_text"].as_str().unwrap().to_owned();
    machine.write("flat/deploy-1.json", &entry);
    machine.write("clone/.audit/tasks/deploy-1.json", &entry);
    machine.write("empty/other.json", &entry);
    for (existing, result) in [
        ("flat", "already-recorded"),
        ("flat/deploy-1.json", "already-recorded"),
        ("clone", "already-recorded"),
        ("empty", "committed"),
    ] {
        let ran = machine.run(&[&args[..], &["--existing", existing, "--json"]].concat());
        assert_eq!(
            (ran.exit, &ran.object()["result"]),
            (Some(0), &result.into()),
            "{existing}"
        );
    }
    machine.write("flat/deploy-1.json", entry.replace('3', "5"));
    let ran = machine.run(&[&args[..], &["--existing", "flat"]].concat());
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    assert!(
        ran.out
            .starts_with("conflicting deploy-1\n  the task has an entry that differs"),
        "{ran:?}"
    );
}

#[test]
fn a_recorded_call_is_made_again_and_differences_are_named() {
    let machine = machine();
    let ran = machine.run(&[
        "policy",
        "run",
        "builtin",
        "--outcome",
        "deploy-1.json",
        "--now",
        AT,
        "--record",
        "call.json",
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&["policy", "run", "builtin", "--replay", "call.json"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.ends_with("the same as recorded\n"), "{ran:?}");

    machine.write("trap.wasm", hostile("trap", &[]));
    let ran = machine.run(&["policy", "run", "trap.wasm", "--replay", "call.json"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    for part in [
        "different from the recording\n  host call 1 was filesystem.read(\".audit/tasks/deploy-1.json\") → none and is filesystem.write-new",
        "  the answer was committed and is fault (policy trapped: wasm `unreachable` instruction executed)\n",
    ] {
        assert!(ran.out.contains(part), "{part} {ran:?}");
    }
    machine.write("none.json", "{}");
    let ran = machine.run(&["policy", "run", "builtin", "--replay", "none.json"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err
            .contains("none.json is not a recording of a policy call"),
        "{ran:?}"
    );
}

#[test]
fn a_limit_can_be_set_for_one_call_and_is_named_when_it_is_exceeded() {
    let machine = machine();
    let args = [
        "policy",
        "run",
        "builtin",
        "--outcome",
        "deploy-1.json",
        "--limit",
    ];
    let ran = machine.run(&[&args[..], &["fuel=1000"]].concat());
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.out.starts_with("fault deploy-1\n  policy exceeded its fuel limit of 1000 (setting policy.fuel)\n  policy built-in (sha256:"),
        "{ran:?}"
    );
    assert!(ran.out.contains("before its first host call"), "{ran:?}");
    for (limit, why) in [
        ("wishes=3", "unknown setting policy.wishes in --limit"),
        (
            "fuel=much",
            "setting policy.fuel in --limit must be a whole number of at least 1",
        ),
    ] {
        let ran = machine.run(&[&args[..], &[limit]].concat());
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
}

#[test]
fn what_is_no_outcome_is_refused_before_a_policy_is_asked() {
    let machine = machine();
    machine.write(
        "bad.json",
        "{\"task_id\":\"../x\",\"status\":\"completed\"}",
    );
    let ran = machine.run(&["policy", "run", "builtin", "--outcome", "bad.json"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err
            .contains("bad.json is not an outcome, and no policy would be called: /task_id"),
        "{ran:?}"
    );
}

#[test]
fn an_input_that_is_too_large_is_an_error_and_not_cut_off() {
    let machine = machine();
    let large = machine.write("large.json", "{");
    let file = std::fs::File::options().write(true).open(&large).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let run = ["policy", "run", "builtin", "--outcome"];
    let existing = ["deploy-1.json", "--existing", "large.json"];
    for (args, what) in [
        (&["-"][..], "the outcome -"),
        (&["large.json"], "the outcome large.json"),
        (&existing, "the entry large.json"),
    ] {
        let mut command = machine.command(&[&run[..], args].concat());
        command.stdin(std::fs::File::open(&large).unwrap());
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        let why = format!("cannot read {what}: it is larger than 67108864 bytes");
        assert!(ran.err.contains(&why), "{ran:?}");
    }
}
