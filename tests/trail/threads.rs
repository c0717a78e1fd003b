//! A system that cannot start a thread, and a thread that ends by a defect: no caller waits for ever, and the next call
//! tries again.

use super::*;

const EAGAIN: i32 = 11;

/// Makes the system refuse threads with that name.
fn without(disk: &Watched, name: &'static str) {
    disk.fail(EAGAIN, move |operation, path| {
        operation == "start thread" && path == Path::new(name)
    });
}

fn no_thread<T: std::fmt::Debug>(result: Result<T, TrailError>, name: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, TrailError::NoThread { .. }), "{error}");
    assert!(error.may_pass());
    let expected = format!("cannot start the thread {name}: Resource temporarily unavailable");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn if_the_writer_cannot_start_all_callers_get_the_error_and_the_next_call_tries_again() {
    for name in ["trail-writer", "trail-flush"] {
        let repo = checkout();
        let disk = Watched::default();
        let trail = open_watched(&repo.path, &disk);
        without(&disk, name);
        let head = repo.git(&["rev-parse", "HEAD"]);
        no_thread(record(&trail, "a", 0), name);
        no_thread(trail.check(), name);
        no_thread(trail.recording_time(at(0)), name);
        let callers: Vec<_> = ["a", "b", "c"]
            .map(|id| {
                let trail = trail.clone();
                std::thread::spawn(move || no_thread(record(&trail, id, 0), name))
            })
            .into();
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!(repo.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
        disk.heal();
        for id in ["a", "b"] {
            record(&trail, id, 1).unwrap();
        }
        drop(trail);
        check(&repo, &["a", "b"]);
    }
}

/// How many packs a trail has.
fn packs(repo: &Repo) -> usize {
    let packs = listing(&repo.path.join("objects/pack")).into_keys();
    packs
        .filter(|path| path.extension().is_some_and(|it| it == "pack"))
        .count()
}

#[test]
fn where_packs_cannot_be_merged_for_want_of_a_thread_receipts_come_and_they_are_merged_later() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    without(&disk, "trail-merge");
    for number in 0..10 {
        record(&trail, &format!("t{number}"), number).unwrap();
    }
    assert!(packs(&repo) >= 10);
    disk.heal();
    record(&trail, "last", 20).unwrap();
    drop(trail);
    assert!(packs(&repo) < 8);
    repo.fsck();
}

/// Outside of the code that catches panics: the thread itself ends.
#[test]
fn a_thread_that_ends_by_a_defect_is_replaced() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let trail = open_watched(&repo.path, &disk);
    disk.watch(|operation, path| {
        assert!(
            operation != "start thread" || path != Path::new("trail-merge"),
            "a defect"
        );
        Ok(())
    });
    let mut recorded: Vec<String> = Vec::new();
    for number in 0..24 {
        let id = format!("t{number}");
        match record(&trail, &id, number) {
            Ok(_) => recorded.push(id),
            Err(TrailError::Internal) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(recorded.len() >= 20, "{recorded:?}");
    drop(trail);
    assert_eq!(tasks(&open(&repo.path).unwrap()), recorded);
    repo.fsck();
}
