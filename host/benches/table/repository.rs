//! The resulting repository for stock git, compared with a copy that git has repacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chiffon_audit_cli::recorder::AnswerKind;

use super::Bench;
use super::latency;
use super::material;
use super::rates::{NEW, settle};
use super::report::{Row, mebibytes, milliseconds, rate, thousands, times};
use super::shell::{self, median, median_of};
use super::trails::{Kind, REF};

/// The largest prepared trail, as `ingest` left it.
pub fn afterwards(bench: &mut Bench) -> Result<()> {
    let Some((existing, ours, copy)) = prepare(bench)? else {
        return Ok(());
    };
    let what = format!("{} entries", thousands(existing));
    sizes(bench, &ours, &copy, &what, 1.3)?;
    reading(bench, &ours, &copy, &what, &material::task_id(existing / 2))
}

/// The largest trail that is compared, the number of its entries, and its repacked copy.
pub fn prepare(bench: &mut Bench) -> Result<Option<(u64, PathBuf, PathBuf)>> {
    let sizes = bench.plan.existing.iter().copied();
    let Some(existing) = sizes
        .filter(|size| (1..=bench.plan.repack_most).contains(size))
        .max()
    else {
        return Ok(None);
    };
    let (ours, _) = bench.trails.kept(Kind::BareSharded, existing)?;
    // Beside its trail, and removed with it: a copy of another build's trail would have other commits.
    let place = bench.trails.beside(&format!("repacked-{existing}"));
    let copy = repacked(bench, &ours, &place)?;
    Ok(Some((existing, ours, copy)))
}

/// A trail of single commits, each with its own flush.
pub fn lone(bench: &mut Bench) -> Result<()> {
    let repository = bench.trails.init(Kind::BareSharded, "lone")?;
    let recorder = latency::recorder(bench, &repository)?;
    let mut waits = Vec::new();
    for number in NEW..NEW + bench.plan.lone {
        let document = material::document(number);
        let began = std::time::Instant::now();
        let answer = recorder.record(document.as_bytes());
        waits.push(began.elapsed());
        ensure!(
            answer.result == AnswerKind::Committed,
            "{:?}",
            answer.reason
        );
    }
    drop(recorder);
    let total: Duration = waits.iter().sum();
    let quarter = waits.len() / 4;
    let (first, last) = (
        median(waits[..quarter].to_vec()),
        median(waits[waits.len() - quarter..].to_vec()),
    );
    bench.table.push(Row {
        what: format!("{} lone commits by one caller", thousands(bench.plan.lone)),
        ours: format!("{:.0}/s", rate(bench.plan.lone, total)),
        baseline: format!(
            "median of the first quarter {}, of the last {}",
            milliseconds(first),
            milliseconds(last)
        ),
        ratio: times(last.as_secs_f64() / first.as_secs_f64()),
        goal: "–",
        met: None,
    });
    let place = bench.shell.work.join("run/lone-repacked");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let copy = repacked(bench, &repository, &place)?;
    sizes(
        bench,
        &repository,
        &copy,
        &format!("{} lone commits", thousands(bench.plan.lone)),
        2.0,
    )
}

/// A copy after `git repack -adf`, kept at that place.
fn repacked(bench: &Bench, ours: &Path, place: &Path) -> Result<PathBuf> {
    if !place.exists() {
        let copy = bench.trails.copy_of(ours, "repacking")?;
        shell::time(&mut bench.shell.git(&copy, &["repack", "-adf", "--quiet"]))?;
        fs::rename(&copy, place).context("cannot keep the repacked copy")?;
    }
    Ok(place.to_owned())
}

fn sizes(bench: &mut Bench, ours: &Path, copy: &Path, what: &str, most: f64) -> Result<()> {
    let counts = shell::output(&mut bench.shell.git(ours, &["count-objects", "-v"]))?;
    let count = |name: &str| -> u64 {
        let line = counts
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    let (packs, loose) = (count("packs"), count("count"));
    bench.table.push(Row {
        what: format!("packs after {what}"),
        ours: packs.to_string(),
        baseline: format!("{loose} loose objects"),
        ratio: "–".into(),
        goal: "<= 40, none loose",
        met: Some(packs <= 40 && loose == 0),
    });
    let (size, theirs) = (object_bytes(ours)?, object_bytes(copy)?);
    let ratio = size as f64 / theirs as f64;
    bench.table.push(Row {
        what: format!("size after {what}"),
        ours: mebibytes(size),
        baseline: format!("{} after git repack -adf", mebibytes(theirs)),
        ratio: times(ratio),
        goal: if most > 1.5 { "<= 2x" } else { "<= 1.3x" },
        met: Some(ratio <= most),
    });
    Ok(())
}

/// The speed of stock git's reads, compared with the copy.
fn reading(bench: &mut Bench, ours: &Path, copy: &Path, what: &str, task: &str) -> Result<()> {
    let documents = bench.shell.ours(ours, &["--json", "show", task]);
    let path = shell::output(&mut { documents })?;
    let path = path
        .split("\"path\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context("`show` named no path")?
        .to_owned();
    let at = format!("{REF}:{path}");
    let commands: [(&str, &[&str], usize); 3] = [
        ("git log -1", &["log", "-1", REF], bench.plan.starts),
        (
            "git log --oneline, the whole",
            &["log", "--oneline", REF],
            bench.plan.runs,
        ),
        ("git show ref:path", &["show", &at], bench.plan.starts),
    ];
    for (name, arguments, runs) in commands {
        let mut theirs = Vec::new();
        let took = median_of(runs, |_| {
            theirs.push(shell::time(&mut bench.shell.git(copy, arguments))?);
            shell::time(&mut bench.shell.git(ours, arguments))
        })?;
        let theirs = median(theirs);
        let ratio = took.as_secs_f64() / theirs.as_secs_f64();
        bench.table.push(Row {
            what: format!("{name}, {what}"),
            ours: milliseconds(took),
            baseline: format!("{} on the repacked copy", milliseconds(theirs)),
            ratio: times(ratio),
            goal: "<= 1.5x",
            met: Some(ratio <= 1.5),
        });
    }
    let mut durations = Vec::new();
    for from in [copy, ours] {
        let clone = bench.shell.work.join("run/clone");
        if clone.exists() {
            fs::remove_dir_all(&clone)?;
        }
        settle(bench)?;
        let mut command = bench.shell.command("git");
        // Without `--local`, so that objects go through the protocol as to another machine.
        command
            .args(["clone", "--quiet", "--bare", "--no-local"])
            .arg(from)
            .arg(&clone);
        durations.push(shell::time(&mut command)?);
    }
    bench.table.push(Row {
        what: format!("git clone --bare --no-local, {what}"),
        ours: milliseconds(durations[1]),
        baseline: format!("{} of the repacked copy", milliseconds(durations[0])),
        ratio: times(durations[1].as_secs_f64() / durations[0].as_secs_f64()),
        goal: "works",
        met: Some(true),
    });
    Ok(())
}

/// The bytes of the object database.
fn object_bytes(repository: &Path) -> Result<u64> {
    fn sum(directory: &Path) -> Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            bytes += if entry.file_type()?.is_dir() {
                sum(&entry.path())?
            } else {
                entry.metadata()?.len()
            };
        }
        Ok(bytes)
    }
    sum(&repository.join("objects"))
}

/// Issue 2: the real outcomes, if they are available.
pub fn real_outcomes(bench: &mut Bench) -> Result<()> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/airline-agent-runs.ndjson");
    if !file.exists() {
        return Ok(());
    }
    let repository = bench.trails.init(Kind::BareSharded, "real")?;
    let took = shell::time(
        &mut bench
            .shell
            .ours(&repository, &["ingest", &file.to_string_lossy()]),
    )?;
    let commits = shell::output(&mut bench.shell.git(&repository, &["rev-list", "--count", REF]))?;
    let lines = fs::read_to_string(&file)?.lines().count();
    shell::time(&mut bench.shell.git(&repository, &["fsck", "--strict"]))?;
    bench.table.push(Row {
        what: format!("issue 2: {lines} real outcomes through `ingest`, `git fsck --strict` clean"),
        ours: milliseconds(took),
        baseline: format!("{} commits with the genesis", commits.trim()),
        ratio: "–".into(),
        goal: "all committed",
        met: Some(commits.trim().parse() == Ok(lines + 1)),
    });
    Ok(())
}
