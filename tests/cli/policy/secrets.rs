//! Secret settings: a policy uses them, and nothing shows them.

use std::os::unix::fs::PermissionsExt as _;

use super::super::{Machine, Ran};

const SECRET: &str = "hunter2-hunter2";

/// A trail whose policy, `redact` in a stack, is given a secret, and an outcome that does not contain it.
fn machine() -> Machine {
    let machine = Machine::with_repository();
    let pattern = r#"{"patterns":[{"name":"own","regex":"SECRET","finds":["SECRET"]}]}"#
        .replace("SECRET", SECRET);
    machine.write("rules", format!("{pattern}\n"));
    let ran = activate(&machine, "rules=rules");
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine
}

fn activate(machine: &Machine, secret: &str) -> Ran {
    let command = ["-C", "repo", "policy", "activate", "builtin:redact"];
    machine.run(&[&command[..], &["--secret-setting", secret]].concat())
}

#[test]
fn a_secret_setting_is_in_no_commit_and_no_output() {
    let machine = machine();
    let outcome =
        r#"{"task_id":"a","status":"completed","metadata":{"note":"it is hunter2-hunter2."}}"#;
    machine.commit(outcome);
    let entry = machine.run(&["-C", "repo", "show", "a", "--raw"]).out;
    assert!(entry.contains("[redacted:own]"), "{entry}");
    let kept = machine.git(&["grep", "-h", "", "refs/heads/audit-policies"]);
    assert!(
        kept.contains("hmac-sha256:") && !kept.contains(SECRET),
        "{kept}"
    );
    let log = machine.run(&["-C", "repo", "policy", "log"]).out;
    assert!(
        log.contains("hmac-sha256:") && !log.contains(SECRET),
        "{log}"
    );
    let reproduce = ["-C", "repo", "policy", "reproduce"];
    assert_eq!(machine.run(&reproduce).exit, Some(0));

    // A recorded call shows that the setting was asked for, and not its value.
    machine.write("o.json", r#"{"task_id":"b","status":"completed"}"#);
    let ran = machine.run(&[
        "policy",
        "run",
        "builtin:redact",
        "--outcome",
        "o.json",
        "--record",
        "call.json",
        "--secret-setting",
        "rules=rules",
    ]);
    let call = std::fs::read_to_string(machine.path("call.json")).unwrap();
    assert!(
        !call.contains(SECRET) && !ran.out.contains(SECRET),
        "{call}"
    );
    assert!(ran.out.contains("[secret rules]"), "{ran:?}");

    // The key is random, private, and beside the secret.
    use std::os::unix::fs::PermissionsExt as _;
    let key = machine.path("rules.key").metadata().unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
}

#[test]
fn without_the_secret_nothing_is_recorded_and_reproduction_is_not_shown() {
    let machine = machine();
    machine.commit(&super::super::outcome("a", "completed"));
    std::fs::rename(machine.path("rules"), machine.path("away")).unwrap();
    std::fs::rename(machine.path("rules.key"), machine.path("away.key")).unwrap();
    let outcome = super::super::outcome("b", "completed");
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], &outcome);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err
            .contains("the secret setting rules is not available"),
        "{ran:?}"
    );
    let reproduce = ["-C", "repo", "policy", "reproduce"];
    let ran = machine.run(&reproduce);
    assert_eq!(ran.exit, Some(6), "{ran:?}");
    assert!(
        ran.out
            .contains("not shown 1 entry: the value of the secret setting rules"),
        "{ran:?}"
    );
    let ran = machine.run(&[&reproduce[..], &["--secret-setting", "rules=away"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    // Another secret, or the same under another key, is not the one.
    machine.write("away.key", [7; 32]);
    let ran = machine.run(&[&reproduce[..], &["--secret-setting", "rules=away"]].concat());
    assert_eq!(ran.exit, Some(6), "{ran:?}");
}

#[test]
fn only_activation_makes_the_key_of_a_secret() {
    let machine = Machine::with_repository();
    machine.write("rules", r#"{"pointers":["/metadata/card"]}"#);
    let secret = ["--secret-setting", "rules=rules"];
    for command in ["check", "bench"] {
        let ran = machine.run(&[&["policy", command, "builtin:redact"], &secret[..]].concat());
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(!machine.path("rules.key").exists(), "{command}");
    }
    let ran = machine.run(&[&["-C", "repo", "policy", "reproduce"], &secret[..]].concat());
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("rules.key") && ran.err.contains("copy it here"),
        "{ran:?}"
    );
    assert_eq!(activate(&machine, "rules=rules").exit, Some(0));
    let key = std::fs::metadata(machine.path("rules.key")).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
}

#[test]
fn a_secret_that_is_short_or_empty_is_refused() {
    let machine = Machine::with_repository();
    for text in ["", "short\n"] {
        machine.write("s", text);
        let ran = activate(&machine, "rules=s");
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.err.contains("shorter than 8 bytes"), "{ran:?}");
        assert!(!machine.path("s.key").exists());
    }
}
