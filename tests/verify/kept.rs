//! Checkpoints that another repository stores, written by `checkpoint --to DIR`: as good as a file, and treated as
//! hostile.

use chiffon_audit_cli::checkpoint::{self, Target};
use chiffon_audit_cli::verify::{self, AuditResult, Options, Verdict};

use super::checkpoints::rewritten;
use super::forge::verdict;
use super::place::{Place, broken, holds, record};
use crate::support::*;

/// A bare repository beside the trail.
fn keeper(place: &Place, name: &str) {
    git(
        place.repo.path.parent().unwrap(),
        &["init", "-q", "--bare", place.path(name).to_str().unwrap()],
    );
}

fn notes<'a>(report: &'a verify::Report, claim: &str) -> &'a [String] {
    let claim = report.claims.iter().find(|found| found.id == claim);
    &claim.unwrap().notes
}

#[test]
fn a_repository_that_keeps_checkpoints_is_as_good_as_a_file() {
    let mut place = Place::new();
    keeper(&place, "keeper");
    for tasks in [["a", "b"], ["c", "d"]] {
        place.record(&tasks);
        place.checkpoint("keeper").unwrap();
    }
    let clone = place.path("clone");
    let from = place.path("keeper");
    let paths = [from.to_str().unwrap(), clone.to_str().unwrap()];
    git(&place.repo.path, &["clone", "-q", paths[0], paths[1]]);
    for kept in ["keeper", "clone"] {
        let report = place.audit(&[kept]);
        holds(&report);
        assert_eq!(verdict(&report, "checkpoint-key"), &Verdict::Holds);
        // All checkpoints that it ever stored, not only the newest.
        let notes = notes(&report, "checkpoints");
        assert!(
            notes[0].contains(": 2 entries") && notes[1].contains(": 4 entries"),
            "{notes:?}"
        );
    }
    // An audit can continue from it as from a file, with the same age.
    let options = Options {
        since: Some(from.clone()),
        fresh: Some(verify::Freshness {
            now: place.now().seconds() + 10,
            since: place.now().seconds() + 5,
        }),
        ..Options::default()
    };
    let report = verify::verify(&place.repo.path, &options).unwrap();
    assert_eq!(verdict(&report, "since"), &Verdict::Holds);
    assert_eq!(report.not_verified_again, Some(4));
    broken(&report, "fresh", "stale: the checkpoint in");

    rewritten(&mut place, false, 2, &["a", "b", "c", "d"]);
    let report = place.audit(&["keeper"]);
    broken(&report, "checkpoints", "the first 4 entries are not those");
    assert!(
        notes(&report, "checkpoints")
            .last()
            .unwrap()
            .starts_with("the first 2 entries are unchanged"),
    );
    rewritten(&mut place, false, 9, &["a", "b"]);
    broken(&place.audit(&["keeper"]), "checkpoints", "here are 2");
}

#[test]
fn a_repository_that_keeps_other_trails_checkpoints_shows_nothing_and_says_so() {
    let mut place = Place::new();
    keeper(&place, "keeper");
    keeper(&place, "empty");
    // A trail without a genesis commit is identified by its first entry.
    let other = Repo::bare();
    let trail = other.trail();
    record(&trail, "x", 1);
    let target = Target::of_path(&place.path("keeper"), false);
    checkpoint::make(&trail, &place.key, Some(&target), at(1_000_000)).unwrap();
    place.record(&["a"]);
    let none = |report: &verify::Report, words: &str| {
        assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
        let shown = report.claims.iter().any(|claim| {
            matches!(&claim.verdict, Verdict::NotShown { missing } if missing.contains(words))
        });
        assert!(shown, "{report:#?}");
    };
    none(
        &place.audit(&["keeper"]),
        "it has only checkpoints of other trails",
    );
    none(&place.audit(&["empty"]), "there is nothing to compare with");
    place.checkpoint("keeper").unwrap();
    holds(&place.audit(&["keeper"]));
    let options = Options {
        against: vec![place.path("keeper")],
        ..Options::default()
    };
    holds(&verify::verify(&other.path, &options).unwrap());
    // With two trails in it, the one to continue from is ambiguous.
    let options = Options {
        since: Some(place.path("keeper")),
        ..Options::default()
    };
    let error = verify::verify(&place.repo.path, &options).err().unwrap();
    assert!(error.to_string().contains("several trails"), "{error}");
    // Our file, with the contents of the other trail's.
    let keeper = place.path("keeper");
    let tree = git(&keeper, &["ls-tree", "audit-checkpoints"]);
    let blobs: Vec<&str> = tree.lines().map(|line| &line[12..52]).collect();
    let swapped = tree
        .replace(blobs[0], "x")
        .replace(blobs[1], blobs[0])
        .replace('x', blobs[1]);
    std::fs::write(place.path("swapped"), swapped).unwrap();
    let made = std::process::Command::new("sh")
        .arg("-c")
        .arg("cd \"$1\" && t=$(git mktree < \"$2\") && git update-ref refs/heads/audit-checkpoints $(GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x git commit-tree -m x $t)")
        .args(["sh", keeper.to_str().unwrap(), place.path("swapped").to_str().unwrap()])
        .status()
        .unwrap();
    assert!(made.success());
    broken(
        &place.audit(&["keeper"]),
        "checkpoints",
        "is of another trail",
    );
}

#[test]
fn a_copy_that_keeps_checkpoints_too_is_both() {
    let mut place = Place::new();
    place.record(&["a", "b"]);
    let copy = place.path("copy");
    git(
        place.repo.path.parent().unwrap(),
        &["clone", "-q", "--bare", "repo", copy.to_str().unwrap()],
    );
    let options = Options {
        against: vec![copy.clone()],
        ..Options::default()
    };
    // A copy alone has no checkpoints, and neither do those of another trail beside it count.
    let other = Repo::bare();
    let trail = other.trail();
    record(&trail, "x", 1);
    let target = Target::of_path(&copy, false);
    for _ in 0..2 {
        let report = verify::verify(&place.repo.path, &options).unwrap();
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
        assert!(matches!(
            verdict(&report, "checkpoints"),
            Verdict::NotAsked { .. }
        ));
        assert_eq!(verdict(&report, "against"), &Verdict::Holds);
        checkpoint::make(&trail, &place.key, Some(&target), at(1_000_000)).unwrap();
    }
    place.checkpoint("copy").unwrap();
    place.record(&["c"]);
    let report = verify::verify(&place.repo.path, &options).unwrap();
    holds(&report);
    assert_eq!(verdict(&report, "against"), &Verdict::Holds);
}
