//! Packs that are not merged any more: git's multi-pack-index over them.

use std::fs;
use std::time::SystemTime;

use super::*;

/// Opens a bare trail for which every pack is a large one.
fn open_large(repo: &Repo) -> Trail {
    let options = OpenOptions {
        large_pack: 0,
        lock_wait: Duration::from_millis(100),
        ..OpenOptions::default()
    };
    Trail::open(&repo.path, options).unwrap()
}

/// Records tasks with these numbers, one pack each.
fn record_each(repo: &Repo, numbers: std::ops::Range<usize>) {
    let trail = open_large(repo);
    for number in numbers {
        record(&trail, &format!("t{number}"), number as i64).unwrap();
    }
}

fn index(repo: &Repo) -> PathBuf {
    repo.path.join("objects/pack/multi-pack-index")
}

/// How many packs the index names; 0 if there is no index.
fn named(repo: &Repo) -> usize {
    match fs::read(index(repo)) {
        Ok(bytes) => u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize,
        Err(_) => 0,
    }
}

#[test]
fn three_large_packs_get_one_index_that_git_finds_right() {
    let repo = Repo::bare();
    record_each(&repo, 0..2);
    assert_eq!(named(&repo), 0);
    record_each(&repo, 2..3);
    assert_eq!(named(&repo), 3);
    repo.git(&["multi-pack-index", "verify"]);
    record_each(&repo, 3..5);
    assert_eq!(named(&repo), 3, "two more are not worth it");
    record_each(&repo, 5..6);
    assert_eq!(named(&repo), 6);
    repo.git(&["multi-pack-index", "verify"]);
    repo.fsck();
    assert_eq!(repo.git(&["log", "--oneline"]).lines().count(), 6);
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
}

#[test]
fn in_a_sha256_repository_too() {
    let dir = crate::support::temporary();
    let path = dir.path().join("trail.git");
    let path_text = path.to_str().unwrap();
    git(
        dir.path(),
        &["init", "-q", "--bare", "--object-format=sha256", path_text],
    );
    let options = OpenOptions {
        large_pack: 0,
        ..OpenOptions::default()
    };
    let trail = Trail::open(&path, options).unwrap();
    for number in 0..3 {
        record(&trail, &format!("t{number}"), number).unwrap();
    }
    drop(trail);
    git(&path, &["multi-pack-index", "verify"]);
    git(&path, &["fsck", "--strict"]);
    assert!(path.join("objects/pack/multi-pack-index").exists());
}

/// A `git repack` that started before the index was written removes the packs and leaves it.
#[test]
fn an_index_over_packs_that_are_gone_goes_too() {
    let repo = Repo::bare();
    record_each(&repo, 0..3);
    let stale = fs::read(index(&repo)).unwrap();
    repo.git(&["repack", "-a", "-d", "-q"]);
    assert_eq!(named(&repo), 0, "git has removed it");
    fs::write(index(&repo), stale).unwrap();
    assert!(!try_git(&repo.path, &["fsck"]).status.success());
    record_each(&repo, 3..4);
    assert_eq!(named(&repo), 0);
    repo.fsck();
}

#[test]
fn what_a_person_indexes_is_left_to_the_person() {
    let repo = Repo::bare();
    record_each(&repo, 0..2);
    // A pack of another program is in it.
    let other = Repo::init(&[]);
    other.commit_file("readme", "hello");
    repo.git(&[
        "-c",
        "fetch.unpackLimit=1",
        "fetch",
        "-q",
        other.path.to_str().unwrap(),
        "main:elsewhere",
    ]);
    repo.git(&["multi-pack-index", "write"]);
    let theirs = fs::read(index(&repo)).unwrap();
    record_each(&repo, 2..8);
    assert_eq!(fs::read(index(&repo)).unwrap(), theirs);
    repo.fsck();
}

#[test]
fn nothing_is_indexed_while_git_is_at_it() {
    let repo = Repo::bare();
    let lock = index(&repo).with_extension("lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    record_each(&repo, 0..4);
    assert_eq!(named(&repo), 0, "another program writes the index");
    assert!(lock.exists(), "a stranger's lock stays");
    fs::remove_file(&lock).unwrap();
    let pid = repo.path.join("gc.pid");
    fs::write(&pid, "1 host").unwrap();
    record_each(&repo, 4..5);
    assert_eq!(named(&repo), 0, "the packs are about to go");
    // The file of a killed process is trusted for twelve hours, as in git.
    let long_ago = SystemTime::now() - Duration::from_secs(13 * 60 * 60);
    fs::File::open(&pid)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    record_each(&repo, 5..6);
    assert_eq!(named(&repo), 6);
    repo.fsck();
}

/// An index that cannot be written blocks nothing, and is not tried again for each entry.
#[test]
fn an_index_that_fails_is_tried_again_when_the_next_large_pack_has_come() {
    let repo = Repo::bare();
    let disk = Watched::default();
    let tries = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = tries.clone();
    disk.watch(move |operation, path| {
        if operation == "write" && path.ends_with("tmp/multi-pack-index") {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return Err(std::io::Error::other("no room"));
        }
        Ok(())
    });
    let options = OpenOptions {
        large_pack: 0,
        merge_beside: false,
        disk: Arc::new(disk.clone()),
        ..OpenOptions::default()
    };
    let trail = Trail::open(&repo.path, options).unwrap();
    for number in 0..4 {
        record(&trail, &format!("t{number}"), number).unwrap();
    }
    drop(trail);
    assert_eq!(tries.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(named(&repo), 0);
    record_each(&repo, 4..5);
    assert_eq!(named(&repo), 5);
    repo.fsck();
}

/// The names are at an offset that no file can have.
#[test]
fn an_index_that_is_no_index_is_left_alone_and_packs_are_merged() {
    let repo = Repo::bare();
    fs::create_dir_all(index(&repo).parent().unwrap()).unwrap();
    let mut nonsense = b"MIDX\x01\x01\x01\x00\x00\x00\x00\x01".to_vec();
    nonsense.extend_from_slice(b"PNAM\x80\x00\x00\x00\x00\x00\x00\x00");
    nonsense.extend_from_slice(b"\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x10");
    fs::write(index(&repo), &nonsense).unwrap();
    let trail = open(&repo.path).unwrap();
    for number in 0..8 {
        record(&trail, &format!("t{number}"), number).unwrap();
    }
    drop(trail);
    let packs = listing(&repo.path.join("objects/pack")).into_keys();
    let packs = packs.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "pack")
    });
    assert_eq!(packs.count(), 1);
    assert_eq!(fs::read(index(&repo)).unwrap(), nonsense);
}
