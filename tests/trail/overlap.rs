//! Overlapping work: entries that are sequenced while the group before them is flushed, and flushes during a merge.

use std::sync::Mutex;

use chiffon_audit_cli::trail::Ticket;

use super::*;

/// Records `a`. During that, before the operation with that number, two more are appended, the second of them twice,
/// and a person's git reads the repository. Then that operation is done, or fails with `code`.
///
/// How many operations the flush of `a` has.
fn appended_meanwhile(
    template: &Repo,
    bare: bool,
    at_operation: usize,
    code: Option<i32>,
) -> usize {
    let repo = template.copied();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    record(&trail, "before", 0).unwrap();
    let later: Arc<Mutex<Vec<(&str, Ticket)>>> = Arc::default();
    let count = Arc::new(Mutex::new(0));
    {
        let (trail, place) = (trail.clone(), repo.path.clone());
        let (later, count) = (later.clone(), count.clone());
        disk.watch(move |_, path| {
            let mut count = count.lock().unwrap();
            // Operations before the group's pack do not belong to the group.
            if *count == 0 && !path.to_string_lossy().contains("tmp/pack-") {
                return Ok(());
            }
            *count += 1;
            if *count <= at_operation || *count - at_operation > 1 {
                return Ok(());
            }
            for id in ["b", "c"] {
                later
                    .lock()
                    .unwrap()
                    .push((id, append(&trail, id, at(2_000_000)).unwrap()));
            }
            let again = append(&trail, "c", at(2_000_000));
            assert!(matches!(again, Err(TrailError::Changed)));
            // The two have their places at this point.
            git(&place, &["fsck", "--strict", "--no-dangling"]);
            code.map_or(Ok(()), |code| Err(std::io::Error::from_raw_os_error(code)))
        });
    }
    let first = record(&trail, "a", 1);
    disk.heal();
    let later = std::mem::take(&mut *later.lock().unwrap());
    let count = *count.lock().unwrap();
    assert_eq!(later.is_empty(), at_operation >= count);
    let mut expected = vec!["before"];
    match &first {
        Ok(_) => expected.push("a"),
        Err(error) => assert!(code.is_some() && error.may_pass(), "{error}"),
    }
    for (id, ticket) in later {
        let placed = ticket.wait().unwrap();
        let found = trail.find(&task(id)).unwrap().unwrap();
        assert_eq!(found.commit, Some(placed.commit));
        expected.push(id);
    }
    let mut recorded = tasks(&trail);
    recorded.retain(|id| expected.contains(&id.as_str()));
    assert_eq!(recorded, expected, "in this order");
    // A failed entry may be there nevertheless, if only its durability was uncertain.
    let again = record(&trail, "a", 3);
    assert!(
        matches!(again, Ok(_) | Err(TrailError::Changed)),
        "{again:?}"
    );
    drop(trail);
    // The next writer sweeps files that could not be removed.
    record_at(&repo.path, "last", 4).unwrap();
    let mut seen = tasks(&open(&repo.path).unwrap());
    assert!(seen.iter().any(|id| id == "a"));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), tasks(&open(&repo.path).unwrap()).len(), "twice");
    repo.fsck();
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    if !bare {
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
    }
    count
}

fn every_operation_with_entries_behind_it(bare: bool) {
    let template = if bare { Repo::bare() } else { checkout() };
    let operations = appended_meanwhile(&template, bare, usize::MAX, None);
    assert!(operations > 15, "only {operations} operations");
    for operation in 0..operations {
        // Each is done, or fails in one of two ways: all three where all are asked for.
        for (number, code) in [Some(5), None, Some(28)].into_iter().enumerate() {
            if operation % 3 == number || sweeps_are_whole() {
                appended_meanwhile(&template, bare, operation, code);
            }
        }
    }
}

#[test]
fn entries_behind_a_group_are_recorded_whatever_becomes_of_it_on_a_bare_trail() {
    every_operation_with_entries_behind_it(true);
}

#[test]
fn entries_behind_a_group_are_recorded_whatever_becomes_of_it_on_a_checkout() {
    every_operation_with_entries_behind_it(false);
}

/// Records until eight packs are due to be merged.
fn almost_due(trail: &Trail) -> usize {
    for number in 0..7 {
        record(trail, &format!("t{number}"), number).unwrap();
    }
    7
}

#[test]
fn a_receipt_does_not_wait_for_a_merge_and_closing_does() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    let before = almost_due(&trail);
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let may_go = Mutex::new(Some((begun, may_go)));
    // The first operation of the merge blocks until it is released.
    disk.watch_beside(move |operation, path| {
        if operation == "create" && path.ends_with("merged.pack") {
            let (begun, may_go) = may_go.lock().unwrap().take().unwrap();
            begun.send(()).unwrap();
            may_go.recv().unwrap();
        }
    });
    record(&trail, "due", 10).unwrap();
    has_begun.recv().unwrap();
    for number in 0..3 {
        record(&trail, &format!("beside{number}"), 11 + number).unwrap();
    }
    assert!(packs(&repo) > 10, "{}", packs(&repo));
    go.send(()).unwrap();
    drop(trail);
    assert!(packs(&repo) < 6, "{}", packs(&repo));
    assert_eq!(tasks(&open(&repo.path).unwrap()).len(), before + 4);
    repo.fsck();
}

/// A merge that fails or panics blocks nothing and is tried again.
#[test]
fn a_merge_that_fails_is_made_up_for_after_the_next_group() {
    for (operation, end) in [
        ("create", "merged.pack"),
        ("write", "merged.pack"),
        ("sync", "merged.idx"),
        ("panic", "merged.pack"),
    ] {
        let repo = Repo::bare();
        let disk = Watched::default();
        let trail = open_watched(&repo.path, &disk);
        let before = almost_due(&trail);
        let wanted = operation.to_owned();
        disk.watch(move |operation, path| {
            if !path.ends_with(end) {
                return Ok(());
            }
            assert!(wanted != "panic", "a defect");
            if operation == wanted {
                return Err(std::io::Error::from_raw_os_error(28));
            }
            Ok(())
        });
        record(&trail, "due", 10).unwrap();
        drop(trail);
        assert_eq!(packs(&repo), before + 1);
        disk.heal();
        let trail = open_watched(&repo.path, &disk);
        record(&trail, "next", 11).unwrap();
        drop(trail);
        assert_eq!(packs(&repo), 1, "{operation} {end}");
        assert_eq!(tasks(&open(&repo.path).unwrap()).len(), before + 2);
        repo.fsck();
    }
}

/// A person decides to keep one of the packs while they are being merged.
#[test]
fn a_pack_that_a_person_keeps_while_it_is_merged_stays() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    almost_due(&trail);
    let dir = repo.path.join("objects/pack");
    let kept = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|it| it == "pack"))
        .unwrap();
    let keep = kept.with_extension("keep");
    disk.once(
        |operation, path| operation == "sync" && path.ends_with("merged.pack"),
        move || std::fs::write(&keep, "mine").unwrap(),
    );
    record(&trail, "due", 10).unwrap();
    drop(trail);
    assert!(kept.exists() && kept.with_extension("idx").exists());
    assert_eq!(packs(&repo), 2);
    repo.fsck();
}

fn packs(repo: &Repo) -> usize {
    std::fs::read_dir(repo.path.join("objects/pack"))
        .unwrap()
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.extension().is_some_and(|it| it == "idx")
        })
        .count()
}
