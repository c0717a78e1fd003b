//! Messages, headers and entries that no host writes.

use super::forge::{BEGIN, Commit, Forge, Operation, entry, flat, sharded, timestamp, write};

/// Changes one part of an honest commit on an honest trail; only this claim is broken, by that commit.
fn check(claim: &str, words: &str, forge_it: impl FnOnce(&mut Commit)) {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    forge_it(&mut commit);
    let id = forge.add(&commit);
    forge.record(&sharded("after"));
    forge.only_broken(claim, &id, words);
}

fn contents(text: &str) -> impl FnOnce(&mut Commit) {
    let text = text.to_owned();
    move |commit| commit.operations = vec![write(&sharded("x"), &text)]
}

#[test]
fn forged_trailers_are_named() {
    let replace = |from: &'static str, to: &'static str| {
        move |commit: &mut Commit| commit.message = commit.message.replacen(from, to, 1)
    };
    check(
        "agreement",
        "`Audit-Task` twice",
        replace("Audit-Task: x\n", "Audit-Task: x\nAudit-Task: y\n"),
    );
    check("agreement", "`Audit-Policy` is missing", |commit| {
        let lines = commit
            .message
            .lines()
            .filter(|line| !line.starts_with("Audit-Policy"));
        commit.message = lines.map(|line| format!("{line}\n")).collect();
    });
    check(
        "agreement",
        "which no host writes",
        replace("Audit-Task", "Audit-task"),
    );
    check(
        "agreement",
        "which no host writes",
        replace("Audit-Task", "Co-authored-by: x\nAudit-Task"),
    );
    check("agreement", "is malformed", replace("sha256:0", "sha256:g"));
    check(
        "agreement",
        "is malformed",
        replace("chiffon:audit@", "chiffon:other@"),
    );
    let with = |lines: &'static str| move |commit: &mut Commit| commit.message += lines;
    check(
        "agreement",
        "`Audit-Reporter` twice",
        with("Audit-Reporter: a\nAudit-Reporter: a\n"),
    );
    for (name, line) in [
        ("`Deploy-Bot`", "Audit-Reporter: Deploy-Bot\n"),
        ("`a b`", "Audit-Reporter: a b\n"),
        ("malformed", "Audit-Reporter: \n"),
        ("malformed", "Audit-Reporter: -a\n"),
    ] {
        check("agreement", name, with(line));
    }
    check(
        "agreement",
        "which no host writes",
        with("audit-reporter: a\n"),
    );
    check(
        "agreement",
        "`Audit-Policy` is after `Audit-Reporter`",
        replace("Audit-Policy", "Audit-Reporter: a\nAudit-Policy"),
    );
    check(
        "agreement",
        "`Audit-Interface` is after `Audit-Settings`",
        |commit| {
            let line = "Audit-Interface: chiffon:audit@0.1.0\n";
            commit.message = commit.message.replace(line, "") + line;
        },
    );
    check(
        "agreement",
        "hold the line `Reviewed.`",
        replace("\n\n", "\n\nReviewed.\n\n"),
    );
    check(
        "agreement",
        "printable",
        replace("audit: task", "audit:\u{1b}[2J task"),
    );
    check(
        "agreement",
        "printable",
        replace("audit: task", "audit: \u{202e}task"),
    );
    check(
        "agreement",
        "`Audit-Task: y`",
        replace("Audit-Task: x", "Audit-Task: y"),
    );
}

#[test]
fn a_trail_commit_without_its_format_is_an_entry_without_a_task() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    commit.message = commit.message.replace("Audit-Format: 1\n", "");
    let id = forge.add(&commit);
    forge.only_broken("one-entry", &id, "an entry without a task");
}

#[test]
fn a_later_format_is_not_shown() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    commit.message = commit.message.replace("Audit-Format: 1", "Audit-Format: 2");
    forge.add(&commit);
    forge.not_shown("agreement", "format `2`");
}

#[test]
fn another_author_or_zone_is_named() {
    check("agreement", "author", |commit| {
        commit.author = format!("Mallory <m@example.org> {BEGIN} +0000")
    });
    check("agreement", "+0000", |commit| {
        commit.author = commit.author.replace("+0000", "+0100");
        commit.committer = commit.author.clone();
    });
}

#[test]
fn a_malformed_entry_is_named() {
    let time = timestamp(BEGIN);
    let good = entry("x", &time);
    check("one-entry", "not a JSON object", contents("[]\n"));
    check("one-entry", "not a JSON object", contents(""));
    check(
        "one-entry",
        "valid JSON",
        contents(&good.replace("null", "NaN")),
    );
    check(
        "one-entry",
        "a key twice",
        contents(&good.replace("plan_id", "st\\u0061tus")),
    );
    check(
        "one-entry",
        "a key twice",
        contents(&good.replace("null", "{\"a\":1,\"a\":2}")),
    );
    check(
        "one-entry",
        "lone surrogate",
        contents(&good.replace("null", "\"\\ud800\"")),
    );
    check(
        "one-entry",
        "no `task_id`",
        contents(&good.replace("task_id", "task")),
    );
    check(
        "one-entry",
        "no `status`",
        contents(&good.replace("\"completed\"", "\"\"")),
    );
    check(
        "one-entry",
        "`timestamp`",
        contents(&good.replace(".000001Z", "Z")),
    );
    check(
        "one-entry",
        "after its end",
        contents(&format!("{good}{good}")),
    );
    check(
        "one-entry",
        "nested too deep",
        contents(&good.replace(
            "null",
            &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        )),
    );
    check(
        "agreement",
        "an entry of the task `y`",
        contents(&good.replace("\"x\"", "\"y\"")),
    );
}

#[test]
fn a_large_entry_holds_with_a_note() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    let Operation::Write { contents, .. } = &mut commit.operations[0] else {
        unreachable!()
    };
    *contents = contents.replace("null", &format!("\"{}\"", "x".repeat(17 << 20)));
    forge.add(&commit);
    let report = forge.holds();
    let claim = report.claims.iter().find(|claim| claim.id == "one-entry");
    let notes = &claim.unwrap().notes;
    assert!(
        notes[0].contains("only if its limits were raised"),
        "{notes:?}"
    );
}

#[test]
fn an_entry_that_is_no_regular_file_is_named() {
    let mode = |mode| {
        move |commit: &mut Commit| {
            let Operation::Write { path, contents, .. } = commit.operations[0].clone() else {
                unreachable!()
            };
            commit.operations = vec![Operation::Write {
                mode,
                path,
                contents,
            }];
        }
    };
    check("one-entry", "an executable file", mode("100755"));
    check("one-entry", "a symbolic link", mode("120000"));
    check("one-entry", "a submodule", |commit| {
        commit.operations = vec![Operation::Submodule(sharded("x"))]
    });
}

#[test]
fn a_path_that_no_entry_has_is_named() {
    let at = |path: &str| {
        let path = path.to_owned();
        move |commit: &mut Commit| {
            let Operation::Write { contents, .. } = commit.operations[0].clone() else {
                unreachable!()
            };
            commit.operations = vec![write(&path, &contents)];
        }
    };
    check(
        "one-entry",
        "wrong directory",
        at(".audit/tasks/0/0/0/0/x.json"),
    );
    check("one-entry", "wrong directory", at(".audit/tasks/x/x.json"));
    check("one-entry", "`.json`", at(".audit/tasks/x"));
    check("one-entry", "`.audit/tasks/`", at(".audit/x.json"));
    check("one-entry", "safe file name", at(&flat("x.lock")));
    check("one-entry", "device", at(&flat("NUL.x")));
    check("one-entry", "character", at(&flat("-x")));
    check("one-entry", "128", at(&flat(&"x".repeat(129))));
}

#[test]
fn a_trail_commit_that_adds_nothing_is_named_as_such_and_as_an_imitation() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    commit.operations.clear();
    let id = forge.add(&commit);
    forge.record(&sharded("after"));
    forge.broken("one-entry", Some(&id), "adds no entry");
    forge.broken("agreement", Some(&id), "an imitation");
}

#[test]
fn a_reporter_in_its_place_is_what_a_host_writes() {
    let mut forge = Forge::trail();
    let mut commit = forge.draft(&sharded("x"));
    commit.message += "Audit-Reporter: deploy-bot\n";
    forge.add(&commit);
    forge.holds();
}
