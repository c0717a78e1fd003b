//! `reconcile` and the filters of `log`, from outside: trail and store that differ, and what is reported and repaired.

use rusqlite::Connection;
use serde_json::Value;

use super::{Machine, Ran, outcome};

/// A repository with three recorded tasks.
fn recorded() -> Machine {
    let machine = Machine::with_repository();
    for document in [
        outcome("a", "completed"),
        r#"{"task_id":"b","status":"failed","plan_id":"release-7","execution_result":{"services_touched":["checkout"]}}"#.into(),
        r#"{"task_id":"c","status":"failed","metadata":{"intent":"roll out"},"execution_result":{"services_touched":["checkout","pay"]}}"#.into(),
    ] {
        machine.commit(&document);
    }
    machine
}

impl Machine {
    fn reconcile(&self, args: &[&str]) -> Ran {
        self.run(&[&["-C", "repo", "reconcile", "--json"], args].concat())
    }

    fn rows(&self) -> Connection {
        Connection::open(self.path("repo/.git/chiffon-audit/store.sqlite")).unwrap()
    }

    /// Changes rows without the store.
    fn tamper(&self, sql: &str) {
        let sql = format!("UPDATE meta SET repairing = 1; {sql}; UPDATE meta SET repairing = 0");
        self.rows().execute_batch(&sql).unwrap();
    }

    fn logged(&self, args: &[&str]) -> Vec<String> {
        let ran = self.run(&[&["-C", "repo", "log", "--json"], args].concat());
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        ran.json()
            .iter()
            .map(|logged| logged["task_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let first = list["first"].as_array().unwrap();
    assert_eq!(list["count"], first.len());
    first
        .iter()
        .map(|named| named["task_id"].as_str().or(named.as_str()).unwrap())
        .collect()
}

#[test]
fn without_a_store_there_is_nothing_to_compare_and_none_is_made() {
    let machine = recorded();
    let ran = machine.reconcile(&[]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("there is no store at sqlite:")
            || ran.err.contains("there is no store at sqlite:"),
        "{ran:?}"
    );
    assert!(
        !machine
            .path("repo/.git/chiffon-audit/store.sqlite")
            .exists()
    );
}

#[test]
fn the_rows_are_made_again_from_git_alone_and_then_both_agree() {
    let machine = recorded();
    let ran = machine.reconcile(&["--rebuild"]);
    assert_eq!(
        (ran.exit, &ran.object()["rows"]),
        (Some(0), &Value::from(3)),
        "{ran:?}"
    );
    let ran = machine.reconcile(&[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(ran.object()["agrees"], true);
    let said = machine.run(&["-C", "repo", "reconcile"]);
    assert!(
        said.out
            .contains("3 entries in the trail, 3 rows in sqlite:"),
        "{said:?}"
    );
    assert!(said.out.ends_with("Store and trail agree.\n"), "{said:?}");
}

#[test]
fn every_way_in_which_the_layers_differ_is_told_and_what_can_be_is_restored() {
    let machine = recorded();
    machine.reconcile(&["--rebuild"]);
    machine.commit(&outcome("d", "completed"));
    machine.commit(&outcome("e", "completed"));
    machine.tamper(
        "UPDATE entries SET status = 'completed', services = '[]' WHERE task_id = 'b';
         UPDATE entries SET task_id = 'gone', text = replace(text, '\"a\"', '\"gone\"') WHERE task_id = 'a'",
    );
    let ran = machine.reconcile(&[]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let report = ran.object();
    assert_eq!(
        (&report["entries"], &report["rows"]),
        (&Value::from(5), &Value::from(3))
    );
    assert_eq!(ids(&report["without_row"]), ["a", "d", "e"]);
    let gaps = report["gaps"]["first"].as_array().unwrap();
    let lengths: Vec<_> = gaps
        .iter()
        .map(|gap| gap["entries"].as_u64().unwrap())
        .collect();
    assert_eq!(lengths, [1, 2]);
    assert_eq!(ids(&report["without_entry"]), ["gone"]);
    assert_eq!(ids(&report["different"]), ["b"]);
    assert_eq!(
        report["different"]["first"][0]["columns"],
        serde_json::json!(["status", "services"])
    );
    let before = machine.git(&["rev-parse", "HEAD"]);

    let ran = machine.reconcile(&["--repair"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let repaired = &ran.object()["repaired"];
    assert_eq!(repaired["rows"], 4);
    assert_eq!(ids(&repaired["returned"]), ["gone"]);
    assert_eq!(machine.git(&["rev-parse", "HEAD"]), before);

    // Its outcome waits to be recorded, and nothing else is left to do.
    let ran = machine.reconcile(&[]);
    assert_eq!(
        (ran.exit, &ran.object()["rows"]),
        (Some(0), &Value::from(5)),
        "{ran:?}"
    );
    let waiting: String = machine
        .rows()
        .query_row(
            "SELECT text FROM submissions WHERE closed_at IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let ran = machine.run_with_input(&["-C", "repo", "commit", "--json", "-"], &waiting);
    assert_eq!(ran.object()["result"], "committed", "{waiting}: {ran:?}");
    let entry = machine.run(&["-C", "repo", "show", "gone", "--raw"]).out;
    let status = |text: &str| serde_json::from_str::<Value>(text).unwrap()["status"].clone();
    assert_eq!(status(&entry), status(&waiting));
}

#[test]
fn rows_that_are_missing_are_added_and_the_others_left_as_they_are() {
    let machine = recorded();
    machine.reconcile(&["--rebuild"]);
    machine.commit(&outcome("d", "failed"));
    let ran = machine.reconcile(&["--repair"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let repaired = &ran.object()["repaired"];
    assert_eq!(
        (&repaired["rows"], &repaired["rebuilt"]),
        (&Value::from(1), &Value::from(false))
    );
    assert_eq!(machine.reconcile(&[]).exit, Some(0));
}

#[test]
fn a_rebuild_leaves_what_waits_as_it_is() {
    let machine = recorded();
    machine.reconcile(&["--rebuild"]);
    machine
        .rows()
        .execute_batch(
            "INSERT INTO submissions (task_id, status, kind, text, keyed, accepted_at, next_attempt)
             VALUES ('w', 'failed', 'outcome', '{}', 0, 1, 1)",
        )
        .unwrap();
    let ran = machine.reconcile(&["--rebuild"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let waiting: i64 = machine
        .rows()
        .query_row(
            "SELECT count(*) FROM submissions WHERE state = 'pending'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(waiting, 1);
}

#[test]
fn numbers_that_were_tampered_with_are_told_and_counted_again() {
    let machine = recorded();
    machine.reconcile(&["--rebuild"]);
    machine
        .rows()
        .execute_batch("UPDATE entry_totals SET number = number + 1")
        .unwrap();
    let ran = machine.reconcile(&[]);
    assert_eq!(
        (ran.exit, ran.object()["miscounted"].is_u64()),
        (Some(3), true),
        "{ran:?}"
    );
    machine.reconcile(&["--rebuild"]);
    assert_eq!(machine.reconcile(&[]).exit, Some(0));
}

#[test]
fn a_repair_says_what_it_did_and_gives_no_advice_that_it_has_followed() {
    let machine = recorded();
    machine.reconcile(&["--rebuild"]);
    machine
        .rows()
        .execute_batch("UPDATE entry_totals SET number = number + 1")
        .unwrap();
    let told = machine.run(&["-C", "repo", "reconcile"]);
    assert!(
        told.out.contains("`reconcile --rebuild` counts them again"),
        "{told:?}"
    );
    let repaired = machine.run(&["-C", "repo", "reconcile", "--repair"]);
    assert_eq!(repaired.exit, Some(0), "{repaired:?}");
    assert!(!repaired.out.contains("reconcile --"), "{repaired:?}");
    assert!(
        repaired
            .out
            .ends_with("all rows rebuilt from the trail and counted\nStore and trail agree now.\n"),
        "{repaired:?}"
    );
    let agree = machine.run(&["-C", "repo", "reconcile"]);
    assert!(agree.out.ends_with("Store and trail agree.\n"), "{agree:?}");
}

#[test]
fn the_log_answers_alike_from_git_and_from_a_store() {
    let machine = recorded();
    machine.reconcile(&["--rebuild"]);
    let url = format!(
        "sqlite:{}",
        machine
            .path("repo/.git/chiffon-audit/store.sqlite")
            .display()
    );
    let check = |args: &[&str], expected: &[&str]| {
        assert_eq!(machine.logged(args), expected, "{args:?}");
        assert_eq!(
            machine.logged(&[args, &["--store", &url]].concat()),
            expected,
            "{args:?}"
        );
    };
    check(&[], &["c", "b", "a"]);
    check(&["--failures"], &["c", "b"]);
    check(&["--failures", "--days", "7"], &["c", "b"]);
    check(&["--failures", "--status", "completed"], &["c", "b", "a"]);
    check(&["--service", "checkout"], &["c", "b"]);
    check(&["--service", "pay", "--service", "nothing"], &["c"]);
    check(&["--service", "checkout", "--intent", "release-7"], &["b"]);
    check(&["--intent", "roll out"], &["c"]);
    check(
        &["--intent", "roll out", "--intent", "release-7", "-n", "1"],
        &["c"],
    );
    check(&["--skip", "1", "-n", "1"], &["b"]);
    check(&["--until", "2026-01-01"], &[]);
    let table = machine.run(&[
        "-C",
        "repo",
        "log",
        "--table",
        "--failures",
        "--store",
        &url,
    ]);
    let lines: Vec<_> = table.out.lines().collect();
    assert!(lines[0].starts_with("TIME "), "{table:?}");
    assert!(
        lines[1].ends_with("roll out") && lines[2].ends_with("release-7"),
        "{table:?}"
    );
    let usage = machine.run(&["-C", "repo", "log", "--days", "0"]);
    assert_eq!(usage.exit, Some(2), "{usage:?}");
    let usage = machine.run(&["-C", "repo", "log", "--store", "mysql://u:hunter2@h/d"]);
    assert_eq!(usage.exit, Some(2), "{usage:?}");
    assert!(!usage.err.contains("hunter2"), "{usage:?}");
}

#[test]
fn a_store_is_never_taken_from_the_repository() {
    let machine = recorded();
    machine.write(
        "repo/.git/chiffon-audit/config.toml",
        "store = \"sqlite:elsewhere\"\n",
    );
    let ran = machine.reconcile(&[]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(!machine.path("repo/.git/chiffon-audit/elsewhere").exists());
}
