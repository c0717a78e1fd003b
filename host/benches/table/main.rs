//! The table of figures: the product compared with stock git, on the same machine in the same run.
//!
//! `cargo bench --bench table -- [--quick] [--existing 0,100000,1000000]` prints Markdown. Method: README.md in this
//! directory.

mod baseline;
mod latency;
mod material;
mod plan;
mod plot;
mod rates;
mod report;
mod repository;
mod shell;
mod trails;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use material::Entries;
use plan::Plan;
use plot::Point;
use report::Table;
use shell::Shell;
use trails::{Kind, Trails};

/// The inputs of a section, and the table that it adds to.
pub struct Bench<'a> {
    plan: &'a Plan,
    shell: &'a Shell,
    trails: Trails<'a>,
    entries: Entries,
    table: Table,
    plot: Vec<Point>,
}

type Section = (&'static str, fn(&mut Bench<'_>) -> Result<()>);

/// The sections in order. The slowest ones come last.
const SECTIONS: [Section; 12] = [
    ("policy", latency::policy),
    ("cold-start", latency::cold_start),
    ("real", repository::real_outcomes),
    ("sharded", rates::sharded),
    ("checkout", rates::checkout),
    ("callers", latency::callers),
    ("process", latency::process),
    ("shell", latency::shell_commit),
    ("lookups", latency::lookups),
    ("afterwards", repository::afterwards),
    ("lone", repository::lone),
    ("memory", rates::memory),
];

fn main() -> Result<()> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("table");
    fs::create_dir_all(&work)?;
    let shell = Shell {
        program: work.join("chiffon-audit"),
        work,
    };
    fs::copy(env!("CARGO_BIN_EXE_chiffon-audit"), &shell.program)?;
    let mut bench = Bench {
        plan: &plan,
        shell: &shell,
        trails: Trails::open(&shell, plan.reuse)?,
        entries: Entries::new(&shell.work.join("cache/library"))?,
        table: Table::default(),
        plot: Vec::new(),
    };
    if plan.prepare {
        return prepare(&mut bench);
    }
    let load = load_average();
    let began = Instant::now();
    for (name, section) in SECTIONS {
        if plan.only.is_empty() || plan.only.iter().any(|only| only == name) {
            section(&mut bench).with_context(|| format!("section {name}"))?;
        }
    }
    if !bench.plot.is_empty() {
        let place = if plan.quick {
            shell.work.join("growth.svg")
        } else {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/growth.svg")
        };
        fs::write(place, plot::svg(&bench.plot))?;
    }
    print(&bench.table.markdown(), &load, &shell, began)?;
    // Only files for the next run are kept.
    fs::remove_dir_all(shell.work.join("run")).or_else(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })?;
    Ok(())
}

/// Makes the trails that the sections need.
fn prepare(bench: &mut Bench<'_>) -> Result<()> {
    let plan = bench.plan;
    for existing in &plan.existing {
        bench.trails.kept(Kind::BareSharded, *existing)?;
    }
    for existing in [0, 10_000] {
        bench.trails.kept(Kind::CheckoutFlat, existing)?;
    }
    for count in [plan.batch, plan.memory] {
        bench.trails.documents(rates::NEW, count)?;
    }
    repository::prepare(bench).map(drop)
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn print(table: &str, load: &str, shell: &Shell, began: Instant) -> Result<()> {
    let cpus = std::thread::available_parallelism()?;
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, model)| model)
    });
    let git = shell::output(shell.command("git").arg("--version"))?;
    println!("{table}");
    println!(
        "{} x {}, {}, load average {load} before and {} after, {:.0} s.",
        cpus,
        model.unwrap_or("unknown processor"),
        git.trim(),
        load_average(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn load_average() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
