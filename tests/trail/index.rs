//! Unusual indexes: an entry appears in each kind that git knows, or the error says why not and the ref is not moved.

use super::*;

/// Records beside an index of that kind; a person's files are not changed.
fn recorded_beside(prepare: impl Fn(&Repo)) {
    for args in [&[][..], &["--object-format=sha256"]] {
        let repo = Repo::init(args);
        repo.commit_file("readme", "hello");
        prepare(&repo);
        std::fs::write(repo.path.join("staged"), "mine").unwrap();
        repo.git(&["add", "staged"]);
        record_at(&repo.path, "a", 0).unwrap();
        record_at(&repo.path, "b", 1).unwrap();
        assert_eq!(repo.git(&["status", "--porcelain"]), "A  staged\n");
        assert!(
            repo.git(&["ls-files"])
                .starts_with(".audit/tasks/a.json\n.audit/tasks/b.json\nreadme\n")
        );
        repo.git(&["commit", "-q", "-a", "-m", "mine"]);
        assert_eq!(
            repo.git(&["show", "--format=", "--name-status", "HEAD"]),
            "A\tstaged\n"
        );
        check(&repo, &["a", "b"]);
    }
}

#[test]
fn every_version_of_the_index_is_kept_up_to_date() {
    for version in ["2", "3", "4"] {
        recorded_beside(|repo| drop(repo.git(&["update-index", "--index-version", version])));
    }
}

#[test]
fn a_split_index_is_kept_up_to_date() {
    recorded_beside(|repo| {
        repo.git(&["config", "core.splitIndex", "true"]);
        repo.git(&["update-index", "--split-index"]);
        repo.commit_file("second", "x");
        assert!(
            std::fs::read_dir(repo.path.join(".git"))
                .unwrap()
                .any(|entry| {
                    entry
                        .unwrap()
                        .file_name()
                        .to_string_lossy()
                        .starts_with("sharedindex.")
                })
        );
    });
}

#[test]
fn an_index_with_caches_and_without_a_checksum_is_kept_up_to_date() {
    recorded_beside(|repo| {
        repo.git(&["config", "index.skipHash", "true"]);
        repo.git(&["config", "core.untrackedCache", "true"]);
        repo.git(&[
            "update-index",
            "--untracked-cache",
            "--force-untracked-cache",
        ]);
        repo.git(&["update-index", "--force-write-index"]);
        repo.git(&["status"]);
    });
}

#[test]
fn flags_of_a_person_s_files_stay() {
    let repo = checkout();
    repo.commit_file("assumed", "x");
    repo.commit_file("skipped", "x");
    repo.git(&["update-index", "--assume-unchanged", "assumed"]);
    repo.git(&["update-index", "--skip-worktree", "skipped"]);
    std::fs::write(repo.path.join("new"), "later").unwrap();
    repo.git(&["add", "--intent-to-add", "new"]);
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(
        repo.git(&["ls-files", "-v"]),
        "H .audit/tasks/a.json\nh assumed\nH new\nH readme\nS skipped\n"
    );
    assert_eq!(repo.git(&["status", "--porcelain"]), " A new\n");
    check(&repo, &["a"]);
}

#[test]
fn a_sparse_checkout_works_and_a_sparse_index_is_refused() {
    let repo = checkout();
    std::fs::create_dir_all(repo.path.join("far/away")).unwrap();
    std::fs::write(repo.path.join("far/away/file"), "x").unwrap();
    std::fs::create_dir(repo.path.join("near")).unwrap();
    std::fs::write(repo.path.join("near/file"), "x").unwrap();
    repo.git(&["add", "."]);
    repo.git(&["commit", "-q", "-m", "files"]);
    repo.git(&[
        "sparse-checkout",
        "set",
        "--cone",
        "--no-sparse-index",
        "near",
    ]);
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert!(!repo.path.join("far").exists());
    repo.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "near"]);
    let before = repo.git(&["rev-parse", "HEAD"]);
    let error = record_at(&repo.path, "b", 1).unwrap_err();
    assert!(error.to_string().contains("--no-sparse-index"), "{error}");
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), before);
    repo.git(&["sparse-checkout", "reapply", "--no-sparse-index"]);
    record_at(&repo.path, "b", 1).unwrap();
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.fsck();
}

#[test]
fn a_corrupt_index_is_named_and_nothing_moves() {
    let repo = checkout();
    let index = repo.path.join(".git/index");
    let good = std::fs::read(&index).unwrap();
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    for bad in [&b"DIRCrubbish"[..], &good[..good.len() / 2], b"", &flipped] {
        std::fs::write(&index, bad).unwrap();
        let head = repo.git(&["rev-parse", "HEAD"]);
        let error = record_at(&repo.path, "a", 0).unwrap_err();
        assert!(error.to_string().contains("index"), "{error}");
        assert_eq!(std::fs::read(&index).unwrap(), bad);
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    }
    std::fs::write(&index, good).unwrap();
    record_at(&repo.path, "a", 0).unwrap();
    check(&repo, &["a"]);
}

/// With an index of a few entries, `git checkout` would count every other file as deleted.
#[test]
fn a_clone_without_a_checkout_is_left_to_the_first_checkout() {
    let origin = checkout();
    record_at(&origin.path, "a", 0).unwrap();
    let clone = origin.path.with_file_name("clone");
    let words = [
        "clone",
        "-q",
        "--no-checkout",
        origin.path.to_str().unwrap(),
    ];
    git(
        &origin.path,
        &[&words[..], &[clone.to_str().unwrap()]].concat(),
    );
    record_at(&clone, "b", 1).unwrap();
    assert!(!clone.join(".git/index").exists() && !clone.join(".audit").exists());
    git(&clone, &["checkout", "-q"]);
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    record_at(&clone, "c", 2).unwrap();
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    for name in ["readme", ".audit/tasks/b.json", ".audit/tasks/c.json"] {
        assert!(clone.join(name).is_file(), "{name}");
    }
    // Also where the trail is all that there is.
    let origin = Repo::init(&[]);
    record_at(&origin.path, "a", 0).unwrap();
    let other = origin.path.with_file_name("clone");
    let words = [
        "clone",
        "-q",
        "--no-checkout",
        origin.path.to_str().unwrap(),
    ];
    git(
        &origin.path,
        &[&words[..], &[other.to_str().unwrap()]].concat(),
    );
    record_at(&other, "b", 1).unwrap();
    git(&other, &["checkout", "-q"]);
    assert_eq!(
        git(&other, &["ls-files"]),
        ".audit/tasks/a.json\n.audit/tasks/b.json\n"
    );
    assert_eq!(git(&other, &["status", "--porcelain"]), "");
}

/// A person who repairs an index removes it first.
#[test]
fn an_index_that_was_removed_is_left_to_git() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    std::fs::remove_file(repo.path.join(".git/index")).unwrap();
    record_at(&repo.path, "b", 1).unwrap();
    assert!(!repo.path.join(".git/index").exists());
    repo.git(&["reset", "-q", "--hard"]);
    assert!(repo.path.join(".audit/tasks/b.json").is_file());
    check(&repo, &["a", "b"]);
}

/// An attacker who prepares a repository can write any path into its index.
#[test]
fn a_path_in_the_index_that_is_not_an_entry_s_is_never_written() {
    for path in [
        ".audit/tasks/../../escaped.json",
        ".audit/tasks/../../../escaped.json",
        ".audit/tasks/a/../../../../escaped.json",
        ".audit/tasks/../../.git/escaped.json",
        ".audit/tasks/.git/escaped.json",
        ".audit/tasks//etc/escaped.json",
        ".audit/tasks/escaped",
    ] {
        for is_left_out in [true, false] {
            let repo = checkout();
            let reached = repo
                .path
                .join(".audit/tasks/a")
                .join("..")
                .join(&path[".audit/tasks/".len()..]);
            let reached = if path.contains("//") {
                repo.path.join(path)
            } else {
                reached
            };
            std::fs::create_dir_all(repo.path.join(".audit/tasks/a")).unwrap();
            std::fs::create_dir_all(reached.parent().unwrap()).unwrap();
            if !is_left_out {
                // Git's conversions are undone in files of entries.
                std::fs::write(&reached, "{\r\n}\r\n").unwrap();
            }
            hostile_index(&repo, path, is_left_out);
            record_at(&repo.path, "t", 0).unwrap();
            record_at(&repo.path, "u", 1).unwrap();
            match std::fs::read(&reached) {
                Ok(there) => assert_eq!(
                    (is_left_out, &there[..]),
                    (false, &b"{\r\n}\r\n"[..]),
                    "{path}"
                ),
                Err(error) => assert!(is_left_out, "{path}: {error}"),
            }
            assert_eq!(open(&repo.path).unwrap().left_out().unwrap(), None);
        }
    }
}

/// Adds a blob to the index at a path that git refuses.
fn hostile_index(repo: &Repo, path: &str, is_left_out: bool) {
    std::fs::write(repo.path.join("blob"), "{\n}\n").unwrap();
    let blob = repo.git(&["hash-object", "-w", "blob"]);
    std::fs::remove_file(repo.path.join("blob")).unwrap();
    let accepted: String = path
        .char_indices()
        .map(|(at, letter)| {
            if at > 0 && matches!(letter, '.' | '/') {
                '-'
            } else {
                letter
            }
        })
        .collect();
    let entry = format!("100644,{},{accepted}", blob.trim());
    // Without a checksum, which would be wrong.
    repo.git(&["config", "index.skipHash", "true"]);
    repo.git(&["update-index", "--add", "--cacheinfo", &entry]);
    if is_left_out {
        repo.git(&["update-index", "--skip-worktree", &accepted]);
    }
    let index = repo.path.join(".git/index");
    let mut bytes = std::fs::read(&index).unwrap();
    let places: Vec<usize> = bytes
        .windows(path.len())
        .enumerate()
        .filter(|(_, window)| *window == accepted.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 1, "{accepted}");
    bytes[places[0]..][..path.len()].copy_from_slice(path.as_bytes());
    std::fs::write(&index, bytes).unwrap();
}

/// `git stash pop` and `git apply -3` leave conflicts without a merge in progress.
#[test]
fn a_conflict_at_the_entry_s_own_path_stays_the_person_s() {
    let repo = checkout();
    let blob = |text: &str| {
        std::fs::write(repo.path.join("scratch"), text).unwrap();
        let id = repo.git(&["hash-object", "-w", "scratch"]);
        std::fs::remove_file(repo.path.join("scratch")).unwrap();
        id.trim().to_owned()
    };
    let path = ".audit/tasks/a.json";
    let stages: String = [(1, "base"), (2, "ours"), (3, "theirs")]
        .map(|(stage, text)| format!("100644 {} {stage}\t{path}\n", blob(text)))
        .concat();
    let mut child = isolated(
        std::process::Command::new("git")
            .arg("-C")
            .arg(&repo.path)
            .args(["update-index", "--index-info"]),
    )
    .stdin(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stages.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    record_at(&repo.path, "a", 0).unwrap();
    record_at(&repo.path, "b", 1).unwrap();
    assert_eq!(repo.git(&["ls-files", "-s", path]), stages);
    assert!(repo.git(&["status", "--porcelain"]).contains(path));
    repo.git(&["reset", "-q", "--hard"]);
    check(&repo, &["a", "b"]);
}

#[test]
fn a_person_s_staged_file_where_a_directory_must_be_is_kept() {
    let repo = checkout();
    std::fs::write(repo.path.join(".audit"), "mine").unwrap();
    repo.git(&["add", ".audit"]);
    let error = record_at(&repo.path, "a", 0).unwrap_err();
    assert!(
        error.to_string().contains(".audit is not a directory"),
        "{error}"
    );
    // Only staged: the index cannot hold both, so the person's file wins there.
    std::fs::remove_file(repo.path.join(".audit")).unwrap();
    let error = record_at(&repo.path, "a", 0).unwrap_err();
    assert!(error.to_string().contains(".audit"), "{error}");
    repo.git(&["rm", "-q", "--cached", ".audit"]);
    record_at(&repo.path, "a", 0).unwrap();
    check(&repo, &["a"]);
}
