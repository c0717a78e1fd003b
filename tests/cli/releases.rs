//! What earlier releases have written is read by this program: `tests/data/releases/` has a directory for each, made by
//! its own program with `make`.

use std::path::{Path, PathBuf};

use super::{Machine, outcome};
use crate::support;

/// The directories of all releases.
fn releases() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/releases");
    let entries = std::fs::read_dir(all).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let found: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    assert!(!found.is_empty());
    found
}

/// A file of a release, as an argument.
fn file(release: &Path, name: &str) -> String {
    release.join(name).to_str().unwrap().to_owned()
}

/// A machine with the release's trail in `trail.git`.
fn machine_with_trail(release: &Path) -> Machine {
    let machine = Machine::new();
    let bundle = file(release, "trail.bundle");
    support::git(
        &machine.path(""),
        &["clone", "--quiet", "--mirror", &bundle, "trail.git"],
    );
    machine
}

#[test]
fn the_trail_of_every_release_holds_and_is_continued() {
    for release in releases() {
        let machine = machine_with_trail(&release);
        let key = std::fs::read_to_string(release.join("checkpoint-key")).unwrap();
        let checkpoint = file(&release, "checkpoint");
        let verify = [
            "verify",
            "trail.git",
            "--against",
            &checkpoint,
            "--checkpoint-key",
            key.trim(),
        ];
        let before = machine.run(&verify);
        assert_eq!(before.exit, Some(0), "{}: {before:?}", release.display());
        let reproduced = machine.run(&["-C", "trail.git", "policy", "reproduce"]);
        assert_eq!(reproduced.exit, Some(0), "{reproduced:?}");

        let commit = ["-C", "trail.git", "commit", "-"];
        let more = machine.run_with_input(&commit, outcome("of-today", "completed"));
        assert_eq!(more.exit, Some(0), "{more:?}");
        let known = outcome("deploy-4", "completed");
        let known = machine.run_with_input(&commit, known);
        assert!(known.out.starts_with("already recorded"), "{known:?}");
        let after = machine.run(&verify);
        assert_eq!(after.exit, Some(0), "{after:?}");
    }
}

#[test]
fn the_proof_and_the_recording_of_every_release_are_read() {
    for release in releases() {
        let machine = Machine::new();
        let key = std::fs::read_to_string(release.join("checkpoint-key")).unwrap();
        let proof = file(&release, "deploy-1.proof");
        let shown = machine.run(&["verify", "--proof", &proof, "--checkpoint-key", key.trim()]);
        assert_eq!(shown.exit, Some(0), "{}: {shown:?}", release.display());

        let recording = file(&release, "recording.json");
        let replay = [
            "policy",
            "run",
            "builtin:redact",
            "--replay",
            &recording,
            "--json",
        ];
        let replayed = machine.run(&replay);
        assert_eq!(replayed.exit, Some(0), "{replayed:?}");
    }
}

#[test]
fn the_store_of_every_release_is_opened() {
    for release in releases() {
        let machine = machine_with_trail(&release);
        let sql = std::fs::read_to_string(release.join("store.sql")).unwrap();
        let store = rusqlite::Connection::open(machine.path("store.sqlite")).unwrap();
        store.execute_batch(&sql).unwrap();
        drop(store);
        let list = [
            "-C",
            "trail.git",
            "submissions",
            "--store",
            "sqlite:store.sqlite",
        ];
        let listed = machine.run(&list);
        // What the store keeps is read with the columns of today.
        let mut overdue = machine.command(&list);
        overdue.args(["--state", "overdue"]);
        overdue.env("CHIFFON_AUDIT_TASKS_OVERDUE", "1h");
        let overdue = overdue.output().unwrap();
        assert!(overdue.status.success(), "{overdue:?}");
        assert_eq!(listed.exit, Some(0), "{}: {listed:?}", release.display());
        for turned_down in ["conflicting", "refused"] {
            assert!(listed.out.contains(turned_down), "{listed:?}");
        }
        let reconcile = [
            "-C",
            "trail.git",
            "reconcile",
            "--store",
            "sqlite:store.sqlite",
        ];
        let compared = machine.run(&reconcile);
        assert_eq!(compared.exit, Some(0), "{compared:?}");
    }
}
