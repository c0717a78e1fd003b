//! A trail compared with other copies of it: equal, ahead, behind, diverged.

use std::path::{Path, PathBuf};

use chiffon_audit_cli::verify::{self, AuditResult, Options, Report, Verdict};

use super::forge::{Forge, git, sharded, verdict};

/// A copy of the trail in its current state.
fn copy(forge: &Forge, name: &str) -> PathBuf {
    let to = forge.beside(name);
    git(
        &forge.path,
        &["clone", "-q", "--bare", ".", to.to_str().unwrap()],
    );
    to
}

fn against(forge: &Forge, other: &Path) -> Report {
    let options = Options {
        against: vec![other.to_owned()],
        ..Options::default()
    };
    verify::verify(&forge.path, &options).unwrap()
}

#[test]
fn an_equal_copy_and_one_that_is_the_beginning_hold() {
    let mut forge = Forge::trail();
    let other = copy(&forge, "other");
    let report = against(&forge, &other);
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    forge.record(&sharded("d"));
    let report = against(&forge, &other);
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    let claim = report.claims.iter().find(|claim| claim.id == "against");
    assert!(claim.unwrap().notes[0].contains("this has 1 commit more"));
}

#[test]
fn a_tip_that_was_rolled_back_is_named() {
    let mut forge = Forge::trail();
    forge.record(&sharded("d"));
    let other = copy(&forge, "other");
    forge.git(&["update-ref", "refs/heads/audit", "audit~2"]);
    let report = against(&forge, &other);
    assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
    let Verdict::NotShown { missing } = verdict(&report, "against") else {
        panic!("{report:#?}");
    };
    assert!(
        missing.contains("2 commits") && missing.contains("rolled back"),
        "{missing}"
    );
}

#[test]
fn two_remotes_that_show_different_histories_are_named_with_the_place() {
    let mut forge = Forge::trail();
    let common = forge.git(&["rev-parse", "audit"]).trim().to_owned();
    forge.record(&sharded("d"));
    let other = copy(&forge, "other");
    forge.git(&["update-ref", "refs/heads/audit", &common]);
    forge.record(&sharded("e"));
    forge.record(&sharded("f"));
    let report = against(&forge, &other);
    assert_eq!(report.result(), AuditResult::Broken, "{report:#?}");
    let Verdict::Broken { commit, what, .. } = verdict(&report, "against") else {
        panic!("{report:#?}");
    };
    assert_eq!(commit.as_ref(), Some(&common));
    assert!(what.contains("they diverge after"), "{what}");
}

#[test]
fn a_trail_of_its_own_is_no_copy() {
    let forge = Forge::trail();
    let mut other = Forge::bare(&[]);
    other.record(&sharded("a"));
    let report = against(&forge, &other.path);
    assert_eq!(report.result(), AuditResult::Broken, "{report:#?}");
    let empty = Forge::bare(&[]);
    let report = against(&forge, &empty.path);
    assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
}

#[test]
fn a_commit_that_is_named_by_its_id_is_compared_all_the_same() {
    let mut forge = Forge::trail();
    let id = |name: &str| forge.git(&["rev-parse", name]).trim().to_owned();
    let (tip, before) = (id("audit"), id("audit~1"));
    let other = copy(&forge, "other");
    let named = |reference: &str, other: &Path| {
        let options = Options {
            reference: Some(reference.to_owned()),
            against: vec![other.to_owned()],
            ..Options::default()
        };
        verify::verify(&forge.path, &options).unwrap()
    };
    assert_eq!(named(&tip, &other).result(), AuditResult::Holds);
    let report = named(&before, &other);
    assert!(
        matches!(verdict(&report, "against"), Verdict::NotShown { .. }),
        "{report:#?}"
    );
    let mut stranger = Forge::bare(&[]);
    stranger.record(&sharded("a"));
    let report = named(&tip, &stranger.path);
    assert!(
        matches!(verdict(&report, "against"), Verdict::Broken { .. }),
        "{report:#?}"
    );
    git(&other, &["update-ref", "refs/heads/audit", &before]);
    forge.git(&["update-ref", "refs/heads/audit", &before]);
    forge.record(&sharded("z"));
    let options = Options {
        reference: Some(tip),
        against: vec![copy(&forge, "parted")],
        ..Options::default()
    };
    let report = verify::verify(&forge.path, &options).unwrap();
    assert!(
        matches!(verdict(&report, "against"), Verdict::Broken { .. }),
        "{report:#?}"
    );
}

#[test]
fn what_a_copy_fetched_counts() {
    let mut forge = Forge::trail();
    let clone = forge.beside("clone");
    git(&forge.path, &["clone", "-q", ".", clone.to_str().unwrap()]);
    forge.record(&sharded("d"));
    forge.record(&sharded("e"));
    git(&clone, &["fetch", "-q"]);
    assert_eq!(against(&forge, &clone).result(), AuditResult::Holds);
    forge.git(&["update-ref", "refs/heads/audit", "audit~2"]);
    let report = against(&forge, &clone);
    let Verdict::NotShown { missing } = verdict(&report, "against") else {
        panic!("{report:#?}");
    };
    assert!(
        missing.contains("2 commits of `refs/remotes/origin/audit`"),
        "{missing}"
    );
    forge.record(&sharded("f"));
    let report = against(&forge, &clone);
    assert!(
        matches!(verdict(&report, "against"), Verdict::Broken { .. }),
        "{report:#?}"
    );
}

#[test]
fn branches_of_a_copy_that_are_not_this_trail_are_not_compared() {
    let mut forge = Forge::trail();
    let other = copy(&forge, "other");
    // Code on the default branch, people's work on a branch of the trail, and another trail.
    let mut scratch = Forge::bare(&[]);
    let work = scratch.by_person(vec![super::forge::write("code", "x\n")]);
    scratch.add(&work);
    git(
        &other,
        &["fetch", "-q", scratch.path.to_str().unwrap(), "audit:main"],
    );
    git(&other, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    let mut second = Forge::bare(&[]);
    second.record(&sharded("x"));
    git(
        &other,
        &["fetch", "-q", second.path.to_str().unwrap(), "audit:second"],
    );
    let work = forge.by_person(vec![super::forge::write("code", "y\n")]);
    forge.add_to("refs/heads/feature", "refs/heads/audit", &work);
    git(
        &other,
        &[
            "fetch",
            "-q",
            forge.path.to_str().unwrap(),
            "feature:feature",
        ],
    );
    forge.git(&["branch", "-D", "feature"]);
    assert_eq!(against(&forge, &other).result(), AuditResult::Holds);
    forge.record(&sharded("d"));
    assert_eq!(against(&forge, &other).result(), AuditResult::Holds);
    // A copy that lost the trail shows none of it, whatever its code says.
    git(&other, &["update-ref", "-d", "refs/heads/audit"]);
    git(&other, &["update-ref", "-d", "refs/heads/feature"]);
    let report = against(&forge, &other);
    let Verdict::Broken { what, .. } = verdict(&report, "against") else {
        panic!("{report:#?}");
    };
    assert!(what.contains("refs/heads/second"), "{what}");
    git(&other, &["update-ref", "-d", "refs/heads/second"]);
    let report = against(&forge, &other);
    assert!(
        matches!(verdict(&report, "against"), Verdict::NotShown { .. }),
        "{report:#?}"
    );
}

#[test]
fn a_repository_beside_itself_shows_nothing() {
    let forge = Forge::trail();
    let link = forge.beside("link");
    std::os::unix::fs::symlink(&forge.path, &link).unwrap();
    for path in [&forge.path, &link] {
        let report = against(&forge, path);
        let Verdict::NotShown { missing } = verdict(&report, "against") else {
            panic!("{report:#?}");
        };
        assert!(
            missing.contains("the audited repository itself"),
            "{missing}"
        );
    }
}
