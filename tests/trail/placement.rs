//! Both placements, both layouts, both hashes: a recorded entry as git sees it.

use super::*;

#[test]
fn an_entry_on_a_checkout_appears_in_work_tree_and_index() {
    let repo = Repo::init(&[]);
    repo.commit_file("readme", "hello");
    let trail = repo.trail();
    let placed = append(&trail, "task-1", at(0)).unwrap().wait().unwrap();
    assert_eq!(placed.path, ".audit/tasks/task-1.json");
    assert_eq!(repo.git(&["rev-parse", "HEAD"]).trim(), placed.commit);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_eq!(
        repo.git(&["show", "--format=", "--name-status", "HEAD"]),
        "A\t.audit/tasks/task-1.json\n"
    );
    assert_eq!(
        std::fs::read(repo.path.join(&placed.path)).unwrap(),
        entry("task-1", at(0))
    );
    assert!(
        repo.git(&["reflog", "main"])
            .contains("commit: audit: task task-1")
    );
    repo.fsck();
}

#[test]
fn entries_in_every_placement_layout_and_hash_pass_fsck() {
    for args in [
        &["--bare"][..],
        &[],
        &["--object-format=sha256"],
        &["--bare", "--object-format=sha256"],
    ] {
        for layout in [Layout::Flat, Layout::Sharded] {
            let repo = Repo::init(args);
            let options = OpenOptions {
                layout: Some(layout),
                ..OpenOptions::default()
            };
            let trail = Trail::open(&repo.path, options).unwrap();
            let tickets: Vec<_> = (0..300)
                .map(|n| append(&trail, &format!("t-{n}"), at(n)).unwrap())
                .collect();
            for ticket in tickets {
                ticket.wait().unwrap();
            }
            drop(trail);
            repo.fsck();
            assert_eq!(repo.git(&["rev-list", "--count", "main"]).trim(), "300");
            let names = repo.git(&["ls-tree", "-r", "--name-only", "main"]);
            assert_eq!(names.lines().count(), 300);
            if !args.contains(&"--bare") {
                assert_eq!(repo.git(&["status", "--porcelain"]), "");
            }
        }
    }
}
