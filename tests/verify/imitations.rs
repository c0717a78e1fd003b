//! Commits that imitate records: on the trail's separate ref, on a branch that people commit on, in merged histories.

use chiffon_audit_cli::verify::{self, Options, VerifyError};

use super::forge::{Commit, Forge, Operation, flat, holds, sharded, write};

const LOOKS: &str = "audit: task x completed at 2026-01-01T00:00:05.000001Z";

/// A person's commit with this message, which changes nothing.
fn says(forge: &mut Forge, message: &str) -> Commit {
    Commit {
        message: message.to_owned(),
        ..forge.by_person(Vec::new())
    }
}

#[test]
fn on_a_separate_ref_every_commit_is_the_trails() {
    for message in ["work\n", LOOKS, "\n", "Audit-Format: 1\n"] {
        let mut forge = Forge::trail_on_ref();
        let commit = says(&mut forge, message);
        let id = forge.add(&commit);
        forge.record(&sharded("after"));
        forge.broken("one-entry", Some(&id), "");
        forge.git(&["repack", "-adq"]);
        forge.broken("one-entry", Some(&id), "");
    }
    // A merge of anything, and a file.
    let mut forge = Forge::trail_on_ref();
    let work = forge.by_person(vec![write("x", "x\n")]);
    let side = forge.add_to("refs/heads/side", "refs/heads/side", &work);
    let mut merge = says(&mut forge, LOOKS);
    merge.merge = vec![side];
    let id = forge.add(&merge);
    forge.broken("one-entry", Some(&id), "is not a trail commit");
    let mut forge = Forge::trail_on_ref();
    let work = forge.by_person(vec![write("x", "x\n")]);
    let ids = [forge.add(&work), forge.add(&work)];
    forge.only_broken("one-entry", &ids[0], "is not a trail commit");
    let json = serde_json::to_value(forge.verify()).unwrap();
    assert_eq!(json["claims"][2]["count"], 2);
}

#[test]
fn what_people_committed_before_a_trail_began_on_their_ref_holds() {
    let mut forge = Forge::bare(&[]);
    let work = forge.by_person(vec![write("x", "x\n")]);
    forge.add(&work);
    forge.genesis_of("ref");
    forge.record(&sharded("a"));
    holds(&forge.path);
}

#[test]
fn on_a_branch_of_peoples_an_imitation_is_named() {
    let mut forge = Forge::trail();
    let record = forge.draft(&sharded("y")).message;
    for (message, words) in [
        (LOOKS, "the subject of a record"),
        (
            "audit: task x\nrolled-back at 2026-01-01T00:00:05Z\n\nbody\n",
            "the subject of a record",
        ),
        ("audit: begin trail\n", "the subject of a record"),
        // An offence of the message is reported first.
        (record.as_str(), ""),
        (
            "work\n\nsigned-off-by: x\naudit-format:1\naudit-task :y\n",
            "",
        ),
    ] {
        let mut forge = Forge::trail();
        let commit = says(&mut forge, message);
        let id = forge.add(&commit);
        forge.record(&sharded("after"));
        forge.broken("agreement", Some(&id), words);
        // Also with a person's work, and as a merge.
        let mut forge = Forge::trail();
        let fork = forge.git(&["rev-parse", "audit"]).trim().to_owned();
        let work = forge.by_person(vec![write("x", "x\n")]);
        let side = forge.add_to("refs/heads/side", &fork, &work);
        let mut merge = says(&mut forge, message);
        merge.merge = vec![side];
        merge.operations = vec![write("x", "x\n")];
        let id = forge.add(&merge);
        forge.broken("agreement", Some(&id), words);
    }
}

#[test]
fn a_message_that_git_shows_from_another_encoding_is_not_taken_for_harmless() {
    let mut forge = Forge::trail();
    let [tree, parent] = ["audit^{tree}", "audit"].map(|name| forge.git(&["rev-parse", name]));
    let commit = |encoding: &str, message: &str| {
        format!(
            "tree {}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding {encoding}\n\n{message}\n",
            tree.trim(),
            parent.trim()
        )
    };
    let hidden = LOOKS.replacen("audit", "+AGEAdQBkAGkAdA-", 1);
    let id = forge.object("commit", commit("UTF-7", &hidden).as_bytes());
    // If the C library knows the encoding, `git log` shows LOOKS.
    forge.git(&["update-ref", "refs/heads/audit", &id]);
    forge.not_shown("agreement", "decodes its message from `UTF-7`");
    let id = forge.object("commit", commit("ISO-8859-1", "work").as_bytes());
    forge.git(&["update-ref", "refs/heads/audit", &id]);
    forge.record(&sharded("after"));
    holds(&forge.path);
}

#[test]
fn what_people_say_about_records_is_no_imitation() {
    for message in [
        "docs: explain the trailers\n\nAudit-Format: says which version of the format a commit has.\n",
        "docs\n\nAudit-Format: 1\n",
        "docs\n\nAudit-Format: 1\nAudit-Task: names the task\n",
        "docs\n\nThe lines are\nAudit-Format: 1\nAudit-Task: x\n",
        "docs\n\nAudit-Format: 1\nAudit-Task: x\n\nThat was it.\n",
        "Revert \"audit: task x completed at 2026-01-01T00:00:05.000001Z\"\n",
        "audit: task lists are long\n",
        "\n",
    ] {
        let mut forge = Forge::trail();
        let commit = says(&mut forge, message);
        forge.add(&commit);
        forge.record(&sharded("after"));
        holds(&forge.path);
    }
}

#[test]
fn a_readme_beside_the_entries_is_a_persons() {
    let mut forge = Forge::trail();
    for operations in [
        vec![write(".audit/README.md", "1\n")],
        vec![write(".audit/README.md", "2\n"), write("src", "x\n")],
        vec![write(".audit/readme", "3\n")],
        vec![Operation::Delete(".audit/README.md".into())],
    ] {
        let commit = forge.by_person(operations);
        forge.add(&commit);
        forge.record(&sharded(&format!(
            "t{}",
            forge.git(&["rev-list", "--count", "audit"]).trim()
        )));
    }
    let report = holds(&forge.path);
    let claim = report.claims.iter().find(|claim| claim.id == "one-entry");
    assert_eq!(claim.unwrap().notes.len(), 4);
    // At the path of an entry, or as anything except a file, it is not an entry.
    for operation in [
        write(".audit/tasks/README.md", "x\n"),
        write(".audit/README.md/x", "x\n"),
        write(".audit/READMES", "x\n"),
        Operation::Write {
            mode: "120000",
            path: ".audit/README.md".into(),
            contents: "tasks".into(),
        },
    ] {
        let mut forge = Forge::trail();
        let commit = forge.by_person(vec![operation]);
        let id = forge.add(&commit);
        forge.broken("one-entry", Some(&id), "");
    }
}

#[test]
fn a_commit_that_ends_with_its_headers_has_no_message() {
    let mut forge = Forge::trail();
    let [tree, parent] = ["audit^{tree}", "audit"].map(|name| forge.git(&["rev-parse", name]));
    let (tree, parent) = (tree.trim(), parent.trim());
    let text = format!(
        "tree {tree}\nparent {parent}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
    );
    let id = forge.object("commit", text.as_bytes());
    forge.git(&["update-ref", "refs/heads/audit", &id]);
    forge.git(&["fsck", "--strict"]);
    holds(&forge.path);
    forge.record(&sharded("after"));
    holds(&forge.path);
}

#[test]
fn imitations_that_were_merged_are_listed() {
    let mut forge = Forge::trail();
    let fork = forge.git(&["rev-parse", "audit~1"]).trim().to_owned();
    let record = forge.draft(&flat("ghost"));
    let first = forge.add_to("refs/heads/side", &fork, &record);
    let empty = says(&mut forge, LOOKS);
    let second = forge.add_to("refs/heads/side", &first, &empty);
    let mut merge = says(&mut forge, "Merge branch 'side'\n");
    merge.merge = vec![second.clone()];
    forge.add(&merge);
    // While its branch exists, it has records that the trail lacks, so the ref must be given.
    let asked = verify::verify(&forge.path, &Options::default());
    assert!(matches!(asked, Err(VerifyError::Ambiguous(_))), "{asked:?}");
    forge.git(&["branch", "-q", "-D", "side"]);
    let report = holds(&forge.path);
    let claim = report.claims.iter().find(|claim| claim.id == "agreement");
    let notes = &claim.unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().any(|note| note.contains(&first)), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains(&second)), "{notes:?}");
}
