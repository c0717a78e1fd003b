//! Hundreds of honest histories, made up by a seeded generator: none may raise an alarm, and none may be taken for less than
//! it is, whatever git's housekeeping makes of the repository.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chiffon_audit_cli::verify::{AuditResult, Options, Require, verify};

use super::forge::{BEGIN, Forge, TRAIL, entry, feed, flat, git, sharded, timestamp, write};
use super::signatures::{Key, sign_tip};

/// The number of histories; with `PROPTEST_CASES`, as `.ci/run --full` sets it, a share of that.
fn number(default: u32, share: u32, most: u32) -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse::<u32>().ok());
    cases.map_or(default, |cases| (cases / share).clamp(4, most))
}

/// Messages of people, about their work and about trails.
const SAID: [&str; 9] = [
    "work\n\nSigned-off-by: A Person <p@example.org>\n",
    "",
    "docs: explain the trailers\n\nAudit-Format: says which version of the format a commit has.\n",
    "docs\n\nAudit-Format: 1\n",
    "docs\n\nAudit-Format: 1\nAudit-Task: names the task\nSigned-off-by: A Person <p@example.org>\n",
    "docs: what a record looks like\n\nAudit-Format: 1\nAudit-Task: x\n\nand so on\n",
    "Revert \"audit: task x completed at 2026-01-01T00:00:05.000001Z\"\n\nThis reverts commit 0000.\n",
    "audit: tidy the tasks at last\n",
    "\u{2713}\n\n# no comment\n\n",
];

/// The number of histories in one repository.
const TOGETHER: u32 = 500;

/// The history of one branch as commands of fast-import.
pub(super) struct Script<'a> {
    pub(super) text: &'a mut String,
    pub(super) branch: &'a str,
    pub(super) marks: u32,
    /// The branch's own commits.
    pub(super) own: Vec<u32>,
}

impl Script<'_> {
    /// Adds a commit to the branch, with the commits that it merges.
    pub(super) fn add(
        &mut self,
        stamp: &str,
        message: &str,
        operations: &str,
        merges: Option<u32>,
    ) {
        let (branch, from) = (self.branch.to_owned(), self.own.last().copied());
        let mark = self.commit(&branch, from, stamp, message, operations, merges);
        self.own.push(mark);
    }

    fn commit(
        &mut self,
        branch: &str,
        from: Option<u32>,
        stamp: &str,
        message: &str,
        operations: &str,
        merges: Option<u32>,
    ) -> u32 {
        self.marks += 1;
        let line = |name: &str, mark: Option<u32>| {
            mark.map_or(String::new(), |mark| format!("{name} :{mark}\n"))
        };
        let (mark, from, merge) = (self.marks, line("from", from), line("merge", merges));
        let length = message.len();
        // Writing to a string cannot fail.
        let _ = write!(
            self.text,
            "commit {branch}\nmark :{mark}\nauthor {stamp}\ncommitter {stamp}\ndata {length}\n{message}\n{from}{merge}{operations}\n"
        );
        mark
    }
}

/// Writes the history of one branch, and returns the number of its entries.
pub(super) fn history(random: &mut fastrand::Rng, branch: &str, text: &mut String) -> u64 {
    let mut time = BEGIN;
    let mut entries = 0;
    let mut script = Script {
        text,
        branch,
        marks: 0,
        own: Vec::new(),
    };
    let host = |time: i64| format!("Chiffon Audit <audit@localhost> {time} +0000");
    if random.bool() {
        // A person's earlier work.
        let stamp = format!("A Person <p@example.org> {} -0330", time - 9999);
        let work = "M 100644 inline src/x\ndata 2\nx\n";
        script.add(&stamp, "begin\n", work, None);
    }
    // A separate ref has only the trail once it has started.
    let mut is_alone = false;
    if random.u8(..4) > 0 {
        is_alone = random.u8(..3) == 0;
        let placement = if is_alone { "ref" } else { "checkout" };
        let message = format!(
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: {TRAIL}\nAudit-Placement: {placement}\n"
        );
        script.add(&host(time), &message, "", None);
    }
    for number in 0..random.u32(1..12) {
        time += random.i64(0..90);
        let stamp = format!("A Person <p@example.org> {} +0530", random.i64(0..time));
        if random.u8(..4) == 0 && !is_alone {
            let work = match random.u8(..4) {
                0 => String::new(),
                1 => format!("M 100644 inline .audit/README.md\ndata 3\n{number:02}\n"),
                _ => format!("M 100644 inline src/{number}\ndata 2\ny\n"),
            };
            let message = SAID[random.usize(..SAID.len())];
            script.add(&stamp, message, &work, None);
        }
        if random.u8(..6) == 0 && !script.own.is_empty() && !is_alone {
            // A person merges a branch from any earlier commit, or of another project.
            let fork = script.own[random.usize(..script.own.len())];
            let fork = (random.u8(..4) > 0).then_some(fork);
            let side = format!("{branch}-side-{number}");
            let work = format!("M 100644 inline side/{number}\ndata 2\nz\n");
            let message = SAID[random.usize(..SAID.len())];
            let side = script.commit(&side, fork, &stamp, message, &work, None);
            script.add(&stamp, "Merge\n", &work, Some(side));
        }
        let alphabet = ["deploy", "Task", "x", "a.b", "r_1", "0", "Z-z"];
        let task = format!("{}-{number}", alphabet[random.usize(..alphabet.len())]);
        let path = match random.bool() {
            true => flat(&task),
            false => sharded(&task),
        };
        // Mostly immediately, sometimes after the longest wait of a writer, or of an older one.
        let waited = match random.u8(..8) {
            0 => random.i64(0..=60),
            1 => random.i64(0..=3600),
            _ => random.i64(0..2),
        };
        let stamp = timestamp(time - waited.min(time - BEGIN));
        let (policy, settings) = (random.u64(..3), random.u64(..3));
        let outcome = match random.bool() {
            true => format!("Audit-Outcome: hmac-sha256:{:064x}\n", random.u64(..)),
            false => String::new(),
        };
        let reporter = match random.bool() {
            true => format!("Audit-Reporter: bot-{}\n", random.u8(..4)),
            false => String::new(),
        };
        let message = format!(
            "recorded {task} \u{2713}\n\nAudit-Format: 1\nAudit-Task: {task}\nAudit-Interface: chiffon:audit@0.1.0\n\
             Audit-Policy: sha256:{policy:064x}\nAudit-Settings: sha256:{settings:064x}\n{outcome}{reporter}"
        );
        let contents = entry(&task, &stamp);
        let length = contents.len();
        let operation = format!("M 100644 inline {path}\ndata {length}\n{contents}\n");
        script.add(&host(time), &message, &operation, None);
        entries += 1;
    }
    entries
}

fn clone(forge: &Forge) -> PathBuf {
    let to = forge.beside("clone");
    let paths = [forge.path.to_str().unwrap(), to.to_str().unwrap()];
    let arguments = ["clone", "-q", "--bare", "--no-local", paths[0], paths[1]];
    git(&forge.path, &arguments);
    to
}

#[track_caller]
fn all_hold(path: &Path, histories: &[(String, u64)], state: &str) {
    for (branch, entries) in histories {
        let options = Options {
            reference: Some(branch.clone()),
            threads: Some(1 + *entries as usize % 2),
            ..Options::default()
        };
        let report = verify(path, &options).unwrap();
        let found = (report.result(), report.entries);
        assert_eq!(
            found,
            (AuditResult::Holds, *entries),
            "{branch}, {state}: {report:#?}"
        );
    }
}

#[test]
fn generated_honest_histories_hold() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut left = number(300, 10, 10_000);
    while left > 0 {
        let together = left.min(TOGETHER);
        left -= together;
        let forge = Forge::bare(&[]);
        let mut script = String::new();
        let histories: Vec<(String, u64)> = (0..together)
            .map(|number| {
                let branch = format!("refs/heads/h{number}");
                let entries = history(&mut random, &branch, &mut script);
                (branch, entries)
            })
            .collect();
        let arguments = ["fast-import", "--quiet", "--date-format=raw-permissive"];
        feed(&forge.path, &arguments, script.as_bytes());
        all_hold(&forge.path, &histories, "as imported");
        forge.git(&["pack-refs", "--all"]);
        forge.git(&["repack", "-adfq"]);
        all_hold(&forge.path, &histories, "repacked");
        // These two rewrite the same packs, so a sample is enough.
        let sample = &histories[..histories.len() / 4];
        forge.git(&["gc", "-q", "--prune=now"]);
        all_hold(&forge.path, sample, "after gc");
        all_hold(&clone(&forge), sample, "as a clone");
    }
}

/// The time of the tip, in the format of allowed signers.
fn moment(forge: &Forge) -> String {
    let format = [
        "log",
        "-1",
        "--date=format:%Y%m%d%H%M%S",
        "--format=%cd",
        "audit",
    ];
    format!("{}Z", forge.git(&format).trim())
}

#[test]
fn generated_honest_histories_hold_through_rotations_of_their_keys() {
    let mut random = fastrand::Rng::with_seed(0x4_075);
    let keys_of = Forge::bare(&[]);
    let keys: Vec<Key> = ["k0", "k1", "k2", "lost"]
        .map(|name| Key::new(&keys_of, name))
        .into();
    for history in 0..number(6, 1000, 100) {
        let mut forge = Forge::bare(&[]);
        let mut signers = String::new();
        let (mut tasks, mut entries) = (0.., 0);
        forge.genesis();
        sign_tip(&forge, &keys[0]);
        for (number, key) in keys[..3].iter().enumerate() {
            let from = match number {
                0 => String::new(),
                _ => format!("valid-after=\"{}\"", moment(&forge)),
            };
            for _ in 0..random.u32(1..4) {
                if random.u8(..3) == 0 {
                    let name = format!("src/{entries}");
                    let work = forge.by_person(vec![write(&name, "x\n")]);
                    forge.add(&work);
                }
                // A single commit, or a group whose last commit is signed for all.
                let group = random.u64(1..4);
                for place in 1..=group {
                    let task = format!("t{}", tasks.next().unwrap_or(0));
                    let path = match random.bool() {
                        true => flat(&task),
                        false => sharded(&task),
                    };
                    let mut draft = forge.draft(&path);
                    if place == group && group > 1 {
                        let _ = writeln!(draft.message, "Audit-Signature: covers {group}");
                    }
                    forge.add(&draft);
                }
                sign_tip(&forge, key);
                entries += group;
            }
            let until = match number {
                2 => String::new(),
                _ => format!("valid-before=\"{}\"", moment(&forge)),
            };
            let options = [from, until].into_iter().filter(|text| !text.is_empty());
            let options: Vec<String> = options.collect();
            let _ = writeln!(signers, "host {} {}", options.join(","), key.public());
        }
        let (allowed, revoked) = (forge.beside("allowed"), forge.beside("revoked"));
        std::fs::write(&allowed, &signers).unwrap();
        std::fs::write(&revoked, keys[3].public()).unwrap();
        let options = || Options {
            allowed_signers: Some(allowed.clone()),
            revoked_signers: Some(revoked.clone()),
            require: Require {
                signed: true,
                ..Require::default()
            },
            ..Options::default()
        };
        let holds = |path: &Path, state: &str| {
            let report = verify(path, &options()).unwrap();
            let found = (report.result(), report.entries);
            assert_eq!(
                found,
                (AuditResult::Holds, entries),
                "{history}, {state}: {report:#?}\n{signers}"
            );
        };
        holds(&forge.path, "unchanged");
        forge.git(&["gc", "-q", "--prune=now"]);
        holds(&forge.path, "after gc");
        holds(&clone(&forge), "as a clone");
    }
}
