//! Checkpoints of trails that the host recorded, and the attacks that they reveal: the writer makes them, the auditor
//! rebuilds the tree with separate code.

use std::path::Path;

use chiffon_audit_cli::checkpoint::{self, CheckpointError, CheckpointKey, Target};
use chiffon_audit_cli::clock::FixedClock;
use chiffon_audit_cli::verify::{self, AuditResult, Options, Verdict};

use super::forge::verdict;
use super::place::{Place, begin, broken, holds, record, record_with_policy};
use crate::support::*;

#[test]
fn a_trail_extends_its_checkpoints_of_every_size() {
    let mut place = Place::new();
    let names: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        assert_eq!(place.checkpoint(name).unwrap().checkpoint.size, n as u64);
        place.record(&[&format!("t{n}")]);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    holds(&place.audit(&names));
    // Not from the files beside the trail: a clone does not have them.
    let clone = place.path("clone");
    git(
        place.repo.path.parent().unwrap(),
        &["clone", "-q", "--bare", "repo", clone.to_str().unwrap()],
    );
    let options = Options {
        against: names.iter().map(|name| place.path(name)).collect(),
        ..Options::default()
    };
    holds(&verify::verify(&clone, &options).unwrap());
}

#[test]
fn a_checkpoint_is_the_signed_note_that_c2sp_describes() {
    let mut place = Place::new();
    place.record(&["a"]);
    let made = place.checkpoint("c").unwrap();
    let lines: Vec<&str> = made.note.lines().collect();
    let tip = place.repo.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        lines[0],
        "chiffon-audit/6b0d4ad0-6f4e-4bd5-8f0d-6c1c6f0b9f55"
    );
    assert_eq!(lines[1], "1");
    assert_eq!(lines[3], format!("commit {}", tip.trim()));
    assert_eq!(lines[4], "time 2026-01-21T10:00:01.000000Z");
    assert_eq!(lines[5], "");
    assert!(lines[6].starts_with(&format!("\u{2014} {} ", lines[0])));
    assert_eq!(lines.len(), 7);
    assert!(place.key.public().starts_with(&format!("{}+", lines[0])));
    let again = CheckpointKey::load(&place.path("checkpoint-key")).unwrap();
    assert_eq!(again.public(), place.key.public());
}

#[test]
fn a_tip_rolled_back_is_revealed_by_the_checkpoint() {
    let mut place = Place::new();
    place.record(&["a", "b", "c"]);
    place.checkpoint("c").unwrap();
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    broken(
        &place.audit(&["c"]),
        "checkpoints",
        "made over 3 entries, and here are 2: the rest was cut off the end",
    );
    let error = place.checkpoint("c").unwrap_err();
    assert!(
        matches!(error, CheckpointError::RolledBack { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("made over 3 entries, and the trail has 2"),
        "{error}"
    );
}

/// Rewrites the trail's history with the same key, other policies from `changed` on, and `count` entries.
pub fn rewritten(place: &mut Place, signed: bool, changed: usize, tasks: &[&str]) {
    place.repo.git(&["update-ref", "-d", "HEAD"]);
    std::fs::remove_dir_all(place.repo.path.join("chiffon-audit")).unwrap();
    place.trail = begin(&place.repo, &place.signers, signed);
    for (n, id) in tasks.iter().enumerate() {
        let digit = if n >= changed { '1' } else { '0' };
        record_with_policy(&place.trail, id, 1 + n as i64, digit);
    }
}

#[test]
fn history_rewritten_and_signed_with_the_real_key_is_revealed_only_by_the_checkpoint() {
    let mut place = Place::signed_if(true);
    place.record(&["a", "b", "c", "d"]);
    place.checkpoint("early").unwrap();
    place.record(&["e"]);
    place.checkpoint("late").unwrap();
    rewritten(&mut place, true, 3, &["a", "b", "c", "d", "e", "f"]);
    let allowed = place.signers.allow(&place.path("key"));
    let options = Options {
        allowed_signers: Some(allowed),
        ..Options::default()
    };
    let alone = verify::verify(&place.repo.path, &options).unwrap();
    assert_eq!(alone.result(), AuditResult::Holds, "{alone:#?}");
    let commit = broken(
        &place.audit(&["early", "late"]),
        "checkpoints",
        "history was rewritten at or before this commit, even if it was signed again",
    );
    assert_eq!(
        commit.as_deref(),
        Some(place.repo.git(&["rev-parse", "HEAD~2"]).trim())
    );
    let error = place.checkpoint("late").unwrap_err().to_string();
    assert!(
        error.contains("the first 5 entries are different"),
        "{error}"
    );
}

#[test]
fn a_squashed_history_is_revealed_by_the_checkpoint() {
    let mut place = Place::new();
    place.record(&["a", "b", "c"]);
    place.checkpoint("c").unwrap();
    rewritten(&mut place, false, 9, &["a", "c"]);
    broken(&place.audit(&["c"]), "checkpoints", "here are 2");
    rewritten(&mut place, false, 9, &["a", "c", "d"]);
    broken(&place.audit(&["c"]), "checkpoints", "history was rewritten");
}

#[test]
fn what_still_holds_is_reported_beside_what_does_not() {
    let mut place = Place::new();
    place.record(&["a", "b"]);
    place.checkpoint("early").unwrap();
    place.record(&["c", "d"]);
    place.checkpoint("late").unwrap();
    rewritten(&mut place, false, 2, &["a", "b", "c", "d"]);
    let report = place.audit(&["late", "early"]);
    broken(&report, "checkpoints", "the first 4 entries");
    let claim = report.claims.iter().find(|claim| claim.id == "checkpoints");
    assert!(
        claim
            .unwrap()
            .notes
            .iter()
            .any(|note| note.starts_with("the first 2 entries are unchanged"))
    );
}

#[test]
fn a_checkpoint_file_rolled_back_is_revealed_by_one_stored_elsewhere() {
    let mut place = Place::new();
    place.record(&["a", "b"]);
    place.checkpoint("c").unwrap();
    std::fs::copy(place.path("c"), place.path("old")).unwrap();
    place.record(&["c"]);
    let later = place.checkpoint("c").unwrap();
    assert_eq!(later.before.unwrap().size, 2);
    std::fs::write(place.path("elsewhere"), &later.note).unwrap();
    // With the file restored and the trail cut to match, only another copy reveals it.
    std::fs::copy(place.path("old"), place.path("c")).unwrap();
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    holds(&place.audit(&["c"]));
    broken(
        &place.audit(&["c", "elsewhere"]),
        "checkpoints",
        "cut off the end",
    );
}

#[test]
fn a_checkpoint_of_another_trail_or_key_or_hand_is_named() {
    let mut place = Place::new();
    place.record(&["a"]);
    let note = place.checkpoint("c").unwrap().note;
    let write = |text: &str| std::fs::write(place.path("x"), text).unwrap();
    write(&note.replacen("6b0d4ad0", "00000000", 1));
    let report = place.audit(&["x"]);
    broken(&report, "checkpoints", "is of another trail");
    broken(
        &report,
        "checkpoint-key",
        "it was forged, or the checkpoint edited",
    );
    write(&note.replace("time 2026-01-21T10:00:01", "time 2026-01-21T10:00:02"));
    let report = place.audit(&["x"]);
    assert_eq!(verdict(&report, "checkpoints"), &Verdict::Holds);
    broken(
        &report,
        "checkpoint-key",
        "it was forged, or the checkpoint edited",
    );
    let other = CheckpointKey::create("other", &place.path("other-key")).unwrap();
    let forged = checkpoint::make(&place.trail, &other, None, place.now()).unwrap();
    write(&forged.note);
    broken(&place.audit(&["x"]), "checkpoint-key", "and not by the key");
    // A witness's line beside the key's own changes nothing.
    let line = forged.note.lines().last().unwrap();
    write(&format!("{note}{line}\n"));
    holds(&place.audit(&["x"]));
}

#[test]
fn a_backdated_entry_is_revealed_by_the_checkpoint_before_it() {
    let mut place = Place::new();
    place.record(&["a"]);
    // The checkpoint is made an hour later; then an entry is recorded with an earlier time.
    place.seconds = 3600;
    place.checkpoint("c").unwrap();
    record(&place.trail, "b", 5);
    let report = place.audit(&["c"]);
    assert_eq!(verdict(&report, "checkpoints"), &Verdict::Holds);
    let commit = broken(
        &report,
        "checkpoint-times",
        "backdated: it came after the checkpoint",
    );
    assert_eq!(
        commit.as_deref(),
        Some(place.repo.git(&["rev-parse", "HEAD"]).trim())
    );
    assert_eq!(verdict(&report, "times"), &Verdict::Holds);
}

#[test]
fn another_repository_keeps_checkpoints_as_commits_and_never_goes_back() {
    let mut place = Place::new();
    let keeper = Repo::init(&[]);
    keeper.commit_file("README", "checkpoints\n");
    let target = Target::of_path(&keeper.path, false);
    place.record(&["a"]);
    checkpoint::make(&place.trail, &place.key, Some(&target), place.now()).unwrap();
    place.record(&["b"]);
    let made = checkpoint::make(&place.trail, &place.key, Some(&target), place.now()).unwrap();
    assert_eq!(made.before.unwrap().size, 1);
    let name = "audit-checkpoints:6b0d4ad0-6f4e-4bd5-8f0d-6c1c6f0b9f55.checkpoint";
    assert_eq!(keeper.git(&["show", name]), made.note);
    assert_eq!(
        keeper
            .git(&["rev-list", "--count", "audit-checkpoints"])
            .trim(),
        "2"
    );
    keeper.fsck();
    assert_eq!(keeper.git(&["status", "--porcelain"]), "");
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    let error = checkpoint::make(&place.trail, &place.key, Some(&target), place.now()).unwrap_err();
    assert!(
        matches!(error, CheckpointError::RolledBack { .. }),
        "{error}"
    );
    assert_eq!(keeper.git(&["show", name]), made.note);
}

#[test]
fn appended_checkpoints_are_all_checked() {
    let mut place = Place::new();
    let file = place.path("all");
    for id in ["a", "b", "c"] {
        place.record(&[id]);
        let target = Target::of_path(&file, true);
        checkpoint::make(&place.trail, &place.key, Some(&target), place.now()).unwrap();
    }
    let report = place.audit(&["all"]);
    holds(&report);
    let claim = report.claims.iter().find(|claim| claim.id == "checkpoints");
    assert_eq!(claim.unwrap().notes.len(), 3);
    rewritten(&mut place, false, 1, &["a", "b", "c"]);
    broken(&place.audit(&["all"]), "checkpoints", "the first 2 entries");
}

#[test]
fn a_trail_without_an_identity_is_named_by_its_first_entry() {
    let repo = Repo::init(&[]);
    repo.commit_file("README", "x\n");
    let trail = repo.trail();
    record(&trail, "a", 1_000_000_000);
    repo.commit_file("README", "y\n");
    record(&trail, "b", 1_000_000_001);
    let first = repo.git(&["rev-list", "--grep=task a", "HEAD"]);
    let dir = crate::support::temporary();
    let key = CheckpointKey::create("k", &dir.path().join("key")).unwrap();
    let target = Target::of_path(&dir.path().join("c"), false);
    let made = checkpoint::make(&trail, &key, Some(&target), at(1_000_000_001_000_000)).unwrap();
    assert_eq!(
        made.checkpoint.origin,
        format!("chiffon-audit/commit-{}", first.trim())
    );
    let against = |path: &Path| Options {
        against: vec![path.to_owned()],
        ..Options::default()
    };
    let report = verify::verify(&repo.path, &against(&dir.path().join("c"))).unwrap();
    assert_eq!(verdict(&report, "checkpoints"), &Verdict::Holds);
}

/// Audits the commits after a checkpoint.
fn audit_since(place: &Place, checkpoint: &str) -> verify::Report {
    let options = Options {
        since: Some(place.path(checkpoint)),
        checkpoint_key: Some(place.key.public()),
        ..Options::default()
    };
    verify::verify(&place.repo.path, &options).unwrap()
}

#[test]
fn commits_after_a_checkpoint_are_verified_alone_and_the_rest_is_reported_as_not_verified() {
    let mut place = Place::new();
    place.record(&["a", "b", "c"]);
    place.checkpoint("c").unwrap();
    let report = audit_since(&place, "c");
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    place.record(&["d", "e"]);
    let report = audit_since(&place, "c");
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    assert_eq!((report.commits, report.entries), (2, 2));
    assert_eq!(report.not_verified_again, Some(3));
    assert_eq!(
        report.trail_id.as_deref(),
        Some("6b0d4ad0-6f4e-4bd5-8f0d-6c1c6f0b9f55")
    );
    let claim = report.claims.iter().find(|claim| claim.id == "since");
    assert!(claim.unwrap().notes[0].starts_with("the 3 entries up to the checkpoint"));
}

#[test]
fn offences_after_a_checkpoint_are_found_by_an_audit_since_it() {
    let mut place = Place::new();
    place.record(&["a", "b"]);
    place.seconds = 7200;
    place.checkpoint("c").unwrap();
    record(&place.trail, "d", 10);
    broken(&audit_since(&place, "c"), "since-times", "it is backdated");
    // The same task with another case and layout; only the earlier entries reveal it.
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    let clone = Repo::init(&[]);
    clone.git(&["pull", "-q", place.repo.path.to_str().unwrap(), "main"]);
    std::fs::create_dir_all(clone.path.join(".audit/tasks")).unwrap();
    let time = at(7_300_000_000);
    std::fs::write(clone.path.join(".audit/tasks/A.json"), entry("A", time)).unwrap();
    clone.git(&["add", "."]);
    let digest = "0".repeat(64);
    let message = format!(
        "audit: task A completed\n\nAudit-Format: 1\nAudit-Task: A\nAudit-Interface: chiffon:audit@0.1.0\nAudit-Policy: sha256:{digest}\nAudit-Settings: sha256:{digest}\n"
    );
    let stamp = format!("{} +0000", time.seconds());
    let dated = [
        "commit",
        "-q",
        "--cleanup=verbatim",
        "-m",
        &message,
        "--date",
        &stamp,
    ];
    let mut command = std::process::Command::new("git");
    let committed = isolated(command.arg("-C").arg(&clone.path).args(dated))
        .env("GIT_COMMITTER_DATE", &stamp)
        .status();
    assert!(committed.unwrap().success());
    let options = Options {
        since: Some(place.path("c")),
        ..Options::default()
    };
    let report = verify::verify(&clone.path, &options).unwrap();
    broken(
        &report,
        "once",
        "the task `A` was recorded before the checkpoint",
    );
    rewritten(&mut place, false, 0, &["a", "b", "c"]);
    broken(&audit_since(&place, "c"), "since", "is not in this history");
}

#[test]
fn a_service_keeps_checkpoints_by_itself_and_tells_of_a_roll_back() {
    let mut place = Place::new();
    place.record(&["a", "b"]);
    let target = Target::of_path(&place.path("kept"), false);
    let (told, attempts) = std::sync::mpsc::channel();
    let key = CheckpointKey::load(&place.path("checkpoint-key")).unwrap();
    let clock = std::sync::Arc::new(FixedClock(place.now()));
    let every = std::time::Duration::from_millis(5);
    let tell = move |kept: &checkpoint::CheckpointAttempt| {
        let said = match kept {
            checkpoint::CheckpointAttempt::Kept(_, checkpoint, _) => checkpoint.size.to_string(),
            checkpoint::CheckpointAttempt::Failed(_, error) => error.to_string(),
        };
        // The test may have ended.
        let _ = told.send(said);
    };
    let witnesses = checkpoint::Witnesses::default();
    let trail = place.trail.clone();
    let keeper =
        checkpoint::PeriodicCheckpoints::start(trail, key, target, witnesses, every, clock, tell);
    let until = |begins: &str| while !attempts.recv().unwrap().starts_with(begins) {};
    until("2");
    place.record(&["c"]);
    until("3");
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    until("rolled back");
    drop(keeper);
    broken(&place.audit(&["kept"]), "checkpoints", "cut off the end");
}
