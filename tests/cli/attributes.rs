//! Attributes of a person's repository: entries stay unchanged, and clear text is never recorded silently.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::machines::commit_with;
use super::{Machine, outcome};
use crate::support;

#[test]
fn filters_and_line_endings_leave_entries_as_they_are() {
    let cases = [
        "*.json filter=lfs diff=lfs merge=lfs -text",
        "*.json text eol=crlf",
        "* text=auto eol=crlf",
        "*.json ident",
        "*.json working-tree-encoding=UTF-16LE",
        "* -text",
    ];
    for attributes in cases {
        let machine = Machine::with_repository();
        machine.write("repo/.gitattributes", format!("{attributes}\n"));
        machine.git(&["add", "."]);
        machine.git(&["commit", "-q", "-m", "attributes"]);
        machine.git(&["config", "filter.lfs.clean", "sha256sum"]);
        machine.git(&["config", "filter.lfs.smudge", "cat"]);
        machine.write("repo/.git/info/attributes", "*.md text");
        machine.commit(r#"{"task_id":"a","status":"failed","metadata":{"text":"$Id$ ü"}}"#);
        let text = std::fs::read_to_string(machine.path("repo/.git/info/attributes")).unwrap();
        assert!(
            text.starts_with("*.md text\n# chiffon-audit: begin"),
            "{text}"
        );
        assert_eq!(
            text.matches("/.audit/** -filter -text -ident -working-tree-encoding\n")
                .count(),
            1
        );
        let recorded = machine.git(&["rev-parse", "HEAD:.audit"]);
        // As after a checkout: nothing that git has cached about the files counts.
        std::fs::remove_file(machine.path("repo/.audit/tasks/a.json")).unwrap();
        machine.git(&["checkout", "-q", "--", ".audit"]);
        let index = machine.path("repo/.git/index");
        std::fs::remove_file(index).unwrap();
        machine.git(&["reset", "-q"]);
        assert_eq!(machine.git(&["status", "--porcelain"]), "", "{attributes}");
        machine.write("repo/work", "a person's");
        machine.git(&["add", "-A"]);
        machine.git(&["commit", "-q", "-a", "-m", "work"]);
        assert_eq!(
            machine.git(&["rev-parse", "HEAD:.audit"]),
            recorded,
            "{attributes}"
        );
        machine.commit(&outcome("b", "completed"));
        let text_after =
            std::fs::read_to_string(machine.path("repo/.git/info/attributes")).unwrap();
        assert_eq!(text, text_after);
        let ran = machine.run(&["-C", "repo", "init", "--layout", "flat"]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let text_after =
            std::fs::read_to_string(machine.path("repo/.git/info/attributes")).unwrap();
        assert_eq!(text, text_after);
    }
}

#[test]
fn where_a_filter_encrypts_an_outcome_is_refused_unless_the_operator_allows_it() {
    for (attributes, configured) in [
        ("* filter=git-crypt diff=git-crypt", false),
        ("[attr]hidden filter=crypt\n*.json hidden", false),
        (".audit/** filter=own", true),
    ] {
        let machine = Machine::with_repository();
        machine.write("repo/.gitattributes", format!("{attributes}\n"));
        machine.git(&["add", "."]);
        machine.git(&["commit", "-q", "-m", "attributes"]);
        if configured {
            machine.git(&["config", "filter.own.clean", "rev"]);
        }
        let before = machine.git(&["for-each-ref"]);
        let ran = machine.run_with_input(
            &["-C", "repo", "--json", "commit", "-"],
            outcome("a", "failed"),
        );
        let receipt = ran.object();
        assert_eq!(
            (ran.exit, &receipt["cause"]),
            (Some(4), &"filter".into()),
            "{attributes}: {ran:?}"
        );
        assert!(
            receipt["reason"]
                .as_str()
                .unwrap()
                .contains("checkout.plaintext"),
            "{receipt}"
        );
        assert_eq!(machine.git(&["for-each-ref"]), before);
        let ran = machine.run(&["-C", "repo", "doctor"]);
        assert!(
            ran.out.contains("encrypts files of this repository"),
            "{ran:?}"
        );
        let ran = commit_with(
            &machine,
            "a",
            &[("CHIFFON_AUDIT_CHECKOUT_PLAINTEXT", "true")],
            &[],
        );
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert_eq!(machine.git(&["status", "--porcelain"]), "");
        // An entry that is recorded stays recorded.
        let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], outcome("a", "completed"));
        assert_eq!(ran.exit, Some(0), "{ran:?}");
    }
    // A filter without a program does nothing.
    let machine = Machine::with_repository();
    machine.write("repo/.gitattributes", "* filter=own\n");
    machine.git(&["add", "."]);
    machine.git(&["commit", "-q", "-m", "attributes"]);
    machine.commit(&outcome("a", "failed"));
}

#[test]
fn attributes_that_cannot_be_written_are_a_warning_and_a_clone_is_told_that_it_lacks_them() {
    let machine = Machine::with_repository();
    let file = machine.write("repo/.git/info/attributes", "*.md text\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    let ran = machine.commit(&outcome("a", "failed"));
    assert!(
        ran.err.contains("warning: cannot write") && ran.err.contains("read-only"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "*.md text\n");
    let ran = machine.run(&["-C", "repo", "doctor"]);
    assert!(ran.out.contains("which clones do not copy"), "{ran:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ran = machine.run(&["-C", "repo", "init", "--layout", "flat"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
    let ran = machine.run(&["-C", "repo", "doctor"]);
    assert!(!ran.out.contains("which clones do not copy"), "{ran:?}");
    let target = machine.write("elsewhere", "");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    let ran = machine.run(&["-C", "repo", "init", "--layout", "flat"]);
    assert!(ran.err.contains("not a regular file"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "");
}

/// A clone has no `info/attributes` yet, so git converts the entries that it checks out.
#[test]
fn entries_that_git_converted_in_a_clone_get_the_bytes_of_the_record() {
    let utf16 = "*.json working-tree-encoding=UTF-16LE-BOM";
    for (attributes, configured) in [
        ("*.json text eol=crlf", &[][..]),
        ("* text=auto eol=crlf", &[]),
        ("*.json ident", &[]),
        (utf16, &[]),
        ("*.json filter=swap", &["filter.swap.smudge", "tr c C"]),
        ("", &["core.autocrlf", "true"]),
    ] {
        let machine = Machine::with_repository();
        machine.write("repo/.gitattributes", format!("{attributes}\n"));
        machine.git(&["add", "."]);
        machine.git(&["commit", "-q", "-m", "attributes"]);
        machine.commit(r#"{"task_id":"a","status":"failed","metadata":{"text":"$Id$ ü"}}"#);
        machine.commit(&outcome("edited", "completed"));
        let recorded = std::fs::read(machine.path("repo/.audit/tasks/a.json")).unwrap();
        let mut clone = vec!["clone", "-q"];
        let setting = configured.join("=");
        if !configured.is_empty() {
            clone.extend(["-c", &setting]);
        }
        clone.extend(["repo", "clone"]);
        support::git(machine.dir.path(), &clone);
        let file = machine.path("clone/.audit/tasks/a.json");
        let converted = std::fs::read(&file).unwrap();
        assert_ne!(converted, recorded, "{attributes}");
        // A file that a person has changed stays.
        machine.write("clone/.audit/tasks/edited.json", "by a person");
        let clone = machine.path("clone");
        let ran =
            machine.run_with_input(&["-C", "clone", "commit", "-"], outcome("b", "completed"));
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(!ran.err.contains("warning"), "{ran:?}");
        assert_eq!(std::fs::read(&file).unwrap(), recorded, "{attributes}");
        let status = support::git(&clone, &["status", "--porcelain"]);
        assert_eq!(status, " M .audit/tasks/edited.json\n", "{attributes}");
        support::git(&clone, &["checkout", "-q", "--", ".audit"]);
        machine.write("clone/work", "a person's");
        support::git(&clone, &["add", "work"]);
        support::git(&clone, &["commit", "-q", "-a", "-m", "work"]);
        let ran =
            machine.run_with_input(&["-C", "clone", "commit", "-"], outcome("c", "completed"));
        assert_eq!(ran.exit, Some(0), "{attributes}: {ran:?}");
    }
}

#[test]
fn a_line_after_the_block_of_attributes_is_told_and_the_block_moves_to_the_end() {
    let machine = Machine::with_repository();
    machine.write("repo/.git/info/attributes", "*.md text\n");
    machine.commit(&outcome("a", "failed"));
    let file = machine.path("repo/.git/info/attributes");
    let text = std::fs::read_to_string(&file).unwrap();
    let block = text.strip_prefix("*.md text\n").unwrap();
    // These lines leave entries alone.
    let harmless = format!("{text}*.json diff=json -text\nsrc/** filter=lfs\n");
    std::fs::write(&file, &harmless).unwrap();
    machine.commit(&outcome("b", "failed"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), harmless);
    for line in ["*.json filter=lfs", "* text=auto", "/.audit/** !ident"] {
        std::fs::write(&file, format!("{text}{line}\n")).unwrap();
        let ran = machine.run(&["-C", "repo", "doctor"]);
        assert!(ran.out.contains("have precedence over"), "{ran:?}");
        let task = line.replace(|letter: char| !letter.is_ascii_alphanumeric(), "");
        machine.commit(&outcome(&task, "failed"));
        let now = std::fs::read_to_string(&file).unwrap();
        assert_eq!(now, format!("*.md text\n{line}\n{block}"));
        let ran = machine.run(&["-C", "repo", "doctor"]);
        assert!(!ran.out.contains("have precedence over"), "{ran:?}");
    }
}
