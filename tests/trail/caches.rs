//! The caches beside the trail: swept, updated, and never an obstacle to a receipt.

use super::*;

/// Besides the leftovers of a flush, whose removal every crash in `crash` tests.
#[test]
fn what_a_crash_left_of_the_caches_is_swept() {
    let repo = Repo::bare();
    record_at(&repo.path, "a", 0).unwrap();
    let state = repo.path.join("chiffon-audit");
    for name in ["catalogue.new-1-0", "catalogue.log-1-0", "tmp/merged.pack"] {
        std::fs::write(state.join(name), b"half").unwrap();
    }
    record_at(&repo.path, "b", 1).unwrap();
    let left: Vec<_> = listing(&state)
        .into_keys()
        .filter(|path| path.to_string_lossy().contains("-1-") || path.ends_with("merged.pack"))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    assert_eq!(tasks(&open(&repo.path).unwrap()), ["a", "b"]);
}

/// A process that rebuilds the tree of leaves deletes its files: later leaves must not be written to the deleted ones.
#[test]
fn leaves_go_to_the_current_files_after_another_process_rebuilt_them() {
    let repo = Repo::bare();
    let long_lived = open(&repo.path).unwrap();
    record(&long_lived, "a", 0).unwrap();
    record(&long_lived, "b", 1).unwrap();
    long_lived.check().unwrap();
    let root = open(&repo.path).unwrap().rebuild_tree().unwrap().root();
    record(&long_lived, "c", 2).unwrap();
    drop(long_lived);
    let leaves = std::fs::read(repo.path.join("chiffon-audit/tree/0")).unwrap();
    assert_eq!(leaves.len(), 3 * 32);
    let trail = open(&repo.path).unwrap();
    let mut tree = trail.tree().unwrap();
    assert_eq!(tree.root_at(2).unwrap(), Some(root));
    assert_eq!(tree.root(), trail.rebuild_tree().unwrap().root());
}

/// The caches are written after the receipts, so a fault in them affects nothing else.
#[test]
fn caches_that_cannot_be_written_hold_up_no_receipt() {
    let repo = Repo::bare();
    let trail = open(&repo.path).unwrap();
    record(&trail, "a", 0).unwrap();
    trail.check().unwrap();
    let state = repo.path.join("chiffon-audit");
    for name in ["catalogue", "catalogue.log", "tree"] {
        let path = state.join(name);
        let _ = std::fs::remove_file(&path);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("in the way"), "").unwrap();
    }
    for (second, id) in ["b", "c"].into_iter().enumerate() {
        let placed = record(&trail, id, second as i64).unwrap();
        let found = trail.find(&task(id)).unwrap().unwrap();
        assert_eq!(found.commit, Some(placed.commit));
    }
    drop(trail);
    assert_eq!(tasks(&open(&repo.path).unwrap()), ["a", "b", "c"]);
    repo.fsck();
}
