//! `sample`, and `verify --sample`: entries that neither side could choose, on the command line.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Machine, Ran, outcome};

const NONCE: &str = "the lottery numbers of 2026-12-01";

/// A machine with twelve entries, a checkpoint `kept`, its key `key.pub`, and a sample of four.
fn sampled() -> Machine {
    let machine = Machine::with_repository();
    for number in 0..12 {
        machine.commit(&outcome(&format!("t{number}"), "completed"));
    }
    let made = machine.run(&["-C", "repo", "checkpoint", "--new-key", "key"]);
    machine.write("key.pub", &made.out);
    let kept = machine.run(&["-C", "repo", "checkpoint", "--key", "key", "--to", "kept"]);
    assert_eq!(kept.exit, Some(0), "{kept:?}");
    machine.commit(&outcome("later", "completed"));
    let drawn = draw(&machine, &["-n", "4", "--to", "drawn"]);
    assert_eq!(drawn.exit, Some(0), "{drawn:?}");
    machine
}

fn draw(machine: &Machine, arguments: &[&str]) -> Ran {
    let sample = ["-C", "repo", "sample", "--checkpoint", "kept", "--nonce"];
    machine.run(&[&sample[..], &[NONCE], arguments].concat())
}

fn verify(machine: &Machine, arguments: &[&str]) -> Ran {
    let verify = ["verify", "--sample", "drawn", "--checkpoint-key", "key.pub"];
    machine.run(&[&verify[..], arguments].concat())
}

/// The files of a directory of the sample, sorted.
fn files(machine: &Machine, name: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(machine.path("drawn").join(name)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[track_caller]
fn expect(ran: &Ran, exit: i32, words: &str) {
    assert_eq!(ran.exit, Some(exit), "{ran:?}");
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains(words), "{words}: {ran:?}");
}

#[test]
fn a_sample_is_drawn_by_checkpoint_and_nonce_and_checked_without_the_repository() {
    let machine = sampled();
    let again = draw(&machine, &["-n", "4", "--to", "again", "--json"]).object();
    assert_eq!(again["size"], 12);
    let indexes = |of: &Value| {
        let entries = of["entries"].as_array().unwrap().clone();
        let index = |entry: &Value| entry["index"].as_u64().unwrap();
        entries.iter().map(index).collect::<Vec<_>>()
    };
    assert_eq!(indexes(&again).len(), 4);
    std::fs::remove_dir_all(machine.path("repo")).unwrap();
    let good = verify(&machine, &[]);
    expect(&good, 0, "4 entries of 12 in the checkpoint of");
    expect(&good, 0, "Every claim that was asked for holds.");
    let found = verify(&machine, &["--against", "kept", "--json"]).object();
    assert_eq!(indexes(&found), indexes(&again));
    let report = std::fs::read_to_string(machine.path("drawn/report.html")).unwrap();
    assert!(report.contains(NONCE), "{report}");
    // `sha256sum` gives the same commitment for the nonce.
    let commitment = again["commitment"].as_str().unwrap();
    let committed = verify(&machine, &["--commitment", commitment]);
    expect(&committed, 0, "holds      the nonce is the committed one");
    let other = "0".repeat(64);
    let other = verify(&machine, &["--commitment", &other]);
    expect(&other, 3, "BROKEN     the nonce is the committed one");
    let keyless = machine.run(&["verify", "--sample", "drawn"]);
    expect(&keyless, 6, "`--checkpoint-key` must name the key");
}

#[test]
fn a_nonce_must_be_the_committed_one_and_a_short_one_is_warned_about() {
    let machine = sampled();
    // A mistake is no evidence against anybody, and one in the wrong place is not ignored.
    for args in [
        ["verify", "--sample", "drawn", "--commitment", "abc"],
        ["verify", "--commitment", &"0".repeat(64), "repo", "--json"],
    ] {
        let ran = machine.run(&args);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
    }
    let wrong = ["--to", "x", "--commitment", &"0".repeat(64)];
    expect(
        &draw(&machine, &wrong),
        2,
        "the nonce is not the committed one",
    );
    assert!(!machine.path("x").exists());
    let sample = ["-C", "repo", "sample", "--checkpoint", "kept", "--to"];
    let short = machine.run(&[&sample[..], &["short", "--nonce", "five5"]].concat());
    expect(&short, 0, "warning: the nonce has 5 bytes");
    let lines = machine.run(&[&sample[..], &["x", "--nonce", "a\nentry 1"]].concat());
    expect(&lines, 2, "--nonce must be one line of text");
    let there = draw(&machine, &["--to", "drawn"]);
    expect(&there, 1, "cannot create drawn");
    // More than there are: all of them, and none that the checkpoint does not cover.
    let all = draw(&machine, &["-n", "100", "--to", "all", "--json"]).object();
    assert_eq!(all["entries"].as_array().unwrap().len(), 12);
    let all = machine.run(&["verify", "--sample", "all", "--checkpoint-key", "key.pub"]);
    expect(&all, 0, "12 entries of 12");
}

#[test]
fn whatever_is_missing_added_or_altered_in_a_sample_is_reported() {
    type Alter = fn(&Machine);
    let cases: [(&str, Alter, i32, &str); 9] = [
        (
            "a proof is gone",
            |machine| std::fs::remove_file(&files(machine, "proofs")[0]).unwrap(),
            3,
            ".proof` is missing",
        ),
        (
            "an entry is gone",
            |machine| std::fs::remove_file(&files(machine, "entries")[0]).unwrap(),
            3,
            ".json` is missing",
        ),
        (
            "an entry is altered",
            |machine| std::fs::write(&files(machine, "entries")[1], "{}").unwrap(),
            3,
            "is not the entry of its proof",
        ),
        (
            "one proof stands for another",
            |machine| {
                let proofs = files(machine, "proofs");
                std::fs::copy(&proofs[0], &proofs[1]).unwrap();
            },
            3,
            "proves another entry",
        ),
        (
            "an entry of choice is added",
            |machine| {
                machine.write("drawn/entries/99.json", "{}");
            },
            3,
            "`entries/99.json` is not of a drawn entry",
        ),
        (
            "the list is shorter",
            |machine| {
                let text = std::fs::read_to_string(machine.path("drawn/sample")).unwrap();
                let end = text.trim_end().rfind('\n').unwrap() + 1;
                machine.write("drawn/sample", &text[..end]);
            },
            3,
            "4 entries are drawn, and the sample lists 3",
        ),
        (
            "the nonce is another",
            |machine| {
                let text = std::fs::read_to_string(machine.path("drawn/sample")).unwrap();
                machine.write("drawn/sample", text.replace("lottery", "Lottery"));
            },
            3,
            "BROKEN     checkpoint and nonce draw exactly these entries",
        ),
        (
            "the population is another",
            |machine| {
                let text = std::fs::read_to_string(machine.path("drawn/population")).unwrap();
                machine.write("drawn/population", text.replace("\n12\n", "\n11\n"));
            },
            3,
            "it was forged, or the checkpoint edited",
        ),
        (
            "the report is altered",
            |machine| {
                let text = std::fs::read_to_string(machine.path("drawn/report.html")).unwrap();
                machine.write("drawn/report.html", text.replace("completed", "failed"));
            },
            6,
            "report.html shows what the proofs say: it was altered",
        ),
    ];
    let machine = sampled();
    for (name, alter, exit, words) in cases {
        std::fs::remove_dir_all(machine.path("drawn")).unwrap();
        draw(&machine, &["-n", "4", "--to", "drawn"]);
        expect(&verify(&machine, &[]), 0, "Every claim");
        alter(&machine);
        let found = verify(&machine, &[]);
        assert_eq!(found.exit, Some(exit), "{name}: {found:?}");
        assert!(found.out.contains(words), "{name}: {found:?}");
    }
    for file in ["sample", "population"] {
        let bytes = std::fs::read(machine.path("drawn").join(file)).unwrap();
        machine.write(&format!("drawn/{file}"), &bytes[..bytes.len() / 3]);
        assert_eq!(verify(&machine, &[]).exit, Some(1), "{file}");
        std::fs::remove_file(machine.path("drawn").join(file)).unwrap();
        assert_eq!(verify(&machine, &[]).exit, Some(2), "{file}");
        machine.write(&format!("drawn/{file}"), bytes);
    }
}

#[test]
fn a_checkpoint_of_another_trail_draws_nothing() {
    let machine = sampled();
    let text = std::fs::read_to_string(machine.path("kept")).unwrap();
    let root = text.lines().nth(2).unwrap();
    machine.write(
        "kept",
        text.replace(root, &root.replace(&root[..4], "AAAA")),
    );
    let refused = draw(&machine, &["--to", "x"]);
    expect(&refused, 1, "does not belong to this trail");
    assert!(!machine.path("x").exists());
}

#[test]
fn the_verifier_is_printed_with_its_digest() {
    let machine = Machine::new();
    let page = machine.run(&["verifier"]);
    assert_eq!(page.exit, Some(0), "{}", page.err);
    assert!(page.out.len() < 1_000_000 && page.out.ends_with("</html>"));
    let digest = page.err.trim().strip_prefix("SHA-256 ").unwrap().to_owned();
    machine.write("verify.html", &page.out);
    let found = std::process::Command::new("sha256sum")
        .arg(machine.path("verify.html"))
        .output();
    assert!(
        String::from_utf8(found.unwrap().stdout)
            .unwrap()
            .starts_with(&digest)
    );
    assert_eq!(json!(digest.len()), 64);
}
