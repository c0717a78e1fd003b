//! A person's git beside the trail: none of their changes is committed, overwritten or undone, and they undo no entry
//! by accident.

use super::*;

const PATH: &str = ".audit/tasks/a.json";

#[test]
fn staged_changed_and_untracked_files_of_a_person_stay_theirs() {
    let repo = checkout();
    repo.commit_file("changed", "1");
    repo.commit_file("removed", "1");
    repo.commit_file("renamed", "1\n2\n3\n");
    std::fs::write(repo.path.join("changed"), "2").unwrap();
    std::fs::write(repo.path.join("readme"), "staged").unwrap();
    repo.git(&["add", "readme"]);
    std::fs::write(repo.path.join("readme"), "staged, then changed").unwrap();
    repo.git(&["rm", "-q", "removed"]);
    repo.git(&["mv", "renamed", "new-name"]);
    std::fs::write(repo.path.join("untracked"), "x").unwrap();
    let before = repo.git(&["status", "--porcelain"]);
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(repo.git(&["status", "--porcelain"]), before);
    assert_eq!(
        repo.git(&["show", "--format=", "--name-status", "HEAD"]),
        format!("A\t{PATH}\n")
    );
    assert_eq!(
        std::fs::read_to_string(repo.path.join("readme")).unwrap(),
        "staged, then changed"
    );
    check(&repo, &["a"]);
}

#[test]
fn a_person_s_commit_afterwards_neither_loses_nor_repeats_an_entry() {
    for args in [
        &["commit", "-q", "-a", "-m", "mine"][..],
        &["commit", "-q", "-m", "mine", "--", "readme"],
    ] {
        let repo = checkout();
        let trail = open(&repo.path).unwrap();
        for (second, id) in ["a", "b", "c"].into_iter().enumerate() {
            record(&trail, id, second as i64).unwrap();
            std::fs::write(repo.path.join("readme"), id).unwrap();
            repo.git(args);
            assert_eq!(
                repo.git(&["show", "--format=", "--name-status", "HEAD"]),
                "M\treadme\n"
            );
        }
        drop(trail);
        check(&repo, &["a", "b", "c"]);
    }
}

#[test]
fn an_untracked_file_at_the_entry_s_path_is_never_overwritten() {
    let repo = checkout();
    std::fs::create_dir_all(repo.path.join(".audit/tasks")).unwrap();
    std::fs::write(repo.path.join(PATH), "mine").unwrap();
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(
        std::fs::read_to_string(repo.path.join(PATH)).unwrap(),
        "mine"
    );
    assert_eq!(repo.git(&["status", "--porcelain"]), format!(" M {PATH}\n"));
    // The repair after a restart of the machine does not overwrite it either.
    let options = OpenOptions {
        boot: Some("another".into()),
        ..OpenOptions::default()
    };
    record(&Trail::open(&repo.path, options).unwrap(), "b", 1).unwrap();
    assert_eq!(
        std::fs::read_to_string(repo.path.join(PATH)).unwrap(),
        "mine"
    );
    repo.git(&["checkout", "--", PATH]);
    check(&repo, &["a", "b"]);
}

#[test]
fn a_link_or_directory_at_the_entry_s_path_is_left_alone() {
    let repo = checkout();
    let outside = repo.path.with_file_name("outside");
    std::fs::write(&outside, "precious").unwrap();
    std::fs::create_dir_all(repo.path.join(".audit/tasks/b.json")).unwrap();
    std::os::unix::fs::symlink(&outside, repo.path.join(PATH)).unwrap();
    record_at(&repo.path, "a", 0).unwrap();
    record_at(&repo.path, "b", 1).unwrap();
    record_at(&repo.path, "c", 2).unwrap();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "precious");
    assert!(repo.path.join(".audit/tasks/b.json").is_dir());
    assert!(repo.path.join(".audit/tasks/c.json").is_file());
    std::fs::remove_dir(repo.path.join(".audit/tasks/b.json")).unwrap();
    std::fs::remove_file(repo.path.join(PATH)).unwrap();
    repo.git(&["checkout", "--", ".audit"]);
    check(&repo, &["a", "b", "c"]);
}

#[test]
fn other_content_staged_at_the_entry_s_path_is_kept() {
    let repo = checkout();
    std::fs::create_dir_all(repo.path.join(".audit/tasks")).unwrap();
    std::fs::write(repo.path.join(PATH), "mine").unwrap();
    repo.git(&["add", PATH]);
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(repo.git(&["show", &format!(":{PATH}")]), "mine");
    assert_eq!(repo.git(&["status", "--porcelain"]), format!("M  {PATH}\n"));
    assert_eq!(
        repo.git(&["show", &format!("HEAD:{PATH}")]).as_bytes(),
        entry("a", at(0))
    );
}

#[test]
fn an_entry_that_a_person_is_about_to_add_by_hand_is_kept_apart() {
    let repo = checkout();
    std::fs::create_dir_all(repo.path.join(".audit/tasks")).unwrap();
    std::fs::write(repo.path.join(PATH), "mine").unwrap();
    repo.git(&["add", "--intent-to-add", PATH]);
    record_at(&repo.path, "a", 0).unwrap();
    assert_eq!(
        std::fs::read_to_string(repo.path.join(PATH)).unwrap(),
        "mine"
    );
    repo.git(&["status"]);
    repo.git(&["reset", "-q", "--hard"]);
    check(&repo, &["a"]);
}

#[test]
fn a_link_in_the_place_of_the_trail_s_directories_is_not_followed() {
    for link in [".audit", ".audit/tasks"] {
        let repo = checkout();
        let outside = crate::support::temporary();
        let link = repo.path.join(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        let head = repo.git(&["rev-parse", "HEAD"]);
        let error = record_at(&repo.path, "a", 0).unwrap_err();
        assert!(
            error.to_string().contains("is not a directory") && error.may_pass(),
            "{error}"
        );
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(listing(outside.path()).len(), 0);
        std::fs::remove_file(&link).unwrap();
        record_at(&repo.path, "a", 0).unwrap();
        check(&repo, &["a"]);
    }
}

#[test]
fn a_link_in_the_place_of_a_shard_is_not_followed_and_what_is_behind_it_comes_later() {
    let repo = checkout();
    let outside = crate::support::temporary();
    let path = Layout::Sharded.path(&task("a"));
    let shard = repo.path.join(&path[..".audit/tasks/x".len()]);
    std::fs::create_dir_all(shard.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(outside.path(), &shard).unwrap();
    let options = || OpenOptions {
        layout: Some(Layout::Sharded),
        ..OpenOptions::default()
    };
    let trail = Trail::open(&repo.path, options()).unwrap();
    let first = record(&trail, "a", 0);
    assert_eq!(listing(outside.path()).len(), 0);
    std::fs::remove_file(&shard).unwrap();
    if first.is_err() {
        record(&trail, "a", 0).unwrap();
    }
    record(&trail, "b", 1).unwrap();
    drop(trail);
    check(&repo, &["a", "b"]);
}

#[test]
fn files_in_place_of_the_trail_s_directories_are_reported() {
    for name in [".audit", ".audit/tasks"] {
        let repo = checkout();
        if let Some(parent) = Path::new(name).parent() {
            std::fs::create_dir_all(repo.path.join(parent)).unwrap();
        }
        repo.commit_file(name, "a file");
        let head = repo.git(&["rev-parse", "HEAD"]);
        let error = record_at(&repo.path, "a", 0).unwrap_err();
        assert!(
            error.to_string().contains("is a file, not a directory"),
            "{error}"
        );
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
        repo.git(&["rm", "-q", name]);
        repo.git(&["commit", "-q", "-m", "out of the way"]);
        record_at(&repo.path, "a", 0).unwrap();
        check(&repo, &["a"]);
    }
}

/// `git fsck` reports two equal names in one tree as a duplicate entry.
#[test]
fn a_directory_with_the_entry_s_name_is_reported() {
    let repo = checkout();
    std::fs::create_dir_all(repo.path.join(PATH)).unwrap();
    repo.commit_file(&format!("{PATH}/inner"), "x");
    let error = record_at(&repo.path, "a", 0).unwrap_err();
    assert!(!error.to_string().is_empty());
    record_at(&repo.path, "b", 1).unwrap();
    check(&repo, &["b"]);
}

#[test]
fn another_branch_checked_out_between_two_records_leaves_the_trail_where_it_was() {
    let repo = checkout();
    repo.git(&["branch", "other"]);
    let trail = open(&repo.path).unwrap();
    record(&trail, "a", 0).unwrap();
    repo.git(&["switch", "-q", "other"]);
    let head = repo.git(&["rev-parse", "HEAD"]);
    record(&trail, "b", 1).unwrap();
    record_at(&repo.path, "c", 2).unwrap();
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert!(!repo.path.join(".audit").exists());
    repo.git(&["switch", "-q", "main"]);
    record(&trail, "d", 3).unwrap();
    drop(trail);
    check(&repo, &["a", "b", "c", "d"]);
}

#[test]
fn a_switch_between_the_lock_and_the_index_is_noticed() {
    let repo = checkout();
    repo.git(&["branch", "other"]);
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let steps = ["index.lock", "main.lock", "tasks/d.json"];
    for ((second, id), step) in (1..).zip(["b", "c", "d"]).zip(steps) {
        let path = repo.path.clone();
        // `git symbolic-ref` takes no lock.
        disk.once(
            move |_, at| at.to_string_lossy().ends_with(step),
            move || drop(git(&path, &["symbolic-ref", "HEAD", "refs/heads/other"])),
        );
        record(&trail, id, second).unwrap();
        disk.heal();
        // Index and work tree belong to the other branch now: no entry is written there.
        assert_eq!(repo.git(&["symbolic-ref", "HEAD"]), "refs/heads/other\n");
        let path = format!(".audit/tasks/{id}.json");
        assert_eq!(repo.git(&["ls-files", &path]), "", "{step}");
        assert!(!repo.path.join(&path).exists(), "{step}");
        repo.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        repo.git(&["reset", "-q", "--hard"]);
    }
    drop(trail);
    check(&repo, &["a", "b", "c", "d"]);
}

#[test]
fn objects_that_are_repacked_while_they_are_made_durable_are_looked_for_again() {
    let repo = checkout();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    repo.commit_file("second", "x");
    let path = repo.path.clone();
    let packed = Arc::new(std::sync::Mutex::new(Vec::new()));
    let synced = packed.clone();
    let mut repacked = false;
    disk.watch(move |operation, at| {
        // The person's commit is in loose files, which must survive a power cut. They are removed one after the other.
        let is_loose = at.to_string_lossy().contains("/objects/") && at.extension().is_none();
        if operation == "sync" && is_loose && !repacked {
            repacked = true;
            git(&path, &["gc", "-q", "--prune=now"]);
        }
        if operation == "sync" && at.extension().is_some_and(|extension| extension == "pack") {
            synced.lock().unwrap().push(at.to_owned());
        }
        Ok(())
    });
    record(&trail, "b", 1).unwrap();
    let synced = packed
        .lock()
        .unwrap()
        .iter()
        .filter(|path| path.exists())
        .count();
    assert!(synced > 0, "what they were packed into is durable instead");
    drop(trail);
    check(&repo, &["a", "b"]);
}

#[test]
fn a_human_merge_and_a_fast_forward_carry_the_trail_on() {
    let repo = checkout();
    let trail = open(&repo.path).unwrap();
    repo.git(&["switch", "-q", "-c", "feature"]);
    repo.commit_file("feature", "x");
    repo.git(&["switch", "-q", "main"]);
    record(&trail, "a", 0).unwrap();
    repo.git(&["merge", "-q", "--no-edit", "feature"]);
    record(&trail, "b", 1).unwrap();
    // As `git pull` does without local entries.
    repo.git(&["switch", "-q", "-c", "ahead"]);
    repo.commit_file("ahead", "x");
    repo.git(&["switch", "-q", "main"]);
    repo.git(&["merge", "-q", "--ff-only", "ahead"]);
    record(&trail, "c", 2).unwrap();
    drop(trail);
    check(&repo, &["a", "b", "c"]);
}

#[test]
fn entries_that_come_by_pull_are_kept() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let clone = repo.path.with_file_name("clone");
    git(
        repo.path.parent().unwrap(),
        &["clone", "-q", "repo", "clone"],
    );
    let trail = open(&repo.path).unwrap();
    record(&trail, "b", 1).unwrap();
    record_at(&clone, "c", 2).unwrap();
    repo.git(&[
        "pull",
        "-q",
        "--no-rebase",
        "--no-edit",
        clone.to_str().unwrap(),
        "main",
    ]);
    assert!(matches!(record(&trail, "c", 3), Err(TrailError::Changed)));
    record(&trail, "d", 3).unwrap();
    drop(trail);
    repo.fsck();
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let names = repo.git(&["ls-tree", "-r", "--name-only", "HEAD", ".audit"]);
    assert_eq!(names.lines().count(), 4);
}

#[test]
fn no_trail_starts_beside_a_name_that_some_systems_treat_as_its_own() {
    for name in [".AUDIT/f", "AUDIT~1", ".audit."] {
        let repo = checkout();
        std::fs::create_dir_all(repo.path.join(name).parent().unwrap()).unwrap();
        repo.commit_file(name, "x");
        let first = name.split('/').next().unwrap();
        let init = || Trail::init(&repo.path, init_options()).map(drop);
        for refused in [record_at(&repo.path, "a", 0).map(drop), init()] {
            let reason = refusal(refused);
            assert!(
                reason.starts_with(&format!("`{first}` is where")),
                "{reason}"
            );
        }
        repo.git(&["rm", "-q", name]);
        repo.git(&["commit", "-q", "-m", "moved away"]);
        init().unwrap();
        record_at(&repo.path, "a", 0).unwrap();
        // The trail has begun: recording continues, and `verify` names what people add.
        repo.commit_file("AUDIT~2", "x");
        record_at(&repo.path, "b", 1).unwrap();
        check(&repo, &["a", "b"]);
    }
}

/// The repair does not put an entry back into the index that a person has removed with a commit.
#[test]
fn a_repair_does_not_bring_back_what_a_person_has_removed() {
    let repo = checkout();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    // As if killed before the work tree was updated.
    disk.fail(5, |_, path| {
        path.ends_with("acknowledged") || path.ends_with("mark")
    });
    record(&trail, "b", 1).unwrap();
    drop(trail);
    repo.git(&["reset", "-q", "--hard"]);
    repo.git(&["rm", "-q", ".audit/tasks/b.json"]);
    repo.git(&["commit", "-q", "-m", "against the rules"]);
    assert!(matches!(
        record_at(&repo.path, "c", 2),
        Err(TrailError::Altered { .. })
    ));
    let accept = chiffon_audit_cli::trail::InitOptions {
        accept_tip: Some(repo.git(&["rev-parse", "HEAD"]).trim().to_owned()),
        ..init_options()
    };
    drop(Trail::init(&repo.path, accept).unwrap());
    record_at(&repo.path, "c", 2).unwrap();
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert!(!repo.path.join(".audit/tasks/b.json").exists());
}

#[test]
fn a_readme_beside_the_entries_and_a_commit_that_ends_with_its_headers_are_recorded_over() {
    let repo = checkout();
    record(&open(&repo.path).unwrap(), "a", 1).unwrap();
    std::fs::write(repo.path.join(".audit/README.md"), "what is here\n").unwrap();
    repo.git(&["add", "."]);
    repo.git(&[
        "commit",
        "-q",
        "-m",
        "docs\n\nAudit-Format: says which version it is.",
    ]);
    record(&open(&repo.path).unwrap(), "b", 2).unwrap();
    let ids = ["HEAD^{tree}", "HEAD"].map(|name| repo.git(&["rev-parse", name]));
    let text = format!(
        "tree {}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n",
        ids[0].trim(),
        ids[1].trim()
    );
    let file = repo.path.parent().unwrap().join("commit");
    std::fs::write(&file, text).unwrap();
    let hash = ["hash-object", "-t", "commit", "-w", file.to_str().unwrap()];
    let id = repo.git(&hash);
    repo.git(&["update-ref", "HEAD", id.trim()]);
    let trail = open(&repo.path).unwrap();
    record(&trail, "c", 3).unwrap();
    assert_eq!(trail.rebuild_tree().unwrap().size(), 3);
    repo.fsck();
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn an_entry_that_waited_longer_than_a_minute_is_decided_again() {
    let repo = checkout();
    let trail = open(&repo.path).unwrap();
    record(&trail, "now", 100).unwrap();
    record(&trail, "waited", 40).unwrap();
    let error = record(&trail, "longer", 39).unwrap_err();
    assert!(matches!(error, TrailError::Changed), "{error}");
}
