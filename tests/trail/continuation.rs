//! A trail ends and another one continues it: what is recorded where, and what a task is told at the border.

use std::fs;

use chiffon_audit_cli::clock::Clock;
use chiffon_audit_cli::outcome::Cause;
use chiffon_audit_cli::recorder::AnswerKind;
use chiffon_audit_cli::recorder::continuation::{self, ContinuationError, complete, record_end};
use chiffon_audit_cli::verify::{self, AuditResult, Options};

use super::recorder::{Hands, completed, document, recorder};
use super::*;
use crate::policy::{NOW, builtin, engine};

/// The uuids of the trails that these tests make, in their order.
const UUIDS: [&str; 3] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
];

/// Trails beside each other, each of which continues the one before.
pub(super) struct Years {
    dir: tempfile::TempDir,
    pub(super) clock: Hands,
}

impl Years {
    /// A directory without a trail.
    pub(super) fn new() -> Years {
        Years {
            dir: temporary(),
            clock: Hands::at_now(),
        }
    }

    /// A first trail, bare, with the task `a`.
    pub(super) fn with_one() -> Years {
        let years = Years::new();
        Trail::init(&years.path(0), init(0)).unwrap();
        years.commits(0, "a");
        years
    }

    /// As many trails as that, with the task `a` in the first, `b` in the second and so on.
    pub(super) fn with(number: usize) -> Years {
        let years = Years::with_one();
        for year in 1..number {
            years.end(year - 1);
            let id = ["a", "b", "c"][year];
            years.commits(year, id);
        }
        years
    }

    pub(super) fn path(&self, year: usize) -> PathBuf {
        self.dir.path().join(format!("year-{year}"))
    }

    pub(super) fn open(&self, year: usize) -> Trail {
        open(&self.path(year)).unwrap()
    }

    /// Ends a trail, and begins the next one.
    pub(super) fn end(&self, year: usize) {
        let before = self.open(year);
        let (successor, _, uuid) = self.prepare(year + 1).unwrap();
        let clock = self.shared_clock();
        record_end(&before, &uuid, engine(), &clock).unwrap();
        complete(&before, (&successor, &uuid), None, engine(), &clock).unwrap();
    }

    pub(super) fn prepare(
        &self,
        year: usize,
    ) -> Result<(Trail, chiffon_audit_cli::trail::InitReport, String), ContinuationError> {
        let origin = self.open(year - 1).origin(&[]).unwrap();
        continuation::prepare(&self.path(year), init(year), &origin)
    }

    pub(super) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    pub(super) fn record(
        &self,
        year: usize,
        document: &[u8],
    ) -> chiffon_audit_cli::recorder::Answer {
        recorder(self.open(year), builtin(), &self.clock).record(document)
    }

    #[track_caller]
    pub(super) fn commits(&self, year: usize, id: &str) {
        let answer = self.record(year, &completed(id));
        assert_eq!(answer.result, AnswerKind::Committed, "{answer:?}");
    }

    #[track_caller]
    fn gives(
        &self,
        year: usize,
        document: &[u8],
        result: AnswerKind,
        cause: Option<Cause>,
    ) -> String {
        let before = tasks(&self.open(year));
        let answer = self.record(year, document);
        assert_eq!((answer.result, answer.cause), (result, cause), "{answer:?}");
        assert_eq!(tasks(&self.open(year)), before);
        answer.reason.unwrap_or_default()
    }

    pub(super) fn chain(&self, years: std::ops::Range<usize>) -> verify::ChainReport {
        let paths: Vec<PathBuf> = years.map(|year| self.path(year)).collect();
        verify::verify_chain(&paths, || Ok(Options::default())).unwrap()
    }
}

pub(super) fn init(year: usize) -> InitOptions {
    InitOptions {
        bare: true,
        uuid: UUIDS[year].into(),
        time: NOW,
        ..init_options()
    }
}

#[test]
fn both_ends_are_entries_with_these_bytes() {
    let years = Years::with_one();
    years.end(0);
    let entry = |year: usize, id: &str| {
        let found = years.open(year).find(&task(id)).unwrap().unwrap();
        String::from_utf8(found.entry).unwrap()
    };
    let frame = |id: &str, metadata: &str| {
        format!(
            r#"{{
  "task_id": "{id}",
  "status": "completed",
  "plan_id": null,
  "plan_steps": [],
  "dispatch_info": {{
    "agent_pool": null,
    "agent_id": null,
    "dispatch_timestamp": null
  }},
  "execution_result": {{
    "outcome": {{}},
    "resources_used": {{}},
    "services_touched": [],
    "start_time": null,
    "end_time": null
  }},
  "metadata": {metadata},
  "timestamp": "{}"
}}
"#,
            NOW.to_rfc3339()
        )
    };
    let end = format!(
        r#"{{
    "intent": "end of the trail",
    "successor": "{}"
  }}"#,
        UUIDS[1]
    );
    assert_eq!(
        entry(0, "chiffon-audit.end"),
        frame("chiffon-audit.end", &end)
    );
    let tree = years.open(0).tree().unwrap();
    let begin = format!(
        r#"{{
    "intent": "beginning of a trail that continues another",
    "predecessor": {{
      "origin": "chiffon-audit/{}",
      "size": 2,
      "root": "{}",
      "tip": "{}",
      "checkpoint": null
    }}
  }}"#,
        UUIDS[0],
        tree.root_in_base64(),
        tree.last_commit().unwrap()
    );
    assert_eq!(
        entry(1, "chiffon-audit.begin"),
        frame("chiffon-audit.begin", &begin)
    );
    assert_eq!(tasks(&years.open(0)), ["a", "chiffon-audit.end"]);
    assert_eq!(tasks(&years.open(1)), ["chiffon-audit.begin"]);
    git(&years.path(0), &["fsck", "--strict"]);
    git(&years.path(1), &["fsck", "--strict"]);
}

#[test]
fn nothing_is_recorded_after_the_end_and_the_reason_names_the_successor() {
    let years = Years::with(2);
    let reason = years.gives(
        0,
        &completed("x"),
        AnswerKind::Unavailable,
        Some(Cause::Ended),
    );
    assert!(reason.contains(UUIDS[1]), "{reason}");
    // What is recorded can still be asked for.
    years.gives(0, &completed("a"), AnswerKind::AlreadyRecorded, None);
    let refused = record_at(&years.path(0), "x", 0);
    assert!(
        matches!(refused, Err(TrailError::Ended { .. })),
        "{refused:?}"
    );
    // Another process has ended it while this one had it open.
    let years = Years::with_one();
    let opened = recorder(years.open(0), builtin(), &years.clock);
    assert_eq!(opened.record(&completed("y")).result, AnswerKind::Committed);
    years.end(0);
    assert_eq!(opened.record(&completed("z")).cause, Some(Cause::Ended));
}

#[test]
fn a_task_is_recorded_once_over_all_trails() {
    let years = Years::with(3);
    for id in ["a", "b", "c"] {
        years.gives(2, &completed(id), AnswerKind::AlreadyRecorded, None);
        let other = document(id, "failed", "");
        let reason = years.gives(2, &other, AnswerKind::Conflicting, Some(Cause::Differs));
        assert_eq!(
            reason.contains("which this trail continues"),
            id != "c",
            "{reason}"
        );
    }
    let answer = years.record(2, &completed("a"));
    let first = years.open(0).locate(&task("a")).unwrap().unwrap();
    assert_eq!((answer.path, answer.commit), (Some(first.0), first.1));
    // Ids that differ only by case collide over the border, too.
    let reason = years.record(2, &completed("A"));
    assert_eq!(reason.cause, Some(Cause::CaseCollision), "{reason:?}");
    years.clock.turn(60);
    years.commits(2, "new");
    let report = years.chain(0..3);
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
}

#[test]
fn the_ids_of_the_host_are_refused_in_any_case() {
    let years = Years::with_one();
    for id in [
        "chiffon-audit.end",
        "chiffon-audit.begin",
        "Chiffon-Audit.End",
    ] {
        years.gives(
            0,
            &completed(id),
            AnswerKind::Refused,
            Some(Cause::Document),
        );
    }
    years.end(0);
}

#[test]
fn without_the_trail_before_nothing_is_recorded_until_it_is_back() {
    let years = Years::with(2);
    let away = years.dir.path().join("elsewhere/in/a/vault");
    fs::create_dir_all(away.parent().unwrap()).unwrap();
    fs::rename(years.path(0), &away).unwrap();
    let reason = years.gives(
        1,
        &completed("x"),
        AnswerKind::Unavailable,
        Some(Cause::Predecessor),
    );
    assert!(reason.contains(UUIDS[0]), "{reason}");
    // The trail itself has this task.
    years.gives(1, &completed("b"), AnswerKind::AlreadyRecorded, None);
    fs::rename(&away, years.path(0)).unwrap();
    years.commits(1, "x");
    // Under another name beside this one, it is found, too.
    fs::rename(years.path(0), years.dir.path().join("renamed")).unwrap();
    years.commits(1, "y");
    years.gives(1, &completed("a"), AnswerKind::AlreadyRecorded, None);
}

#[test]
fn another_trail_in_the_place_of_the_one_before_is_not_asked() {
    let years = Years::with(2);
    fs::remove_dir_all(years.path(0)).unwrap();
    Trail::init(&years.path(0), init(0)).unwrap();
    years.gives(
        1,
        &completed("x"),
        AnswerKind::Unavailable,
        Some(Cause::Predecessor),
    );
}

#[test]
fn a_rolled_back_trail_before_is_read_where_it_ended() {
    let years = Years::with(2);
    let (path, commit) = years.open(0).locate(&task("a")).unwrap().unwrap();
    for back in ["main~1", "main~1"] {
        git(&years.path(0), &["update-ref", "refs/heads/main", back]);
        years.gives(1, &completed("a"), AnswerKind::AlreadyRecorded, None);
        let answer = years.record(1, &completed("a"));
        assert_eq!(
            (answer.path.as_ref(), &answer.commit),
            (Some(&path), &commit)
        );
    }
    years.commits(1, "x");
}

#[test]
fn a_damaged_list_of_trails_is_no_reason_to_stop() {
    let years = Years::with(3);
    for year in 0..3 {
        let list = years.path(year).join("chiffon-audit/trails.toml");
        assert!(year == 0 || list.exists());
        fs::write(list, "[[trail]]\nname = 1\n\0").unwrap();
    }
    years.gives(2, &completed("a"), AnswerKind::AlreadyRecorded, None);
    years.commits(2, "x");
}

#[test]
fn a_trail_that_was_not_asked_for_is_asked_again() {
    let years = Years::with(2);
    // A caller without a recorder, which has not asked the predecessor.
    let refused = record_at(&years.path(1), "a", 0);
    assert!(matches!(refused, Err(TrailError::Changed)), "{refused:?}");
}

#[test]
fn a_successor_that_waits_for_the_end_records_nothing() {
    let years = Years::with_one();
    let (successor, _, uuid) = years.prepare(1).unwrap();
    let reason = years.gives(
        1,
        &completed("x"),
        AnswerKind::Unavailable,
        Some(Cause::NotBegun),
    );
    assert!(reason.contains(UUIDS[0]), "{reason}");
    let clock = years.shared_clock();
    let early = complete(&years.open(0), (&successor, &uuid), None, engine(), &clock);
    let early = early.unwrap_err().to_string();
    assert!(
        early.contains("has not ended yet") && early.contains(&uuid),
        "{early}"
    );
    // The predecessor still records.
    years.commits(0, "x");
    years.end(0);
    years.gives(1, &completed("x"), AnswerKind::AlreadyRecorded, None);
}

#[test]
fn a_trail_has_one_successor_and_a_successor_one_trail_before() {
    let years = Years::with(2);
    let clock = years.shared_clock();
    let other = record_end(&years.open(0), UUIDS[2], engine(), &clock).unwrap_err();
    assert!(matches!(other, ContinuationError::OtherSuccessor { .. }));
    assert!(other.to_string().contains(UUIDS[1]), "{other}");
    // A second trail cannot begin after the same one.
    let origin = years.open(0).origin(&[]).unwrap();
    let (rival, _, uuid) = continuation::prepare(&years.path(2), init(2), &origin).unwrap();
    let refused = complete(&years.open(0), (&rival, &uuid), None, engine(), &clock);
    assert!(matches!(
        refused,
        Err(ContinuationError::OtherSuccessor { .. })
    ));
    assert_eq!(tasks(&rival), Vec::<String>::new());
    // A trail with entries continues none, and one that continues another continues no third.
    let full = Years::with_one();
    let refused = continuation::prepare(&full.path(0), init(0), &origin);
    assert!(matches!(refused, Err(ContinuationError::NotEmpty)));
    let refused = continuation::prepare(&years.path(1), init(1), "chiffon-audit/other");
    assert!(matches!(
        refused,
        Err(ContinuationError::OtherPredecessor { .. })
    ));
}

#[test]
fn what_people_commit_after_the_end_is_no_entry() {
    let years = Years::new();
    let checkout = InitOptions {
        bare: false,
        ..init(0)
    };
    Trail::init(&years.path(0), checkout).unwrap();
    years.commits(0, "a");
    years.end(0);
    fs::write(years.path(0).join("readme"), "kept for ten years\n").unwrap();
    git(&years.path(0), &["add", "readme"]);
    git(&years.path(0), &["commit", "-q", "-m", "say how long"]);
    years.commits(1, "b");
    years.gives(1, &completed("a"), AnswerKind::AlreadyRecorded, None);
    let report = years.chain(0..2);
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
}

#[test]
fn of_two_that_end_it_while_others_record_one_wins_and_no_task_is_in_both() {
    let years = Years::with_one();
    let origin = years.open(0).origin(&[]).unwrap();
    let successors = [1, 2].map(|year| {
        let prepared = continuation::prepare(&years.path(year), init(year), &origin);
        prepared.unwrap().0
    });
    let ids: Vec<String> = (0..200).map(|number| format!("t-{number}")).collect();
    let before = || Trail::open(&years.path(0), OpenOptions::default()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let ended = std::thread::scope(|scope| {
        for part in ids.chunks(50) {
            let (tell, recorder) = (tell.clone(), recorder(before(), builtin(), &years.clock));
            scope.spawn(move || {
                for id in part {
                    let result = recorder.record(&completed(id)).result;
                    let _ = tell.send(result);
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(told.recv().unwrap(), AnswerKind::Committed);
        }
        let ends = [1, 2].map(|year| {
            let (trail, clock) = (before(), years.shared_clock());
            scope.spawn(move || record_end(&trail, UUIDS[year], engine(), &clock))
        });
        ends.map(|end| end.join().unwrap())
    });
    let winner = usize::from(ended[0].is_err());
    assert!(matches!(ended[winner], Ok(true)), "{ended:?}");
    assert!(
        matches!(
            ended[1 - winner],
            Err(ContinuationError::OtherSuccessor { .. })
        ),
        "{ended:?}"
    );
    let (successor, uuid) = (&successors[winner], UUIDS[winner + 1]);
    let clock = years.shared_clock();
    complete(&before(), (successor, uuid), None, engine(), &clock).unwrap();
    let recorder = recorder(successor.clone(), builtin(), &years.clock);
    for id in &ids {
        let result = recorder.record(&completed(id)).result;
        assert!(
            matches!(result, AnswerKind::Committed | AnswerKind::AlreadyRecorded),
            "{id}: {result:?}"
        );
    }
    // The task `a`, the two ends, and each of the others once.
    let number = tasks(&before()).len() + tasks(successor).len();
    assert_eq!(number, ids.len() + 3);
    let paths = [years.path(0), years.path(winner + 1)];
    let report = verify::verify_chain(&paths, || Ok(Options::default())).unwrap();
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
}
