//! Work trees that cannot be written, or are absent: recording continues, and a person's git loses no entry.

use super::*;

const DENIED: i32 = 13;
const READ_ONLY: i32 = 30;

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
        assert_eq!(left_out.map(|(_, count)| count), Some(2));
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
    repo.git(&["sparse-checkout", "set", "--no-cone", "/readme"]);
    assert!(!repo.path.join(".audit/tasks/a.json").exists());
    record_at(&repo.path, "c", 2).unwrap();
    assert!(!repo.path.join(".audit/tasks/a.json").exists());
    a_person_commits_everything(&repo.path, 1);
    repo.git(&["sparse-checkout", "disable"]);
    check(&repo, &["a", "b", "c"]);
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

#[test]
fn a_work_tree_that_core_worktree_names_and_that_is_missing_is_told_by_its_path() {
    let repo = checkout();
    repo.git(&["config", "core.worktree", "/nonexistent/tree"]);
    let error = record_at(&repo.path.join(".git"), "a", 0).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("/nonexistent/tree, which core.worktree names, is missing"),
        "{said}"
    );
}
