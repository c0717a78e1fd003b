//! Compares `verify` with a second verifier in another language, which was written only from the documentation.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use chiffon_audit_cli::verify::{Options, Verdict, verify};

use super::forge::{BEGIN, Forge, TRAIL, entry, feed, flat, sharded, timestamp};
use super::generated::{Script, history};

/// The claims that both check.
const CLAIMS: [&str; 6] = [
    "objects",
    "append-only",
    "one-entry",
    "agreement",
    "once",
    "times",
];

fn number(default: usize) -> usize {
    match std::env::var("PROPTEST_CASES") {
        Ok(_) => 20 * default,
        Err(_) => default,
    }
}

/// The claims that the second verifier finds broken in each branch, and its reasons.
fn second(path: &Path, branches: &[String]) -> Vec<(BTreeSet<String>, String)> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/verify/second_verifier.py"
    );
    let output = Command::new("python3")
        .arg(script)
        .arg(path)
        .args(branches)
        .output()
        .expect("python3 is needed");
    let text = String::from_utf8(output.stdout).unwrap();
    let reports: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(reports.len(), branches.len(), "{errors}");
    let broken = |report: &serde_json::Value| {
        let claims = report["claims"].as_object().unwrap();
        let broken = claims.iter().filter(|(_, verdict)| *verdict == "broken");
        broken.map(|(claim, _)| claim.clone()).collect()
    };
    reports
        .iter()
        .map(|report| (broken(report), report["reasons"].to_string()))
        .collect()
}

/// The claims that `verify` finds broken in a branch, and its report; `None` if a claim is not shown.
fn first(path: &Path, branch: &str) -> Option<(BTreeSet<String>, String)> {
    let options = Options {
        reference: Some(branch.to_owned()),
        ..Options::default()
    };
    let report = verify(path, &options).unwrap();
    let mut broken = BTreeSet::new();
    for claim in &report.claims {
        match claim.verdict {
            Verdict::Broken { .. } if CLAIMS.contains(&claim.id) => {
                broken.insert(claim.id.to_owned());
            }
            Verdict::NotShown { .. } if CLAIMS.contains(&claim.id) => return None,
            _ => {}
        }
    }
    Some((broken, format!("{:#?}", report.claims)))
}

#[test]
fn both_verifiers_hold_honest_histories_for_honest() {
    let mut random = fastrand::Rng::with_seed(0x2_1d);
    let forge = Forge::bare(&[]);
    let mut script = String::new();
    let branches: Vec<String> = (0..number(60))
        .map(|number| {
            let branch = format!("refs/heads/h{number}");
            history(&mut random, &branch, &mut script);
            branch
        })
        .collect();
    let arguments = ["fast-import", "--quiet", "--date-format=raw-permissive"];
    feed(&forge.path, &arguments, script.as_bytes());
    for ((broken, why), branch) in second(&forge.path, &branches).iter().zip(&branches) {
        assert!(broken.is_empty(), "{branch}: {why}");
    }
}

#[test]
fn both_verifiers_find_the_same_claims_broken_in_forged_histories() {
    let mut random = fastrand::Rng::with_seed(0xf0_13);
    let forge = Forge::bare(&[]);
    let mut script = String::new();
    let mut branches = Vec::new();
    let mut spoils = Vec::new();
    for number in 0..number(150) {
        let branch = format!("refs/heads/f{number}");
        spoils.push(forged(&mut random, &branch, &mut script));
        branches.push(branch);
    }
    let arguments = ["fast-import", "--quiet", "--date-format=raw-permissive"];
    feed(&forge.path, &arguments, script.as_bytes());
    let mut found = BTreeSet::new();
    let mut differences = Vec::new();
    let theirs = second(&forge.path, &branches);
    for ((branch, spoils), (broken, why)) in branches.iter().zip(&spoils).zip(theirs) {
        let Some((ours, said)) = first(&forge.path, branch) else {
            continue;
        };
        if ours != broken {
            differences.push(format!(
                "{branch} with {spoils:?}\nverify: {ours:?}\nsecond: {broken:?} {why}\n{said}"
            ));
        }
        found.extend(ours);
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    for claim in ["append-only", "one-entry", "agreement", "once", "times"] {
        assert!(found.contains(claim), "no forgery breaks {claim}");
    }
}

/// The record of an honest host, before something in it is changed.
struct Draft {
    author: String,
    committer: String,
    message: String,
    operations: String,
}

fn file(mode: &str, path: &str, contents: &str) -> String {
    let length = contents.len();
    format!("M {mode} inline {path}\ndata {length}\n{contents}\n")
}

/// Writes a history in which one or two records are forged; describes the changes.
fn forged(random: &mut fastrand::Rng, branch: &str, text: &mut String) -> Vec<&'static str> {
    let mut script = Script {
        text,
        branch,
        marks: 0,
        own: Vec::new(),
    };
    let host = |time: i64| format!("Chiffon Audit <audit@localhost> {time} +0000");
    if random.bool() {
        let message = format!(
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: {TRAIL}\nAudit-Placement: checkout\n"
        );
        script.add(&host(BEGIN), &message, "", None);
    }
    let mut spoils = Vec::new();
    let count = random.i64(2..6);
    for number in 0..count {
        let time = BEGIN + 10 * number + 10;
        let task = format!("task-{number}");
        let stamp = timestamp(time);
        let path = match random.bool() {
            true => flat(&task),
            false => sharded(&task),
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let message = format!(
            "audit: task {task} completed at {stamp}\n\nAudit-Format: 1\nAudit-Task: {task}\n\
             Audit-Interface: chiffon:audit@0.1.0\nAudit-Policy: {digest}\nAudit-Settings: {digest}\n"
        );
        let mut draft = Draft {
            author: host(time),
            committer: host(time),
            message,
            operations: file("100644", &path, &entry(&task, &stamp)),
        };
        if number > 0 && (number == count - 1 || random.u8(..3) == 0) {
            spoils.push(spoil(random, &mut draft, &task, &path, &stamp, time));
        }
        if draft.author == draft.committer {
            script.add(&draft.committer, &draft.message, &draft.operations, None);
        } else {
            let stamps = format!("{}\ncommitter {}", draft.author, draft.committer);
            // The script writes the stamp twice; git uses the last one.
            script.add(&draft.committer, &draft.message, &draft.operations, None);
            let line = format!("author {0}\ncommitter {0}", draft.committer);
            let at = script.text.rfind(&line).expect("it was just written");
            let end = at + line.len();
            script
                .text
                .replace_range(at..end, &format!("author {stamps}"));
        }
    }
    spoils
}

/// Changes one thing in a record that no host would.
fn spoil(
    random: &mut fastrand::Rng,
    draft: &mut Draft,
    task: &str,
    path: &str,
    stamp: &str,
    time: i64,
) -> &'static str {
    let honest = entry(task, stamp);
    let messages: &[(&'static str, &str, &str)] = &[
        ("no task trailer", &format!("Audit-Task: {task}\n"), ""),
        (
            "another task in the trailer",
            &format!("Audit-Task: {task}"),
            "Audit-Task: other",
        ),
        (
            "a trailer twice",
            "Audit-Format: 1\n",
            "Audit-Format: 1\nAudit-Format: 1\n",
        ),
        ("a trailer in lower case", "Audit-Task", "audit-task"),
        ("the format in lower case", "Audit-Format", "audit-format"),
        ("blanks before the colon", "Audit-Format:", "Audit-Format :"),
        ("two blanks in a trailer", "Audit-Task: ", "Audit-Task:  "),
        (
            "a foreign trailer",
            "Audit-Format: 1\n",
            "Audit-Format: 1\nReviewed-by: x\n",
        ),
        ("an upper-case digest", "sha256:0", "sha256:A"),
        ("an interface of two numbers", "@0.1.0", "@0.1"),
        ("format 01", "Audit-Format: 1", "Audit-Format: x"),
        ("a body", "\n\nAudit", "\n\nbody\n\nAudit"),
        ("two blank lines", "\n\nAudit", "\n\n\nAudit"),
        ("no blank line", "\n\nAudit", "\nAudit"),
        (
            "a direction mark in the subject",
            "audit: task",
            "audit:\u{202e} task",
        ),
        ("a tab in the subject", "audit: task", "audit:\ttask"),
        (
            "a signature for none",
            "Audit-Format: 1\n",
            "Audit-Format: 1\nAudit-Signature: covers 0\n",
        ),
        ("no newline at the end", "0\n", "0"),
        (
            "a genesis",
            "Audit-Format: 1\n",
            &format!("Audit-Format: 1\nAudit-Trail: {TRAIL}\n"),
        ),
    ];
    let contents: &[(&'static str, String)] = &[
        (
            "a key twice",
            honest.replace("\"plan_id\": null", "\"plan_id\": 1, \"plan_\\u0069d\": 2"),
        ),
        ("a lone surrogate", honest.replace("null", "\"\\ud800\"")),
        (
            "a surrogate pair",
            honest.replace("null", "\"\\ud83d\\ude00\""),
        ),
        ("NaN", honest.replace("null", "NaN")),
        ("a number with a leading zero", honest.replace("null", "01")),
        ("a huge number", honest.replace("null", "1e999999")),
        ("a control character", honest.replace("null", "\"\u{1}\"")),
        ("more after the end", format!("{honest}x")),
        ("a blank before", format!(" {honest}")),
        ("a byte order mark", format!("\u{feff}{honest}")),
        ("an array", format!("[{honest}]")),
        ("an empty status", honest.replace("completed", "")),
        ("a number as status", honest.replace("\"completed\"", "1")),
        ("another task in the entry", honest.replace(task, "other")),
        (
            "a timestamp of milliseconds",
            honest.replace("000001Z", "000Z"),
        ),
        (
            "a timestamp that is no date",
            honest.replace("2026-01-01", "2026-02-30"),
        ),
        (
            "a timestamp of the year zero",
            honest.replace("2026-01-01", "0000-01-01"),
        ),
        ("a leap second", honest.replace(&stamp[17..19], "60")),
        ("nothing", String::new()),
    ];
    match random.u8(..8) {
        0..3 => {
            let (name, from, to) = messages[random.usize(..messages.len())];
            draft.message = match name {
                "no newline at the end" => draft.message.trim_end().to_owned(),
                _ => draft.message.replacen(from, to, 1),
            };
            name
        }
        3..5 => {
            let (name, text) = &contents[random.usize(..contents.len())];
            draft.operations = file("100644", path, text);
            name
        }
        5 => headers(random, draft, time),
        _ => tree(random, draft, task, path, stamp),
    }
}

fn headers(random: &mut fastrand::Rng, draft: &mut Draft, time: i64) -> &'static str {
    let all = [
        "another author",
        "another zone",
        "a time before the last",
        "a time before the entry",
        "no name",
    ];
    let name = all[random.usize(..all.len())];
    let stamp = match name {
        "another author" => {
            draft.author = format!("Mallory <m@example.org> {time} +0000");
            return name;
        }
        "another zone" => format!("Chiffon Audit <audit@localhost> {time} +0100"),
        "a time before the last" => format!("Chiffon Audit <audit@localhost> {} +0000", BEGIN - 5),
        "a time before the entry" => {
            format!("Chiffon Audit <audit@localhost> {} +0000", time - 1)
        }
        _ => format!("<audit@localhost> {time} +0000"),
    };
    draft.author.clone_from(&stamp);
    draft.committer = stamp;
    name
}

fn tree(
    random: &mut fastrand::Rng,
    draft: &mut Draft,
    task: &str,
    path: &str,
    stamp: &str,
) -> &'static str {
    let honest = entry(task, stamp);
    let first = [flat("task-0"), sharded("task-0")].map(|path| format!("D {path}\n"));
    let all: [(&'static str, String); 14] = [
        ("an executable entry", file("100755", path, &honest)),
        ("an entry that is a link", file("120000", path, &honest)),
        ("no entry", String::new()),
        (
            "two entries",
            format!(
                "{0}{1}",
                draft.operations,
                file("100644", &flat("two"), &honest)
            ),
        ),
        (
            "a file outside",
            format!("{0}{1}", draft.operations, file("100644", "src/x", "x\n")),
        ),
        (
            "a file of the directory above",
            format!(
                "{0}{1}",
                draft.operations,
                file("100644", ".audit/x", "x\n")
            ),
        ),
        (
            "an edited entry",
            format!(
                "{0}{1}",
                file("100644", &flat("task-0"), "{}"),
                file("100644", &sharded("task-0"), "{}")
            ),
        ),
        (
            "a deleted entry",
            format!("{}{}{}", draft.operations, first[0], first[1]),
        ),
        (
            "the wrong directory",
            file("100644", &format!(".audit/tasks/z/{task}.json"), &honest),
        ),
        (
            "another suffix",
            file("100644", &format!(".audit/tasks/{task}.jsn"), &honest),
        ),
        (
            "a device",
            file("100644", &flat("con.x"), &entry("con.x", stamp)),
        ),
        (
            "a dot at the end",
            file("100644", &flat("x."), &entry("x.", stamp)),
        ),
        (
            "the same task in capitals",
            file("100644", &flat("TASK-0"), &entry("TASK-0", stamp)),
        ),
        ("a person's entry", draft.operations.clone()),
    ];
    let (name, operations) = &all[random.usize(..all.len())];
    draft.operations.clone_from(operations);
    if *name == "a person's entry" {
        draft.message = "work\n".to_owned();
    }
    name
}
