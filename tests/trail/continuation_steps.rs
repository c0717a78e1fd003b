//! The steps from one trail to the next: what other processes do between them, and what fails in them.

use chiffon_audit_cli::outcome::Cause;
use chiffon_audit_cli::recorder::AnswerKind;
use chiffon_audit_cli::recorder::continuation::{self, ContinuationError, record_end};
use chiffon_audit_cli::trail::Earlier;

use super::continuation::{Years, init};
use super::recorder::{completed, document};
use super::*;
use crate::policy::engine;

#[test]
fn an_end_that_no_other_trail_can_continue_is_refused() {
    let years = Years::with_one();
    let trail = years.open(0);
    let own = trail.name().unwrap().unwrap().uuid.unwrap();
    let commit = format!("commit-{}", "a".repeat(40));
    let upper = "0B8F9D3E-1111-4222-8333-444455556666";
    for successor in ["", "next", upper, &commit, &own] {
        let refused = record_end(&trail, successor, engine(), &years.shared_clock());
        assert!(
            matches!(refused, Err(ContinuationError::NoSuccessor { .. })),
            "{successor}: {refused:?}"
        );
    }
    assert_eq!(tasks(&trail), ["a"]);
    years.commits(0, "b");
}

#[test]
fn a_successor_that_gets_an_entry_before_the_note_is_refused() {
    let years = Years::with_one();
    let (successor, _) = Trail::init(&years.path(1), init(1)).unwrap();
    // This handle has read the empty trail. Another process records then.
    assert_eq!(tasks(&successor), Vec::<String>::new());
    years.commits(1, "x");
    let origin = years.open(0).origin(&[]).unwrap();
    assert!(!successor.await_beginning(&origin).unwrap());
    assert!(!years.path(1).join("chiffon-audit/continues.toml").exists());
    let refused = continuation::prepare(&years.path(1), init(1), &origin);
    assert!(matches!(refused, Err(ContinuationError::NotEmpty)));
    // Neither trail has changed.
    years.commits(0, "b");
    years.commits(1, "y");
}

#[test]
fn a_served_successor_notices_the_note_and_the_beginning() {
    let years = Years::with_one();
    Trail::init(&years.path(1), init(1)).unwrap();
    let served = super::recorder::recorder(years.open(1), crate::policy::builtin(), &years.clock);
    // The first call makes the writer read the trail, and the look-up for predecessors find none.
    let refused = served.record(&document("chiffon-audit.x", "completed", ""));
    assert_eq!(refused.result, AnswerKind::Refused);
    assert!(matches!(
        years.open(1).find_earlier(&task("x")).unwrap(),
        Earlier::NoPredecessor
    ));
    years.prepare(1).unwrap();
    assert_eq!(served.record(&completed("x")).cause, Some(Cause::NotBegun));
    assert_eq!(served.record(&completed("x")).cause, Some(Cause::NotBegun));
    years.end(0);
    assert_eq!(
        served.record(&completed("a")).result,
        AnswerKind::AlreadyRecorded
    );
    assert_eq!(served.record(&completed("x")).result, AnswerKind::Committed);
    assert_eq!(
        served.record(&document("a", "failed", "")).result,
        AnswerKind::Conflicting
    );
}

#[test]
fn an_answer_from_a_trail_whose_ref_went_back_names_path_and_commit() {
    let years = Years::with(3);
    let first = years.open(0).find(&task("a")).unwrap().unwrap();
    for back in ["main~1", "main~1"] {
        git(&years.path(0), &["update-ref", "refs/heads/main", back]);
        let answer = years.record(2, &completed("a"));
        assert_eq!(answer.result, AnswerKind::AlreadyRecorded, "{answer:?}");
        assert_eq!(
            (answer.path.as_ref(), &answer.commit),
            (Some(&first.path), &first.commit)
        );
        let Earlier::Entry(earlier) = years.open(2).find_earlier(&task("a")).unwrap() else {
            panic!("the first trail has the task");
        };
        let recorded = earlier.recorded(&task("a")).unwrap();
        assert_eq!(
            (recorded.path, recorded.entry, recorded.commit),
            (
                first.path.clone(),
                first.entry.clone(),
                first.commit.clone()
            )
        );
    }
    // The ref is at the first commit, which has no entry.
    assert_eq!(tasks(&years.open(0)), Vec::<String>::new());
    years.commits(2, "new");
}
