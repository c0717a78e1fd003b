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
