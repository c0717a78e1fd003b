//! `doctor`, on machines in every state that an operator meets.

use rusqlite::Connection;
use serde_json::Value;

use super::{Machine, outcome};
use crate::store::server::Server;

/// A repository with a recorded task and a store.
fn with_store() -> Machine {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let ran = machine.run(&["-C", "repo", "reconcile", "--rebuild"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine
}

const STORE: &str = "repo/.git/chiffon-audit/store.sqlite";

/// The findings with this name, and whether everything is in order.
fn found(machine: &Machine, args: &[&str], name: &str) -> (bool, Vec<(String, String)>) {
    let ran = machine.run(&[&["-C", "repo", "doctor", "--json"], args].concat());
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    let fit = report["fit"].as_bool().unwrap();
    assert_eq!(ran.exit, Some(if fit { 0 } else { 1 }), "{ran:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let of_name = checks
        .filter(|check| check["name"] == name)
        .map(|check| (text(&check["finding"]), text(&check["says"])));
    (fit, of_name.collect())
}

/// Checks the only finding with this name.
#[track_caller]
fn says(machine: &Machine, name: &str, finding: &str, words: &str) {
    let (fit, found) = found(machine, &[], name);
    assert_eq!(fit, finding != "bad", "{found:?}");
    let fits = |(of, said): &(String, String)| of == finding && said.contains(words);
    assert!(found.iter().any(fits), "{finding}, {words:?}: {found:?}");
}

#[test]
fn a_machine_that_is_fit_is_told_what_it_rests_on() {
    let machine = with_store();
    says(
        &machine,
        "trail",
        "good",
        "commits are by Chiffon Audit <chiffon-audit@localhost>",
    );
    says(&machine, "writing", "good", "no lock is held");
    says(&machine, "store", "good", "synchronous is FULL");
    says(&machine, "backlog", "good", "0 pending");
    says(&machine, "round trip", "good", "verified");
    let (_, found) = found(&machine, &[], "file system");
    assert!(found[0].1.contains("MiB free"), "{found:?}");
}

#[test]
fn a_lock_left_behind_is_named_and_stays() {
    let machine = with_store();
    let lock = machine.write("repo/.git/refs/heads/main.lock", "");
    says(
        &machine,
        "writing",
        "warning",
        "refs/heads/main.lock has been there for",
    );
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::open(&lock)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    says(&machine, "writing", "bad", "remove it");
    assert!(lock.exists());
}

#[test]
fn entries_that_are_left_out_of_the_work_tree_are_counted_with_the_remedy() {
    let machine = with_store();
    machine.git(&["update-index", "--skip-worktree", ".audit/tasks/a.json"]);
    std::fs::remove_file(machine.path("repo/.audit/tasks/a.json")).unwrap();
    says(
        &machine,
        "work tree",
        "warning",
        "because it could not be written: make it writable, and the next record writes every missing file",
    );
    machine.commit(&outcome("b", "completed"));
    assert_eq!(found(&machine, &[], "work tree").1, []);
    assert!(machine.path("repo/.audit/tasks/a.json").is_file());
}

#[test]
fn a_store_that_is_missing_truncated_or_locked_is_told_apart_and_left_alone() {
    let machine = with_store();
    let file = machine.path(STORE);
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    says(&machine, "store", "bad", "is locked by another process");
    drop(other);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..8192]).unwrap();
    says(&machine, "store", "bad", "is damaged: ");
    says(&machine, "store", "bad", "reconcile --rebuild");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 8192);
    std::fs::remove_file(&file).unwrap();
    says(
        &machine,
        "store",
        "good",
        "there is none; `serve` creates one",
    );
    assert!(!file.exists());
}

#[test]
fn what_waits_too_long_and_what_is_blocked_is_worth_a_look() {
    let machine = with_store();
    let store = Connection::open(machine.path(STORE)).unwrap();
    let submit = |id: &str, state: &str| {
        store
            .execute(
                "INSERT INTO submissions (task_id, status, kind, text, keyed, accepted_at, next_attempt, state, cause)
                 VALUES (?1, 'failed', 'outcome', '{}', 0, 1, 1, ?2, 'policy-fuel')",
                [id, state],
            )
            .unwrap();
    };
    submit("blocked", "blocked");
    says(&machine, "backlog", "warning", "SIGHUP");
    says(&machine, "backlog", "warning", "`submissions` lists them");
    submit("pending", "pending");
    says(&machine, "backlog", "warning", "is a `serve` running");
}

#[test]
fn a_postgres_that_would_lose_commits_is_told() {
    let Some(server) = Server::start_with("-c shared_buffers=32MB -c fsync=off") else {
        return;
    };
    let url = crate::store::run(server.database()).to_string();
    let machine = with_store();
    let (fit, found) = found(&machine, &["--store", &url], "store");
    assert!(!fit);
    assert!(found[0].1.contains("fsync is off"), "{found:?}");
}

#[test]
fn the_layout_of_the_next_entry_is_explained() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("first", "completed"));
    says(
        &machine,
        "layout",
        "good",
        "flat up to 512 entries in one directory, 1 so far",
    );
    let lines: String = (1..512)
        .map(|number| outcome(&format!("t{number}"), "completed") + "\n")
        .collect();
    machine.run_with_input(&["-C", "repo", "ingest"], lines);
    says(
        &machine,
        "layout",
        "good",
        "sharded: 512 entries are in one directory",
    );
    let ran = machine.commit(&outcome("another", "completed"));
    assert!(
        ran.out.contains(" .audit/tasks/a/e/4/4/another.json"),
        "{ran:?}"
    );
}

#[test]
fn a_directory_that_becomes_too_large_is_told_before_it_is_slow() {
    let machine = Machine::with_repository();
    let lines = |numbers: std::ops::Range<u32>| -> String {
        let lines = numbers.map(|number| outcome(&format!("t{number}"), "completed") + "\n");
        lines.collect()
    };
    // The flat layout was requested; otherwise entries are sharded long before.
    let flat = ["-C", "repo", "init", "--layout", "flat"];
    assert_eq!(machine.run(&flat).exit, Some(0));
    says(&machine, "layout", "good", "flat, by choice: 0 entries");
    machine.run_with_input(&["-C", "repo", "ingest"], lines(0..4_999));
    says(&machine, "layout", "good", "4999 entries in one directory");
    machine.commit(&outcome("one-more", "completed"));
    says(&machine, "layout", "warning", "init --layout sharded");
    // The change applies to later entries.
    let sharded = ["-C", "repo", "init", "--layout", "sharded"];
    let ran = machine.run(&sharded);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    says(&machine, "layout", "good", "sharded");
    let ran = machine.commit(&outcome("another", "completed"));
    assert!(
        ran.out.contains(" .audit/tasks/a/e/4/4/another.json"),
        "{ran:?}"
    );
}
