//! Unusual repositories: each works, or the error says why not and the repository is not changed.

use super::*;

/// Checks that nothing can be recorded here, the reason has `words`, and not a byte changes.
#[track_caller]
fn unsupported(dir: &Path, root: &Path, words: &str) {
    let before = listing(root);
    let error = match open(dir) {
        Ok(trail) => record(&trail, "t", 0).unwrap_err(),
        Err(error) => error,
    };
    let message = error.to_string();
    assert!(message.contains(words), "{message}");
    assert!(matches!(error, TrailError::Unsupported(_)), "{error:?}");
    assert!(!error.may_pass());
    let begun = Trail::init(dir, init_options());
    assert!(
        matches!(begun, Err(TrailError::Unsupported(_))),
        "init: {:?}",
        begun.map(|(_, begun)| begun)
    );
    assert_eq!(listing(root), before);
}

#[test]
fn a_reftable_repository_is_refused() {
    for args in [
        &["--ref-format=reftable"][..],
        &["--ref-format=reftable", "--bare"],
    ] {
        let repo = Repo::init(args);
        unsupported(&repo.path, &repo.path, "reftable");
    }
    let repo = Repo::init(&["--ref-format=reftable"]);
    std::fs::create_dir(repo.path.join("below")).unwrap();
    let before = listing(&repo.path);
    let message = refusal(open(&repo.path.join("below")).map(|trail| trail.reference().to_owned()));
    assert!(message.contains("reftable"), "{message}");
    assert_eq!(listing(&repo.path), before);
}

#[test]
fn an_unknown_extension_or_format_is_refused() {
    let repo = checkout();
    repo.git(&["config", "core.repositoryFormatVersion", "1"]);
    repo.git(&["config", "extensions.notYetInvented", "true"]);
    unsupported(&repo.path, &repo.path, "notyetinvented");
    let repo = checkout();
    std::fs::write(
        repo.path.join(".git/config"),
        "[core]\n\trepositoryformatversion = 2\n\tbare = false\n",
    )
    .unwrap();
    unsupported(&repo.path, &repo.path, "2");
}

#[test]
fn extensions_that_change_nothing_for_the_trail_are_accepted() {
    let repo = checkout();
    repo.git(&["config", "core.repositoryFormatVersion", "1"]);
    repo.git(&["config", "extensions.preciousObjects", "true"]);
    repo.git(&["config", "extensions.worktreeConfig", "true"]);
    repo.git(&["config", "--worktree", "core.abbrev", "12"]);
    record_at(&repo.path, "t", 0).unwrap();
    check(&repo, &["t"]);
}

#[test]
fn a_partial_clone_is_refused() {
    let origin = checkout();
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let dir = crate::support::temporary();
    let url = format!("file://{}", origin.path.display());
    git(
        dir.path(),
        &[
            "clone",
            "-q",
            "--filter=blob:none",
            "--no-checkout",
            &url,
            "clone",
        ],
    );
    let clone = dir.path().join("clone");
    unsupported(&clone, &clone, "partial clone");
    // Newer versions of git mark it with the remote alone.
    let _ = try_git(&clone, &["config", "--unset", "extensions.partialClone"]);
    git(&clone, &["config", "remote.origin.promisor", "true"]);
    unsupported(&clone, &clone, "partial clone");
}

#[test]
fn borrowed_objects_are_refused_until_the_repository_is_whole() {
    let origin = checkout();
    let dir = crate::support::temporary();
    git(
        dir.path(),
        &[
            "clone",
            "-q",
            "--shared",
            origin.path.to_str().unwrap(),
            "clone",
        ],
    );
    let clone = dir.path().join("clone");
    let remedy = format!("rm {}/.git/objects/info/alternates", clone.display());
    unsupported(&clone, &clone, &remedy);
    let bare = dir.path().join("bare.git");
    let from = origin.path.to_str().unwrap();
    git(
        dir.path(),
        &["clone", "-q", "--bare", "--shared", from, "bare.git"],
    );
    let remedy = format!("rm {}/objects/info/alternates", bare.display());
    unsupported(&bare, &bare, &remedy);
    git(&clone, &["repack", "-q", "-a", "-d"]);
    std::fs::remove_file(clone.join(".git/objects/info/alternates")).unwrap();
    record_at(&clone, "t", 0).unwrap();
}

#[test]
fn grafts_are_refused() {
    let repo = checkout();
    let head = repo.git(&["rev-parse", "HEAD"]);
    std::fs::write(repo.path.join(".git/info/grafts"), head).unwrap();
    unsupported(
        &repo.path,
        &repo.path,
        "info/grafts` shows the recorded one again",
    );
}

#[test]
fn a_replaced_tip_is_refused_by_the_replacement_s_name() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let other = repo.git(&["commit-tree", "HEAD~1^{tree}", "-m", "other"]);
    repo.git(&["replace", "HEAD", other.trim()]);
    let message = refusal(record_at(&repo.path, "b", 1));
    assert!(message.contains("`git replace -d "), "{message}");
    repo.git(&["pack-refs", "--all"]);
    let message = refusal(record_at(&repo.path, "b", 1));
    assert!(message.contains("refs/replace/"), "{message}");
    repo.git(&["replace", "-d", "HEAD"]);
    record_at(&repo.path, "b", 1).unwrap();
    check(&repo, &["a", "b"]);
}

#[test]
fn a_shallow_clone_records_and_says_where_history_ends() {
    let origin = checkout();
    record_at(&origin.path, "a", 0).unwrap();
    origin.commit_file("more", "x");
    let dir = crate::support::temporary();
    let url = format!("file://{}", origin.path.display());
    git(dir.path(), &["clone", "-q", "--depth=1", &url, "repo"]);
    let clone = dir.path().join("repo");
    record_at(&clone, "b", 1).unwrap();
    let trail = open(&clone).unwrap();
    assert!(matches!(
        append(&trail, "a", at(0)).and_then(|ticket| ticket.wait()),
        Err(TrailError::Changed)
    ));
    let found = trail.find(&task("a")).unwrap().unwrap();
    assert_eq!(found.commit, None, "its commit is beyond the boundary");
    assert!(trail.find(&task("b")).unwrap().unwrap().commit.is_some());
    assert_eq!(tasks(&trail), ["b"]);
    let fsck = try_git(&clone, &["fsck", "--strict"]);
    assert!(fsck.status.success());
}

#[test]
fn a_detached_head_at_the_first_record_says_why_not() {
    let repo = checkout();
    repo.git(&["checkout", "-q", "--detach"]);
    unsupported(&repo.path, &repo.path, "HEAD is detached");
}

#[test]
fn a_head_detached_later_leaves_the_trail_on_its_branch() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    repo.git(&["checkout", "-q", "--detach"]);
    let head = repo.git(&["rev-parse", "HEAD"]);
    record_at(&repo.path, "b", 1).unwrap();
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.git(&["checkout", "-q", "main"]);
    check(&repo, &["a", "b"]);
}

#[test]
fn an_unborn_branch_takes_its_first_commit_from_the_trail() {
    let repo = Repo::init(&[]);
    std::fs::write(repo.path.join("staged"), "mine").unwrap();
    repo.git(&["add", "staged"]);
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(repo.git(&["status", "--porcelain"]), "A  staged\n");
    assert_eq!(
        repo.git(&["ls-tree", "-r", "--name-only", "HEAD"]),
        ".audit/tasks/a.json\n"
    );
    check(&repo, &["a"]);
}

#[test]
fn a_subdirectory_finds_its_repository() {
    let repo = checkout();
    let below = repo.path.join("deep/below");
    std::fs::create_dir_all(&below).unwrap();
    record_at(&below, "a", 0).unwrap();
    assert!(repo.path.join(".audit/tasks/a.json").is_file());
    record_at(&repo.path.join(".git"), "b", 1).unwrap();
    check(&repo, &["a", "b"]);
}

#[test]
fn a_missing_repository_is_named() {
    let dir = crate::support::temporary();
    assert!(matches!(open(dir.path()), Err(TrailError::NoRepository(_))));
    // A `.git` file without a target is not a repository either.
    std::fs::write(dir.path().join(".git"), "gitdir: /nowhere/at/all\n").unwrap();
    assert!(open(dir.path()).is_err());
    assert!(matches!(
        open(&dir.path().join("absent")),
        Err(TrailError::NoRepository(_))
    ));
}

#[test]
fn a_separate_git_dir_and_a_submodule_s_git_file_are_followed() {
    let dir = crate::support::temporary();
    let apart = dir.path().join("apart.git");
    let repo = Repo::init(&["--separate-git-dir", apart.to_str().unwrap()]);
    repo.commit_file("readme", "hello");
    record_at(&repo.path, "a", 0).unwrap();
    check(&repo, &["a"]);
    assert!(apart.join("chiffon-audit").is_dir());

    let inner = checkout();
    let outer = checkout();
    let url = inner.path.to_str().unwrap();
    outer.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        url,
        "sub",
    ]);
    outer.git(&["commit", "-q", "-m", "a submodule"]);
    let sub = outer.path.join("sub");
    assert!(sub.join(".git").is_file());
    record_at(&sub, "s", 0).unwrap();
    assert_eq!(git(&sub, &["status", "--porcelain"]), "");
    assert!(sub.join(".audit/tasks/s.json").is_file());
    assert_eq!(tasks(&open(&sub).unwrap()), ["s"]);
    assert_eq!(outer.git(&["status", "--porcelain"]), " M sub\n");
}

#[test]
fn a_ref_with_an_id_of_another_kind_is_named() {
    let repo = checkout();
    let main = repo.path.join(".git/refs/heads/main");
    for wrong in ["0".repeat(64), "1".repeat(39), String::new()] {
        std::fs::write(&main, &wrong).unwrap();
        let message = refusal(record_at(&repo.path, "a", 0));
        assert!(message.contains("refs/heads/main"), "{message}");
    }
    std::fs::remove_file(&main).unwrap();
    std::fs::write(
        repo.path.join(".git/packed-refs"),
        format!("{} refs/heads/main\n", "z".repeat(40)),
    )
    .unwrap();
    let message = refusal(record_at(&repo.path, "a", 0));
    assert!(message.contains("refs/heads/main"), "{message}");
}

#[test]
fn a_ref_that_stands_in_for_another_is_refused() {
    let repo = checkout();
    repo.git(&["branch", "real"]);
    repo.git(&["symbolic-ref", "refs/heads/main", "refs/heads/real"]);
    let message = refusal(record_at(&repo.path, "a", 0));
    assert!(message.contains("symbolic ref"), "{message}");
}

#[test]
fn directories_that_a_deleted_branch_left_are_no_obstacle() {
    let repo = checkout();
    std::fs::create_dir_all(repo.path.join(".git/refs/heads/audit/old")).unwrap();
    let options = InitOptions {
        reference: Some("audit".into()),
        ..init_options()
    };
    let (trail, _) = Trail::init(&repo.path, options).unwrap();
    record(&trail, "a", 0).unwrap();
    assert_eq!(tasks(&trail), ["a"]);
    repo.fsck();
}

#[test]
fn a_branch_in_the_way_of_the_trail_s_name_is_named() {
    for packed in [false, true] {
        let repo = checkout();
        repo.git(&["branch", "audit/2025"]);
        if packed {
            repo.git(&["pack-refs", "--all"]);
        }
        let options = InitOptions {
            reference: Some("audit".into()),
            ..init_options()
        };
        let message = refusal(Trail::init(&repo.path, options).map(drop));
        assert!(message.contains("refs/heads/audit/2025"), "{message}");
        let options = InitOptions {
            reference: Some("audit/2025/q1".into()),
            ..init_options()
        };
        let message = refusal(Trail::init(&repo.path, options).map(drop));
        assert!(message.contains("refs/heads/audit/2025"), "{message}");
    }
}
