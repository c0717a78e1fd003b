//! The contract of a store of keys, for a key-encryption key in a file and one of a program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{KeyEncryption, KeyOwner, KeyState, KeyStore, KeyStoreError, NewErasure, Selection};
use crate::key::{KeyId, SecretKey};

const TRAIL: &str = "b3ecbee0-3548-46a7-8651-485ab5db0a1d";

/// Runs a test with each kind of key-encryption key.
fn each(test: impl Fn(&Path, &KeyEncryption)) {
    let dir = tempfile::tempdir().unwrap();
    test(dir.path(), &KeyEncryption::File(dir.path().join("kek")));
    let dir = tempfile::tempdir().unwrap();
    test(dir.path(), &KeyEncryption::Program(program(dir.path())));
}

/// A stand-in for a key management service: it "encrypts" with its own secret prefix.
fn program(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("kms");
    let script = "#!/bin/sh\ncase $1 in wrap) printf kms:; base64 ;; unwrap) cut -c5- | base64 -d ;; *) exit 2 ;; esac\n";
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn open(dir: &Path, encryption: &KeyEncryption) -> KeyStore {
    KeyStore::open_or_create(&dir.join("keys.db"), TRAIL, encryption, 1).unwrap()
}

fn owner(task: &str, subject: Option<&str>) -> KeyOwner {
    KeyOwner {
        task: task.into(),
        subject: subject.map(str::to_owned),
    }
}

fn make(store: &KeyStore, task: &str, subject: Option<&str>) -> (KeyId, SecretKey) {
    match store.obtain(&[owner(task, subject)], 5).unwrap().pop() {
        Some(KeyState::Live(id, key)) => (id, key),
        other => panic!("{other:?}"),
    }
}

fn erase(store: &KeyStore, selection: Selection<'_>) -> usize {
    let erasure = NewErasure {
        selection,
        reason: "request",
        now: 9,
    };
    let erased = store.erase(&erasure).unwrap();
    erased.iter().map(|erasure| erasure.keys.len()).sum()
}

fn is_erased(store: &KeyStore, id: &KeyId) -> bool {
    matches!(store.find(id).unwrap(), KeyState::Erased(_))
}

#[test]
fn each_owner_has_one_key_that_survives_reopening() {
    each(|dir, encryption| {
        let store = open(dir, encryption);
        let (id, key) = make(&store, "a", None);
        let (again, _) = make(&store, "a", None);
        let (of_person, _) = make(&store, "a", Some("ann"));
        assert_eq!(id, again);
        assert_ne!(id, of_person);
        drop(store);
        let store = open(dir, encryption);
        let (again, same) = make(&store, "a", None);
        assert_eq!((again, same.bytes()), (id, key.bytes()));
        let state = store.find_owner(&owner("b", None)).unwrap();
        assert!(matches!(state, KeyState::None));
        // The name of a person is in no file.
        for file in fs::read_dir(dir).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(3).any(|part| part == b"ann"));
        }
    });
}

#[test]
fn an_erased_key_never_comes_back() {
    each(|dir, encryption| {
        let store = open(dir, encryption);
        let (first, _) = make(&store, "a", Some("ann"));
        let (second, _) = make(&store, "b", Some("ann"));
        let (other, _) = make(&store, "b", Some("bob"));
        let wrapped: Vec<u8> = store
            .reader()
            .query_row(
                "SELECT wrapped FROM keys WHERE id = ?1",
                [first.as_str()],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(erase(&store, Selection::Subject("ann")), 2);
        assert_eq!(erase(&store, Selection::Subject("ann")), 0);
        assert!(is_erased(&store, &first) && is_erased(&store, &second));
        assert!(!is_erased(&store, &other));
        let again = store.obtain(&[owner("a", Some("ann"))], 5).unwrap();
        assert!(matches!(&again[0], KeyState::Erased(id) if *id == first));
        // Another task of the same person begins with another key.
        make(&store, "c", Some("ann"));
        assert_eq!(erase(&store, Selection::Task("b")), 1);
        assert_eq!(erase(&store, Selection::Task("none")), 0);
        assert!(is_erased(&store, &other));
        // Its bytes are in no file of the store.
        for file in fs::read_dir(dir).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(wrapped.len()).any(|part| part == wrapped));
        }
        assert!(
            store
                .reader()
                .execute("UPDATE keys SET wrapped = x'00', erasure = NULL", [])
                .is_err()
        );
    });
}

#[test]
fn an_erasure_is_final_once_the_keys_are_wrapped_again() {
    each(|dir, encryption| {
        let store = open(dir, encryption);
        let (erased, _) = make(&store, "a", None);
        let (kept, key) = make(&store, "b", None);
        let backup = dir.join("backup.db");
        store.back_up(&backup, 7).unwrap();
        erase(&store, Selection::Task("a"));
        assert_eq!(store.erasures().unwrap()[0].is_final, Some(false));
        // Another process that has the store open follows.
        let other = open(dir, encryption);
        let rotated = store.rotate(10, |_| ()).unwrap();
        assert_eq!(
            (rotated.generation, rotated.keys, rotated.resumed),
            (2, 1, false)
        );
        let erasures = store.erasures().unwrap();
        // Whether a program still unwraps the former key is for the program to know.
        let is_file = matches!(encryption, KeyEncryption::File(_));
        assert_eq!(erasures[0].is_final, is_file.then_some(true));
        assert_eq!(erasures[0].keys, [erased]);
        for store in [&other, &open(dir, encryption)] {
            let state = store.find(&kept).unwrap();
            assert!(matches!(state, KeyState::Live(_, same) if same.bytes() == key.bytes()));
        }
        make(&other, "c", Some("ann"));
        assert_eq!(erase(&store, Selection::Subject("ann")), 1);
        assert_eq!(store.rotate(11, |_| ()).unwrap().generation, 3);
        // The backup is wrapped under a key that no longer exists; a program's key is the program's to destroy.
        if let KeyEncryption::File(_) = encryption {
            let opened = KeyStore::open(&backup, TRAIL, encryption);
            assert!(matches!(opened, Err(KeyStoreError::OtherKey)));
        }
    });
}

#[test]
fn a_rotation_waits_until_another_one_has_ended() {
    each(|dir, encryption| {
        let store = open(dir, encryption);
        let Some(other) = encryption.lock_rotation().unwrap() else {
            // Only a key in a file is destroyed here.
            return;
        };
        std::thread::scope(|scope| {
            let rotating = scope.spawn(|| open(dir, encryption).rotate(1, |_| ()).unwrap());
            for _ in 0..20 {
                std::thread::park_timeout(std::time::Duration::from_millis(10));
                assert_eq!(store.status().unwrap().generation, 1);
            }
            drop(other);
            assert_eq!(rotating.join().unwrap().generation, 2);
        });
    });
}

#[test]
fn a_rotation_that_was_stopped_is_continued() {
    each(|dir, encryption| {
        let store = open(dir, encryption);
        let keys: Vec<_> = (0..3)
            .map(|n| make(&store, &format!("t{n}"), None))
            .collect();
        let all_open = |store: &KeyStore| {
            keys.iter().all(|(id, key)| {
                matches!(store.find(id).unwrap(), KeyState::Live(_, same) if same.bytes() == key.bytes())
            })
        };
        // Stopped after its beginning, and again after the keys were wrapped.
        store.begin_rotation(10).unwrap();
        drop(store);
        let store = open(dir, encryption);
        assert!(all_open(&store));
        assert_eq!(store.status().unwrap().of_older_generations, 3);
        make(&store, "new", None);
        store.wrap_some(2).unwrap();
        drop(store);
        let store = open(dir, encryption);
        assert!(all_open(&store));
        let rotated = store.rotate(11, |_| ()).unwrap();
        assert_eq!(
            (rotated.generation, rotated.keys, rotated.resumed),
            (2, 0, true)
        );
        drop(store);
        assert!(all_open(&open(dir, encryption)));
        // Stopped between the key file and the note about it.
        let store = open(dir, encryption);
        store.begin_rotation(12).unwrap();
        while store.wrap_some(3).unwrap() > 0 {}
        store.wrap_subject_key(3).unwrap();
        let current = super::find_generation(&store.reader(), 3).unwrap();
        store.encryption.finish_rotation(&current).unwrap();
        drop(store);
        let store = open(dir, encryption);
        assert!(all_open(&store));
        assert!(store.rotate(13, |_| ()).unwrap().resumed);
        assert_eq!(store.rotate(14, |_| ()).unwrap().generation, 4);
        assert!(all_open(&store));
    });
}

#[test]
fn a_restored_backup_replays_the_erasures_of_the_trail() {
    each(|dir, encryption| {
        let store = open(dir, encryption);
        let (erased, _) = make(&store, "a", None);
        let (kept, _) = make(&store, "b", None);
        let backup = dir.join("backup.db");
        store.back_up(&backup, 7).unwrap();
        assert!(matches!(
            store.back_up(&backup, 7),
            Err(KeyStoreError::Exists(_))
        ));
        assert_eq!(store.status().unwrap().backed_up, Some(7));
        erase(&store, Selection::Task("a"));
        let keys = std::slice::from_ref(&erased);
        assert_eq!(store.replay(1, keys, "request", 9).unwrap(), 0);
        // The store's own erasure has its number now.
        assert_eq!(store.erasures().unwrap()[0].number, Some(1));
        assert_eq!(store.status().unwrap().erasures_without_entry, 0);
        let path = store.path().to_owned();
        let restored = KeyStore::restore(&backup, &path, TRAIL, encryption);
        assert!(matches!(restored, Err(KeyStoreError::Exists(_))));
        drop(store);
        for file in ["keys.db", "keys.db-wal", "keys.db-shm"] {
            let _ = fs::remove_file(dir.join(file));
        }
        let store = KeyStore::restore(&backup, &path, TRAIL, encryption).unwrap();
        assert!(!is_erased(&store, &erased));
        assert_eq!(store.replayed().unwrap(), 0);
        assert_eq!(store.replay(1, keys, "request", 9).unwrap(), 1);
        assert_eq!(store.replay(1, keys, "request", 9).unwrap(), 0);
        assert!(is_erased(&store, &erased) && !is_erased(&store, &kept));
        assert_eq!(store.replayed().unwrap(), 1);
    });
}

#[test]
fn a_wrong_key_file_or_trail_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kek");
    let encryption = KeyEncryption::File(file.clone());
    let path = dir.path().join("keys.db");
    drop(open(dir.path(), &encryption));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&path)), (0o600, 0o600));
    let other = KeyStore::open(&path, "another", &encryption);
    assert!(matches!(other, Err(KeyStoreError::OtherTrail { .. })));
    fs::write(&file, [1; 32]).unwrap();
    let opened = KeyStore::open_or_create(&path, TRAIL, &encryption, 1);
    assert!(matches!(opened, Err(KeyStoreError::OtherKey)));
    fs::write(&file, [1; 31]).unwrap();
    let opened = KeyStore::open(&path, TRAIL, &encryption);
    assert!(matches!(opened, Err(KeyStoreError::NotAKeyFile(_))));
    fs::remove_file(&file).unwrap();
    // A missing key file is not made again for keys that exist.
    let opened = KeyStore::open_or_create(&path, TRAIL, &encryption, 1);
    assert!(matches!(opened, Err(KeyStoreError::OtherKey)));
    assert!(!file.exists());
    fs::write(&path, "no database").unwrap();
    assert!(KeyStore::open(&path, TRAIL, &encryption).is_err());
}

#[test]
fn a_program_that_fails_is_named_with_what_it_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kms");
    let check = |script: &str, expected: &str| {
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let encryption = KeyEncryption::Program(path.clone());
        let made = KeyStore::open_or_create(&dir.path().join("keys.db"), TRAIL, &encryption, 1);
        let error = made.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("#!/bin/sh\necho no such key >&2; exit 3\n", "no such key");
    check("#!/bin/sh\necho other\n", "did not return the key");
}

#[test]
fn many_threads_make_one_key_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(
        dir.path(),
        &KeyEncryption::File(dir.path().join("kek")),
    ));
    let threads: Vec<_> = (0..16)
        .map(|n| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for task in 0..8 {
                    make(&store, &format!("shared-{task}"), None);
                    make(&store, &format!("own-{n}-{task}"), None);
                }
                erase(&store, Selection::Task("own-0-0"))
            })
        })
        .collect();
    let erased: usize = threads.into_iter().map(|it| it.join().unwrap()).sum();
    assert!(erased <= 1);
    assert_eq!(store.status().unwrap().live as usize, 8 + 16 * 8 - erased);
}
