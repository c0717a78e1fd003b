//! The recorder on a real trail with real policies: the result of each submission, and the entry that it depends on.

use std::sync::atomic::{AtomicI64, Ordering};

use chiffon_audit_cli::clock::{Clock, Timestamp};
use chiffon_audit_cli::outcome;
use chiffon_audit_cli::policy::{Policy, PolicySettings};
use chiffon_audit_cli::recorder::{Answer, AnswerKind, Options, Recorder};
use chiffon_audit_cli::verify;

use super::*;
use crate::policy::guest::{honest, hostile};
use crate::policy::{NOW, builtin, engine};

/// A clock that a test sets.
#[derive(Clone)]
pub(super) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(super) fn at_now() -> Hands {
        Hands(Arc::new(AtomicI64::new(NOW.microseconds())))
    }

    pub(super) fn turn(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(self.0.load(Ordering::SeqCst))
    }
}

pub(super) fn recorder(trail: Trail, policy: &Policy, clock: &Hands) -> Recorder {
    let options = Options {
        clock: Arc::new(clock.clone()),
        limits: outcome::Limits::default(),
        settings: PolicySettings::default(),
        secret: None,
        delivery: chiffon_audit_cli::recorder::Delivery::default(),
        sealer: None,
    };
    Recorder::new(trail, policy.clone(), options)
}

pub(super) fn document(id: &str, status: &str, more: &str) -> Vec<u8> {
    format!("{{\"task_id\":\"{id}\",\"status\":\"{status}\"{more}}}").into_bytes()
}

pub(super) fn completed(id: &str) -> Vec<u8> {
    document(id, "completed", "")
}

#[track_caller]
fn committed(answer: Answer) -> String {
    assert_eq!(answer.result, AnswerKind::Committed, "{answer:?}");
    answer.commit.unwrap()
}

#[test]
fn the_trailer_names_the_interface_that_the_policy_was_built_for() {
    let repo = checkout();
    let trail = open(&repo.path).unwrap();
    let clock = Hands::at_now();
    let check = |policy: &Policy, id: &str, expected: &str| {
        committed(recorder(trail.clone(), policy, &clock).record(&completed(id)));
        let message = repo.git(&["log", "-1", "--format=%B"]);
        let trailer = format!("Audit-Interface: {expected}\n");
        assert!(message.contains(&trailer), "{message}");
    };
    check(builtin(), "a", "chiffon:audit@0.1.0");
    let patched = honest("hostile", |text| text.replace("@0.1.0", "@0.1.7"));
    let policy = Policy::load(engine(), "patched", &patched).unwrap();
    check(&policy, "t", "chiffon:audit@0.1.7");
    let report = verify::verify(&repo.path, &verify::Options::default()).unwrap();
    assert_eq!(report.result(), verify::AuditResult::Holds, "{report:#?}");
}

#[test]
fn the_same_again_is_already_recorded_and_another_conflicts_by_field() {
    let repo = checkout();
    let clock = Hands::at_now();
    let recorder = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    let commit = committed(recorder.record(&document(
        "t",
        "failed",
        r#","plan_id":"p","plan_steps":["a"]"#,
    )));
    clock.turn(60);
    for same in [
        r#","plan_steps":["a"],"plan_id":"p""#,
        r#","plan_id":"p","plan_steps":["a"],"execution_result":{}"#,
    ] {
        let answer = recorder.record(&document("t", "failed", same));
        assert_eq!(answer.result, AnswerKind::AlreadyRecorded, "{answer:?}");
        assert_eq!(answer.commit.as_deref(), Some(&commit[..]));
        assert_eq!(answer.path.as_deref(), Some(".audit/tasks/t.json"));
        assert!(!answer.retry);
    }
    for (status, more, field) in [
        (
            "completed",
            r#","plan_id":"p","plan_steps":["a"]"#,
            "status",
        ),
        ("failed", r#","plan_id":"q","plan_steps":["a"]"#, "plan_id"),
        (
            "failed",
            r#","plan_id":"p","plan_steps":["a","b"]"#,
            "plan_steps",
        ),
        (
            "failed",
            r#","plan_id":"p","plan_steps":["a"],"metadata":{"x":1}"#,
            "metadata",
        ),
    ] {
        let answer = recorder.record(&document("t", status, more));
        assert_eq!(answer.result, AnswerKind::Conflicting, "{answer:?}");
        assert!(
            answer.reason.as_ref().unwrap().contains(field),
            "{answer:?}"
        );
        assert_eq!(answer.commit.as_deref(), Some(&commit[..]));
        assert!(!answer.retry);
    }
    drop(recorder);
    check(&repo, &["t"]);
}

#[test]
fn an_id_that_differs_by_case_is_refused_as_a_collision() {
    for layout in [Layout::Flat, Layout::Sharded] {
        let repo = checkout();
        let clock = Hands::at_now();
        let trail = Trail::open(
            &repo.path,
            OpenOptions {
                layout: Some(layout),
                ..OpenOptions::default()
            },
        )
        .unwrap();
        let first = recorder(trail, builtin(), &clock);
        // The second while the first is not durable yet, and again when it is, from another process.
        let pending = first.submit(&completed("Task-A"));
        let at_once = first.record(&completed("task-a"));
        committed(pending.wait());
        let later =
            recorder(open(&repo.path).unwrap(), builtin(), &clock).record(&completed("tASK-a"));
        for answer in [at_once, later] {
            assert_eq!(answer.result, AnswerKind::Refused, "{answer:?}");
            assert_eq!(answer.violations[0].pointer, "/task_id");
            assert!(
                answer.violations[0].message.contains("Task-A"),
                "{answer:?}"
            );
            assert!(!answer.retry);
        }
        drop(first);
        check(&repo, &["Task-A"]);
    }
}

#[test]
fn a_policy_that_says_already_recorded_of_everything_is_not_believed() {
    let repo = checkout();
    let clock = Hands::at_now();
    let liar = Policy::load(engine(), "liar", &hostile("already-recorded", &[])).unwrap();
    let lying = recorder(open(&repo.path).unwrap(), &liar, &clock);
    let answer = lying.record(&completed("t"));
    assert_eq!(answer.result, AnswerKind::Unavailable, "{answer:?}");
    assert!(
        answer
            .reason
            .as_ref()
            .unwrap()
            .contains("the trail has no entry"),
        "{answer:?}"
    );
    committed(recorder(open(&repo.path).unwrap(), builtin(), &clock).record(&completed("t")));
    // A record with another status is not a record of this outcome.
    let lying = recorder(open(&repo.path).unwrap(), &liar, &clock);
    let answer = lying.record(&document("t", "failed", ""));
    assert_eq!(answer.result, AnswerKind::Unavailable, "{answer:?}");
    assert!(
        answer
            .reason
            .as_ref()
            .unwrap()
            .contains("another task id or status"),
        "{answer:?}"
    );
    assert_eq!(
        lying.record(&completed("t")).result,
        AnswerKind::AlreadyRecorded
    );
    drop(lying);
    check(&repo, &["t"]);
}

#[test]
fn a_policy_that_faults_leaves_nothing_and_is_in_nobody_s_way() {
    let repo = checkout();
    let clock = Hands::at_now();
    let trail = open(&repo.path).unwrap();
    let before = listing(&repo.path.join(".git/objects"));
    let names = [
        "trap",
        "committed-without-commit",
        "committed-without-staging",
        "panics",
        "endless-recursion",
    ];
    for name in names {
        let policy = Policy::load(engine(), name, &hostile(name, &[])).unwrap();
        let answer = recorder(trail.clone(), &policy, &clock).record(&completed("t"));
        assert_eq!(answer.result, AnswerKind::Unavailable, "{name}: {answer:?}");
        assert!(
            answer.reason.as_ref().unwrap().starts_with("policy"),
            "{name}: {answer:?}"
        );
        assert_eq!(listing(&repo.path.join(".git/objects")), before, "{name}");
        assert!(!repo.path.join(".audit").exists(), "{name}");
    }
    committed(recorder(trail, builtin(), &clock).record(&completed("u")));
    assert!(repo.git(&["status", "--porcelain"]).is_empty());
    repo.fsck();
}

#[test]
fn a_clock_that_is_set_back_does_not_take_the_trail_with_it() {
    let repo = checkout();
    let clock = Hands::at_now();
    let first = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    committed(first.record(&completed("a")));
    // The writer waits for at most five minutes; they pass as the same moment.
    clock.turn(-290);
    committed(first.record(&completed("b")));
    committed(recorder(open(&repo.path).unwrap(), builtin(), &clock).record(&completed("c")));
    clock.turn(-3600);
    for recorder in [
        &first,
        &recorder(open(&repo.path).unwrap(), builtin(), &clock),
    ] {
        let answer = recorder.record(&completed("d"));
        assert_eq!(answer.result, AnswerKind::Unavailable, "{answer:?}");
        assert!(
            answer
                .reason
                .as_ref()
                .unwrap()
                .contains("ahead of this machine's clock"),
            "{answer:?}"
        );
        assert!(answer.retry);
        // A recorded outcome can be answered at any time once the clock is right.
    }
    clock.turn(3600 + 290 + 1);
    committed(first.record(&completed("d")));
    drop(first);
    check(&repo, &["a", "b", "c", "d"]);
    let times = |format: &str| repo.git(&["log", "--first-parent", format, "--max-count=4"]);
    let stamps: Vec<String> = ["d", "c", "b", "a"]
        .iter()
        .map(|id| {
            let entry = repo.git(&["show", &format!("HEAD:.audit/tasks/{id}.json")]);
            let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
            entry["timestamp"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(
        stamps.windows(2).all(|pair| pair[0] >= pair[1]),
        "{stamps:?}"
    );
    let seconds: Vec<i64> = times("--format=%ct")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert!(
        seconds.windows(2).all(|pair| pair[0] >= pair[1]),
        "{seconds:?}"
    );
}

#[test]
fn a_tip_that_another_machine_made_in_the_future_is_unavailable() {
    for (ahead, accepted) in [(299, true), (360, false)] {
        let repo = checkout();
        let clock = Hands::at_now();
        let here = recorder(open(&repo.path).unwrap(), builtin(), &clock);
        committed(here.record(&completed("before")));
        let fast = Hands::at_now();
        fast.turn(ahead);
        committed(
            recorder(open(&repo.path).unwrap(), builtin(), &fast).record(&completed("ahead")),
        );
        let tip = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
        let fresh =
            recorder(open(&repo.path).unwrap(), builtin(), &clock).record(&completed("fresh"));
        assert_eq!(
            fresh.result == AnswerKind::Committed,
            accepted,
            "{ahead}: {fresh:?}"
        );
        assert_eq!(
            fresh
                .reason
                .is_some_and(|reason| reason.contains(&format!("commit, {tip}, is "))
                    && reason.contains("ahead of this machine's clock")),
            !accepted
        );
        drop(here);
        repo.fsck();
    }
}

#[test]
fn an_entry_that_only_a_merge_brought_is_not_already_recorded() {
    let repo = checkout();
    let clock = Hands::at_now();
    let record_in = |dir: &Path, id: &str| {
        recorder(open(dir).unwrap(), builtin(), &clock).record(&completed(id))
    };
    committed(record_in(&repo.path, "a"));
    let clone = repo.path.with_file_name("clone");
    git(
        repo.path.parent().unwrap(),
        &["clone", "-q", "repo", "clone"],
    );
    committed(record_in(&repo.path, "b"));
    committed(record_in(&clone, "c"));
    let from = clone.to_str().unwrap();
    repo.git(&["pull", "-q", "--no-rebase", "--no-edit", from, "main"]);
    let answer = record_in(&repo.path, "b");
    assert_eq!(answer.result, AnswerKind::AlreadyRecorded, "{answer:?}");
    let answer = record_in(&repo.path, "c");
    assert_eq!(answer.result, AnswerKind::Unavailable, "{answer:?}");
    assert_eq!(answer.cause, Some(outcome::Cause::Elsewhere));
    assert!(!answer.retry);
    let reason = answer.reason.unwrap();
    assert!(
        reason.contains(".audit/tasks/c.json is in refs/heads/main, but no commit"),
        "{reason}"
    );
    // Once its removal is accepted by name, it can be recorded.
    repo.git(&["rm", "-q", ".audit/tasks/c.json"]);
    repo.git(&["commit", "-q", "-m", "not recorded here"]);
    let options = InitOptions {
        accept_tip: Some(repo.git(&["rev-parse", "HEAD"]).trim().to_owned()),
        ..init_options()
    };
    Trail::init(&repo.path, options).unwrap();
    committed(record_in(&repo.path, "c"));
}

#[test]
fn an_outcome_that_another_process_recorded_meanwhile_is_decided_again() {
    let repo = checkout();
    let clock = Hands::at_now();
    let here = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    let there = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    committed(here.record(&completed("first")));
    let same = committed(there.record(&completed("same")));
    let other = committed(there.record(&document("other", "failed", "")));
    // `here` still has the earlier state of the trail.
    let pending = [
        here.submit(&completed("same")),
        here.submit(&completed("other")),
        here.submit(&completed("new")),
    ];
    let [same_again, conflicting, new] = pending.map(|pending| pending.wait());
    assert_eq!(
        same_again.result,
        AnswerKind::AlreadyRecorded,
        "{same_again:?}"
    );
    assert_eq!(same_again.commit, Some(same));
    assert_eq!(
        conflicting.result,
        AnswerKind::Conflicting,
        "{conflicting:?}"
    );
    assert_eq!(conflicting.commit, Some(other));
    committed(new);
    drop((here, there));
    check(&repo, &["first", "same", "other", "new"]);
}

#[test]
fn the_same_outcome_submitted_twice_at_once_makes_one_commit() {
    let repo = checkout();
    let clock = Hands::at_now();
    let recorder = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    let pending: Vec<_> = (0..20).map(|_| recorder.submit(&completed("t"))).collect();
    let answers: Vec<Answer> = pending.into_iter().map(|pending| pending.wait()).collect();
    assert_eq!(answers[0].result, AnswerKind::Committed);
    for answer in &answers[1..] {
        assert_eq!(answer.result, AnswerKind::AlreadyRecorded);
        assert_eq!(answer.commit, answers[0].commit);
    }
    drop(recorder);
    check(&repo, &["t"]);
}

/// If an answer depends on an entry that then fails to become durable, the policy decides again.
#[test]
fn a_caller_that_must_not_block_is_notified_when_the_answer_is_there() {
    let repo = checkout();
    let clock = Hands::at_now();
    let recorder = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    let (sender, receiver) = std::sync::mpsc::channel();
    // One gets a place, one depends on an entry that is not durable yet, one is refused immediately.
    let submissions = [completed("t"), completed("t"), b"{}".to_vec()];
    let pending: Vec<_> = submissions
        .iter()
        .enumerate()
        .map(|(number, document)| {
            let pending = recorder.submit(document);
            let sender = sender.clone();
            pending.on_ready(Box::new(move || sender.send(number).unwrap()));
            pending
        })
        .collect();
    let mut told: Vec<usize> = (0..3).map(|_| receiver.recv().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, [0, 1, 2]);
    assert!(pending.iter().all(|pending| pending.is_ready()));
    let results: Vec<_> = pending
        .into_iter()
        .map(|pending| pending.wait().result)
        .collect();
    assert_eq!(
        results,
        [
            AnswerKind::Committed,
            AnswerKind::AlreadyRecorded,
            AnswerKind::Refused
        ]
    );
}

#[test]
fn an_answer_that_rests_on_a_failed_flush_is_taken_again() {
    let repo = checkout();
    let clock = Hands::at_now();
    let disk = Watched::default();
    let recorder = recorder(open_watched(&repo.path, &disk), builtin(), &clock);
    committed(recorder.record(&completed("first")));
    disk.fail(28, |operation, path| {
        operation == "write" && path.extension().is_some_and(|it| it == "pack")
    });
    let first = recorder.submit(&completed("t"));
    let second = recorder.submit(&completed("t"));
    let answer = first.wait();
    assert_eq!(answer.result, AnswerKind::Unavailable, "{answer:?}");
    assert!(answer.reason.unwrap().contains("No space left"));
    disk.heal();
    let answer = second.wait();
    assert!(
        matches!(
            answer.result,
            AnswerKind::Committed | AnswerKind::Unavailable
        ),
        "{answer:?}"
    );
    let last = recorder.record(&completed("t"));
    assert!(
        matches!(
            last.result,
            AnswerKind::Committed | AnswerKind::AlreadyRecorded
        ),
        "{last:?}"
    );
    drop(recorder);
    check(&repo, &["first", "t"]);
}

#[test]
fn a_roll_back_is_unavailable_with_the_reason_even_for_what_is_remembered() {
    let repo = checkout();
    let clock = Hands::at_now();
    let recorder = recorder(open(&repo.path).unwrap(), builtin(), &clock);
    committed(recorder.record(&completed("a")));
    committed(recorder.record(&completed("b")));
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    for id in ["b", "a", "c"] {
        let answer = recorder.record(&completed(id));
        assert_eq!(answer.result, AnswerKind::Unavailable, "{answer:?}");
        assert!(answer.reason.unwrap().starts_with("blocked: rolled back"));
        assert!(answer.retry);
    }
}
