//! The rate of outcomes by the number of existing entries, and the memory that they take.

use anyhow::Result;
use std::path::Path;
use std::time::Duration;

use super::Bench;
use super::baseline;
use super::plot::Point;
use super::report::{Row, mebibytes, per_second, rate, thousands, times};
use super::shell::{self, median_of};
use super::trails::Kind;

/// Tasks from this number on are in no prepared trail.
pub const NEW: u64 = 10_000_000;

/// `ingest`, compared with `git fast-import` of the same entries in the same layout.
pub fn sharded(bench: &mut Bench) -> Result<()> {
    let plan = bench.plan;
    let documents = bench.trails.documents(NEW, plan.batch)?;
    let stream = baseline::write_stream(
        bench.shell,
        &bench.entries,
        NEW..NEW + plan.baseline_batch,
        true,
    )?;
    let mut rates = Vec::new();
    for existing in plan.existing.clone() {
        bench.trails.kept(Kind::BareSharded, existing)?;
        let mut theirs = Vec::new();
        // Both alternate, so that a slow minute of the machine affects both.
        let took = median_of(plan.runs, |_| {
            let copy = bench
                .trails
                .copy(Kind::BareSharded, existing, "fast-import")?;
            settle(bench)?;
            theirs.push(baseline::fast_import(bench.shell, &copy, &stream)?);
            let copy = bench.trails.copy(Kind::BareSharded, existing, "ingest")?;
            settle(bench)?;
            ingest(bench, &copy, &documents)
        })?;
        let ours = rate(plan.batch, took);
        let theirs = rate(plan.baseline_batch, shell::median(theirs));
        rates.push(ours);
        bench.plot.push(Point {
            series: "chiffon-audit ingest, sharded",
            existing,
            rate: ours,
        });
        bench.plot.push(Point {
            series: "git fast-import, sharded",
            existing,
            rate: theirs,
        });
        bench.table.push(Row {
            what: format!(
                "ingest, bare, sharded, durable, {} existing",
                thousands(existing)
            ),
            ours: per_second(ours),
            baseline: format!("{} git fast-import", per_second(theirs)),
            ratio: times(ours / theirs),
            goal: ">= 10,000/s and >= 2.5x (stretch 4x)",
            met: Some(ours >= 10_000.0 && ours / theirs >= 2.5),
        });
    }
    if let [first, .., last] = rates[..] {
        bench.table.push(Row {
            what: format!(
                "growth: rate at {} over rate at {}",
                thousands(plan.largest()),
                thousands(plan.existing[0])
            ),
            ours: per_second(last),
            baseline: per_second(first),
            ratio: times(last / first),
            goal: ">= 0.8",
            met: Some(last / first >= 0.8),
        });
    }
    Ok(())
}

/// `ingest` into a checkout, compared with the seed's way.
pub fn checkout(bench: &mut Bench) -> Result<()> {
    let plan = bench.plan;
    let existing = 10_000;
    let batch = if plan.quick { 1_000 } else { 4_000 };
    for existing in [0, existing] {
        let documents = bench.trails.documents(NEW, batch)?;
        let mut theirs = Vec::new();
        let took = median_of(plan.runs, |_| {
            let copy = bench.trails.copy(Kind::CheckoutFlat, existing, "seed")?;
            settle(bench)?;
            theirs.push(baseline::seeds_way(
                bench.shell,
                &bench.entries,
                &copy,
                NEW..NEW + plan.seed_tasks,
            )?);
            let copy = bench
                .trails
                .copy(Kind::CheckoutFlat, existing, "checkout")?;
            settle(bench)?;
            ingest(bench, &copy, &documents)
        })?;
        let ours = rate(batch, took);
        let theirs = rate(plan.seed_tasks, shell::median(theirs));
        bench.plot.push(Point {
            series: "chiffon-audit ingest, checkout, flat",
            existing,
            rate: ours,
        });
        bench.plot.push(Point {
            series: "the seed: git add, git commit",
            existing,
            rate: theirs,
        });
        bench.table.push(Row {
            what: format!("ingest, checkout, flat, {} existing", thousands(existing)),
            ours: per_second(ours),
            baseline: format!("{theirs:.1}/s the seed's way"),
            ratio: times(ours / theirs),
            goal: if existing > 0 { ">= 60x" } else { "–" },
            met: (existing > 0).then_some(ours / theirs >= 60.0),
        });
    }
    Ok(())
}

/// The peak of memory while a long stream is ingested into a large trail; and issue 2's 20,000 into an empty one.
pub fn memory(bench: &mut Bench) -> Result<()> {
    let plan = bench.plan;
    let existing = plan.largest();
    let documents = bench.trails.documents(NEW, plan.memory)?;
    let copy = bench.trails.copy(Kind::BareSharded, existing, "memory")?;
    settle(bench)?;
    let (took, memory) = shell::watch(&mut ours(bench, &copy, &documents))?;
    bench.table.push(Row {
        what: format!(
            "peak anonymous memory, {} into {} existing",
            thousands(plan.memory),
            thousands(existing)
        ),
        ours: mebibytes(memory.peak),
        baseline: format!(
            "resident {}; {}",
            mebibytes(memory.resident),
            per_second(rate(plan.memory, took))
        ),
        ratio: format!(
            "late/early {}",
            times(memory.late as f64 / memory.early.max(1) as f64)
        ),
        goal: "<= 512 MiB, not growing",
        met: Some(memory.peak <= 512 << 20 && memory.late < memory.early + memory.early / 4),
    });
    let empty = bench.trails.init(Kind::BareSharded, "memory")?;
    let documents = bench.trails.documents(NEW, 20_000)?;
    let (took, memory) = shell::watch(&mut ours(bench, &empty, &documents))?;
    bench.table.push(Row {
        what: "issue 2: ingest of 20,000, bare, sharded, empty trail".into(),
        ours: per_second(rate(20_000, took)),
        baseline: format!(
            "peak {} anonymous, {} resident",
            mebibytes(memory.peak),
            mebibytes(memory.resident)
        ),
        ratio: "–".into(),
        goal: "< 256 MiB",
        met: Some(memory.peak < 256 << 20),
    });
    Ok(())
}

fn ours(bench: &Bench, repository: &Path, documents: &Path) -> std::process::Command {
    bench
        .shell
        .ours(repository, &["ingest", &documents.to_string_lossy()])
}

fn ingest(bench: &Bench, repository: &Path, documents: &Path) -> Result<Duration> {
    shell::time(&mut ours(bench, repository, documents))
}

/// Syncs copied files to the disk before the clock starts.
pub fn settle(bench: &Bench) -> Result<()> {
    shell::time(&mut bench.shell.command("sync")).map(drop)
}
