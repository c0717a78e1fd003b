//! A trail beside other copies of it: equal, ahead, behind, parted.

use std::path::{Path, PathBuf};

use chiffon_audit::verify::{self, Options, Outcome, Report, Verdict};

use super::forge::{Forge, git, sharded, verdict};

/// A copy of the trail as it is now.
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
    assert_eq!(report.outcome(), Outcome::Holds, "{report:#?}");
    forge.record(&sharded("d"));
    let report = against(&forge, &other);
    assert_eq!(report.outcome(), Outcome::Holds, "{report:#?}");
    let claim = report.claims.iter().find(|claim| claim.id == "against");
    assert!(claim.unwrap().notes[0].contains("goes on by 1 commit"));
}

#[test]
fn a_tip_that_was_rolled_back_is_named() {
    let mut forge = Forge::trail();
    forge.record(&sharded("d"));
    let other = copy(&forge, "other");
    forge.git(&["update-ref", "refs/heads/audit", "audit~2"]);
    let report = against(&forge, &other);
    assert_eq!(report.outcome(), Outcome::NotShown, "{report:#?}");
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
    assert_eq!(report.outcome(), Outcome::Broken, "{report:#?}");
    let Verdict::Broken { commit, what, .. } = verdict(&report, "against") else {
        panic!("{report:#?}");
    };
    assert_eq!(commit.as_ref(), Some(&common));
    assert!(what.contains("they part after"), "{what}");
}

#[test]
fn a_trail_of_its_own_is_no_copy() {
    let forge = Forge::trail();
    let mut other = Forge::bare(&[]);
    other.record(&sharded("a"));
    let report = against(&forge, &other.path);
    assert_eq!(report.outcome(), Outcome::Broken, "{report:#?}");
    let empty = Forge::bare(&[]);
    let report = against(&forge, &empty.path);
    assert_eq!(report.outcome(), Outcome::NotShown, "{report:#?}");
}
