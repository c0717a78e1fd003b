//! Honest trails hold, whatever stock git does to the repository.

use chiffon_audit_cli::verify::Verdict;

use super::forge::{Forge, TRAIL, flat, git, holds, sharded, verdict, write};

/// Audits the trail as it is, and after all of git's housekeeping.
fn holds_always(forge: &Forge, entries: u64) {
    let report = forge.holds();
    assert_eq!(report.entries, entries);
    assert!(report.objects >= report.entries * 4);
    for arguments in [
        &["repack", "-q", "-d"][..],
        &["gc", "-q", "--prune=now"],
        &["repack", "-adfq", "--depth=4095", "--window=5"],
        &["pack-refs", "--all"],
        &["commit-graph", "write", "--reachable"],
        &["multi-pack-index", "write"],
    ] {
        forge.git(arguments);
        let again = forge.holds();
        assert_eq!(
            (again.tip, again.commits, again.entries, again.objects),
            (report.tip.clone(), report.commits, entries, report.objects)
        );
    }
    for (name, arguments) in [
        ("clone", &[][..]),
        ("bare", &["--bare"]),
        ("mirror", &["--mirror"]),
    ] {
        let to = forge.beside(name);
        let from = forge.path.to_str().unwrap();
        git(
            &forge.path,
            &[
                &["clone", "-q", "--no-local"],
                arguments,
                &[from, to.to_str().unwrap()],
            ]
            .concat(),
        );
        assert_eq!(holds(&to).entries, entries);
    }
}

#[test]
fn a_flat_trail_holds() {
    let mut forge = Forge::bare(&[]);
    for number in 0..20 {
        forge.record(&flat(&format!("task-{number}")));
    }
    holds_always(&forge, 20);
}

#[test]
fn a_sharded_trail_holds() {
    let mut forge = Forge::bare(&[]);
    forge.genesis();
    for number in 0..20 {
        forge.record(&sharded(&format!("Task-{number}.x")));
    }
    holds_always(&forge, 20);
    assert_eq!(forge.holds().trail_id.as_deref(), Some(TRAIL));
}

#[test]
fn a_trail_of_both_layouts_holds() {
    holds_always(&Forge::trail(), 3);
}

#[test]
fn a_sha256_trail_holds() {
    let mut forge = Forge::bare(&["--object-format=sha256"]);
    forge.genesis();
    for path in [sharded("a"), flat("b"), sharded("c")] {
        forge.record(&path);
    }
    holds_always(&forge, 3);
    assert_eq!(forge.holds().tip.map(|tip| tip.len()), Some(64));
}

#[test]
fn a_person_s_commits_and_merges_beside_the_trail_hold() {
    let mut forge = Forge::checkout();
    let work = forge.by_person(vec![
        write("src/main.rs", "fn main() {}\n"),
        write("README", "1\n"),
    ]);
    let begin = forge.add(&work);
    forge.genesis();
    forge.record(&flat("a"));
    let fork = forge.record(&sharded("b"));
    // A branch with the entries so far, and a root commit of another project.
    let topic = forge.by_person(vec![write("src/topic.rs", "//\n")]);
    let topic = forge.add_to("refs/heads/topic", &fork, &topic);
    let other = forge.by_person(vec![write("vendor/x", "x\n")]);
    let other = forge.add_to("refs/heads/other", "refs/heads/other", &other);
    forge.record(&sharded("c"));
    let mut merge = forge.by_person(vec![
        write("src/topic.rs", "//\n"),
        write("vendor/x", "x\n"),
    ]);
    merge.merge = vec![topic, other, begin];
    forge.add(&merge);
    forge.record(&flat("d"));
    let work = forge.by_person(vec![write("README", "2\n")]);
    forge.add(&work);
    holds_always(&forge, 4);
}

#[test]
fn a_subdirectory_and_a_linked_work_tree_lead_to_the_trail() {
    let mut forge = Forge::checkout();
    let work = forge.by_person(vec![write("deep/er/file", "x\n")]);
    forge.add(&work);
    forge.record(&flat("a"));
    forge.git(&["reset", "-q", "--hard"]);
    assert_eq!(holds(&forge.path.join("deep/er")).entries, 1);
    let linked = forge.beside("linked");
    forge.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    assert_eq!(holds(&linked.join("deep")).reference, "refs/heads/side");
}

#[test]
fn a_subject_of_the_policy_s_own_choice_holds() {
    let mut forge = Forge::bare(&[]);
    let mut commit = forge.draft(&flat("a"));
    commit.message = commit
        .message
        .replacen("audit: task a completed", "Erledigt: a \u{2713}", 1);
    forge.add(&commit);
    forge.holds();
}

#[test]
fn claims_that_were_not_asked_for_are_listed() {
    let report = Forge::trail().holds();
    for claim in ["signatures", "checkpoints"] {
        assert!(matches!(verdict(&report, claim), Verdict::NotAsked { .. }));
    }
}
