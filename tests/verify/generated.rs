//! A thousand honest histories, made up by a seeded generator: none may raise an alarm, and none may be taken for less than
//! it is.

use std::fmt::Write as _;

use chiffon_audit::verify::{Options, Outcome, verify};

use super::forge::{BEGIN, Forge, TRAIL, entry, feed, flat, sharded, timestamp};

/// How many histories there are: `.ci/run --full` asks for more.
fn histories() -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse::<u32>().ok());
    cases.map_or(1000, |cases| cases.clamp(100, 20_000))
}

/// One branch's history as commands of fast-import, and how many entries it has.
fn history(random: &mut fastrand::Rng, branch: &str, script: &mut String) -> u64 {
    let mut time = BEGIN;
    let mut mark = None;
    let mut entries = 0;
    let mut commit = |script: &mut String, stamp: &str, message: &str, operations: &str| {
        let from = mark.map_or(String::new(), |mark| format!("from :{mark}\n"));
        let next = mark.unwrap_or(0) + 1;
        mark = Some(next);
        let length = message.len();
        // Writing to a text cannot fail.
        let _ = write!(
            script,
            "commit {branch}\nmark :{next}\nauthor {stamp}\ncommitter {stamp}\ndata {length}\n{message}\n{from}{operations}\n"
        );
    };
    let host = |time: i64| format!("Chiffon Audit <audit@localhost> {time} +0000");
    if random.bool() {
        // A person's work that was there before.
        let stamp = format!("A Person <p@example.org> {} -0330", time - 9999);
        commit(
            script,
            &stamp,
            "begin\n",
            "M 100644 inline src/x\ndata 2\nx\n",
        );
    }
    if random.u8(..4) > 0 {
        let message = format!(
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: {TRAIL}\nAudit-Placement: checkout\n"
        );
        commit(script, &host(time), &message, "");
    }
    for number in 0..random.u32(1..12) {
        time += random.i64(0..90);
        if random.u8(..4) == 0 {
            let stamp = format!("A Person <p@example.org> {} +0530", random.i64(0..time));
            let text = format!("M 100644 inline src/{number}\ndata 2\ny\n");
            commit(
                script,
                &stamp,
                "work\n\nSigned-off-by: A Person <p@example.org>\n",
                &text,
            );
        }
        let alphabet = ["deploy", "Task", "x", "a.b", "r_1", "0", "Z-z"];
        let task = format!("{}-{number}", alphabet[random.usize(..alphabet.len())]);
        let path = match random.bool() {
            true => flat(&task),
            false => sharded(&task),
        };
        let stamp = timestamp(time - random.i64(0..2).min(time - BEGIN));
        let (policy, settings) = (random.u64(..3), random.u64(..3));
        let outcome = match random.bool() {
            true => format!("Audit-Outcome: hmac-sha256:{:064x}\n", random.u64(..)),
            false => String::new(),
        };
        let message = format!(
            "recorded {task} \u{2713}\n\nAudit-Format: 1\nAudit-Task: {task}\nAudit-Interface: chiffon:audit@0.1.0\n\
             Audit-Policy: sha256:{policy:064x}\nAudit-Settings: sha256:{settings:064x}\n{outcome}"
        );
        let contents = entry(&task, &stamp);
        let operation = format!(
            "M 100644 inline {path}\ndata {}\n{contents}\n",
            contents.len()
        );
        commit(script, &host(time), &message, &operation);
        entries += 1;
    }
    entries
}

#[test]
fn a_thousand_generated_honest_histories_hold() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let forge = Forge::bare(&[]);
    let mut script = String::new();
    let expected: Vec<(String, u64)> = (0..histories())
        .map(|number| {
            let branch = format!("refs/heads/h{number}");
            let entries = history(&mut random, &branch, &mut script);
            (branch, entries)
        })
        .collect();
    let arguments = ["fast-import", "--quiet", "--date-format=raw-permissive"];
    feed(&forge.path, &arguments, script.as_bytes());
    for packed in [false, true] {
        if packed {
            forge.git(&["repack", "-adq"]);
            forge.git(&["pack-refs", "--all"]);
        }
        for (branch, entries) in &expected {
            let options = Options {
                reference: Some(branch.clone()),
                threads: Some(1),
                ..Options::default()
            };
            let report = verify(&forge.path, &options).unwrap();
            assert_eq!(report.outcome(), Outcome::Holds, "{branch}: {report:#?}");
            assert_eq!(report.entries, *entries, "{branch}");
        }
    }
}
