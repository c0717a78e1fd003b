//! The seed's `TestIdempotency`.

use super::*;

#[test]
fn a_second_submission_is_already_recorded_and_names_the_first_commit() {
    let service = Service::new();
    let first = service.record(TASK);
    let again = service.record(TASK);
    assert_eq!(again.result, AnswerKind::AlreadyRecorded);
    assert_eq!((again.commit, again.path), (first.commit, first.path));

    // The seed silently drops a different outcome for the same task.
    let other = service.record(&TASK.replace("\"completed\"", "\"failed\""));
    assert_eq!(other.result, AnswerKind::Conflicting);
    assert!(other.reason.unwrap().contains("/status"));
}

#[test]
fn a_file_that_was_never_committed_is_no_record() {
    // The state after the seed dies between writing the file and committing: its retry sees the file and skips it.
    let service = Service::new();
    let file = service.repo.path.join(TASK_PATH);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{\"task_id\": \"7b0c").unwrap();

    let entry = service.entry();
    assert_eq!(json(&entry)["task_id"], TASK_ID);
    assert_eq!(service.record(TASK).result, AnswerKind::AlreadyRecorded);
    // A file by another program belongs to a person: it is not changed, and git shows that it differs.
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "{\"task_id\": \"7b0c"
    );
    assert_eq!(
        service.repo.git(&["status", "--porcelain"]),
        format!(" M {TASK_PATH}\n")
    );
}

#[test]
fn git_log_shows_one_commit_however_many_submit_at_once() {
    let service = Service::new();
    let recorder = &service.recorder;
    let results: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| scope.spawn(move || recorder.record(TASK.as_bytes()).result))
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    let count = |kind| results.iter().filter(|result| **result == kind).count();
    assert_eq!(
        (
            count(AnswerKind::Committed),
            count(AnswerKind::AlreadyRecorded)
        ),
        (1, 7),
        "{results:?}"
    );
    assert_eq!(
        service
            .repo
            .git(&["log", "--oneline", "--", TASK_PATH])
            .lines()
            .count(),
        1
    );
    assert_eq!(
        service.repo.git(&["rev-list", "--count", "HEAD"]).trim(),
        "2"
    );
}
