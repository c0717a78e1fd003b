//! The choice of the ref to audit if several hold a trail, or a part of one.

use chiffon_audit_cli::verify::{self, AuditResult, Options, Report, Verdict, VerifyError};

use super::forge::{Forge, Operation, flat, git, sharded, verdict, write};

/// A repository with code on `main`, where `HEAD` is, and a trail on `audit`.
fn beside_code() -> Forge {
    let mut forge = Forge::checkout();
    forge.genesis();
    for path in [sharded("a"), flat("b"), sharded("c")] {
        forge.record(&path);
    }
    for number in 0..5 {
        let work = forge.by_person(vec![write("code", &format!("{number}\n"))]);
        forge.add_to("refs/heads/main", "refs/heads/main", &work);
    }
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    forge
}

fn audit(forge: &Forge) -> Result<Report, VerifyError> {
    verify::verify(&forge.path, &Options::default())
}

/// Checks that these refs, and no others, are listed as ambiguous.
#[track_caller]
fn ambiguous(forge: &Forge, names: &[&str]) -> String {
    match audit(forge) {
        Err(VerifyError::Ambiguous(text)) => {
            assert_eq!(text.matches("refs/").count(), names.len(), "{text}");
            for name in names {
                assert!(text.contains(name), "{text}");
            }
            text
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn holds_on(forge: &Forge, reference: &str) -> Report {
    let report = forge.holds();
    assert_eq!(report.reference, reference);
    report
}

fn record_on(forge: &mut Forge, branch: &str, path: &str) -> String {
    let draft = forge.draft(path);
    forge.add_to(branch, branch, &draft)
}

#[test]
fn a_record_on_the_default_branch_hides_no_trail_on_a_separate_ref() {
    let mut forge = beside_code();
    holds_on(&forge, "refs/heads/audit");
    let removal = forge.by_person(vec![Operation::Delete(flat("b"))]);
    let removed = forge.add(&removal);
    let report = forge.broken("append-only", Some(&removed), "is deleted");
    assert_eq!(report.reference, "refs/heads/audit");
    let decoy = record_on(&mut forge, "refs/heads/main", &sharded("decoy"));
    let text = ambiguous(&forge, &["refs/heads/audit", "refs/heads/main"]);
    assert!(text.contains(super::forge::TRAIL), "{text}");
    assert!(text.contains(&format!("commit-{decoy}")), "{text}");
    // A decoy with the trail below people's commits does not hide the trail either.
    let work = forge.by_person(vec![write("code", "later\n")]);
    forge.add_to("refs/heads/main", "refs/heads/main", &work);
    let gone = forge.by_person(vec![Operation::Delete(".audit".into())]);
    forge.add_to("refs/heads/main", "refs/heads/main", &gone);
    ambiguous(&forge, &["refs/heads/audit", "refs/heads/main"]);
    // A clone gives the same result.
    let clone = forge.beside("clone");
    git(&forge.path, &["clone", "-q", ".", clone.to_str().unwrap()]);
    let cloned = verify::verify(&clone, &Options::default());
    assert!(
        matches!(cloned, Err(VerifyError::Ambiguous(_))),
        "{cloned:?}"
    );
}

#[test]
fn a_decoy_of_entries_without_records_hides_no_trail_either() {
    let mut forge = beside_code();
    let squashed = forge.by_person(vec![write(&flat("x"), "{}\n")]);
    forge.add_to("refs/heads/main", "refs/heads/main", &squashed);
    ambiguous(&forge, &["refs/heads/audit", "refs/heads/main"]);
}

#[test]
fn branches_with_people_s_work_add_nothing() {
    let mut forge = Forge::checkout();
    let work = forge.by_person(vec![write("code", "1\n")]);
    forge.add(&work);
    forge.genesis();
    forge.record(&flat("a"));
    let tip = "refs/heads/audit";
    for (branch, from) in [("one", "audit"), ("two", "audit~1"), ("three", "audit~2")] {
        let work = forge.by_person(vec![write(branch, "x\n")]);
        forge.add_to(&format!("refs/heads/{branch}"), from, &work);
    }
    holds_on(&forge, tip);
    let later = forge.record(&sharded("b"));
    forge.record(&sharded("c"));
    holds_on(&forge, tip);
    // One of them takes over later records, and continues.
    let file = forge.git(&["show", &format!("{later}:{}", sharded("b"))]);
    let mut merge = forge.by_person(vec![write(&sharded("b"), &file)]);
    merge.merge = vec![later];
    forge.add_to("refs/heads/one", "refs/heads/one", &merge);
    let work = forge.by_person(vec![write("one", "y\n")]);
    forge.add_to("refs/heads/one", "refs/heads/one", &work);
    holds_on(&forge, tip);
    forge.git(&["pack-refs", "--all"]);
    holds_on(&forge, tip);
    // Checked out, it is a branch like the others.
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/one"]);
    assert!(note(&holds_on(&forge, tip)).is_none());
    // Git shows the branch that ends earlier; the note says that the trail continues on another one.
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/two"]);
    forge.git(&["update-ref", "refs/heads/two", "audit~1"]);
    let report = holds_on(&forge, "refs/heads/two");
    let note = note(&report).unwrap();
    assert!(note.contains("`refs/heads/audit` continues"), "{note}");
    // A branch without a part of the trail is not a candidate.
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/three"]);
    holds_on(&forge, tip);
}

/// The note on `hidden`.
fn note(report: &Report) -> Option<&String> {
    let hidden = report.claims.iter().find(|claim| claim.id == "hidden");
    hidden.unwrap().notes.first()
}

#[test]
fn remote_tracking_refs_that_are_behind_or_ahead_add_nothing() {
    let mut forge = beside_code();
    let clone = forge.beside("clone");
    git(&forge.path, &["clone", "-q", ".", clone.to_str().unwrap()]);
    git(&clone, &["branch", "-q", "audit", "origin/audit"]);
    let report = super::forge::holds(&clone);
    assert_eq!(report.reference, "refs/heads/audit");
    forge.record(&sharded("d"));
    git(&clone, &["fetch", "-q"]);
    let report = super::forge::holds(&clone);
    assert_eq!(
        (report.reference.as_str(), report.entries),
        ("refs/remotes/origin/audit", 4)
    );
    git(&clone, &["update-ref", "refs/heads/audit", "origin/audit"]);
    git(
        &clone,
        &["update-ref", "refs/remotes/origin/audit", "origin/audit~2"],
    );
    assert_eq!(super::forge::holds(&clone).reference, "refs/heads/audit");
}

#[test]
fn two_tips_of_one_trail_are_both_named() {
    let mut forge = Forge::trail();
    forge.git(&["branch", "-q", "other", "audit~1"]);
    holds_on(&forge, "refs/heads/audit");
    record_on(&mut forge, "refs/heads/other", &sharded("d"));
    ambiguous(&forge, &["refs/heads/audit", "refs/heads/other"]);
    // A branch on which recorded entries were undone does not count as one with other work.
    let mut forge = Forge::trail();
    let removal = forge.by_person(vec![Operation::Delete(flat("b"))]);
    forge.add_to("refs/heads/audit", "refs/heads/audit", &removal);
    forge.git(&["branch", "-q", "decoy", "audit~1"]);
    record_on(&mut forge, "refs/heads/decoy", &sharded("d"));
    ambiguous(&forge, &["refs/heads/audit", "refs/heads/decoy"]);
    let named = verify::verify(
        &forge.path,
        &Options {
            reference: Some("audit".into()),
            ..Options::default()
        },
    );
    assert_eq!(named.unwrap().result(), AuditResult::Broken);
    // A decoy that returns to earlier entries does not hide the trail either.
    let mut forge = Forge::trail();
    let back = forge.git(&["rev-parse", "audit~1^{tree}"]);
    let person = forge.by_person(Vec::new());
    forge.add_tree(back.trim(), &person);
    forge.git(&["branch", "-q", "decoy", "audit~1"]);
    record_on(&mut forge, "refs/heads/decoy", &sharded("d"));
    ambiguous(&forge, &["refs/heads/audit", "refs/heads/decoy"]);
}

#[test]
fn a_branch_that_cannot_be_read_is_named_beside_the_trail() {
    let forge = beside_code();
    let path = forge.git_dir().join("refs/heads/lost");
    std::fs::write(path, format!("{}\n", "1".repeat(40))).unwrap();
    ambiguous(&forge, &["refs/heads/audit", "refs/heads/lost"]);
}

#[test]
fn a_thousand_branches_at_a_thousand_commits_are_no_burden() {
    let mut forge = Forge::checkout();
    let mut script = String::from("feature done\n");
    for number in 1..=1000 {
        script += &format!(
            "commit refs/heads/audit\nmark :{number}\ncommitter A <a@b> {} +0000\ndata 1\nx\nM 644 inline f\ndata {}\n{number}\n",
            super::forge::BEGIN - 5000 + number,
            number.to_string().len(),
        );
        script += &format!("reset refs/heads/b{number:04}\nfrom :{number}\n\n");
    }
    script += "done\n";
    super::forge::feed(&forge.path, &["fast-import", "--quiet"], script.as_bytes());
    forge.genesis();
    forge.record(&flat("a"));
    holds_on(&forge, "refs/heads/audit");
}

#[test]
fn a_repository_without_a_trail_is_judged_by_its_head() {
    let mut forge = Forge::checkout();
    for branch in ["main", "other"] {
        let work = forge.by_person(vec![write(branch, "x\n")]);
        let branch = format!("refs/heads/{branch}");
        forge.add_to(&branch, &branch, &work);
    }
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    let report = forge.not_shown("objects", "nothing to verify");
    assert_eq!(report.reference, "refs/heads/main");
    assert!(matches!(verdict(&report, "hidden"), Verdict::Holds));
}
