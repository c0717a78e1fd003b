//! A store belongs to one trail: another one, or an older copy of it, is refused until `--rebind` names both.

use super::{Machine, Ran, outcome};
use crate::support;

const STORE: &str = "sqlite:store.sqlite";

/// Two bare trails, `one.git` and `other.git`, each with an entry, and a store that belongs to `one.git`.
fn two_trails() -> Machine {
    let machine = Machine::new();
    for name in ["one.git", "other.git"] {
        let made = machine.run(&["init", "--bare", name]);
        assert_eq!(made.exit, Some(0), "{made:?}");
        machine.record_completed(name, name.trim_end_matches(".git"));
    }
    let ran = machine.reconcile_in("one.git", &["--rebuild"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine
}

impl Machine {
    fn record_completed(&self, repository: &str, task_id: &str) {
        let document = outcome(task_id, "completed");
        let ran = self.run_with_input(&["-C", repository, "commit", "-"], document);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
    }

    fn reconcile_in(&self, repository: &str, args: &[&str]) -> Ran {
        let command = ["-C", repository, "reconcile", "--store", STORE];
        self.run(&[&command, args].concat())
    }

    fn uuid(&self, repository: &str) -> String {
        let form = "--format=%(trailers:key=Audit-Trail,valueonly)";
        let log = support::git(&self.path(repository), &["log", form]);
        log.split_whitespace().next().unwrap().to_owned()
    }

    fn tip(&self, repository: &str) -> String {
        let tip = support::git(&self.path(repository), &["rev-parse", "HEAD"]);
        tip.trim().to_owned()
    }
}

#[test]
fn every_command_that_opens_a_store_refuses_that_of_another_trail() {
    let machine = two_trails();
    let (one, other) = (machine.uuid("one.git"), machine.uuid("other.git"));
    for command in [
        &["reconcile"][..],
        &["reconcile", "--repair"],
        &["reconcile", "--rebuild"],
        &["log"],
        &["submissions"],
        &["report"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let args = [&["-C", "other.git"], command, &["--store", STORE]].concat();
        let ran = machine.run(&args);
        assert_eq!(ran.exit, Some(7), "{command:?}: {ran:?}");
        assert!(
            ran.err.contains(&one) && ran.err.contains(&other),
            "{ran:?}"
        );
    }
    let fit = machine.run(&["-C", "other.git", "doctor", "--store", STORE]);
    assert!(fit.out.contains(&one), "{fit:?}");
    // Nothing was changed.
    let ran = machine.reconcile_in("one.git", &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
}

#[test]
fn a_store_is_rebound_only_if_both_trails_are_named() {
    let machine = two_trails();
    let (one, other) = (machine.uuid("one.git"), machine.uuid("other.git"));
    for [from, to] in [
        [&other, &one],
        [&one, &one],
        [&other, &other],
        [&one, &"x".to_owned()],
    ] {
        let ran = machine.reconcile_in("other.git", &["--rebind", from, to]);
        assert_eq!(ran.exit, Some(7), "{from} {to}: {ran:?}");
    }
    let ran = machine.reconcile_in("other.git", &["--rebind", &one, &other, "--rebuild"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(machine.reconcile_in("other.git", &[]).exit, Some(0));
    assert_eq!(machine.reconcile_in("one.git", &[]).exit, Some(7));
    // Rebinding to the same trail again does nothing.
    let again = machine.reconcile_in("other.git", &["--rebind", &one, &other]);
    assert_eq!(again.exit, Some(0), "{again:?}");
}

#[test]
fn a_copy_that_lacks_what_was_acknowledged_is_another_trail_though_its_name_is_the_same() {
    let machine = two_trails();
    let url = machine.path("one.git").display().to_string();
    support::git(
        &machine.path("."),
        &["clone", "-q", "--bare", &url, "copy.git"],
    );
    let uuid = machine.uuid("copy.git");
    assert_eq!(uuid, machine.uuid("one.git"));
    assert_eq!(machine.reconcile_in("copy.git", &[]).exit, Some(0));
    machine.record_completed("one.git", "later");
    let ran = machine.reconcile_in("one.git", &["--rebuild"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let last = machine.tip("one.git");
    for rebind in [&[][..], &["--rebind", &uuid, &uuid]] {
        let ran = machine.reconcile_in("copy.git", rebind);
        assert_eq!(ran.exit, Some(7), "{ran:?}");
        assert!(
            ran.err.contains(&last) && ran.err.contains(&uuid),
            "{ran:?}"
        );
    }
    // A copy that is up to date is the same trail.
    support::git(
        &machine.path("copy.git"),
        &["fetch", "-q", "origin", "+refs/heads/*:refs/heads/*"],
    );
    assert_eq!(machine.reconcile_in("copy.git", &[]).exit, Some(0));
    machine.record_completed("one.git", "last");
    machine.reconcile_in("one.git", &["--rebuild"]);
    let last = machine.tip("one.git");
    let ran = machine.reconcile_in("copy.git", &["--rebind", &last, &uuid, "--rebuild"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
}

#[test]
fn a_store_of_before_is_bound_if_its_last_entry_is_in_the_trail() {
    let machine = two_trails();
    let before = include_str!("../data/store/sqlite-2.sql");
    let made = |name: &str, sql: &str| {
        let file = rusqlite::Connection::open(machine.path(name)).unwrap();
        file.execute_batch(sql).unwrap();
        format!("sqlite:{name}")
    };
    let theirs = made("theirs.sqlite", before);
    let last = "0a7367089aa3d1fc02b7047be7d38fcfe726f17a";
    let ran = machine.run(&["-C", "one.git", "reconcile", "--store", &theirs]);
    assert_eq!(ran.exit, Some(7), "{ran:?}");
    assert!(
        ran.err.contains(last) && ran.err.contains(&machine.uuid("one.git")),
        "{ran:?}"
    );
    // The same rows, with this trail's commits.
    let ours = made(
        "ours.sqlite",
        &before.replace(last, &machine.tip("one.git")),
    );
    let ran = machine.run(&["-C", "one.git", "reconcile", "--rebuild", "--store", &ours]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&["-C", "other.git", "reconcile", "--store", &ours]);
    assert_eq!(ran.exit, Some(7), "{ran:?}");
}

#[test]
fn a_store_that_others_can_read_is_reported() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = two_trails();
    let file = machine.path("store.sqlite");
    let doctor = || machine.run(&["-C", "one.git", "doctor", "--store", STORE]);
    assert!(!doctor().out.contains("chmod 600"), "{:?}", doctor());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(doctor().out.contains("chmod 600"), "{:?}", doctor());
}

#[test]
fn the_statements_for_a_dba_name_the_schema_and_the_role_and_nothing_hostile() {
    let machine = Machine::new();
    let ddl = |args: &[&str]| machine.run(&[&["store", "ddl"], args].concat());
    let ran = ddl(&["--schema", "trail-2", "--role", "we\"ird"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(
        ran.out
            .contains(r#"CREATE SCHEMA "trail-2" AUTHORIZATION "we""ird";"#),
        "{}",
        ran.out
    );
    let ran = ddl(&["--store", "postgres://app:secret@db/audit?schema=mine"]);
    assert!(
        ran.out
            .contains(r#"CREATE SCHEMA "mine" AUTHORIZATION "app""#)
    );
    assert!(!ran.out.contains("secret"), "{}", ran.out);
    for schema in ["a\"; DROP TABLE x; --", "public", "pg_x", ""] {
        let ran = ddl(&["--schema", schema]);
        assert_eq!(ran.exit, Some(2), "{schema}: {ran:?}");
    }
}
