//! Sealed members from outside: recording, reading, erasing, and that no file holds what was sealed.

mod refused;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Machine, Ran};
use crate::support;

/// A value that must be in no file.
const CANARY: &str = "CANARY-4111-1111";

const COMMIT_JSON: &[&str] = &["-C", "repo", "commit", "-", "--json"];

const SETTINGS: &str = r#"
[seal]
pointers = ["/metadata/user", "/metadata/people/*/mail", "/execution_result/outcome"]
subject = "/metadata/user"
key_file = "kek"
"#;

/// A machine whose trail has a uuid and seals members.
fn machine() -> Machine {
    let machine = Machine::with_repository();
    settings(&machine, SETTINGS);
    let init = machine.run(&["init", "repo"]);
    assert_eq!(init.exit, Some(0), "{init:?}");
    machine
}

fn settings(machine: &Machine, text: &str) {
    machine.write("home/.config/chiffon-audit/config.toml", text);
}

fn document(task: &str, user: &str, note: &str) -> String {
    json!({"task_id": task, "status": "completed",
        "execution_result": {"outcome": {"note": note, "n": 1.50}},
        "metadata": {"user": user, "people": [{"mail": note}, {"role": "x"}], "kept": "in clear text"}})
    .to_string()
}

fn commit(machine: &Machine, document: &str) -> Value {
    machine.run_with_input(COMMIT_JSON, document).object()
}

fn show(machine: &Machine, task: &str, options: &[&str]) -> Ran {
    machine.run(&[&["-C", "repo", "show", task], options].concat())
}

/// The entry as `show --json` prints it.
fn entry(machine: &Machine, task: &str, options: &[&str]) -> Value {
    let ran = show(machine, task, &[&["--json"], options].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    ran.object()
}

/// Checks that no file below a directory holds a text, in any object of git either.
#[track_caller]
fn assert_nowhere(dir: &Path, text: &str) {
    let grep = Command::new("grep").args(["-rla", text]).arg(dir).output();
    let found = String::from_utf8(grep.unwrap().stdout).unwrap();
    assert_eq!(found, "", "{text} is in a file");
    let git = support::git(
        &dir.join("repo"),
        &["log", "--all", "-p", "--text", "--format=%B", "-S", text],
    );
    assert_eq!(git, "", "{text} is in the history");
}

#[test]
fn a_sealed_member_is_in_no_file_and_opens_with_the_keys() {
    let machine = machine();
    let document = document("deploy-1", "ann", CANARY);
    assert_eq!(commit(&machine, &document)["result"], "committed");
    assert_nowhere(machine.dir.path(), CANARY);
    let sealed = entry(&machine, "deploy-1", &[]);
    let members = &sealed["entry"];
    assert_eq!(members["metadata"]["kept"], "in clear text");
    let names: Vec<_> = members["metadata"]["user"]["$sealed"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["box", "digest", "key", "v"]);
    assert_eq!(members["metadata"]["people"][1], json!({"role": "x"}));

    let opened = entry(&machine, "deploy-1", &["--open"]);
    assert_eq!(opened["entry"]["metadata"]["user"], "ann");
    assert_eq!(opened["entry"]["metadata"]["people"][0]["mail"], CANARY);
    assert_eq!(
        opened["entry"]["execution_result"]["outcome"]["note"],
        CANARY
    );
    // Numbers stay as they were written.
    let raw = show(&machine, "deploy-1", &["--raw", "--open"]).out;
    assert!(raw.contains("1.5"), "{raw}");
    let notes = show(&machine, "deploy-1", &[]).err;
    assert!(
        notes.contains("sealed: /execution_result/outcome, /metadata/"),
        "{notes}"
    );

    let verified = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(verified.exit, Some(0), "{verified:?}");
    assert!(
        verified.out.contains("1 entry with sealed members"),
        "{verified:?}"
    );
    let reproduced = machine.run(&["-C", "repo", "policy", "reproduce", "--json"]);
    assert_eq!(reproduced.object()["same"], 1, "{reproduced:?}");

    // A clone without keys reads and verifies everything else.
    settings(&machine, "");
    assert_eq!(show(&machine, "deploy-1", &["--open"]).exit, Some(1));
    assert_eq!(entry(&machine, "deploy-1", &[])["entry"], sealed["entry"]);
    assert_eq!(machine.run(&["-C", "repo", "verify"]).exit, Some(0));
    let reproduced = machine.run(&["-C", "repo", "policy", "reproduce", "--json"]);
    assert_eq!(reproduced.exit, Some(6), "{reproduced:?}");
}

#[test]
fn the_same_outcome_is_recognised_and_another_is_a_conflict() {
    let machine = machine();
    commit(&machine, &document("a", "ann", CANARY));
    // The same with its members in another order.
    let same = format!(
        r#"{{"status":"completed","metadata":{{"kept":"in clear text","user":"ann","people":[{{"mail":"{CANARY}"}},{{"role":"x"}}]}},
            "execution_result":{{"outcome":{{"n":1.5,"note":"{CANARY}"}}}},"task_id":"a"}}"#
    );
    let again = commit(&machine, &same);
    assert_eq!(
        (&again["result"], &again["reason"]),
        (&json!("already-recorded"), &Value::Null)
    );
    let other = commit(&machine, &document("a", "ann", "another secret"));
    assert_eq!(other["result"], "conflicting");
    assert!(!other.to_string().contains("another secret"), "{other}");
    assert_nowhere(machine.dir.path(), CANARY);
    assert_nowhere(machine.dir.path(), "another secret");
}

#[test]
fn an_erasure_makes_a_person_unreadable_and_leaves_every_claim_valid() {
    let machine = machine();
    for task in ["a", "b"] {
        commit(&machine, &document(task, "ann-5f2c", CANARY));
    }
    commit(&machine, &document("c", "bob", "of bob"));
    let erase = ["-C", "repo", "erase", "--subject", "ann-5f2c"];
    let dry = machine.run(&[&erase[..], &["--dry-run", "--json"]].concat());
    assert_eq!(
        (&dry.object()["keys"], &dry.object()["tasks"]),
        (&json!(2), &json!(2))
    );
    let named = machine.run(&[&erase[..], &["--reason", "ann-5f2c asked for it"]].concat());
    assert_eq!(named.exit, Some(2), "{named:?}");

    let erased = machine.run(&[&erase[..], &["--reason", "request 12", "--json"]].concat());
    assert_eq!(erased.exit, Some(0), "{erased:?}");
    let erased = erased.object();
    assert_eq!((&erased["keys"], &erased["tasks"]), (&json!(2), &json!(2)));
    let erasure = &erased["erasures"][0];
    assert_eq!(erasure["task_id"], "chiffon-audit.erasure.1");
    assert_eq!(erasure["keys"].as_array().unwrap().len(), 2);
    // Again there is nothing to erase.
    let again = machine.run(&[&erase[..], &["--reason", "request 12", "--json"]].concat());
    assert_eq!((again.exit, &again.object()["keys"]), (Some(0), &json!(0)));

    let shown = entry(&machine, "a", &["--open"]);
    assert!(!shown.to_string().contains(CANARY), "{shown}");
    assert_eq!(shown["erased"][0]["erasure"], "chiffon-audit.erasure.1");
    assert_eq!(
        entry(&machine, "c", &["--open"])["entry"]["metadata"]["user"],
        "bob"
    );
    // The same outcome again makes no conflict, and nothing readable.
    let again = commit(&machine, &document("a", "ann-5f2c", CANARY));
    assert_eq!(again["result"], "already-recorded");
    assert!(
        again["reason"]
            .as_str()
            .unwrap()
            .contains("were not compared"),
        "{again}"
    );
    assert_nowhere(machine.dir.path(), CANARY);
    assert_nowhere(machine.dir.path(), "ann-5f2c");

    let verified = machine.run(&["-C", "repo", "verify", "--json"]).object();
    assert_eq!(verified["outcome"], "holds");
    let counts = json!({"entries": 3, "erasures": 1, "erased_keys": 2});
    assert_eq!(verified["sealed"], counts);
    let reproduced = machine.run(&["-C", "repo", "policy", "reproduce"]);
    assert_eq!(reproduced.exit, Some(6), "{reproduced:?}");
    assert!(
        reproduced
            .out
            .contains("2 entries: sealed members were erased"),
        "{reproduced:?}"
    );

    let listed = machine.run(&["-C", "repo", "erasures", "--json"]).object();
    assert_eq!(listed["erasures"][0]["final"], false);
    let rotated = machine
        .run(&["-C", "repo", "keys", "rotate", "--json"])
        .object();
    assert_eq!(
        (&rotated["generation"], &rotated["keys"]),
        (&json!(2), &json!(1))
    );
    let listed = machine.run(&["-C", "repo", "erasures", "--json"]).object();
    assert_eq!(listed["erasures"][0]["final"], true);
    assert_eq!(listed["erasures"][0]["reason"], "request 12");
    assert_eq!(
        entry(&machine, "c", &["--open"])["entry"]["metadata"]["user"],
        "bob"
    );
}

#[test]
fn a_key_store_of_yesterday_erases_again_what_the_trail_says() {
    let machine = machine();
    commit(&machine, &document("a", "ann", CANARY));
    commit(&machine, &document("b", "bob", "of bob"));
    let backup = machine.run(&["-C", "repo", "keys", "backup", "backup.db"]);
    assert_eq!(backup.exit, Some(0), "{backup:?}");
    let erase = ["-C", "repo", "erase", "a", "--reason", "request 12"];
    assert_eq!(machine.run(&erase).exit, Some(0));
    let directory = machine.path("repo/.git/chiffon-audit");
    let remove = || {
        for file in ["keys.sqlite", "keys.sqlite-wal", "keys.sqlite-shm"] {
            let _ = std::fs::remove_file(directory.join(file));
        }
    };
    // Copied by hand, as an operator in a hurry does it.
    remove();
    std::fs::copy(machine.path("backup.db"), directory.join("keys.sqlite")).unwrap();
    let shown = entry(&machine, "a", &["--open"]);
    assert!(!shown.to_string().contains(CANARY), "{shown}");
    // By the command.
    remove();
    let restored = machine.run(&["-C", "repo", "keys", "restore", "backup.db", "--json"]);
    assert_eq!(restored.object()["erased_again"], 1, "{restored:?}");
    assert_eq!(
        entry(&machine, "b", &["--open"])["entry"]["metadata"]["user"],
        "bob"
    );
    assert!(!show(&machine, "a", &["--open"]).out.contains(CANARY));
}

#[test]
fn without_the_keys_an_outcome_is_unavailable_and_nothing_is_recorded() {
    let machine = machine();
    commit(&machine, &document("a", "ann", CANARY));
    let head = machine.git(&["rev-parse", "HEAD"]);
    let file = machine.path("home/.config/chiffon-audit/kek");
    std::fs::rename(&file, machine.path("away")).unwrap();
    let answer = machine.run_with_input(COMMIT_JSON, document("b", "ann", CANARY));
    assert_eq!(answer.exit, Some(1), "{answer:?}");
    let answer = answer.object();
    let expected = (&json!("unavailable"), &json!("keys"), &json!(true));
    assert_eq!(
        (&answer["result"], &answer["cause"], &answer["retry"]),
        expected
    );
    assert_eq!(machine.git(&["rev-parse", "HEAD"]), head);
    // Sealing switched off: the entry that is there cannot be compared.
    settings(&machine, "");
    let answer = commit(&machine, &document("a", "ann", CANARY));
    assert_eq!(
        (&answer["result"], &answer["cause"]),
        (&json!("unavailable"), &json!("keys"))
    );
    settings(&machine, SETTINGS);
    std::fs::rename(machine.path("away"), &file).unwrap();
    assert_eq!(
        commit(&machine, &document("b", "ann", CANARY))["result"],
        "committed"
    );
}

#[test]
fn mistakes_in_the_settings_are_named() {
    let machine = machine();
    let check = |text: &str, expected: &str| {
        settings(&machine, text);
        let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], document("a", "ann", "x"));
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(expected), "{ran:?}");
    };
    check(
        "seal.pointers = [\"/metadata/user\"]",
        "needs seal.key_file",
    );
    check(
        "[seal]\npointers = [\"/status\"]\nkey_file = \"kek\"",
        "`/status` cannot be sealed",
    );
    check(
        "[seal]\npointers = [\"/metadata\"]\nkey_file = \"kek\"\nkey_program = \"kms\"",
        "exclude each other",
    );
    settings(&machine, SETTINGS);
    let recorded = machine.run_with_input(
        &["-C", "repo", "commit", "-", "--record", "call.json"],
        document("a", "ann", CANARY),
    );
    assert_eq!(recorded.exit, Some(2), "{recorded:?}");
    let plain = Machine::with_repository();
    settings(&plain, SETTINGS);
    let ran = plain.run_with_input(COMMIT_JSON, document("a", "ann", "x"));
    assert!(ran.out.contains("needs a trail with a uuid"), "{ran:?}");
}

#[test]
fn nobody_else_writes_the_reserved_member() {
    let machine = machine();
    let forged = r#"{"task_id":"a","status":"completed","metadata":{"user":{"$sealed":{"v":1}}}}"#;
    let answer = machine.run_with_input(COMMIT_JSON, forged);
    assert_eq!(answer.exit, Some(4), "{answer:?}");
    let reason = answer.object()["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("/metadata/user: must not have the member `$sealed`"),
        "{reason}"
    );
}

#[test]
fn a_box_that_was_moved_to_another_task_does_not_open() {
    let machine = machine();
    commit(&machine, &document("a", "ann", CANARY));
    let entry = std::fs::read_to_string(machine.path("repo/.audit/tasks/a.json")).unwrap();
    let moved = entry.replace("\"task_id\": \"a\"", "\"task_id\": \"b\"");
    assert_ne!(entry, moved);
    machine.write("repo/.audit/tasks/b.json", moved);
    machine.git(&["add", ".audit"]);
    machine.git(&["commit", "-q", "-m", "a forgery"]);
    let shown = show(&machine, "b", &["--open"]);
    assert_eq!(shown.exit, Some(1), "{shown:?}");
    assert!(
        shown.err.contains("was made for another place or key"),
        "{shown:?}"
    );
    assert!(!shown.out.contains(CANARY));
}

#[test]
fn many_outcomes_are_ingested_sealed_and_exported_open() {
    let machine = machine();
    let lines: String = (0..50)
        .map(|n| document(&format!("t{n}"), &format!("user {}", n % 5), CANARY) + "\n")
        .collect();
    let ran = machine.run_with_input(&["-C", "repo", "ingest", "-"], &lines);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_nowhere(machine.dir.path(), CANARY);
    let again = machine.run_with_input(&["-C", "repo", "ingest", "-", "--json"], &lines);
    assert!(again.out.contains("\"already_recorded\":50"), "{again:?}");
    let sealed = machine.run(&["-C", "repo", "export"]).out;
    assert!(!sealed.contains(CANARY));
    let open = machine.run(&["-C", "repo", "export", "--open"]).out;
    assert_eq!(open.matches(CANARY).count(), 100);
    let logged = machine
        .run(&["-C", "repo", "log", "--json", "--open", "-n", "2"])
        .out;
    assert_eq!(logged.matches(CANARY).count(), 4);
    let status = machine
        .run(&["-C", "repo", "keys", "status", "--json"])
        .object();
    assert_eq!(
        (&status["live"], &status["erased"]),
        (&json!(50), &json!(0))
    );
}

#[test]
fn an_erasure_comes_before_its_entry_and_a_later_command_records_it() {
    let machine = machine();
    commit(&machine, &document("a", "ann", CANARY));
    // A person's git holds the ref.
    settings(&machine, &format!("lock_wait = 0\n{SETTINGS}"));
    let lock = machine.write("repo/.git/refs/heads/main.lock", "");
    let erase = ["-C", "repo", "erase", "a", "--reason", "request 12"];
    let ran = machine.run(&erase);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err
            .contains("1 key is erased, and the entry is not recorded yet"),
        "{ran:?}"
    );
    std::fs::remove_file(lock).unwrap();
    let shown = entry(&machine, "a", &["--open"]);
    assert!(!shown.to_string().contains(CANARY), "{shown}");
    assert_eq!(shown["erased"][0]["erasure"], Value::Null);
    let status = machine
        .run(&["-C", "repo", "keys", "status", "--json"])
        .object();
    assert_eq!(status["erasures_without_entry"], 1);
    let listed = machine.run(&["-C", "repo", "erasures", "--json"]).object();
    assert_eq!(listed["erasures"][0]["reason"], "request 12");
    let shown = entry(&machine, "a", &["--open"]);
    assert_eq!(shown["erased"][0]["erasure"], "chiffon-audit.erasure.1");
    let status = machine
        .run(&["-C", "repo", "keys", "status", "--json"])
        .object();
    assert_eq!(
        (&status["erasures_without_entry"], &status["erasures"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn erasures_at_once_each_get_a_number() {
    let machine = machine();
    for n in 0..6 {
        commit(&machine, &document(&format!("t{n}"), "ann", CANARY));
    }
    let running: Vec<_> = (0..6)
        .map(|n| {
            let task = format!("t{n}");
            let erase = ["-C", "repo", "erase", &task, "--reason", "request 12"];
            machine.command(&erase).spawn().unwrap()
        })
        .collect();
    for mut process in running {
        // One may find that another has recorded its erasure.
        assert_eq!(process.wait().unwrap().code(), Some(0));
    }
    let listed = machine.run(&["-C", "repo", "erasures", "--json"]).object();
    let erasures = listed["erasures"].as_array().unwrap();
    let keys: std::collections::BTreeSet<String> = erasures
        .iter()
        .flat_map(|erasure| erasure["keys"].as_array().unwrap().clone())
        .map(|key| key.to_string())
        .collect();
    assert_eq!(keys.len(), 6, "{listed}");
    let verified = machine.run(&["-C", "repo", "verify"]);
    assert_eq!(verified.exit, Some(0), "{verified:?}");
}

#[test]
fn a_disclosure_is_what_the_digest_in_the_entry_fixes() {
    let machine = machine();
    commit(&machine, &document("a", "ann", CANARY));
    let digest =
        entry(&machine, "a", &[])["entry"]["metadata"]["user"]["$sealed"]["digest"].clone();
    let key = machine.run(&["-C", "repo", "checkpoint", "--new-key", "ck"]);
    assert_eq!(key.exit, Some(0), "{key:?}");
    let prove = ["-C", "repo", "prove", "a", "--key", "ck", "--to", "a.proof"];
    let plain = machine.run(&prove);
    assert_eq!(plain.exit, Some(0), "{plain:?}");
    assert!(!machine.path("a.proof.disclosures").exists());
    let disclose = [&prove[..], &["--disclose", "/metadata/user", "--json"]].concat();
    let proved = machine.run(&disclose);
    assert_eq!(proved.exit, Some(0), "{proved:?}");
    // What the how-to guide shows.
    let check = r#"
import base64, hashlib, json
line = open("a.proof.disclosures").readline().strip()
print("sha-256:" + base64.urlsafe_b64encode(hashlib.sha256(line.encode()).digest()).decode().rstrip("="))
print(json.loads(base64.urlsafe_b64decode(line + "=" * (-len(line) % 4)))[1:])
"#;
    let mut python = Command::new("python3");
    let checked = python
        .args(["-c", check])
        .current_dir(machine.dir.path())
        .output();
    let checked = String::from_utf8(checked.unwrap().stdout).unwrap();
    let expected = format!("{}\n['/metadata/user', 'ann']\n", digest.as_str().unwrap());
    assert_eq!(checked, expected);
    let none = machine.run(&[&prove[..], &["--disclose", "/metadata/kept"]].concat());
    assert_eq!(none.exit, Some(1), "{none:?}");
}
