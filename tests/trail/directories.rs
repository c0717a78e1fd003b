//! Directories that another program's git removes while the writer needs them, as `git pack-refs` does at any moment.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const REFERENCE: &str = "refs/heads/audit/of/tasks";

fn options(disk: &Watched, reference: &str) -> InitOptions {
    InitOptions {
        reference: Some(reference.into()),
        open: OpenOptions {
            disk: Arc::new(disk.clone()),
            lock_wait: Duration::from_secs(2),
            ..OpenOptions::default()
        },
        ..init_options()
    }
}

/// Removes the empty directories below `below` before each of the first operations on a path in a directory.
fn sweeping(disk: &Watched, below: PathBuf, times: usize) -> Arc<AtomicUsize> {
    let swept = Arc::new(AtomicUsize::new(0));
    let seen = swept.clone();
    disk.watch(move |operation, path| {
        let concerned = path.starts_with(&below)
            && matches!(
                operation,
                "create directory" | "sync directory" | "link" | "append"
            );
        if concerned && seen.load(Ordering::SeqCst) < times && remove_empty_below(&below) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    swept
}

/// As git does it: removes every empty directory below `below`, but not `below` itself. Returns whether any was
/// removed.
fn remove_empty_below(below: &Path) -> bool {
    let mut went = false;
    for entry in std::fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            went |= remove_empty_below(&entry.path());
            went |= std::fs::remove_dir(entry.path()).is_ok();
        }
    }
    went
}

#[test]
fn the_directories_of_a_ref_that_go_before_its_lock_is_made_are_made_again() {
    for times in [1, 2, 3, 7] {
        let repo = checkout();
        let disk = Watched::default();
        let swept = sweeping(&disk, repo.path.join(".git/refs/heads"), times);
        let (trail, _) = Trail::init(&repo.path, options(&disk, REFERENCE)).unwrap();
        assert_eq!(swept.load(Ordering::SeqCst), times);
        repo.git(&["pack-refs", "--all"]);
        assert!(!repo.path.join(".git/refs/heads/audit").exists());
        let swept = sweeping(&disk, repo.path.join(".git/refs/heads"), times);
        record(&trail, "a", 1).unwrap();
        assert_eq!(swept.load(Ordering::SeqCst), times);
        assert_eq!(tasks(&trail), ["a"]);
        assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
        repo.fsck();
    }
}

/// A program that keeps removing them does not block the writer for ever.
#[test]
fn directories_that_are_removed_for_ever_end_the_wait_for_the_lock() {
    let repo = checkout();
    let disk = Watched::default();
    sweeping(&disk, repo.path.join(".git/refs/heads"), usize::MAX);
    let error = Trail::init(&repo.path, options(&disk, REFERENCE)).err();
    let error = error.expect("no lock can be made");
    assert!(error.may_pass(), "{error}");
    disk.heal();
    let (trail, _) = Trail::init(&repo.path, options(&disk, REFERENCE)).unwrap();
    record(&trail, "a", 1).unwrap();
    repo.fsck();
}

#[test]
fn the_directories_of_a_reflog_that_go_are_made_again() {
    let repo = checkout();
    repo.git(&["switch", "-q", "-c", "audit/of/tasks"]);
    // The trail was there before.
    let disk = Watched::default();
    let mut options = options(&disk, REFERENCE);
    options.reference = None;
    repo.git(&["config", "init.defaultBranch", "audit/of/tasks"]);
    let (trail, _) = Trail::init(&repo.path, options).unwrap();
    std::fs::remove_dir_all(repo.path.join(".git/logs/refs/heads/audit")).unwrap();
    let swept = sweeping(&disk, repo.path.join(".git/logs"), 3);
    record(&trail, "a", 1).unwrap();
    assert_eq!(swept.load(Ordering::SeqCst), 3);
    let log = std::fs::read_to_string(repo.path.join(".git/logs").join(REFERENCE)).unwrap();
    assert!(log.contains("commit: audit: task a"), "{log}");
}

/// A deleted branch leaves empty directories in the place of the ref and its log.
#[test]
fn empty_directories_at_the_place_of_the_ref_and_its_log_make_room() {
    let repo = checkout();
    let at_place = repo.path.join(".git/refs/heads/main/was/a/branch");
    std::fs::remove_file(repo.path.join(".git/logs/refs/heads/main")).unwrap();
    std::fs::create_dir_all(repo.path.join(".git/logs/refs/heads/main/was")).unwrap();
    repo.git(&["pack-refs", "--all"]);
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    disk.watch(move |operation, path| {
        if operation == "rename" && path.ends_with("refs/heads/main") {
            // Once more, after the writer has looked.
            static MADE: AtomicUsize = AtomicUsize::new(0);
            if MADE.fetch_add(1, Ordering::SeqCst) < 2 {
                std::fs::create_dir_all(&at_place).unwrap();
            }
        }
        Ok(())
    });
    record(&trail, "a", 1).unwrap();
    let log = std::fs::read_to_string(repo.path.join(".git/logs/refs/heads/main")).unwrap();
    assert!(log.contains("commit: audit: task a"), "{log}");
    check(&repo, &["a"]);
}

/// `git worktree add` creates a work tree's directory before its `HEAD`.
#[test]
fn a_work_tree_that_git_is_just_making_or_removing_is_no_obstacle() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let linked = repo.path.with_file_name("linked");
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let head = repo.path.join(".git/worktrees/linked/HEAD");
    let text = std::fs::read(&head).unwrap();
    std::fs::remove_file(&head).unwrap();
    record_at(&repo.path, "b", 1).unwrap();
    std::fs::write(&head, text).unwrap();
    // The trail's branch is checked out in a work tree that is removed just before its index is locked.
    repo.git(&["switch", "-q", "-c", "other"]);
    git(&linked, &["switch", "-q", "main"]);
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    let path = repo.path.clone();
    disk.once(
        |operation, path| operation == "link" && path.ends_with("linked/index.lock"),
        move || drop(git(&path, &["worktree", "remove", "--force", "linked"])),
    );
    record(&trail, "c", 2).unwrap();
    assert_eq!(tasks(&trail), ["a", "b", "c"]);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.fsck();
}
