//! Work trees in any place: entries appear where the branch is checked out, or the error says why not.

use super::*;

#[test]
fn core_worktree_says_where_the_entries_appear() {
    let repo = checkout();
    let elsewhere = crate::support::temporary();
    let root = elsewhere.path().canonicalize().unwrap();
    repo.git(&["config", "core.worktree", root.to_str().unwrap()]);
    repo.git(&["checkout", "-q", "-f"]);
    record_at(&repo.path.join(".git"), "a", 0).unwrap();
    assert!(root.join(".audit/tasks/a.json").is_file());
    assert!(!repo.path.join(".audit").exists());
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn from_a_linked_work_tree_the_branch_is_that_tree_s() {
    let repo = checkout();
    let linked = repo.path.with_file_name("linked");
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    // A trail that started there before new ones started on a separate ref.
    std::fs::create_dir(repo.path.join(".git/chiffon-audit")).unwrap();
    std::fs::write(
        repo.path.join(".git/chiffon-audit/trail.toml"),
        "reference = \"refs/heads/side\"\nplacement = \"checkout\"\n",
    )
    .unwrap();
    record_at(&linked, "a", 0).unwrap();
    assert_eq!(open(&repo.path).unwrap().reference(), "refs/heads/side");
    assert!(linked.join(".audit/tasks/a.json").is_file());
    // In the main work tree the trail is the same, and the entry appears in the work tree with the branch.
    record_at(&repo.path, "b", 1).unwrap();
    assert!(linked.join(".audit/tasks/b.json").is_file());
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.fsck();
}

#[test]
fn from_a_linked_work_tree_entries_appear_in_the_main_one() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let linked = repo.path.with_file_name("linked");
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    record_at(&linked, "b", 1).unwrap();
    assert!(repo.path.join(".audit/tasks/b.json").is_file());
    assert!(!linked.join(".audit/tasks/b.json").exists());
    check(&repo, &["a", "b"]);
}

/// A git directory in another place than its work tree does not name it. Moving a branch that may be checked out there
/// would leave its index outdated, and the person's next commit would remove the entries.
#[test]
fn a_main_work_tree_that_cannot_be_found_is_not_left_behind() {
    let dir = crate::support::temporary();
    let apart = dir.path().join("apart.git");
    let repo = Repo::init(&["--separate-git-dir", apart.to_str().unwrap()]);
    repo.commit_file("readme", "hello");
    record_at(&repo.path, "a", 0).unwrap();
    let linked = dir.path().join("linked");
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    for from in [&linked, &apart] {
        let error = record_at(from, "b", 1).unwrap_err();
        assert!(
            error.to_string().contains("the main work tree") && error.may_pass(),
            "{error}"
        );
    }
    record_at(&repo.path, "b", 1).unwrap();
    check(&repo, &["a", "b"]);
    // The first record from there does not change the trail's placement either.
    let apart = dir.path().join("second.git");
    let repo = Repo::init(&["--separate-git-dir", apart.to_str().unwrap()]);
    repo.commit_file("readme", "hello");
    let error = record_at(&apart, "a", 0).unwrap_err();
    assert!(error.to_string().contains("the main work tree"), "{error}");
    record_at(&repo.path, "a", 0).unwrap();
    check(&repo, &["a"]);
}

#[test]
fn a_bare_repository_with_a_work_tree_on_its_branch_is_not_moved_under_it() {
    let repo = Repo::bare();
    record_at(&repo.path, "a", 0).unwrap();
    let linked = repo.path.with_file_name("linked");
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    let error = record_at(&repo.path, "b", 1).unwrap_err();
    assert!(
        error.to_string().contains("linked") && error.may_pass(),
        "{error}"
    );
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    git(&linked, &["switch", "-q", "-c", "side"]);
    record_at(&repo.path, "b", 1).unwrap();
    assert_eq!(tasks(&open(&repo.path).unwrap()), ["a", "b"]);
}

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
    // The index has the entries, so a person's commit keeps them.
    git(&linked, &["commit", "-q", "--allow-empty", "-m", "mine"]);
    assert_eq!(git(&linked, &["diff", "--stat", "HEAD~1", "HEAD"]), "");
    record_at(&repo.path, "d", 3).unwrap();
    for task in ["a", "b", "c", "d"] {
        assert!(
            linked.join(format!(".audit/tasks/{task}.json")).is_file(),
            "{task}"
        );
    }
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    assert_eq!(tasks(&open(&repo.path).unwrap()), ["a", "b", "c", "d"]);
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
fn a_file_that_cannot_be_written_is_a_warning_and_the_index_has_its_entry() {
    const DENIED: i32 = 13;
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    disk.fail(DENIED, |operation, path| {
        operation == "create" && path.ends_with(".audit/tasks/b.json")
    });
    record(&trail, "b", 1).unwrap();
    let warning = trail.take_warning().unwrap();
    assert!(warning.contains("could not be written"), "{warning}");
    // Not `D `: a person's next commit keeps the entry.
    let status = repo.git(&["status", "--porcelain"]);
    assert_eq!(status, " D .audit/tasks/b.json\n");
    record(&trail, "c", 2).unwrap();
    drop(trail);
    // Another process may write it.
    record_at(&repo.path, "d", 3).unwrap();
    check(&repo, &["a", "b", "c", "d"]);
}

#[test]
fn something_else_at_an_entry_s_path_stays_and_is_told() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let file = repo.path.join(".audit/tasks/b.json");
    std::fs::write(&file, "mine").unwrap();
    let directory = repo.path.join(".audit/tasks/c.json");
    std::fs::create_dir(&directory).unwrap();
    for (second, (task, path)) in [("b", &file), ("c", &directory)].into_iter().enumerate() {
        let trail = open(&repo.path).unwrap();
        record(&trail, task, second as i64 + 1).unwrap();
        let warning = trail.take_warning().unwrap();
        let remedy = format!("`git checkout HEAD -- {}`", path.display());
        assert!(warning.contains(&remedy), "{warning}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    repo.git(&["commit", "-q", "--allow-empty", "-m", "mine"]);
    record_at(&repo.path, "d", 3).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_dir(&directory).unwrap();
    repo.git(&[
        "checkout",
        "-q",
        "--",
        file.to_str().unwrap(),
        directory.to_str().unwrap(),
    ]);
    check(&repo, &["a", "b", "c", "d"]);
}

#[test]
fn a_work_tree_that_core_worktree_names_and_that_is_missing_is_told_by_its_path() {
    let repo = checkout();
    repo.git(&["config", "core.worktree", "/nonexistent/tree"]);
    let error = record_at(&repo.path.join(".git"), "a", 0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/nonexistent/tree, which is missing"),
        "{error}"
    );
}
