//! `trail end`, `trail begin` and `trail list` from outside, and what the other commands say at the border.

use std::fs;

use super::{Machine, Ran, outcome};
use crate::support;

impl Machine {
    fn report_to(&self, directory: &str, document: &str) -> Ran {
        self.run_with_input(&["-C", directory, "--json", "commit", "-"], document)
    }

    #[track_caller]
    fn records(&self, directory: &str, task_id: &str) {
        let ran = self.report_to(directory, &outcome(task_id, "completed"));
        assert_eq!(ran.exit, Some(0), "{ran:?}");
    }

    #[track_caller]
    fn done(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        ran
    }

    fn listed(&self, directory: &str) -> Vec<(String, bool, Option<u64>)> {
        let rows = self
            .done(&["-C", directory, "trail", "list", "--json"])
            .json();
        let row = |row: &serde_json::Value| {
            let name = row["name"].as_str().unwrap().to_owned();
            (name, row["found"] == true, row["size"].as_u64())
        };
        rows.iter().map(row).collect()
    }
}

/// The trail `one` with the task `a`, continued by `two` with the task `b`.
fn two_years(init: &[&str]) -> Machine {
    let machine = Machine::new();
    machine.done(&[&["init", "one"], init].concat());
    machine.records("one", "a");
    let ran = machine.done(&["-C", "one", "--json", "trail", "end", "--successor", "two"]);
    let ended = ran.object();
    assert_eq!(ended["size"], 2, "{ended}");
    assert_eq!(
        (&ended["ended_now"], &ended["begun_now"]),
        (&true.into(), &true.into())
    );
    machine.records("two", "b");
    machine
}

#[test]
fn the_same_command_again_changes_nothing() {
    let machine = two_years(&[]);
    let tips =
        || ["one", "two"].map(|name| support::git(&machine.path(name), &["rev-parse", "HEAD"]));
    let before = tips();
    let ran = machine.done(&["-C", "one", "--json", "trail", "end", "--successor", "two"]);
    let ended = ran.object();
    assert_eq!(
        (&ended["ended_now"], &ended["begun_now"]),
        (&false.into(), &false.into())
    );
    machine.done(&["-C", "two", "trail", "begin", "--after", "one"]);
    assert_eq!(tips(), before);
    for (args, exit, words) in [
        (
            &["-C", "one", "trail", "end", "--successor", "three"][..],
            1,
            "has ended already",
        ),
        (
            &["-C", "two", "trail", "begin", "--after", "two"],
            2,
            "a trail cannot continue itself",
        ),
        (
            &["-C", "two", "trail", "end", "--successor", "two/in"],
            2,
            "lies within the repository",
        ),
        (
            &["-C", "three", "trail", "begin", "--after", "nowhere"],
            2,
            "neither a directory nor the origin of a trail",
        ),
    ] {
        let ran = machine.run(args);
        assert_eq!(ran.exit, Some(exit), "{args:?}: {ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {ran:?}");
    }
    assert!(!machine.path("three").exists());
    assert_eq!(tips(), before);
}

#[test]
fn commands_that_record_name_the_successor_of_a_trail_that_has_ended() {
    let machine = two_years(&[]);
    let place = machine.path("two").display().to_string();
    let ran = machine.report_to("one", &outcome("x", "completed"));
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    let receipt = ran.object();
    assert_eq!(
        (&receipt["cause"], &receipt["retry"]),
        (&"ended".into(), &false.into())
    );
    assert!(
        receipt["reason"].as_str().unwrap().contains(&place),
        "{receipt}"
    );
    let ran = machine.run_with_input(&["-C", "one", "ingest", "-"], outcome("x", "completed"));
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.err.contains(&place), "{ran:?}");
    let ran = machine.run(&["-C", "one", "serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.err.contains(&place), "{ran:?}");
}

#[test]
fn placement_layout_settings_and_policy_are_those_of_the_trail_before() {
    let machine = Machine::new();
    machine.done(&[
        "init",
        "one",
        "--ref",
        "refs/heads/audit",
        "--layout",
        "flat",
    ]);
    machine.write(
        "one/.git/chiffon-audit/config.toml",
        "author = \"A <a@example.org>\"\n",
    );
    machine.done(&["-C", "one", "policy", "activate", "builtin:redact"]);
    machine.records("one", "a");
    machine.done(&["-C", "one", "trail", "end", "--successor", "two"]);
    machine.records("two", "b");
    let log = |name: &str, form: &str| {
        let form = format!("--format={form}");
        support::git(
            &machine.path(name),
            &["log", "-1", &form, "refs/heads/audit"],
        )
    };
    let policy = "%an %(trailers:key=Audit-Policy,valueonly)";
    assert_eq!(
        log("two", policy),
        support::git(
            &machine.path("one"),
            &["log", "-1", &format!("--format={policy}"), "audit~1"]
        )
    );
    let tree = ["ls-tree", "-r", "--name-only", "refs/heads/audit"];
    let tree = support::git(&machine.path("two"), &tree);
    assert!(tree.contains(".audit/tasks/b.json"), "{tree}");
    // A bare one is followed by a bare one, unless a flag says otherwise.
    machine.done(&["init", "--bare", "three.git"]);
    machine.records("three.git", "a");
    machine.done(&["-C", "three.git", "trail", "end", "--successor", "four.git"]);
    assert!(machine.path("four.git/HEAD").exists());
}

#[test]
fn the_successor_can_be_made_on_another_machine_with_a_clone() {
    let machine = Machine::new();
    machine.done(&["init", "--bare", "here/one.git"]);
    machine.records("here/one.git", "a");
    let clone = ["clone", "-q", "--bare", "here/one.git", "there/copy.git"];
    fs::create_dir(machine.path("there")).unwrap();
    support::git(&machine.path("."), &clone);
    fs::create_dir(machine.path("there/two.git")).unwrap();
    let begin = [
        "-C",
        "there/two.git",
        "trail",
        "begin",
        "--after",
        "there/copy.git",
    ];
    let ran = machine.run(&begin);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    let uuid = ran.err.split("--successor ").nth(1).unwrap();
    let uuid = uuid.split('`').next().unwrap().to_owned();
    assert_eq!(
        machine
            .report_to("there/two.git", &outcome("x", "failed"))
            .exit,
        Some(1)
    );
    machine.records("here/one.git", "late");
    machine.done(&["-C", "here/one.git", "trail", "end", "--successor", &uuid]);
    // The clone does not have the end yet.
    assert_eq!(machine.run(&begin).exit, Some(1));
    let fetch = ["fetch", "-q", "origin", "main:main"];
    support::git(&machine.path("there/copy.git"), &fetch);
    machine.done(&begin);
    let ran = machine.report_to("there/two.git", &outcome("late", "completed"));
    assert_eq!(ran.object()["result"], "already-recorded", "{ran:?}");
    machine.records("there/two.git", "b");
    let chain = ["verify", "--chain", "here/one.git", "there/two.git"];
    machine.done(&chain);
}

#[test]
fn show_prove_log_and_report_cross_the_border() {
    let machine = two_years(&[]);
    let ran = machine.done(&["-C", "two", "--json", "show", "a"]);
    let shown = ran.object();
    let origin = shown["trail"].as_str().unwrap();
    assert!(origin.starts_with("chiffon-audit/"), "{shown}");
    assert!(ran.err.contains("which this trail continues"), "{ran:?}");
    let own = machine.done(&["-C", "two", "--json", "show", "b"]).object();
    assert_eq!(own.get("trail"), None);
    assert_eq!(machine.run(&["-C", "two", "show", "none"]).exit, Some(1));
    let ran = machine.run(&["-C", "two", "prove", "a", "--key", "none"]);
    assert!(
        ran.exit == Some(1) && ran.err.contains("proves it there"),
        "{ran:?}"
    );
    let table = machine.done(&["-C", "one", "log", "--table"]).out;
    assert!(table.contains("end of the trail"), "{table}");
    let report = machine.done(&["-C", "two", "--json", "report"]).object();
    assert_eq!(report["counted"], 1, "{report}");
    let doctor = |name: &str| machine.run(&["-C", name, "doctor"]);
    assert!(
        doctor("one").out.contains("look  end "),
        "{:?}",
        doctor("one")
    );
    assert!(
        doctor("two").out.contains("good  beginning "),
        "{:?}",
        doctor("two")
    );
    // The predecessor is away.
    fs::create_dir_all(machine.path("vault/deep")).unwrap();
    fs::rename(machine.path("one"), machine.path("vault/deep/one")).unwrap();
    let ran = machine.run(&["-C", "two", "show", "a"]);
    assert!(ran.exit == Some(1) && ran.err.contains(origin), "{ran:?}");
    let ran = machine.report_to("two", &outcome("c", "completed"));
    let receipt = ran.object();
    assert_eq!(
        (&receipt["cause"], &receipt["retry"]),
        (&"predecessor".into(), &true.into())
    );
    machine.done(&["-C", "two", "trail", "begin", "--after", "vault/deep/one"]);
    machine.records("two", "c");
}

#[test]
fn doctor_looks_for_every_trail_before() {
    let machine = Machine::new();
    machine.done(&["init", "one"]);
    machine.records("one", "x");
    machine.done(&["-C", "one", "trail", "end", "--successor", "two"]);
    machine.records("two", "a");
    machine.done(&["-C", "two", "trail", "end", "--successor", "three"]);
    let doctor = || machine.run(&["-C", "three", "doctor"]).out;
    assert!(doctor().contains("good  beginning "), "{}", doctor());
    fs::create_dir_all(machine.path("vault/deep")).unwrap();
    fs::rename(machine.path("one"), machine.path("vault/deep/one")).unwrap();
    assert!(!doctor().contains("good  beginning "), "{}", doctor());
    assert!(doctor().contains("  beginning "), "{}", doctor());
}

#[test]
fn the_end_names_another_trail_by_its_uuid() {
    let machine = Machine::new();
    machine.done(&["init", "one"]);
    machine.records("one", "a");
    let form = "--format=%(trailers:key=Audit-Trail,valueonly)";
    let log = support::git(&machine.path("one"), &["log", form]);
    let own = log.split_whitespace().next().unwrap().to_owned();
    let commit = format!("commit-{}", "a".repeat(40));
    for successor in [&own, &commit, &format!("chiffon-audit/{own}")] {
        let ran = machine.run(&["-C", "one", "trail", "end", "--successor", successor]);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.err.contains("cannot continue this trail"), "{ran:?}");
    }
    machine.records("one", "b");
}

#[test]
fn a_predecessor_among_many_other_directories_is_found() {
    let machine = two_years(&[]);
    for number in 0..1100 {
        fs::create_dir(machine.path(&format!("other-{number}"))).unwrap();
    }
    fs::remove_file(machine.path("two/.git/chiffon-audit/trails.toml")).unwrap();
    let found = |(name, found, _): (String, bool, Option<u64>)| (name, found);
    let listed: Vec<_> = machine.listed("two").into_iter().map(found).collect();
    assert_eq!(listed, [("one".to_owned(), true), ("two".to_owned(), true)]);
    machine.records("two", "c");
}

#[test]
fn the_list_has_no_trail_of_an_empty_repository() {
    let machine = Machine::new();
    fs::create_dir(machine.path("empty")).unwrap();
    support::git(&machine.path("empty"), &["init", "--quiet"]);
    assert!(machine.listed("empty").is_empty());
    assert!(!machine.path("empty/.git/chiffon-audit").exists());
}

#[test]
fn the_list_keeps_no_size_of_an_open_trail() {
    let machine = two_years(&[]);
    let list = machine.path("two/.git/chiffon-audit/trails.toml");
    let rows = machine.listed("two");
    assert_eq!(rows[1], ("two".to_owned(), true, Some(2)));
    let kept = fs::read_to_string(&list).unwrap();
    machine.records("two", "c");
    machine.listed("two");
    assert_eq!(fs::read_to_string(&list).unwrap(), kept);
}

#[test]
fn the_list_is_made_from_the_entries_if_it_is_missing_or_damaged() {
    let machine = two_years(&[]);
    machine.done(&["-C", "two", "trail", "end", "--successor", "three"]);
    let names = |rows: Vec<(String, bool, Option<u64>)>| {
        let found: Vec<String> = rows
            .iter()
            .map(|(name, found, _)| format!("{name} {found}"))
            .collect();
        found.join(", ")
    };
    for directory in ["one", "two", "three"] {
        let list = machine
            .path(directory)
            .join(".git/chiffon-audit/trails.toml");
        for damage in [None, Some(""), Some("trail = 1"), Some("\u{0}\u{0}")] {
            let _ = fs::remove_file(&list);
            if let Some(text) = damage {
                fs::write(&list, text).unwrap();
            }
            let rows = machine.listed(directory);
            assert_eq!(
                names(rows),
                "one true, two true, three true",
                "{directory} {damage:?}"
            );
        }
    }
    // A trail that is nowhere is still listed, from the entries of the others.
    fs::create_dir_all(machine.path("vault/deep")).unwrap();
    fs::rename(machine.path("one"), machine.path("vault/deep/one")).unwrap();
    let rows = machine.listed("three");
    assert_eq!((rows[0].1, rows[0].2), (false, Some(2)), "{rows:?}");
    let ran = machine.run(&["-C", "three", "trail", "list"]);
    assert!(ran.out.contains("not found"), "{ran:?}");
}

#[test]
fn the_exit_code_of_verify_chain_is_that_of_the_worst_claim() {
    let machine = two_years(&["--bare"]);
    let ran = machine.done(&["--json", "verify", "--chain", "one", "two"]);
    let audit = ran.object();
    assert_eq!(audit["outcome"], "holds");
    assert_eq!(audit["segments"].as_array().unwrap().len(), 2);
    assert_eq!(audit["claims"][0]["id"], "links");
    assert_eq!(audit["claims"][1]["id"], "once-in-all");
    assert_eq!(machine.run(&["verify", "--chain", "one"]).exit, Some(6));
    assert_eq!(
        machine.run(&["verify", "--chain", "one", "nowhere"]).exit,
        Some(6)
    );
    assert_eq!(
        machine
            .run(&["verify", "--chain", "one", "two", "two"])
            .exit,
        Some(3)
    );
    assert_eq!(
        machine.run(&["verify", "one", "--chain", "two"]).exit,
        Some(2)
    );
}

#[test]
fn the_first_entry_of_the_successor_has_the_newest_checkpoint_and_proofs_stay_valid() {
    let machine = Machine::new();
    machine.done(&["init", "one"]);
    machine.records("one", "a");
    let made = machine.done(&["-C", "one", "checkpoint", "--new-key", "checkpoint-key"]);
    let public = made.out.trim().to_owned();
    machine.done(&[
        "-C",
        "one",
        "checkpoint",
        "--key",
        "checkpoint-key",
        "--to",
        "kept",
    ]);
    machine.done(&[
        "-C",
        "one",
        "trail",
        "end",
        "--successor",
        "two",
        "--checkpoint",
        "kept",
    ]);
    let begin = machine
        .done(&["-C", "two", "--json", "show", "chiffon-audit.begin"])
        .object();
    let note = begin["entry"]["metadata"]["predecessor"]["checkpoint"]
        .as_str()
        .unwrap();
    assert_eq!(note, fs::read_to_string(machine.path("kept")).unwrap());
    machine.done(&[
        "-C",
        "one",
        "prove",
        "a",
        "--checkpoint",
        "kept",
        "--to",
        "a.proof",
    ]);
    let ran = machine.done(&["verify", "--proof", "a.proof", "--checkpoint-key", &public]);
    assert!(ran.out.contains("holds"), "{ran:?}");
    machine.done(&["verify", "--chain", "one", "two"]);
}
