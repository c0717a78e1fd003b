//! A ref that other programs moved: continued if the history continues, otherwise blocked with both commits named.

use chiffon_audit_cli::verify;

use super::*;

fn rolled_back(result: Result<CommittedEntry, TrailError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, TrailError::RolledBack { .. }), "{error}");
    assert!(error.may_pass());
    error.to_string()
}

/// Three entries, then the person removes the last one.
fn taken_back() -> (Repo, String, String) {
    let repo = checkout();
    for (second, id) in ["a", "b", "c"].into_iter().enumerate() {
        record_at(&repo.path, id, second as i64).unwrap();
    }
    let lost = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let tip = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
    (repo, tip, lost)
}

fn accepting(tip: &str) -> InitOptions {
    InitOptions {
        accept_tip: Some(tip.to_owned()),
        ..init_options()
    }
}

#[test]
fn a_ref_forced_back_blocks_by_name_until_it_is_accepted_by_name() {
    let (repo, tip, lost) = taken_back();
    for id in ["d", "b"] {
        let message = rolled_back(record_at(&repo.path, id, 4));
        assert!(
            message.starts_with("blocked: rolled back: refs/heads/main"),
            "{message}"
        );
        assert!(
            message.contains(&tip) && message.contains(&lost),
            "{message}"
        );
    }
    assert_eq!(repo.git(&["rev-parse", "HEAD"]).trim(), tip);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    // Another name is not accepted.
    for wrong in [&lost[..], "HEAD", &tip[..12]] {
        assert!(matches!(
            Trail::init(&repo.path, accepting(wrong)),
            Err(TrailError::Invalid(_))
        ));
    }
    rolled_back(record_at(&repo.path, "d", 4));
    let (trail, _) =
        Trail::init(&repo.path, accepting(&tip)).unwrap_or_else(|error| panic!("{error}"));
    record(&trail, "d", 4).unwrap();
    // The removed task may come again.
    record(&trail, "c", 5).unwrap();
    drop(trail);
    check(&repo, &["a", "b", "d", "c"]);
}

#[test]
fn an_open_trail_notices_too_and_continues_after_the_acceptance() {
    let repo = checkout();
    let trail = open(&repo.path).unwrap();
    record(&trail, "a", 0).unwrap();
    record(&trail, "b", 1).unwrap();
    let snapshot = trail.snapshot(&task("b")).unwrap();
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    rolled_back(record(&trail, "c", 2));
    // `b` is still in memory, but "already recorded" must not depend on that.
    assert!(matches!(
        trail.confirm(&task("b"), &snapshot),
        Err(TrailError::RolledBack { .. })
    ));
    let tip = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
    Trail::init(&repo.path, accepting(&tip)).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(
        trail.confirm(&task("b"), &snapshot),
        Err(TrailError::Changed)
    ));
    record(&trail, "b", 3).unwrap();
    record(&trail, "c", 4).unwrap();
    drop(trail);
    check(&repo, &["a", "b", "c"]);
}

/// A clone that has another commit pulls the trail by a merge, and the trail's branch is moved to that merge.
fn merged_the_wrong_way_round() -> (Repo, String) {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    let clone = repo.path.with_file_name("clone");
    git(
        repo.path.parent().unwrap(),
        &["clone", "-q", "repo", "clone"],
    );
    record_at(&repo.path, "b", 1).unwrap();
    let trail = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
    git(&clone, &["commit", "-q", "--allow-empty", "-m", "work"]);
    git(&clone, &["pull", "-q", "--no-rebase", "--no-edit"]);
    repo.git(&["pull", "-q", "--ff-only", clone.to_str().unwrap(), "main"]);
    (repo, trail)
}

#[test]
fn a_branch_that_was_merged_the_wrong_way_round_loses_nothing() {
    for commits_after in 0..2 {
        let (repo, trail) = merged_the_wrong_way_round();
        for _ in 0..commits_after {
            repo.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
        }
        let tip = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
        let reason = rolled_back(record_at(&repo.path, "b", 2));
        assert!(
            reason
                .starts_with("blocked: the branch was merged the wrong way round: refs/heads/main"),
            "{reason}"
        );
        assert!(!reason.contains("accept-tip"), "{reason}");
        let accepted = Trail::init(&repo.path, accepting(&tip)).map(drop);
        assert_eq!(refusal(accepted), reason);
        for command in [
            format!("reset --keep {trail}"),
            format!("merge --no-ff --no-edit {tip}"),
        ] {
            assert!(reason.contains(&format!("`git {command}`")), "{reason}");
            repo.git(&command.split(' ').collect::<Vec<_>>());
        }
        record_at(&repo.path, "c", 3).unwrap();
        check(&repo, &["a", "b", "c"]);
        repo.git(&["merge-base", "--is-ancestor", &tip, "HEAD"]);
        let report = verify::verify(&repo.path, &verify::Options::default()).unwrap();
        // The commits of these tests name no real policy, which is another claim.
        for id in ["append-only", "one-entry", "once", "hidden"] {
            let claim = report.claims.iter().find(|claim| claim.id == id).unwrap();
            assert_eq!(claim.verdict, verify::Verdict::Holds, "{claim:?}");
        }
    }
}

#[test]
fn a_ref_put_back_where_it_was_is_no_roll_back_any_more() {
    let (repo, _, lost) = taken_back();
    rolled_back(record_at(&repo.path, "d", 4));
    repo.git(&["reset", "-q", "--hard", &lost]);
    record_at(&repo.path, "d", 4).unwrap();
    check(&repo, &["a", "b", "c", "d"]);
}

#[test]
fn a_history_rewritten_or_replaced_blocks() {
    let (repo, ..) = taken_back();
    repo.git(&["commit", "-q", "--amend", "-m", "reworded"]);
    rolled_back(record_at(&repo.path, "d", 4));
    repo.git(&["checkout", "-q", "--orphan", "new"]);
    repo.git(&["commit", "-q", "-m", "all over"]);
    repo.git(&["branch", "-q", "-f", "main"]);
    repo.git(&["switch", "-q", "main"]);
    rolled_back(record_at(&repo.path, "d", 4));
}

/// The commits of an abandoned history can still be read, and name the same tasks.
#[test]
fn a_task_s_commit_is_one_of_the_history_as_it_is() {
    let (repo, tip, lost) = taken_back();
    let long_lived = open(&repo.path).unwrap();
    let commit_of = |trail: &Trail| trail.find(&task("c")).unwrap().unwrap().commit;
    repo.git(&["reset", "-q", "--hard", &lost]);
    assert_eq!(commit_of(&long_lived), Some(lost.clone()));
    repo.git(&["reset", "-q", "--hard", &tip]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "mine"]);
    repo.git(&["cherry-pick", &lost]);
    let new_tip = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
    assert_ne!(new_tip, lost);
    for trail in [&long_lived, &open(&repo.path).unwrap()] {
        assert_eq!(
            commit_of(trail),
            Some(new_tip.clone()),
            "{lost} is given up"
        );
    }
    let (accepted, _) =
        Trail::init(&repo.path, accepting(&new_tip)).unwrap_or_else(|error| panic!("{error}"));
    // Not before the time of the accepted tip.
    record(&accepted, "d", 400_000_000).unwrap();
    drop(accepted);
    for trail in [&long_lived, &open(&repo.path).unwrap()] {
        assert_eq!(commit_of(trail), Some(new_tip.clone()));
    }
}

#[test]
fn a_deleted_ref_blocks_and_says_how_to_restore_it() {
    let repo = Repo::bare();
    let placed = record_at(&repo.path, "a", 0).unwrap();
    let trail = open(&repo.path).unwrap();
    record(&trail, "b", 1).unwrap();
    let lost = repo.git(&["rev-parse", "main"]).trim().to_owned();
    repo.git(&["update-ref", "-d", "refs/heads/main"]);
    for message in [
        rolled_back(record_at(&repo.path, "c", 2)),
        rolled_back(record(&trail, "c", 2)),
    ] {
        assert!(
            message.starts_with("blocked: rolled back: refs/heads/main"),
            "{message}"
        );
        assert!(
            message.contains(&format!("git update-ref refs/heads/main {lost}")),
            "{message}"
        );
    }
    repo.git(&["update-ref", "refs/heads/main", &lost]);
    record(&trail, "c", 2).unwrap();
    assert_eq!(tasks(&trail), ["a", "b", "c"]);
    // Or the operator accepts that it was deleted.
    repo.git(&["update-ref", "-d", "refs/heads/main"]);
    let accepted = InitOptions {
        accept_tip: Some("none".into()),
        ..init_options()
    };
    let (again, _) = Trail::init(&repo.path, accepted).unwrap_or_else(|error| panic!("{error}"));
    record(&again, "a", 5).unwrap();
    assert_eq!(tasks(&again), ["a"]);
    assert_ne!(
        again.find(&task("a")).unwrap().unwrap().commit,
        Some(placed.commit)
    );
    assert!(matches!(
        Trail::init(
            &repo.path,
            InitOptions {
                accept_tip: Some("none".into()),
                ..init_options()
            }
        ),
        Err(TrailError::Invalid(_))
    ));
}

#[test]
fn a_ref_that_moves_between_read_and_update_is_continued() {
    // The person commits while the index is not locked yet, and moves the ref with plumbing when it is.
    for step in ["tmp/ref", "main.lock"] {
        let repo = checkout();
        let disk = Watched::default();
        let trail = open_watched(&repo.path, &disk);
        record(&trail, "a", 0).unwrap();
        let path = repo.path.clone();
        disk.once(
            move |_, at| at.to_string_lossy().ends_with(step),
            move || {
                let commit = git(
                    &path,
                    &["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "mine"],
                );
                git(&path, &["update-ref", "refs/heads/main", commit.trim()]);
            },
        );
        record(&trail, "b", 1).unwrap();
        drop(trail);
        assert_eq!(
            repo.git(&["log", "--format=%s", "--max-count=2"])
                .lines()
                .nth(1),
            Some("mine")
        );
        check(&repo, &["a", "b"]);
    }
}

#[test]
fn a_ref_that_is_forced_back_between_read_and_update_blocks() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let first = repo.git(&["rev-parse", "main"]);
    record(&trail, "b", 1).unwrap();
    let (path, to) = (repo.path.clone(), first.trim().to_owned());
    disk.once(
        |operation, at| operation == "link" && at.ends_with("main.lock"),
        move || drop(git(&path, &["update-ref", "refs/heads/main", &to])),
    );
    rolled_back(record(&trail, "c", 2));
    assert_eq!(repo.git(&["rev-parse", "main"]), first);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
}

#[test]
fn entries_that_a_person_changes_block_until_they_are_put_back_or_accepted_by_name() {
    type Tamper = fn(&Repo);
    let tampers: [Tamper; 2] = [
        |repo| {
            let path = repo.path.join(".audit/tasks/a.json");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("completed", "failed")).unwrap();
            repo.git(&["commit", "-qam", "edit"]);
        },
        |repo| {
            repo.git(&["rm", "-q", ".audit/tasks/a.json"]);
            repo.git(&["commit", "-qm", "remove"]);
        },
    ];
    for tamper in tampers {
        let repo = checkout();
        let trail = open(&repo.path).unwrap();
        record(&trail, "a", 0).unwrap();
        // A commit that keeps the entries is accepted.
        repo.commit_file("other", "x");
        record(&trail, "b", 1).unwrap();
        let base = repo.git(&["rev-parse", "HEAD"]);
        tamper(&repo);
        repo.commit_file("another", "x");
        for result in [record(&trail, "c", 2), record_at(&repo.path, "a", 2)] {
            let error = result.unwrap_err();
            assert!(matches!(error, TrailError::Altered { .. }), "{error}");
            assert!(error.to_string().contains(base.trim()), "{error}");
        }
        let restore = format!("--source={}", base.trim());
        repo.git(&["restore", &restore, "--staged", "--worktree", ".audit"]);
        repo.git(&["commit", "-qm", "put back"]);
        record(&trail, "c", 3).unwrap();
        tamper(&repo);
        record(&trail, "d", 4).unwrap_err();
        let tip = repo.git(&["rev-parse", "HEAD"]);
        drop(Trail::init(&repo.path, accepting(tip.trim())).unwrap());
        record(&trail, "d", 4).unwrap();
    }
}

#[test]
fn refs_that_are_moved_away_during_a_flush_are_not_created_again() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let (refs, away) = (repo.path.join("refs"), repo.path.join("away"));
    let (from, to) = (refs.clone(), away.clone());
    disk.once(
        |operation, at| operation == "link" && at.ends_with("main.lock"),
        move || std::fs::rename(&from, &to).unwrap(),
    );
    record(&trail, "b", 1).unwrap_err();
    // Nothing is in the way of restoring them.
    assert!(!refs.exists());
    std::fs::rename(&away, &refs).unwrap();
    record(&trail, "b", 1).unwrap();
    drop(trail);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.fsck();
}

#[test]
fn another_that_records_the_same_task_between_decision_and_place_is_not_repeated() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let other = Repo::init(&[]);
    drop(other);
    record_at(&repo.path, "b", 1).unwrap();
    assert!(matches!(record(&trail, "b", 2), Err(TrailError::Changed)));
    assert!(matches!(record(&trail, "B", 2), Err(TrailError::CaseCollision(with)) if with == "b"));
    record(&trail, "c", 3).unwrap();
    assert_eq!(tasks(&trail), ["a", "b", "c"]);
}

#[test]
fn a_ref_that_always_moves_ends_as_busy() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let path = repo.path.clone();
    disk.watch(move |operation, at| {
        if operation == "link" && at.ends_with("main.lock") {
            let commit = git(
                &path,
                &["commit-tree", "main^{tree}", "-p", "main", "-m", "mine"],
            );
            git(&path, &["update-ref", "refs/heads/main", commit.trim()]);
        }
        Ok(())
    });
    let error = record(&trail, "b", 1).unwrap_err();
    assert!(matches!(error, TrailError::Moved { .. }), "{error}");
    disk.heal();
    record(&trail, "b", 1).unwrap();
    drop(trail);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    repo.fsck();
}

#[test]
fn two_that_begin_a_trail_at_once_begin_one() {
    let repo = Repo::bare();
    let begun: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let dir = &repo.path;
                scope.spawn(move || {
                    let mut options = InitOptions {
                        uuid: format!("uuid-{number}"),
                        ..init_options()
                    };
                    options.open.lock_wait = Duration::from_secs(60);
                    Trail::init(dir, options).map(|(_, begun)| begun)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap())
            .collect()
    });
    assert_eq!(begun.iter().filter(|begun| begun.created_trail).count(), 1);
    assert!(
        begun.iter().all(|other| other.uuid == begun[0].uuid),
        "{begun:?}"
    );
    assert_eq!(repo.git(&["rev-list", "--count", "main"]).trim(), "1");
    repo.fsck();
}

#[test]
fn a_renamed_branch_is_followed_with_the_command_that_the_error_names() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    repo.git(&["branch", "elsewhere", "HEAD~1"]);
    repo.git(&["branch", "-m", "main", "trunk"]);
    let before = repo.git(&["rev-parse", "HEAD"]);
    let said = open(&repo.path).err().unwrap().to_string();
    assert!(
        said.contains("`chiffon-audit init --ref refs/heads/trunk` follows it"),
        "{said}"
    );
    let on = |reference: &str| InitOptions {
        reference: Some(reference.into()),
        ..init_options()
    };
    // This one lacks what was acknowledged.
    let refused = Trail::init(&repo.path, on("refs/heads/elsewhere")).err();
    assert!(
        matches!(refused, Some(TrailError::Invalid(_))),
        "{refused:?}"
    );
    let (trail, _) = Trail::init(&repo.path, on("refs/heads/trunk")).unwrap();
    assert_eq!(trail.reference(), "refs/heads/trunk");
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), before);
    drop(trail);
    record_at(&repo.path, "b", 1).unwrap();
    check(&repo, &["a", "b"]);
    // If two branches hold it, no name is guessed.
    repo.git(&["branch", "-m", "trunk", "one"]);
    repo.git(&["branch", "two"]);
    let said = open(&repo.path).err().unwrap().to_string();
    assert!(!said.contains("follows it"), "{said}");
}
