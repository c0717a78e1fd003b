//! Settings of a policy on the command line: one name for the option, and misspelt settings are named.

use super::super::outcome;
use super::{Machine, machine};

const MISSPELT: &str = "rule={}";

#[test]
fn each_command_names_a_setting_that_the_policy_does_not_ask_for() {
    let machine = machine();
    std::fs::create_dir(machine.path("repo")).unwrap();
    machine.git(&["init", "-q", "-b", "main"]);
    machine.commit(&outcome("a", "completed"));
    machine.write(
        "x.test.toml",
        "outcome = \"deploy-1.json\"\nsettings = { rule = \"{}\" }\nexpect.result = \"committed\"\n",
    );
    let policy = "builtin:redact";
    let commands: [&[&str]; 6] = [
        &[
            "policy",
            "run",
            policy,
            "--outcome",
            "deploy-1.json",
            "--setting",
            MISSPELT,
        ],
        &[
            "policy",
            "check",
            policy,
            "--hostile",
            "1",
            "--setting",
            MISSPELT,
        ],
        &[
            "policy",
            "bench",
            policy,
            "--seconds",
            "0.01",
            "--setting",
            MISSPELT,
        ],
        &[
            "-C",
            "repo",
            "policy",
            "backtest",
            policy,
            "--setting",
            MISSPELT,
        ],
        &["policy", "test", policy, "x.test.toml"],
        &[
            "-C",
            "repo",
            "commit",
            "deploy-1.json",
            "--policy",
            policy,
            "--setting",
            MISSPELT,
        ],
    ];
    for command in commands {
        let ran = machine.run(command);
        assert_eq!(ran.exit, Some(0), "{command:?} {ran:?}");
        assert!(
            ran.err.contains("did not ask for the setting `rule`")
                && ran.err.contains("It asked for rules"),
            "{command:?} {ran:?}"
        );
    }
}

#[test]
fn the_option_has_one_name_and_the_earlier_names_still_work() {
    let machine = Machine::with_repository();
    for (task, name) in [
        ("a", "--setting"),
        ("b", "--config"),
        ("c", "--policy-setting"),
    ] {
        machine.write("o.json", outcome(task, "completed"));
        let ran = machine.run(&[
            "-C",
            "repo",
            "commit",
            "o.json",
            "--policy",
            "builtin:bound",
            name,
            "max_text=600",
        ]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let ran = machine.run(&[
            "policy",
            "run",
            "builtin:bound",
            "--outcome",
            "o.json",
            name,
            "max_text=600",
        ]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
    }
    for command in ["commit", "ingest", "policy run", "policy activate"] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = machine.run(&words).out;
        assert!(help.contains("--setting <NAME=VALUE>"), "{help}");
        assert!(!help.contains("--config <"), "{help}");
        assert!(!help.contains("--policy-setting"), "{help}");
    }
}

#[test]
fn a_replay_takes_other_settings_and_shows_what_they_change() {
    let machine = machine();
    machine.write(
        "o.json",
        r#"{"task_id":"t","status":"completed","metadata":{"card":"4111"}}"#,
    );
    let run = ["policy", "run", "builtin:redact"];
    let ran = machine.run(&[&run[..], &["--outcome", "o.json", "--record", "call.json"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let replay = [&run[..], &["--replay", "call.json"]].concat();
    assert_eq!(machine.run(&replay).exit, Some(0));
    let rules = r#"rules={"pointers":["/metadata/card"]}"#;
    let ran = machine.run(&[&replay[..], &["--setting", rules, "--record", "other.json"]].concat());
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.out.contains("different from the recording"), "{ran:?}");
    // The new recording holds the new settings.
    let replay = [&run[..], &["--replay", "other.json"]].concat();
    assert_eq!(machine.run(&replay).exit, Some(0));
}
