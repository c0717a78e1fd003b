//! Latencies: processes that record one outcome, callers of the library, calls of the policy.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use chiffon_audit_cli::clock::SystemClock;
use chiffon_audit_cli::outcome;
use chiffon_audit_cli::policy::{Allocation, Engine, Limits, Policy, PolicySettings};
use chiffon_audit_cli::recorder::{self, AnswerKind, Recorder};
use chiffon_audit_cli::trail::{OpenOptions, Trail};

use super::Bench;
use super::baseline;
use super::material::{self, NOW, Nothing};
use super::rates::{NEW, settle};
use super::report::{Row, milliseconds, per_second, rate, thousands, times};
use super::shell::{self, median, median_of};
use super::trails::Kind;

/// The library's recorder on one trail, as in a service.
pub fn recorder(bench: &Bench, repository: &Path) -> Result<Recorder> {
    let engine = Engine::new(
        Allocation::Pooling,
        Limits::default(),
        Some(&bench.shell.work.join("cache/library")),
    )?;
    let options = recorder::Options {
        clock: Arc::new(SystemClock),
        limits: outcome::Limits::default(),
        settings: PolicySettings::default(),
        secret: None,
        delivery: chiffon_audit_cli::recorder::Delivery::default(),
        sealer: None,
    };
    Ok(Recorder::new(
        Trail::open(repository, OpenOptions::default())?,
        Policy::builtin(&engine)?,
        options,
    ))
}

/// 64 threads, each of which records one outcome at a time.
pub fn callers(bench: &mut Bench) -> Result<()> {
    const CALLERS: usize = 64;
    let existing = bench.plan.middle();
    let repository = bench.trails.copy(Kind::BareSharded, existing, "callers")?;
    let recorder = recorder(bench, &repository)?;
    settle(bench)?;
    let (next, end) = (AtomicU64::new(NEW), NEW + bench.plan.called);
    let began = Instant::now();
    let waits = thread::scope(|scope| {
        let call = || -> Result<Vec<Duration>> {
            let mut waits = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return Ok(waits);
                }
                let document = material::document(number);
                let began = Instant::now();
                let answer = recorder.record(document.as_bytes());
                waits.push(began.elapsed());
                ensure!(
                    answer.result == AnswerKind::Committed,
                    "{:?}",
                    answer.reason
                );
            }
        };
        let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a caller panicked")));
        joined.collect::<Result<Vec<_>>>()
    })?;
    let took = began.elapsed();
    let mut waits = waits.concat();
    waits.sort_unstable();
    let (middle, late) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    let ours = rate(bench.plan.called, took);
    bench.table.push(Row {
        what: format!(
            "64 concurrent callers of record, {} existing",
            thousands(existing)
        ),
        ours: per_second(ours),
        baseline: format!(
            "waits: median {}, 99% {}",
            milliseconds(middle),
            milliseconds(late)
        ),
        ratio: "–".into(),
        goal: ">= 5,000/s, median <= 10 ms",
        met: Some(ours >= 5_000.0 && middle <= Duration::from_millis(10)),
    });
    Ok(())
}

/// One `commit` process against one `git fast-import` process that adds one commit.
pub fn process(bench: &mut Bench) -> Result<()> {
    let (existing, starts) = (bench.plan.middle(), bench.plan.starts);
    let ours = bench.trails.copy(Kind::BareSharded, existing, "commit")?;
    let theirs = bench
        .trails
        .copy(Kind::BareSharded, existing, "commit-fast-import")?;
    commit(bench, &ours, NEW - 1)?;
    let streams: Vec<_> = (NEW..NEW + starts as u64)
        .map(|number| baseline::write_stream(bench.shell, &bench.entries, number..number + 1, true))
        .collect::<Result<_>>()?;
    settle(bench)?;
    let mut imports = Vec::new();
    let commits = median_of(starts, |run| {
        imports.push(baseline::fast_import(bench.shell, &theirs, &streams[run])?);
        commit(bench, &ours, NEW + run as u64)
    })?;
    let imports = median(imports);
    let ratio = commits.as_secs_f64() / imports.as_secs_f64();
    bench.table.push(Row {
        what: format!(
            "one `commit` process, sharded, bare, {} existing",
            thousands(existing)
        ),
        ours: milliseconds(commits),
        baseline: format!("{} git fast-import of one", milliseconds(imports)),
        ratio: times(ratio),
        goal: "<= 15 ms and <= 1.5x",
        met: Some(commits <= Duration::from_millis(15) && ratio <= 1.5),
    });
    Ok(())
}

fn commit(bench: &Bench, repository: &Path, number: u64) -> Result<Duration> {
    let file = bench.shell.work.join("outcome.json");
    fs::write(&file, material::document(number))?;
    shell::time(
        &mut bench
            .shell
            .ours(repository, &["commit", &file.to_string_lossy()]),
    )
}

/// One call of the default policy, pooled.
pub fn policy(bench: &mut Bench) -> Result<()> {
    let (entries, settings) = (&bench.entries, PolicySettings::default());
    let calls = (0..4_000).map(|number| {
        let outcome = entries.parse(number)?;
        let began = Instant::now();
        let call = entries
            .policy()
            .call(&outcome, Box::new(Nothing), NOW, &settings);
        let took = began.elapsed();
        ensure!(call.verdict.is_ok(), "the policy failed");
        Ok(took)
    });
    let took = median(calls.collect::<Result<_>>()?);
    bench.table.push(Row {
        what: "policy call, default policy, pooled".into(),
        ours: milliseconds(took),
        baseline: "–".into(),
        ratio: "–".into(),
        goal: "<= 35 µs (stretch 25)",
        met: Some(took <= Duration::from_micros(35)),
    });
    Ok(())
}

/// A `commit` process that has to compile the policy.
pub fn cold_start(bench: &mut Bench) -> Result<()> {
    let repository = bench.trails.init(Kind::BareSharded, "cold")?;
    let (cache, file) = (
        bench.shell.work.join("cold-cache"),
        bench.shell.work.join("outcome.json"),
    );
    let took = median_of(5, |run| {
        if cache.exists() {
            fs::remove_dir_all(&cache)?;
        }
        fs::write(&file, material::document(NEW + run as u64))?;
        let mut command = bench
            .shell
            .ours(&repository, &["commit", &file.to_string_lossy()]);
        shell::time(command.env("XDG_CACHE_HOME", &cache))
    })?;
    bench.table.push(Row {
        what: "one `commit` process without a compiled-policy cache, empty trail".into(),
        ours: milliseconds(took),
        baseline: "–".into(),
        ratio: "–".into(),
        goal: "<= 250 ms",
        met: Some(took <= Duration::from_millis(250)),
    });
    Ok(())
}

/// `show` and a second submission, as processes, on the largest trail.
pub fn lookups(bench: &mut Bench) -> Result<()> {
    let existing = bench.plan.largest();
    if existing == 0 {
        return Ok(());
    }
    let repository = bench.trails.copy(Kind::BareSharded, existing, "lookups")?;
    let task = |run: usize| (run as u64 + 1) * existing / (bench.plan.starts as u64 + 2);
    let shown = median_of(bench.plan.starts, |run| {
        shell::time(
            &mut bench
                .shell
                .ours(&repository, &["show", &material::task_id(task(run))]),
        )
    })?;
    let again = median_of(bench.plan.starts, |run| {
        commit(bench, &repository, task(run))
    })?;
    for (what, took) in [
        ("`show`", shown),
        ("re-submission of a recorded outcome", again),
    ] {
        bench.table.push(Row {
            what: format!("{what} as a process, {} existing", thousands(existing)),
            ours: milliseconds(took),
            baseline: "–".into(),
            ratio: "–".into(),
            goal: "<= 20 ms",
            met: Some(took <= Duration::from_millis(20)),
        });
    }
    Ok(())
}

/// Issue 2: one `commit` from the shell in a checkout, compared with `git add X && git commit -qm m -- X`.
pub fn shell_commit(bench: &mut Bench) -> Result<()> {
    let starts = bench.plan.starts;
    for (existing, goal, most) in [(0, "<= 1x", 1.0), (10_000, "<= 0.5x", 0.5)] {
        let ours = bench
            .trails
            .copy(Kind::CheckoutFlat, existing, "shell-ours")?;
        let theirs = bench
            .trails
            .copy(Kind::CheckoutFlat, existing, "shell-git")?;
        let synced = bench
            .trails
            .copy(Kind::CheckoutFlat, existing, "shell-git-synced")?;
        settle(bench)?;
        let (mut plain, mut durable) = (Vec::new(), Vec::new());
        let took = median_of(starts, |run| {
            let number = NEW + run as u64;
            plain.push(add_and_commit(bench, &theirs, number, "git")?);
            durable.push(add_and_commit(
                bench,
                &synced,
                number,
                "git -c core.fsync=all",
            )?);
            commit(bench, &ours, number)
        })?;
        let (plain, durable) = (median(plain), median(durable));
        let ratio = took.as_secs_f64() / plain.as_secs_f64();
        bench.table.push(Row {
            what: format!(
                "issue 2: one `commit` process, checkout, flat, {} existing",
                thousands(existing)
            ),
            ours: milliseconds(took),
            baseline: format!(
                "{} git add, git commit; {} with core.fsync=all",
                milliseconds(plain),
                milliseconds(durable)
            ),
            ratio: times(ratio),
            goal,
            met: Some(ratio <= most),
        });
    }
    Ok(())
}

fn add_and_commit(bench: &Bench, repository: &Path, number: u64, git: &str) -> Result<Duration> {
    let recorded = bench.entries.recorded(number, false)?;
    fs::create_dir_all(repository.join(".audit/tasks"))?;
    fs::write(repository.join(&recorded.path), &recorded.entry)?;
    let mut sh = bench.shell.command("sh");
    sh.current_dir(repository).args([
        "-c",
        &format!("{git} add \"$1\" && {git} commit -qm m -- \"$1\""),
        "sh",
        &recorded.path,
    ]);
    shell::time(&mut sh)
}
