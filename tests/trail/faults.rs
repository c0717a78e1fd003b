//! A disk that fails: every operation once, and longer outages. The caller gets an error or a receipt, never a false
//! one, and when the disk works again the trail continues, whether it was opened again or not.

use std::sync::Mutex;

use super::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// One entry, a person's commit, a group of two, one more. Returns what was acknowledged, and what was not.
fn work(trail: &Trail, repo: &Repo, bare: bool) -> (Vec<(String, CommittedEntry)>, Vec<String>) {
    let mut acknowledged = Vec::new();
    let mut failed = Vec::new();
    for (second, group) in [&["a"][..], &["b", "c"], &["d"]].into_iter().enumerate() {
        if second == 1 && !bare {
            // Another program's lock may have been in the way; the trail's own never stays.
            repo.git(&["commit", "-q", "--allow-empty", "-m", "mine"]);
        }
        let tickets: Vec<_> = group
            .iter()
            .map(|id| (id, append(trail, id, at(second as i64 * 1_000_000))))
            .collect();
        for (id, ticket) in tickets {
            match ticket.and_then(|ticket| ticket.wait()) {
                Ok(placed) => acknowledged.push(((*id).to_owned(), placed)),
                Err(_) => failed.push((*id).to_owned()),
            }
        }
    }
    (acknowledged, failed)
}

/// With a working disk: the open trail continues and so does a new one, and every entry exists once.
fn goes_on(
    repo: &Repo,
    bare: bool,
    trail: Trail,
    acknowledged: &[(String, CommittedEntry)],
    failed: &[String],
) {
    record(&trail, "same", 10).unwrap();
    for id in failed {
        match record(&trail, id, 11) {
            Ok(_) | Err(TrailError::Changed) => {}
            Err(error) => panic!("{id} again: {error}"),
        }
    }
    drop(trail);
    let trail = open(&repo.path).unwrap();
    record(&trail, "new", 12).unwrap();
    for (id, placed) in acknowledged {
        let found = trail
            .find(&task(id))
            .unwrap()
            .unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!(found.commit.as_ref(), Some(&placed.commit), "{id}");
    }
    let mut seen = tasks(&trail);
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d", "new", "same"]);
    // Packs may be merged after the last receipt, and `git fsck` reports a pack that disappears meanwhile as an error.
    drop(trail);
    repo.fsck();
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    if !bare {
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
    }
}

fn prepared(bare: bool) -> Repo {
    if bare { Repo::bare() } else { checkout() }
}

/// Works in a copy, with the operation of that number failing once; what was done until then.
fn work_failing(template: &Repo, bare: bool, fails: usize, code: i32) -> (Vec<String>, bool) {
    let repo = template.copied();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    let log = Arc::new(Mutex::new(Vec::new()));
    let noted = log.clone();
    disk.watch(move |operation, path| {
        let mut log = noted.lock().unwrap();
        let number = log.len();
        log.push(format!("{number} {operation} {}", path.display()));
        if number == fails {
            return Err(std::io::Error::from_raw_os_error(code));
        }
        Ok(())
    });
    let (acknowledged, failed) = work(&trail, &repo, bare);
    disk.heal();
    let log = std::mem::take(&mut *log.lock().unwrap());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        goes_on(&repo, bare, trail, &acknowledged, &failed);
    }));
    if result.is_err() {
        panic!(
            "error {code} at operation {fails}; not recorded then: {failed:?}\n{}",
            log.join("\n")
        );
    }
    (log, failed.is_empty())
}

fn every_operation_fails_once(bare: bool) {
    let template = prepared(bare);
    let (log, unharmed) = work_failing(&template, bare, usize::MAX, EIO);
    assert!(unharmed && log.len() > 50, "{}", log.join("\n"));
    // Those of a bare trail are among those of a checkout, which takes longer.
    let step = if bare || sweeps_are_whole() { 1 } else { 3 };
    let (mut tried, mut unharmed) = (0, 0);
    for number in (0..log.len()).step_by(step) {
        // Neighbours fail in different ways.
        let code = [ENOSPC, EIO, EROFS][tried % 3];
        tried += 1;
        unharmed += usize::from(work_failing(&template, bare, number, code).1);
    }
    assert!(unharmed < tried / 2, "a failing disk is noticed");
}

#[test]
fn any_operation_may_fail_on_a_bare_trail() {
    every_operation_fails_once(true);
}

#[test]
fn any_operation_may_fail_on_a_checkout() {
    every_operation_fails_once(false);
}

/// Everything fails from the operation with that number on, until it is healed.
fn outage(template: &Repo, bare: bool, code: i32, from: usize) {
    let repo = template.copied();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    let mut number = 0;
    disk.watch(move |_, _| {
        number += 1;
        if number > from {
            Err(std::io::Error::from_raw_os_error(code))
        } else {
            Ok(())
        }
    });
    let mut acknowledged = Vec::new();
    let mut failed = Vec::new();
    for (second, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        match record(&trail, id, second as i64) {
            Ok(placed) => acknowledged.push((id.to_owned(), placed)),
            Err(error) => {
                assert!(
                    error.may_pass() && !matches!(error, TrailError::Changed),
                    "{error}"
                );
                failed.push(id.to_owned());
            }
        }
    }
    disk.heal();
    goes_on(&repo, bare, trail, &acknowledged, &failed);
}

#[test]
fn an_outage_ends_and_the_trail_continues() {
    let templates = [prepared(false), prepared(true)];
    for from in (0..80).step_by(3) {
        let bare = from % 2 == 0;
        let template = &templates[usize::from(bare)];
        outage(template, bare, [ENOSPC, EIO, EROFS][from % 3], from);
    }
}

/// Permissions do not stop root, so the disk simulates a read-only directory.
#[test]
fn a_read_only_object_directory_is_named_and_changes_nothing() {
    for bare in [true, false] {
        let repo = prepared(bare);
        record_at(&repo.path, "a", 0).unwrap();
        let disk = Watched::default();
        let trail = open_watched(&repo.path, &disk);
        let objects = trail.common_dir().join("objects");
        let head = repo.git(&["rev-parse", "HEAD"]);
        disk.fail(EROFS, move |operation, path| {
            path.starts_with(&objects) && !operation.starts_with("sync")
        });
        for id in ["b", "c"] {
            let error = record(&trail, id, 1).unwrap_err();
            assert!(
                error.to_string().contains("objects/pack") && error.may_pass(),
                "{error}"
            );
        }
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
        disk.heal();
        record(&trail, "b", 1).unwrap();
        assert_eq!(tasks(&trail), ["a", "b"]);
        drop(trail);
        repo.fsck();
    }
}

#[test]
fn while_syncs_fail_there_is_no_receipt() {
    for bare in [true, false] {
        for which in ["sync", "sync directory"] {
            let repo = prepared(bare);
            let disk = Watched::default();
            let trail = open_watched(&repo.path, &disk);
            record(&trail, "a", 0).unwrap();
            let known = trail.snapshot(&task("a")).unwrap();
            disk.fail(EIO, move |operation, _| operation == which);
            for id in ["b", "c", "b"] {
                let error = record(&trail, id, 1).unwrap_err();
                assert!(
                    matches!(
                        error,
                        TrailError::Io {
                            action: "sync" | "write",
                            ..
                        }
                    ) || id == "b",
                    "{error}"
                );
            }
            // Entries that were durable before may be reported as recorded, others must not.
            if let Ok(snapshot) = trail.snapshot(&task("b"))
                && snapshot.entry.is_some()
            {
                assert!(trail.confirm(&task("b"), &snapshot).is_err());
            }
            drop(known);
            disk.heal();
            let mut failed = vec!["b".to_owned(), "c".to_owned(), "d".to_owned()];
            failed.dedup();
            goes_on(&repo, bare, trail, &[], &failed);
        }
    }
}

#[test]
fn a_full_disk_is_not_filled_further_by_failed_attempts() {
    let repo = prepared(false);
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    let state = trail.common_dir().join("chiffon-audit/tmp");
    disk.fail(ENOSPC, |operation, path| {
        operation == "write" && path.extension().is_some_and(|it| it == "idx")
    });
    for number in 0..20 {
        record(&trail, &format!("full-{number}"), 1).unwrap_err();
    }
    let left = listing(&state);
    assert!(left.len() <= 3, "{:?}", left.keys());
    disk.heal();
    record(&trail, "b", 2).unwrap();
    assert!(listing(&state).is_empty());
    drop(trail);
    check(&repo, &["a", "b"]);
}

/// The commit is durable and acknowledged although its file could not be written. The next record repairs this, so that
/// a person's later `git commit -a` does not remove the entry.
#[test]
fn a_work_tree_that_could_not_be_updated_is_repaired_by_the_next_record() {
    let places: [fn(&Path) -> bool; 4] = [
        |path| !path.to_string_lossy().contains("/.git/"),
        |path| path.ends_with(".git/index") || path.ends_with("tmp/index"),
        |path| path.ends_with("chiffon-audit/acknowledged"),
        |path| path.ends_with("chiffon-audit/in-step"),
    ];
    for place in places {
        for reopened in [false, true] {
            let repo = prepared(false);
            let disk = Watched::default();
            let trail = open_watched(&repo.path, &disk);
            record(&trail, "a", 0).unwrap();
            disk.fail(ENOSPC, move |_, path| place(path));
            record(&trail, "b", 1).unwrap();
            disk.heal();
            let trail = if reopened {
                drop(trail);
                open(&repo.path).unwrap()
            } else {
                trail
            };
            record(&trail, "c", 2).unwrap();
            assert_eq!(repo.git(&["status", "--porcelain"]), "");
            std::fs::write(repo.path.join("readme"), "mine").unwrap();
            repo.git(&["commit", "-q", "-a", "-m", "mine"]);
            assert_eq!(
                repo.git(&["show", "--format=", "--name-status", "HEAD"]),
                "M\treadme\n"
            );
            drop(trail);
            check(&repo, &["a", "b", "c"]);
        }
    }
}

/// While it cannot be repaired, no more receipts are given for entries that a person might remove unknowingly.
#[test]
fn a_work_tree_that_stays_full_stops_the_trail_with_the_reason() {
    let repo = prepared(false);
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "a", 0).unwrap();
    disk.fail(ENOSPC, |_, path| !path.to_string_lossy().contains("/.git/"));
    record(&trail, "b", 1).unwrap();
    let error = record(&trail, "c", 2).unwrap_err();
    assert!(error.to_string().contains(".audit/tasks/b.json"), "{error}");
    disk.heal();
    record(&trail, "c", 2).unwrap();
    drop(trail);
    check(&repo, &["a", "b", "c"]);
}

/// A defect of the writer is an answer too: a caller that waited for ever would never try again.
#[test]
fn a_writer_that_panics_leaves_nobody_waiting() {
    for (operation, end) in [
        ("write", "pack"),
        ("rename", "idx"),
        ("rename", "heads/main"),
        ("remove", "keep"),
        ("remove", "main.lock"),
        ("rename", "index"),
    ] {
        let repo = prepared(false);
        let disk = Watched::default();
        let trail = open_watched(&repo.path, &disk);
        record(&trail, "a", 0).unwrap();
        disk.watch(move |what, path| {
            assert!(
                what != operation || !path.to_string_lossy().ends_with(end),
                "a defect"
            );
            Ok(())
        });
        let tickets = ["b", "c"].map(|id| append(&trail, id, at(1)).unwrap());
        for ticket in tickets {
            let error = ticket.wait().unwrap_err();
            assert!(matches!(error, TrailError::Internal), "{error}");
        }
        for id in ["b", "c", "d"] {
            let recorded = record(&trail, id, 2);
            assert!(
                matches!(recorded, Ok(_) | Err(TrailError::Changed)),
                "{recorded:?}"
            );
        }
        drop(trail);
        check(&repo, &["a", "b", "c", "d"]);
    }
}
