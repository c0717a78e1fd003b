//! The seed's `TestGitServiceInitialization`.

use chiffon_audit_cli::trail::{OpenOptions, Placement, Trail, TrailError};

use super::*;

#[test]
fn a_valid_repository_needs_no_preparation() {
    let service = Service::new();
    let trail = service.recorder.trail();
    assert_eq!(
        (trail.reference(), trail.placement()),
        ("refs/heads/main", Placement::Checkout)
    );
    assert_eq!(service.record(TASK).result, AnswerKind::Committed);
}

#[test]
fn the_audit_directory_comes_with_the_first_entry_and_opening_makes_nothing() {
    let service = Service::new();
    let listed = service.repo.git(&["for-each-ref"]);
    assert!(!service.repo.path.join(".audit").exists());
    assert_eq!(service.repo.git(&["status", "--porcelain"]), "");
    assert_eq!(service.repo.git(&["for-each-ref"]), listed);

    assert_eq!(service.record(TASK).result, AnswerKind::Committed);
    assert!(service.repo.path.join(".audit/tasks").is_dir());
}

#[test]
fn a_path_that_is_no_repository_is_named_and_stays_as_it_is() {
    let dir = crate::support::temporary();
    let error = Trail::open(dir.path(), OpenOptions::default())
        .err()
        .unwrap();
    assert!(matches!(error, TrailError::NoRepository(_)), "{error:?}");
    assert!(
        error.to_string().contains(dir.path().to_str().unwrap()),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let missing = dir.path().join("missing");
    assert!(Trail::open(&missing, OpenOptions::default()).is_err());
    assert!(!missing.exists());
}

#[test]
fn the_default_repository_is_that_of_the_current_directory() {
    let repo = Repo::init(&[]);
    let below = repo.path.join("src/deep");
    std::fs::create_dir_all(&below).unwrap();
    let output = with_input(&mut program(&below, &["commit", "-"]), TASK);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        repo.git(&["ls-tree", "-r", "--name-only", "HEAD"]),
        format!("{TASK_PATH}\n")
    );
    assert!(repo.path.join(TASK_PATH).is_file());
}
