//! A person's operation in progress, and locks of other programs: the trail waits, then reports them, and nothing
//! changes.

use std::time::Instant;

use super::*;

/// Two branches that cannot be merged without a person.
fn torn() -> Repo {
    let repo = checkout();
    repo.git(&["switch", "-q", "-c", "other"]);
    repo.commit_file("readme", "theirs");
    repo.commit_file("readme", "theirs again");
    repo.git(&["switch", "-q", "main"]);
    record_at(&repo.path, "a", 0).unwrap();
    repo.commit_file("readme", "ours");
    repo
}

/// Checks that while `begin` is in progress the trail reports it and changes nothing, and continues after `end`.
#[track_caller]
fn waits_for(repo: &Repo, begin: &[&str], operation: &str, end: &[&str]) {
    let long_lived = open(&repo.path).unwrap();
    record(&long_lived, "before", 1).unwrap();
    try_git(&repo.path, begin);
    let tip = repo.git(&["rev-parse", "refs/heads/main"]);
    let status = repo.git(&["status", "--porcelain"]);
    for trail in [&long_lived, &open(&repo.path).unwrap()] {
        let error = record(trail, "b", 2).unwrap_err();
        assert!(error.to_string().contains(operation), "{begin:?}: {error}");
        assert!(error.may_pass());
    }
    assert_eq!(repo.git(&["rev-parse", "refs/heads/main"]), tip);
    assert_eq!(repo.git(&["status", "--porcelain"]), status);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.git(end);
    record(&long_lived, "b", 3).unwrap();
    drop(long_lived);
    check(repo, &["a", "before", "b"]);
}

#[test]
fn a_merge_in_progress_is_waited_for() {
    waits_for(&torn(), &["merge", "other"], "merge", &["merge", "--abort"]);
    waits_for(
        &torn(),
        &["merge", "other"],
        "merge",
        &["commit", "-q", "-a", "-m", "merged"],
    );
}

#[test]
fn a_rebase_in_progress_is_waited_for() {
    waits_for(
        &torn(),
        &["rebase", "other"],
        "rebase",
        &["rebase", "--abort"],
    );
    waits_for(
        &torn(),
        &["rebase", "--apply", "other"],
        "rebase",
        &["rebase", "--abort"],
    );
}

#[test]
fn a_cherry_pick_and_a_revert_in_progress_are_waited_for() {
    waits_for(
        &torn(),
        &["cherry-pick", "other"],
        "cherry-pick",
        &["cherry-pick", "--abort"],
    );
    waits_for(
        &torn(),
        &["revert", "HEAD~3"],
        "revert",
        &["revert", "--abort"],
    );
}

/// After the first of several picks is resolved with `git commit`, the others are still to come.
#[test]
fn a_cherry_pick_between_two_of_its_picks_is_waited_for() {
    let repo = torn();
    try_git(&repo.path, &["cherry-pick", "other~1", "other"]);
    repo.git(&["commit", "-q", "-a", "-m", "picked"]);
    let error = record_at(&repo.path, "b", 2).unwrap_err();
    assert!(error.to_string().contains("cherry-pick"), "{error}");
    repo.git(&["cherry-pick", "--quit"]);
    record_at(&repo.path, "b", 2).unwrap();
    check(&repo, &["a", "b"]);
}

#[test]
fn a_bisect_in_progress_is_waited_for() {
    let repo = torn();
    repo.git(&["bisect", "start", "-q"]);
    repo.git(&["bisect", "bad"]);
    waits_for_bisect(&repo, &["bisect", "good", "HEAD~2"]);
    let repo = torn();
    waits_for(
        &repo,
        &["bisect", "start", "--no-checkout", "HEAD", "HEAD~2"],
        "bisect",
        &["bisect", "reset"],
    );
}

#[track_caller]
fn waits_for_bisect(repo: &Repo, begin: &[&str]) {
    repo.git(begin);
    let error = record_at(&repo.path, "b", 2).unwrap_err();
    assert!(error.to_string().contains("bisect"), "{error}");
    repo.git(&["bisect", "reset"]);
    record_at(&repo.path, "b", 2).unwrap();
    check(repo, &["a", "b"]);
}

#[test]
fn an_operation_in_progress_on_another_branch_is_no_obstacle() {
    let repo = torn();
    repo.git(&["switch", "-q", "other"]);
    try_git(&repo.path, &["merge", "main"]);
    assert!(repo.path.join(".git/MERGE_HEAD").exists());
    record_at(&repo.path, "b", 1).unwrap();
    repo.git(&["merge", "--abort"]);
    repo.git(&["switch", "-q", "main"]);
    check(&repo, &["a", "b"]);
}

#[test]
fn a_rebase_in_a_linked_work_tree_is_waited_for() {
    let repo = torn();
    let linked = repo.path.with_file_name("linked");
    repo.git(&["switch", "-q", "--detach"]);
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    try_git(&linked, &["rebase", "other"]);
    let error = record_at(&repo.path, "b", 1).unwrap_err();
    assert!(
        error.to_string().contains("rebase") && error.to_string().contains("linked"),
        "{error}"
    );
    git(&linked, &["rebase", "--abort"]);
    record_at(&repo.path, "b", 1).unwrap();
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    assert!(linked.join(".audit/tasks/b.json").is_file());
}

fn lock_files(repo: &Repo) -> [PathBuf; 2] {
    [
        repo.path.join(".git/index.lock"),
        repo.path.join(".git/refs/heads/main.lock"),
    ]
}

#[test]
fn a_lock_that_is_never_released_is_named_and_nothing_changes() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let trail = open(&repo.path).unwrap();
    for lock in lock_files(&repo) {
        std::fs::write(&lock, "").unwrap();
        let head = repo.git(&["rev-parse", "HEAD"]);
        let error = record(&trail, "b", 1).unwrap_err();
        assert!(
            error.to_string().contains(lock.to_str().unwrap()) && error.may_pass(),
            "{error}"
        );
        assert!(matches!(error, TrailError::Locked { .. }));
        assert!(lock.exists(), "a stranger's lock is not ours to remove");
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert!(!repo.path.join(".audit/tasks/b.json").exists());
        std::fs::remove_file(&lock).unwrap();
    }
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    record(&trail, "b", 1).unwrap();
    drop(trail);
    check(&repo, &["a", "b"]);
}

#[test]
fn failed_attempts_leave_no_files_behind() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let trail = open(&repo.path).unwrap();
    let lock = repo.path.join(".git/refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    for second in 0..5 {
        record(&trail, &format!("b{second}"), second).unwrap_err();
    }
    std::fs::remove_file(&lock).unwrap();
    record(&trail, "b", 9).unwrap();
    // The trail is still open: leftovers are removed before it is closed.
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    let temporary = listing(&repo.path.join(".git/chiffon-audit/tmp"));
    assert!(temporary.is_empty(), "{:?}", temporary.keys());
    drop(trail);
    check(&repo, &["a", "b"]);
}

#[test]
fn a_lock_that_is_released_in_time_is_waited_for() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let disk = Watched::default();
    let options = OpenOptions {
        disk: Arc::new(disk.clone()),
        lock_wait: Duration::from_secs(60),
        ..OpenOptions::default()
    };
    let trail = Trail::open(&repo.path, options).unwrap();
    for (second, lock) in lock_files(&repo).into_iter().enumerate() {
        std::fs::write(&lock, "").unwrap();
        // Its owner releases it after twenty attempts.
        let mut tries = 0;
        disk.watch(move |operation, path| {
            if operation == "link" && path == lock {
                tries += 1;
                if tries == 20 {
                    std::fs::remove_file(path)?;
                }
            }
            Ok(())
        });
        record(&trail, &format!("b{second}"), second as i64).unwrap();
    }
    drop(trail);
    check(&repo, &["a", "b0", "b1"]);
}

#[test]
fn the_lock_among_ourselves_is_named_and_freed_by_the_system() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let held = std::fs::File::open(repo.path.join(".git/chiffon-audit/lock")).unwrap();
    held.lock().unwrap();
    let began = Instant::now();
    let error = record_at(&repo.path, "b", 1).unwrap_err();
    assert!(
        matches!(&error, TrailError::Locked { path, .. } if path.ends_with("chiffon-audit/lock")),
        "{error}"
    );
    assert!(began.elapsed() >= Duration::from_millis(100));
    drop(held);
    record_at(&repo.path, "b", 1).unwrap();
    check(&repo, &["a", "b"]);
}
