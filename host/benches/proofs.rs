//! The cost of signatures and checkpoints: ingest with and without a signature on every commit, audits with and without
//! checking them, proofs of one entry among a million. Method: README.md in this directory.
//!
//! `cargo bench --bench proofs -- [--entries 100000] [--large 1000000] [--runs 3] [--only rates|verify|large]` prints
//! Markdown.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark runs the program and git's own tools"
)]

#[path = "proofs/bench.rs"]
mod bench;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use bench::{Bench, median, rate, row};

/// A latency is the median of this many processes.
const PROCESSES: usize = 21;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        let given = place.and_then(|place| arguments.get(place + 1)?.parse().ok());
        given.unwrap_or(default)
    };
    let (entries, large) = (number("--entries", 100_000), number("--large", 1_000_000));
    let runs = number("--runs", 3);
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let bench = Bench {
        dir: work.path().to_owned(),
    };
    bench.shell(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", "key"],
    )?;
    let public = fs::read_to_string(bench.dir.join("key.pub"))?;
    fs::write(bench.dir.join("allowed"), format!("host {public}"))?;
    row("what", "figure", "beside", "ratio");
    row("---", "---:", "---:", "---:");
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|place| arguments.get(place + 1));
    let wanted = |section: &str| only.is_none_or(|only| only == section);
    if wanted("rates") {
        bench.ingest(entries, runs)?;
        bench.audit(entries, runs)?;
    }
    if wanted("verify") {
        bench.beside_git(entries, runs)?;
    }
    if wanted("large") {
        bench.proofs(large)?;
    }
    Ok(())
}

impl Bench {
    /// Records all outcomes in a new trail.
    fn record(&self, trail: &str, options: &[&str]) -> Result<Duration> {
        let path = self.dir.join(trail);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        self.ours(&["init", "--bare", trail])?;
        rustix::fs::sync();
        self.ours(&[&["-C", trail, "ingest", "outcomes"], options].concat())
    }

    fn ingest(&self, entries: usize, runs: usize) -> Result<()> {
        self.outcomes(0..entries)?;
        let mut took: [Vec<Duration>; 2] = Default::default();
        for _ in 0..runs {
            took[0].push(self.record("plain", &[])?);
            took[1].push(self.record("signed", &["--signing-key", "key"])?);
        }
        let [plain, signed] = took.map(median);
        row(
            &format!("ingest of {entries}, every commit signed (ssh, ed25519)"),
            &rate(entries, signed),
            &format!("{} unsigned", rate(entries, plain)),
            &format!("{:.2}x", plain.as_secs_f64() / signed.as_secs_f64()),
        );
        Ok(())
    }

    fn audit(&self, entries: usize, runs: usize) -> Result<()> {
        self.ours(&["-C", "signed", "checkpoint", "--new-key", "note"])?;
        self.ours(&[
            "-C",
            "signed",
            "checkpoint",
            "--key",
            "note",
            "--to",
            "kept",
        ])?;
        let ways: [(&str, &[&str]); 3] = [
            ("structure alone", &[]),
            ("with signatures", &["--allowed-signers", "allowed"]),
            (
                "with signatures and a checkpoint",
                &["--allowed-signers", "allowed", "--against", "kept"],
            ),
        ];
        let mut took: [Vec<Duration>; 3] = Default::default();
        for _ in 0..runs {
            for (times, (_, options)) in took.iter_mut().zip(ways) {
                times.push(self.ours(&[&["verify", "signed"], options].concat())?);
            }
        }
        let took = took.map(median);
        for ((name, _), time) in ways.iter().zip(took) {
            row(
                &format!("verify of {entries} signed commits, {name}"),
                &rate(entries, time),
                "",
                &format!("{:.2}x", took[0].as_secs_f64() / time.as_secs_f64()),
            );
        }
        Ok(())
    }

    /// Compares an audit and `git fsck --full` of the same trail in turns, as it was written and as git packs it.
    fn beside_git(&self, entries: usize, runs: usize) -> Result<()> {
        self.outcomes(0..entries)?;
        self.record("signed", &["--signing-key", "key"])?;
        for state in ["as we pack it", "after git gc"] {
            if state == "after git gc" {
                self.shell("git", &["-C", "signed", "gc", "--quiet"])?;
            }
            let mut took: [Vec<Duration>; 3] = Default::default();
            for _ in 0..runs {
                took[0].push(self.shell("git", &["-C", "signed", "fsck", "--full"])?);
                took[1].push(self.ours(&["verify", "signed"])?);
                let with = ["verify", "signed", "--allowed-signers", "allowed"];
                took[2].push(self.ours(&with)?);
            }
            let [fsck, plain, signed] = took.map(median);
            for (name, time) in [("without signatures", plain), ("with signatures", signed)] {
                row(
                    &format!("verify of {entries} signed commits, {state}, {name}"),
                    &rate(entries, time),
                    &format!("{} git fsck --full", rate(entries, fsck)),
                    &format!("{:.2}x", fsck.as_secs_f64() / time.as_secs_f64()),
                );
            }
        }
        Ok(())
    }

    /// The peak memory of an audit with all options.
    fn memory(&self, entries: usize, arguments: &[&str]) -> Result<()> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"))
            .current_dir(&self.dir)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0_u64;
        let began = Instant::now();
        let ended = loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            most = most.max(peak.unwrap_or(0));
            if let Some(ended) = child.try_wait()? {
                break ended;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        ensure!(ended.success(), "{arguments:?}: {ended}");
        row(
            &format!("verify of {entries} with signatures and a checkpoint, peak resident memory"),
            &format!("{} MiB", most / 1024),
            "<= 256 MiB",
            &rate(entries, began.elapsed()),
        );
        Ok(())
    }

    fn proofs(&self, large: usize) -> Result<()> {
        self.outcomes(0..large)?;
        self.record("large", &["--signing-key", "key"])?;
        self.ours(&["-C", "large", "checkpoint", "--new-key", "large-note"])?;
        let made = self.ours(&[
            "-C",
            "large",
            "checkpoint",
            "--key",
            "large-note",
            "--to",
            "large-kept",
        ])?;
        let public = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"))
            .current_dir(&self.dir)
            .args(["-C", "large", "checkpoint", "--new-key", "other"])
            .output()?;
        ensure!(public.status.success(), "no key");
        self.ours(&[
            "-C",
            "large",
            "checkpoint",
            "--key",
            "other",
            "--to",
            "other-kept",
        ])?;
        fs::write(self.dir.join("other.pub"), &public.stdout)?;
        self.memory(
            large,
            &[
                "verify",
                "large",
                "--allowed-signers",
                "allowed",
                "--against",
                "other-kept",
            ],
        )?;
        let mut proving = Vec::new();
        let mut checking = Vec::new();
        let mut most = 0;
        for n in 0..PROCESSES {
            let task = format!("task-{:07}", n * (large - 1) / (PROCESSES - 1));
            let prove = [
                "-C",
                "large",
                "prove",
                &task,
                "--checkpoint",
                "other-kept",
                "--to",
                "proof",
            ];
            proving.push(self.ours(&prove)?);
            checking.push(self.ours(&[
                "verify",
                "--proof",
                "proof",
                "--checkpoint-key",
                "other.pub",
            ])?);
            most = most.max(self.beside_entry("proof")?);
        }
        row(
            &format!("checkpoint of {large} entries, as a process"),
            &ms(made),
            "",
            "",
        );
        row(
            &format!("prove one of {large}, as a process"),
            &ms(median(proving)),
            "<= 50 ms",
            "",
        );
        row(
            "verify --proof, as a process",
            &ms(median(checking)),
            "<= 50 ms",
            "",
        );
        row(
            "proof file beside the entry, at most",
            &format!("{most} bytes"),
            "<= 4096 bytes",
            "",
        );
        Ok(())
    }

    /// How many bytes longer a proof is than its entry.
    fn beside_entry(&self, proof: &str) -> Result<usize> {
        let bytes = fs::read(self.dir.join(proof))?;
        let text = String::from_utf8_lossy(&bytes);
        let entry = text.lines().find_map(|line| line.strip_prefix("entry "));
        let entry: usize = entry
            .context("a proof says how long its entry is")?
            .parse()?;
        Ok(bytes.len() - entry)
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
