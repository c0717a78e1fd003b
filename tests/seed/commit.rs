//! The seed's `TestCommitAuditEntry`.

use super::*;

#[test]
fn the_entry_is_a_file_in_the_work_tree() {
    let service = Service::new();
    let committed = service.entry();
    assert_eq!(
        std::fs::read_to_string(service.repo.path.join(TASK_PATH)).unwrap(),
        committed
    );
    assert_eq!(service.repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn the_entry_is_in_the_index_as_after_git_add() {
    let service = Service::new();
    service.entry();
    let staged = service.repo.git(&["ls-files", "--stage", TASK_PATH]);
    let blob = service
        .repo
        .git(&["rev-parse", &format!("HEAD:{TASK_PATH}")]);
    assert_eq!(staged, format!("100644 {} 0\t{TASK_PATH}\n", blob.trim()));
    assert_eq!(service.repo.git(&["diff", "--cached", "--name-only"]), "");
}

#[test]
fn one_outcome_is_one_commit_on_top_of_the_last() {
    let service = Service::new();
    let before = service.head();
    service.entry();
    assert_eq!(
        service
            .repo
            .git(&["rev-list", "--parents", "-1", "HEAD"])
            .trim(),
        format!("{} {before}", service.head())
    );
    assert_eq!(
        service
            .repo
            .git(&["show", "--format=", "--name-status", "HEAD"]),
        format!("A\t{TASK_PATH}\n")
    );
    service.repo.fsck();
}

#[test]
fn a_new_outcome_is_answered_with_its_commit_and_path() {
    let service = Service::new();
    let answer = service.record(TASK);
    assert_eq!(answer.result, AnswerKind::Committed);
    assert_eq!(answer.task_id.as_deref(), Some(TASK_ID));
    assert_eq!(answer.commit, Some(service.head()));
    assert_eq!(answer.path.as_deref(), Some(TASK_PATH));
    assert_eq!((answer.reason, answer.retry), (None, false));
}

#[test]
fn the_message_names_task_status_and_time_and_what_decided() {
    let service = Service::new();
    service.entry();
    let policy = crate::policy::builtin().digest();
    // printf '{}' | sha256sum: no settings.
    let settings = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(
        service
            .repo
            .git(&["show", "-s", "--format=%B", "HEAD"])
            .trim_end(),
        format!(
            "audit: task {TASK_ID} completed at {NOW}\n\nAudit-Format: 1\nAudit-Task: {TASK_ID}\n\
             Audit-Interface: chiffon:audit@0.1.0\nAudit-Policy: {policy}\nAudit-Settings: {settings}"
        )
    );
}
