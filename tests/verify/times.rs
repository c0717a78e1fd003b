//! The time in an entry, compared with its commit's and the checkpoints around it.

use chiffon_audit_cli::verify::{AuditResult, Options, Report, Verdict, verify};

use super::forge::{BEGIN, Commit, Forge, entry, holds, sharded, timestamp, verdict, write};

/// A trail whose last commit was made `distance` seconds after the time in its entry.
fn apart(distance: i64) -> (Forge, String) {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    let stamp = format!("Chiffon Audit <audit@localhost> {} +0000", BEGIN + 10_000);
    (commit.author, commit.committer) = (stamp.clone(), stamp);
    date(&mut commit, &timestamp(BEGIN + 10_000 - distance));
    let id = forge.add(&commit);
    (forge, id)
}

/// Gives the entry and the subject this time.
fn date(commit: &mut Commit, time: &str) {
    let (_, rest) = commit.message.split_once('\n').unwrap();
    commit.message = format!("audit: task x completed at {time}\n{rest}");
    commit.operations = vec![write(&sharded("x"), &entry("x", time))];
}

fn notes(report: &Report, claim: &str) -> Vec<String> {
    let claim = report.claims.iter().find(|found| found.id == claim);
    claim.unwrap().notes.clone()
}

#[test]
fn an_entry_is_at_most_a_minute_older_than_its_commit_and_older_writers_get_a_note() {
    for distance in [0, 59, 60] {
        let report = holds(&apart(distance).0.path);
        assert_eq!(notes(&report, "times"), [""; 0], "{distance}");
    }
    for distance in [61, 600, 3600] {
        let report = holds(&apart(distance).0.path);
        let notes = notes(&report, "times");
        assert!(
            notes[0].contains(&format!("recorded {distance} s before")),
            "{notes:?}"
        );
    }
}

#[test]
fn an_entry_dated_back_is_named() {
    for distance in [3601, 9_000] {
        let (forge, id) = apart(distance);
        forge.only_broken("times", &id, "is backdated");
    }
    let (forge, id) = apart(-1);
    forge.only_broken("times", &id, "committed before");
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    date(&mut commit, "2001-01-01T00:00:00.000000Z");
    let id = forge.add(&commit);
    forge.record(&sharded("after"));
    forge.only_broken("times", &id, "is backdated");
    let report = forge.verify();
    assert_eq!(report.result(), AuditResult::Broken);
    assert!(matches!(
        verdict(&report, "times"),
        Verdict::Broken { count: 1, .. }
    ));
}

#[test]
fn a_trail_that_is_dated_far_ahead_of_the_clock_is_noted() {
    let forge = Forge::trail();
    for (now, noted) in [(BEGIN - 90_000, 1), (BEGIN - 3600, 0), (BEGIN + 90_000, 0)] {
        let options = Options {
            now: Some(now),
            ..Options::default()
        };
        let report = verify(&forge.path, &options).unwrap();
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
        let notes = notes(&report, "times");
        assert_eq!(notes.len(), noted, "{notes:?}");
    }
}
