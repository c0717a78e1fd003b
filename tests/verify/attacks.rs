//! Histories that no host wrote, each with the claim that it breaks and the commit to look at.

use super::forge::{Forge, Operation, entry, flat, sharded, timestamp, write};

/// A person, or an attacker posing as the host, makes this commit on an honest trail; the claim is broken by that
/// commit. An honest entry after it must not change the verdict.
fn check(by_host: bool, claim: &str, words: &str, operations: Vec<Operation>) {
    let mut forge = Forge::trail();
    let commit = if by_host {
        let mut draft = forge.draft(&sharded("posed"));
        draft.operations.extend(operations);
        draft
    } else {
        forge.by_person(operations)
    };
    let id = forge.add(&commit);
    forge.broken(claim, Some(&id), words);
    forge.record(&sharded("later"));
    forge.git(&["repack", "-adq"]);
    forge.broken(claim, Some(&id), words);
}

fn edited() -> Operation {
    write(&sharded("a"), &entry("a", &timestamp(super::forge::BEGIN)))
}

#[test]
fn an_edited_entry_is_named() {
    check(false, "append-only", "is edited", vec![edited()]);
    check(true, "append-only", "is edited", vec![edited()]);
}

#[test]
fn a_deleted_entry_is_named() {
    check(
        false,
        "append-only",
        "is deleted",
        vec![Operation::Delete(flat("b"))],
    );
    check(
        true,
        "append-only",
        "is deleted",
        vec![Operation::Delete(sharded("a"))],
    );
    check(
        false,
        "append-only",
        "is deleted",
        vec![Operation::Delete(".audit".into())],
    );
}

#[test]
fn a_renamed_entry_is_named() {
    let rename = || vec![Operation::Rename(flat("b"), flat("bb"))];
    check(
        false,
        "append-only",
        "is renamed to `.audit/tasks/bb.json`",
        rename(),
    );
    check(true, "append-only", "is renamed", rename());
}

#[test]
fn an_entry_moved_to_the_other_layout_is_named() {
    check(
        false,
        "append-only",
        "is renamed",
        vec![Operation::Rename(flat("b"), sharded("b"))],
    );
}

#[test]
fn an_entry_without_a_task_is_named() {
    let added = || {
        vec![write(
            &flat("x"),
            &entry("x", &timestamp(super::forge::BEGIN)),
        )]
    };
    check(false, "one-entry", "an entry without a task", added());
    check(true, "one-entry", "adds 2 files", added());
    check(
        false,
        "one-entry",
        "an entry without a task",
        vec![write(".audit/notes", "x\n")],
    );
}

#[test]
fn a_changed_mode_is_named() {
    let mode = |mode| {
        vec![Operation::Write {
            mode,
            path: flat("b"),
            contents: String::new(),
        }]
    };
    check(false, "append-only", "is edited", mode("100755"));
    let mut forge = Forge::trail();
    let contents = forge.git(&["cat-file", "blob", &format!("audit:{}", flat("b"))]);
    let executable = Operation::Write {
        mode: "100755",
        path: flat("b"),
        contents,
    };
    let commit = forge.by_person(vec![executable]);
    let id = forge.add(&commit);
    forge.only_broken(
        "append-only",
        &id,
        "the mode of `.audit/tasks/b.json` changes",
    );
}

#[test]
fn a_foreign_file_added_by_a_trail_commit_is_named() {
    check(
        true,
        "one-entry",
        "outside `.audit`: `src`",
        vec![write("src/x", "x\n")],
    );
    check(
        true,
        "one-entry",
        "adds 2 files",
        vec![write(".audit/x", "x\n")],
    );
}

#[test]
fn an_entry_of_another_task_is_named() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    commit.operations = vec![write(
        &sharded("y"),
        &entry("x", &timestamp(super::forge::BEGIN)),
    )];
    let id = forge.add(&commit);
    forge.only_broken("agreement", &id, "");
    let mut commit = forge.draft(&sharded("z"));
    commit.message = commit.message.replace("Audit-Task: z", "Audit-Task: other");
    let second = forge.add(&commit);
    assert_ne!(id, second);
    forge.only_broken("agreement", &id, "");
}

#[test]
fn a_task_recorded_again_in_another_layout_or_case_is_named() {
    for path in [flat("a"), flat("A"), sharded("B"), sharded("C")] {
        let mut forge = Forge::trail();
        forge.record(&sharded("between"));
        let id = forge.record(&path);
        forge.record(&sharded("after"));
        forge.only_broken("once", &id, "was recorded before");
    }
}

#[test]
fn a_second_parent_smuggled_in_is_named() {
    let mut forge = Forge::trail();
    let hidden = forge.by_person(vec![write("secret", "x\n")]);
    let hidden = forge.add_to("refs/heads/hidden", "refs/heads/hidden", &hidden);
    forge.git(&["update-ref", "-d", "refs/heads/hidden"]);
    let mut commit = forge.draft(&sharded("x"));
    commit.merge = vec![hidden];
    let id = forge.add(&commit);
    forge.only_broken("one-entry", &id, "has 2 parents");
}

#[test]
fn a_backdated_commit_is_named() {
    let mut forge = Forge::trail();
    forge.record(&sharded("x"));
    let mut commit = forge.draft(&sharded("y"));
    let early = format!(
        "Chiffon Audit <audit@localhost> {} +0000",
        super::forge::BEGIN + 2
    );
    (commit.author, commit.committer) = (early.clone(), early);
    commit.operations = vec![write(
        &sharded("y"),
        &entry("y", &timestamp(super::forge::BEGIN + 1)),
    )];
    let id = forge.add(&commit);
    forge.only_broken("times", &id, "is before");
}

#[test]
fn an_entry_from_the_future_of_its_commit_is_named() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    let time = timestamp(super::forge::BEGIN + 900);
    let (_, trailers) = commit.message.split_once('\n').unwrap();
    commit.message = format!("audit: task x completed at {time}\n{trailers}");
    commit.operations = vec![write(&sharded("x"), &entry("x", &time))];
    let id = forge.add(&commit);
    forge.only_broken("times", &id, "committed before");
}

/// An honest record whose entry was changed before it was committed.
fn with_entry_changed(from: &str, to: &str) -> (Forge, String) {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    let Operation::Write { contents, .. } = commit.operations[0].clone() else {
        unreachable!()
    };
    assert!(contents.contains(from), "{contents}");
    commit.operations = vec![write(&sharded("x"), &contents.replacen(from, to, 1))];
    let id = forge.add(&commit);
    (forge, id)
}

#[test]
fn an_entry_that_programs_read_in_different_ways_is_named() {
    for status in [" ", "Completed", "completed\u{202e}", "\\u001b[2Kcompleted"] {
        let (forge, id) = with_entry_changed("\"completed\"", &format!("\"{status}\""));
        forge.broken("one-entry", Some(&id), "has a `status` that is not");
    }
    for number in ["1e999", "-1e999"] {
        let (forge, id) = with_entry_changed("{", &format!("{{\"number\": {number},"));
        forge.only_broken("one-entry", &id, "is not finite as a double");
    }
}

#[test]
fn a_member_that_differs_only_by_case_from_a_known_one_is_noted() {
    let (forge, _) = with_entry_changed("{", "{\"Status\": \"failed\",");
    let report = forge.holds();
    let claim = report.claims.iter().find(|claim| claim.id == "one-entry");
    let notes = &claim.unwrap().notes;
    assert!(notes[0].contains("has the member `Status`"), "{notes:?}");
}

#[test]
fn a_person_s_merge_that_takes_the_other_side_s_entries_is_named() {
    let mut forge = Forge::trail();
    let fork = forge.git(&["rev-parse", "audit"]).trim().to_owned();
    let draft = forge.draft(&sharded("x"));
    let side = forge.add_to("refs/heads/side", &fork, &draft);
    let Operation::Write { contents, .. } = draft.operations[0].clone() else {
        unreachable!()
    };
    forge.record(&sharded("d"));
    let mut merge = forge.by_person(vec![write(&sharded("x"), &contents)]);
    merge.merge = vec![side];
    let id = forge.add(&merge);
    forge.only_broken("one-entry", &id, "an entry without a task");
}

#[test]
fn a_squashed_history_is_named() {
    let mut forge = Forge::trail();
    let tree = forge.git(&["rev-parse", "audit^{tree}"]);
    let squashed = forge
        .git(&["commit-tree", tree.trim(), "-m", "squashed"])
        .trim()
        .to_owned();
    forge.git(&["update-ref", "refs/heads/audit", &squashed]);
    let report = forge.broken(
        "one-entry",
        Some(&squashed),
        "entries without a task: 3 files",
    );
    assert_eq!((report.commits, report.entries), (1, 0));
    // A later commit is seen, but repairs nothing.
    forge.record(&sharded("d"));
    assert_eq!(
        forge
            .broken("one-entry", Some(&squashed), "3 files")
            .entries,
        1
    );
}

#[test]
fn a_trail_that_begins_twice_or_late_is_named() {
    let mut forge = Forge::trail();
    let id = forge.genesis();
    forge.record(&sharded("d"));
    forge.only_broken("one-entry", &id, "starts a second time");
    let mut forge = Forge::bare(&[]);
    forge.record(&flat("a"));
    let id = forge.genesis();
    forge.only_broken("one-entry", &id, "starts after its entries");
}

#[test]
fn the_oldest_of_many_offences_is_named_and_all_are_counted() {
    let mut forge = Forge::trail();
    let mut ids = Vec::new();
    for number in 0..600 {
        let path = sharded(&format!("x{number}"));
        let mut commit = forge.draft(&path);
        if number % 7 == 3 {
            commit
                .operations
                .push(write(&format!("foreign{number}"), "x\n"));
        }
        if number % 7 == 3 || number % 50 == 0 {
            ids.push(forge.add(&commit));
        }
    }
    let report = forge.broken("one-entry", Some(&ids[1]), "foreign3");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["claims"][2]["count"], 86);
}
