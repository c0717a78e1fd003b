//! The seed's `TestErrorHandling`.

use std::time::Duration;

use chiffon_audit_cli::trail::TrailError;

use super::*;

#[test]
fn a_missing_repository_is_told_apart_from_an_outcome_that_is_there() {
    // The seed returns `False` in both cases.
    let dir = crate::support::temporary();
    let output = with_input(&mut program(dir.path(), &["commit", "-", "--json"]), TASK);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&answer["result"], &answer["cause"], &answer["retry"]),
        (
            &json("\"unavailable\""),
            &json("\"no-repository\""),
            &json("false")
        )
    );
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .starts_with("no git repository at "),
        "{answer}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_git_cannot_do_now_changes_nothing_and_succeeds_when_it_can() {
    let repo = Repo::init(&[]);
    repo.commit_file("readme", "hello");
    let service = Service::of(
        repo,
        OpenOptions {
            lock_wait: Duration::from_millis(200),
            ..OpenOptions::default()
        },
    );
    let head = service.head();
    // As if a person's git were working on the branch.
    let lock = service.repo.path.join(".git/refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    let answer = service.record(TASK);
    assert_eq!(
        (answer.result, answer.retry),
        (AnswerKind::Unavailable, true),
        "{answer:?}"
    );
    assert!(
        answer.reason.as_deref().unwrap().contains("main.lock"),
        "{answer:?}"
    );
    assert_eq!(service.head(), head);
    // The seed has written its file at this point, so the retry would skip it: the entry would be lost.
    assert!(!service.repo.path.join(TASK_PATH).exists());
    assert_eq!(service.repo.git(&["status", "--porcelain"]), "");

    std::fs::remove_file(&lock).unwrap();
    assert_eq!(service.record(TASK).result, AnswerKind::Committed);
    service.repo.fsck();
}

#[track_caller]
fn refused(document: &str, expected: &str) {
    let service = Service::new();
    let head = service.head();
    let answer = service.record(document);
    assert_eq!(
        (answer.result, answer.retry),
        (AnswerKind::Refused, false),
        "{answer:?}"
    );
    let said: Vec<_> = answer.violations.iter().map(ToString::to_string).collect();
    assert_eq!(said, [expected]);
    assert_eq!(service.head(), head);
}

#[test]
fn a_task_without_a_task_id_is_refused_by_that_field() {
    refused(r#"{"status":"completed"}"#, "/task_id: is missing");
}

#[test]
fn a_task_without_a_status_is_refused_by_that_field() {
    refused(r#"{"task_id":"a"}"#, "/status: is missing");
}

#[test]
fn every_failure_is_an_error_that_names_its_cause_and_whether_to_try_again() {
    let busy = TrailError::Busy("a rebase is in progress on `main` in /srv/repo".into());
    for (error, may_pass, said) in [
        (
            TrailError::NoRepository("/srv/x".into()),
            false,
            "no git repository at /srv/x or above it",
        ),
        (
            TrailError::Unsupported("reftable".into()),
            false,
            "unsupported repository: reftable",
        ),
        (busy, true, "a rebase is in progress on `main` in /srv/repo"),
    ] {
        assert_eq!(
            (error.to_string().as_str(), error.may_pass()),
            (said, may_pass)
        );
        // The error that a caller of the library catches, as the seed's callers catch `GitServiceError`.
        let caught: Box<dyn std::error::Error + Send + Sync> = error.into();
        assert!(caught.is::<TrailError>());
    }
}
