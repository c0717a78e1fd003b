//! The seed's `TestParametrizedScenarios`.

use chiffon_audit_cli::trail::Layout;

use super::*;

const STATUSES: [&str; 4] = ["completed", "failed", "rejected", "cancelled"];

#[test]
fn every_status_of_the_seed_is_recorded() {
    let service = Service::new();
    for status in STATUSES {
        let answer = service.record(&outcome(&format!("task-{status}"), status));
        assert_eq!(answer.result, AnswerKind::Committed, "{answer:?}");
        assert_eq!(
            service
                .repo
                .git(&["show", "-s", "--format=%s", "HEAD"])
                .trim(),
            format!("audit: task task-{status} {status} at {NOW}")
        );
        let entry = json(
            &service
                .repo
                .git(&["show", &format!("HEAD:.audit/tasks/task-{status}.json")]),
        );
        assert_eq!(entry["status"], status);
    }
    assert_eq!(
        service.record(&outcome("task-done", "done")).result,
        AnswerKind::Refused
    );
}

#[test]
fn every_kind_of_error_has_its_answer_and_leaves_the_trail_as_it_is() {
    let service = Service::new();
    service.record(&outcome("task-a", "completed"));
    let (head, status) = (service.head(), service.repo.git(&["status", "--porcelain"]));
    for (document, expected) in [
        ("", AnswerKind::Refused),
        ("not json", AnswerKind::Refused),
        ("[]", AnswerKind::Refused),
        (
            r#"{"task_id":"../../x","status":"completed"}"#,
            AnswerKind::Refused,
        ),
        (r#"{"task_id":7,"status":"completed"}"#, AnswerKind::Refused),
        (r#"{"task_id":"b","status":"done"}"#, AnswerKind::Refused),
        (
            r#"{"task_id":"b","status":"failed","priority":1}"#,
            AnswerKind::Refused,
        ),
        (
            r#"{"task_id":"Task-A","status":"completed"}"#,
            AnswerKind::Refused,
        ),
        (
            r#"{"task_id":"task-a","status":"failed"}"#,
            AnswerKind::Conflicting,
        ),
        (
            r#"{"task_id":"task-a","status":"completed","plan_steps":null}"#,
            AnswerKind::AlreadyRecorded,
        ),
    ] {
        let answer = service.record(document);
        assert_eq!(answer.result, expected, "{document}: {answer:?}");
        assert!(!answer.retry, "{document}: {answer:?}");
    }
    assert_eq!(
        (service.head(), service.repo.git(&["status", "--porcelain"])),
        (head, status)
    );
}

#[test]
fn every_status_is_recorded_in_every_kind_of_repository() {
    for (args, layout) in [
        (&[][..], Layout::Flat),
        (&["--bare"], Layout::Sharded),
        (&["--object-format=sha256"], Layout::Sharded),
        (&["--bare", "--object-format=sha256"], Layout::Flat),
    ] {
        let service = Service::of(
            Repo::init(args),
            OpenOptions {
                layout: Some(layout),
                ..OpenOptions::default()
            },
        );
        for status in STATUSES {
            let document = outcome(status, status);
            assert_eq!(
                service.record(&document).result,
                AnswerKind::Committed,
                "{args:?} {status}"
            );
            assert_eq!(
                service.record(&document).result,
                AnswerKind::AlreadyRecorded,
                "{args:?} {status}"
            );
        }
        assert_eq!(
            service.repo.git(&["rev-list", "--count", "HEAD"]).trim(),
            "4"
        );
        service.repo.fsck();
    }
}
