//! Work trees that cannot be written, or are absent: recording continues, and a person's git loses no entry.

use super::*;

const DENIED: i32 = 13;
const READ_ONLY: i32 = 30;
const FULL: i32 = 28;
const FAILED: i32 = 5;
const NOT_A_DIRECTORY: i32 = 20;

/// A repository whose trail is on the branch of a linked work tree, with the entry `a`.
fn on_a_linked_work_tree() -> (Repo, PathBuf) {
    let repo = checkout();
    let linked = repo.path.with_file_name("linked");
    let place = linked.to_str().unwrap();
    repo.git(&["worktree", "add", "-q", "-b", "side", place]);
    std::fs::create_dir(repo.path.join(".git/chiffon-audit")).unwrap();
    std::fs::write(
        repo.path.join(".git/chiffon-audit/trail.toml"),
        "reference = \"refs/heads/side\"\nplacement = \"checkout\"\n",
    )
    .unwrap();
    record_at(&linked, "a", 0).unwrap();
    (repo, linked)
}

/// What a person who notices nothing does: they commit everything, and no entry is altered.
fn a_person_commits_everything(tree: &Path, number: u32) {
    assert_eq!(git(tree, &["status", "--porcelain"]), "");
    std::fs::write(tree.join("readme"), number.to_string()).unwrap();
    git(tree, &["commit", "-q", "-a", "-m", "mine"]);
    assert_eq!(
        git(tree, &["show", "--format=", "--name-status", "HEAD"]),
        "M\treadme\n"
    );
}

#[test]
fn files_that_cannot_be_written_are_left_out_with_a_warning_until_they_can_be() {
    for code in [DENIED, READ_ONLY] {
        let repo = checkout();
        record_at(&repo.path, "a", 0).unwrap();
        let disk = Watched::default();
        let trail = open_watched(&repo.path, &disk);
        let entries = repo.path.join(".audit");
        disk.fail(code, move |_, path| path.starts_with(&entries));
        for (second, task) in ["b", "c"].into_iter().enumerate() {
            record(&trail, task, second as i64 + 1).unwrap();
            let warning = trail.take_warning().unwrap();
            assert!(
                warning.contains(".audit/tasks/b.json")
                    && warning.contains("once it can be written"),
                "{warning}"
            );
            assert!(!repo.path.join(".audit/tasks/b.json").exists());
            a_person_commits_everything(&repo.path, second as u32);
        }
        let left_out = trail.left_out().unwrap();
        assert_eq!(left_out.map(|files| files.count), Some(2));
        // A restart of the machine changes nothing.
        let options = OpenOptions {
            boot: Some("another".into()),
            disk: Arc::new(disk.clone()),
            ..OpenOptions::default()
        };
        drop(trail);
        let trail = Trail::open(&repo.path, options).unwrap();
        record(&trail, "d", 3).unwrap();
        assert!(trail.take_warning().is_some());
        a_person_commits_everything(&repo.path, 9);
        disk.heal();
        record(&trail, "e", 4).unwrap();
        assert_eq!(trail.take_warning(), None);
        assert_eq!(trail.left_out().unwrap(), None);
        drop(trail);
        check(&repo, &["a", "b", "c", "d", "e"]);
        let flags = repo.git(&["ls-files", "-v", "--", ".audit"]);
        assert!(flags.lines().all(|line| line.starts_with("H ")), "{flags}");
    }
}

/// A person's sparse checkout has the same flag.
#[test]
fn entries_that_a_person_leaves_out_stay_left_out() {
    let repo = checkout();
    for (second, task) in ["a", "b"].into_iter().enumerate() {
        record_at(&repo.path, task, second as i64).unwrap();
    }
    // A service is open for weeks.
    let trail = open(&repo.path).unwrap();
    record(&trail, "c", 2).unwrap();
    repo.git(&["sparse-checkout", "set", "--no-cone", "/readme"]);
    assert!(!repo.path.join(".audit/tasks/a.json").exists());
    record(&trail, "d", 3).unwrap();
    assert!(!repo.path.join(".audit/tasks/a.json").exists());
    assert_eq!(trail.left_out().unwrap(), None);
    drop(trail);
    a_person_commits_everything(&repo.path, 1);
    repo.git(&["sparse-checkout", "disable"]);
    check(&repo, &["a", "b", "c", "d"]);
}

#[test]
fn a_work_tree_that_is_absent_for_a_moment_loses_no_entry() {
    let (repo, linked) = on_a_linked_work_tree();
    let away = linked.with_file_name("away");
    std::fs::rename(&linked, &away).unwrap();
    let trail = open(&repo.path).unwrap();
    record(&trail, "b", 1).unwrap();
    let warning = trail.take_warning().unwrap();
    assert!(
        warning.contains("absent") && warning.contains("`git worktree prune`"),
        "{warning}"
    );
    drop(trail);
    // Where a disk was mounted, an empty directory stays.
    std::fs::create_dir(&linked).unwrap();
    record_at(&repo.path, "c", 2).unwrap();
    assert!(!linked.join(".audit").exists());
    std::fs::remove_dir(&linked).unwrap();
    std::fs::rename(&away, &linked).unwrap();
    a_person_commits_everything(&linked, 1);
    record_at(&repo.path, "d", 3).unwrap();
    for task in ["a", "b", "c", "d"] {
        let file = linked.join(format!(".audit/tasks/{task}.json"));
        assert!(file.is_file(), "{task}");
    }
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    assert_eq!(tasks(&open(&repo.path).unwrap()), ["a", "b", "c", "d"]);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.fsck();
}

#[test]
fn a_work_tree_that_is_gone_for_good_does_not_stop_recording() {
    let (repo, linked) = on_a_linked_work_tree();
    repo.git(&["worktree", "lock", linked.to_str().unwrap()]);
    std::fs::remove_dir_all(&linked).unwrap();
    let trail = open(&repo.path).unwrap();
    record(&trail, "b", 1).unwrap();
    let warning = trail.take_warning().unwrap();
    assert!(warning.contains("`git worktree unlock"), "{warning}");
    drop(trail);
    repo.git(&["worktree", "unlock", linked.to_str().unwrap()]);
    repo.git(&["worktree", "prune"]);
    let trail = open(&repo.path).unwrap();
    record(&trail, "c", 2).unwrap();
    assert_eq!(trail.take_warning(), None);
    assert_eq!(tasks(&trail), ["a", "b", "c"]);
}

/// Its index would be outdated when it is back. Git does not move such a branch either.
#[test]
fn a_separate_ref_that_an_absent_work_tree_has_checked_out_is_not_moved_under_it() {
    let repo = Repo::bare();
    record_at(&repo.path, "a", 0).unwrap();
    let linked = repo.path.with_file_name("linked");
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    std::fs::remove_dir_all(&linked).unwrap();
    let error = record_at(&repo.path, "b", 1).unwrap_err();
    assert!(
        error.to_string().contains("`git worktree prune`") && error.may_pass(),
        "{error}"
    );
    repo.git(&["worktree", "prune"]);
    record_at(&repo.path, "b", 1).unwrap();
}

/// The index has the entry at once, whatever the error: a person's next commit would remove it otherwise.
#[test]
fn whatever_keeps_a_file_out_of_the_work_tree_no_entry_looks_deleted() {
    for code in [FULL, FAILED, NOT_A_DIRECTORY, DENIED] {
        for failing in ["create", "write", "create directory"] {
            let repo = checkout();
            let disk = Watched::default();
            let trail = open_watched(&repo.path, &disk);
            let entries = repo.path.join(".audit");
            disk.fail(code, move |operation, path| {
                operation == failing && path.starts_with(&entries)
            });
            record(&trail, "a", 0).unwrap();
            assert_eq!(
                repo.git(&["ls-files", "-v", "--", ".audit"]),
                "S .audit/tasks/a.json\n"
            );
            assert!(!repo.path.join(".audit/tasks/a.json").exists());
            a_person_commits_everything(&repo.path, 1);
            disk.heal();
            record(&trail, "b", 1).unwrap();
            assert_eq!(trail.left_out().unwrap(), None);
            drop(trail);
            check(&repo, &["a", "b"]);
            assert!(repo.path.join(".audit/tasks/a.json").is_file());
        }
    }
}

#[test]
fn another_file_at_an_entry_s_path_stays_and_the_warning_says_what_to_do() {
    let repo = checkout();
    let trail = open(&repo.path).unwrap();
    record(&trail, "a", 0).unwrap();
    let path = repo.path.join(".audit/tasks/b.json");
    std::fs::write(&path, "mine").unwrap();
    record(&trail, "b", 1).unwrap();
    let warning = trail.take_warning().unwrap();
    let remedy = format!("`git checkout HEAD -- {}`", path.display());
    assert!(
        warning.contains("another file is at") && warning.contains(&remedy),
        "{warning}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    record(&trail, "c", 2).unwrap();
    assert_eq!(trail.take_warning(), None);
    std::fs::rename(&path, repo.path.with_file_name("moved")).unwrap();
    repo.git(&["checkout", "HEAD", "--", path.to_str().unwrap()]);
    drop(trail);
    check(&repo, &["a", "b", "c"]);
    // Something else that is staged.
    let trail = open(&repo.path).unwrap();
    std::fs::write(repo.path.join(".audit/tasks/d.json"), "mine").unwrap();
    repo.git(&["add", ".audit"]);
    record(&trail, "d", 3).unwrap();
    let warning = trail.take_warning().unwrap();
    assert!(warning.contains(".audit/tasks/d.json"), "{warning}");
    assert_eq!(repo.git(&["show", ":.audit/tasks/d.json"]), "mine");
}

/// An empty file, and the beginning of an entry, are what a crash leaves. A file that cannot be read is neither.
#[test]
fn a_file_of_a_person_s_that_cannot_be_read_is_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let repo = checkout();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let path = repo.path.join(".audit/tasks/b.json");
    let entry = path.clone();
    disk.fail(FULL, move |_, path| path == entry);
    record(&trail, "b", 1).unwrap();
    disk.heal();
    std::fs::write(&path, "mine").unwrap();
    // As root, the file can be read, and this test shows only that another file stays.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    record(&trail, "c", 2).unwrap();
    let warning = trail.take_warning().unwrap();
    assert!(warning.contains("another file is at"), "{warning}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_work_tree_that_core_worktree_names_and_that_is_missing_is_left_out() {
    let repo = checkout();
    let git_dir = repo.path.join(".git");
    let [tree, away] = ["tree", "away"].map(|name| repo.path.with_file_name(name));
    std::fs::create_dir(&tree).unwrap();
    repo.git(&["config", "core.worktree", tree.to_str().unwrap()]);
    repo.git(&["checkout", "-q", "-f"]);
    record_at(&git_dir, "a", 0).unwrap();
    // In a service that is open, and in one that starts meanwhile.
    let trail = open(&git_dir).unwrap();
    std::fs::rename(&tree, &away).unwrap();
    for (second, task) in ["b", "c"].into_iter().enumerate() {
        let reopened = open(&git_dir).unwrap();
        let trail = if task == "b" { &trail } else { &reopened };
        record(trail, task, second as i64 + 1).unwrap();
        let warning = trail.take_warning().unwrap();
        assert!(
            warning.contains("is absent") && warning.contains("correct core.worktree in"),
            "{warning}"
        );
        assert_eq!(
            trail.placement(),
            chiffon_audit_cli::trail::Placement::Checkout
        );
    }
    assert!(!tree.exists());
    // Another mount may have lost what was not synced there, so `a` is written again, too.
    let left_out = trail.left_out().unwrap().unwrap();
    assert_eq!((left_out.root, left_out.count), (tree.clone(), 3));
    std::fs::rename(&away, &tree).unwrap();
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    record(&trail, "d", 3).unwrap();
    for task in ["a", "b", "c", "d"] {
        let file = tree.join(format!(".audit/tasks/{task}.json"));
        assert!(file.is_file(), "{task}");
    }
    drop(trail);
    check(&repo, &["a", "b", "c", "d"]);
}
