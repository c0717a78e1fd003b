//! Faults of a SQLite file: locked, deleted, truncated, garbage, newer, another program's, full.

use std::fs;

use chiffon_audit_cli::store::{Options, StoreError};
use rusqlite::Connection;

use super::place::{Place, options};
use super::{accept, commit_all, completed, lease, run};

async fn error_of(place: &Place) -> StoreError {
    match place.try_open(&options()).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[test]
fn a_store_that_is_not_there_is_made_only_by_who_wants_it() {
    run(async {
        let place = Place::sqlite();
        let reader = Options {
            create: false,
            ..options()
        };
        let answer = place.try_open(&reader).await.err().unwrap();
        assert!(matches!(answer, StoreError::Missing(_)), "{answer}");
        assert!(!place.file().exists());
        let store = place.open().await;
        assert!(store.info().url.starts_with("sqlite:/"));
        place.try_open(&reader).await.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(place.file()).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let names = fs::read_dir(place.file().parent().unwrap()).unwrap();
        let litter = names.filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains(".new")
        });
        assert_eq!(litter.count(), 0);
    });
}

#[test]
fn durability_is_read_back() {
    run(async {
        let store = Place::sqlite();
        let store = store.open().await;
        assert_eq!(
            store.info().durability,
            [
                ("journal_mode".into(), "wal".into()),
                ("synchronous".into(), "FULL".into())
            ]
        );
    });
}

#[test]
fn what_is_not_a_store_is_refused_and_left_as_it_is() {
    run(async {
        let check = async |contents: &[u8], is_expected: fn(&StoreError) -> bool| {
            let place = Place::sqlite();
            fs::write(place.file(), contents).unwrap();
            let error = error_of(&place).await;
            assert!(is_expected(&error), "{error}");
            assert_eq!(fs::read(place.file()).unwrap(), contents);
            assert_eq!(
                fs::read_dir(place.file().parent().unwrap())
                    .unwrap()
                    .count(),
                1
            );
        };
        check(b"", |error| matches!(error, StoreError::Damaged { .. })).await;
        check(b"short", |error| matches!(error, StoreError::Foreign(_))).await;
        check(&[0x5a; 8192], |error| {
            matches!(error, StoreError::Foreign(_))
        })
        .await;
        let place = Place::sqlite();
        let other = Connection::open(place.file()).unwrap();
        other.execute_batch("CREATE TABLE precious (a)").unwrap();
        drop(other);
        let contents = fs::read(place.file()).unwrap();
        check(&contents, |error| matches!(error, StoreError::Foreign(_))).await;
    });
}

#[test]
fn a_newer_store_is_left_to_a_newer_program() {
    run(async {
        let place = Place::sqlite();
        drop(place.open().await);
        let newer = Connection::open(place.file()).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        let error = error_of(&place).await;
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error}"
        );
    });
}

#[test]
fn a_truncated_store_is_told_and_left_as_it_is() {
    run(async {
        let place = Place::sqlite();
        let store = place.open().await;
        accept(&*store, completed("a")).await;
        drop(store);
        let length = fs::metadata(place.file()).unwrap().len();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(place.file())
            .unwrap();
        file.set_len(length - 8192).unwrap();
        let contents = fs::read(place.file()).unwrap();
        let error = error_of(&place).await;
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(place.file()).unwrap(), contents);
    });
}

#[test]
fn a_log_without_its_database_is_not_played_into_another() {
    run(async {
        let place = Place::sqlite();
        let store = place.open().await;
        accept(&*store, completed("a")).await;
        let log = place.file().with_extension("sqlite-wal");
        let kept = fs::read(&log).unwrap();
        assert!(!kept.is_empty());
        drop(store);
        fs::remove_file(place.file()).unwrap();
        fs::write(&log, kept).unwrap();
        let error = error_of(&place).await;
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    });
}

#[test]
fn what_another_process_holds_is_unavailable_after_a_while_and_nothing_is_lost() {
    run(async {
        let place = Place::sqlite();
        let store = place.open().await;
        accept(&*store, completed("before")).await;
        let other = Connection::open(place.file()).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let answer = store.accept(completed("a")).await;
        let error = answer.unwrap_err();
        assert!(
            error.may_pass() && error.to_string().ends_with("is locked by another process"),
            "{error}"
        );
        // A reader does not block a writer.
        assert_eq!(store.backlog().await.unwrap().pending, 1);
        other.execute_batch("ROLLBACK").unwrap();
        assert!(!accept(&*store, completed("a")).await.repeated);
        assert_eq!(store.backlog().await.unwrap().pending, 2);
    });
}

#[test]
fn a_file_that_is_removed_or_replaced_acknowledges_nothing_more() {
    run(async {
        for replaced in [false, true] {
            let place = Place::sqlite();
            let store = place.open().await;
            accept(&*store, completed("before")).await;
            fs::remove_file(place.file()).unwrap();
            if replaced {
                fs::write(place.file(), b"something else").unwrap();
            }
            let error = store.accept(completed("a")).await.unwrap_err();
            assert!(
                error.to_string().contains("was removed or replaced"),
                "{error}"
            );
            let error = store.accept(completed("a")).await.unwrap_err();
            assert!(error.may_pass(), "{error}");
        }
        let place = Place::sqlite();
        let store = place.open().await;
        accept(&*store, completed("before")).await;
        fs::remove_file(place.file().with_extension("sqlite-wal")).unwrap();
        let error = store.accept(completed("a")).await.unwrap_err();
        assert!(error.to_string().contains("its log"), "{error}");
    });
}

#[test]
fn the_database_itself_keeps_what_is_finished_and_closed() {
    run(async {
        let place = Place::sqlite();
        let store = place.open().await;
        accept(&*store, completed("a")).await;
        accept(&*store, completed("open")).await;
        let lease = lease(&*store).await;
        let first = store.due(None, 1).await.unwrap();
        drop(first);
        commit_all(&*store, &lease).await;
        accept(&*store, completed("later")).await;
        let person = Connection::open(place.file()).unwrap();
        for (sql, because) in [
            ("UPDATE submissions SET status = 'failed' WHERE task_id = 'a'", "a closed submission cannot be changed"),
            ("DELETE FROM submissions WHERE task_id = 'a'", "a submission cannot be deleted"),
            ("DELETE FROM submissions WHERE task_id = 'later'", "a submission cannot be deleted"),
            (
                "REPLACE INTO submissions (sequence, task_id, status, kind, text, keyed, accepted_at, next_attempt)
                 VALUES (1, 'a', 'failed', 'outcome', '{}', 0, 0, 0)",
                "a submission cannot be replaced",
            ),
            ("UPDATE submissions SET state = 'committed', closed_at = 1 WHERE task_id = 'later'", "CHECK"),
            ("UPDATE tasks SET finished_status = 'failed' WHERE task_id = 'a'", "a finished task cannot be changed"),
            ("DELETE FROM tasks WHERE task_id = 'a'", "a finished task cannot be deleted"),
            ("REPLACE INTO tasks (task_id, created_at) VALUES ('a', 0)", "a finished task cannot be replaced"),
            ("REPLACE INTO plans (task_id, created_at, revision) VALUES ('a', 0, 1)", "a finished task cannot be replaced"),
            ("UPDATE submissions SET status = 'failed' WHERE task_id = 'later'", "what was submitted cannot be changed"),
            ("UPDATE submissions SET accepted_at = 0 WHERE task_id = 'later'", "what was submitted cannot be changed"),
            // By another of its names; the task, the order and the document it came with.
            ("UPDATE submissions SET rowid = 9 WHERE task_id = 'later'", "what was submitted cannot be changed"),
            ("UPDATE OR REPLACE submissions SET _rowid_ = 1 WHERE task_id = 'later'", "what was submitted cannot be changed"),
            ("UPDATE submissions SET text = '{}' WHERE task_id = 'later'", "what was submitted cannot be changed"),
            ("UPDATE submissions SET text = NULL WHERE task_id = 'later'", "what was submitted cannot be changed"),
            ("UPDATE submissions SET fingerprint = x'01' WHERE task_id = 'later'", "what was submitted cannot be changed"),
            (
                "INSERT INTO submissions (sequence, task_id, status, kind, text, keyed, accepted_at, next_attempt, fingerprint)
                 VALUES (-1, 'a', 'failed', 'outcome', '{}', 0, 0, 0, x'01')",
                "a submission cannot be put before others",
            ),
            (
                "INSERT INTO plans (task_id, created_at, revision) VALUES ('planned', 0, 1);
                 UPDATE plans SET task_id = 'a' WHERE task_id = 'planned'",
                "a finished task cannot be changed",
            ),
            ("UPDATE entries SET status = 'failed'", "a recorded entry cannot be changed"),
            ("DELETE FROM entries", "a recorded entry cannot be deleted"),
        ] {
            let error = person.execute_batch(sql).unwrap_err().to_string();
            assert!(error.contains(because), "{sql}: {error}");
        }
    });
}

/// As after an accept under a clock that was an hour ahead.
#[test]
fn what_was_accepted_before_the_clock_was_set_back_is_due() {
    run(async {
        let place = Place::sqlite();
        let store = place.open().await;
        accept(&*store, completed("a")).await;
        let person = Connection::open(place.file()).unwrap();
        let ahead = "UPDATE submissions SET next_attempt = next_attempt + 3600000000";
        person.execute(ahead, []).unwrap();
        assert_eq!(store.due(None, 1).await.unwrap().len(), 1);
    });
}

#[test]
fn what_is_erased_is_not_left_in_the_file() {
    run(async {
        let place = Place::sqlite();
        let store = place.open().await;
        let secret = r#"{"task_id":"a","status":"completed","metadata":{"password":"correct horse battery"}}"#;
        accept(&*store, super::submission(secret)).await;
        let holds = || {
            let bytes = fs::read(place.file()).unwrap();
            bytes.windows(13).any(|window| window == b"correct horse")
        };
        let person = Connection::open(place.file()).unwrap();
        let checkpoint = || {
            person
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .unwrap();
        };
        checkpoint();
        assert!(holds());
        let lease = lease(&*store).await;
        commit_all(&*store, &lease).await;
        checkpoint();
        assert!(!holds());
    });
}
