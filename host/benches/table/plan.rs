//! How much is measured: what the command line says.

use anyhow::{Context as _, Result, bail};

/// The sizes of one run.
pub struct Plan {
    pub quick: bool,
    /// Only prepare trails, which takes longest and is not timed.
    pub prepare: bool,
    /// Use trails that another build has made.
    pub reuse: bool,
    /// Entries that a trail has before something is added; ascending.
    pub existing: Vec<u64>,
    /// How often a rate is measured.
    pub runs: usize,
    /// How often a process is started that does one thing.
    pub starts: usize,
    /// How many outcomes one ingest adds.
    pub batch: u64,
    /// How many entries one fast-import adds.
    pub baseline_batch: u64,
    /// How many tasks are recorded in the seed's way.
    pub seed_tasks: u64,
    /// How many outcomes the concurrent callers record together.
    pub called: u64,
    /// How many commits are made alone, each its own flush.
    pub lone: u64,
    /// How many outcomes are ingested for the peak of memory.
    pub memory: u64,
    /// The largest trail that is compared with its repacked copy: that takes git minutes for a million entries.
    pub repack_most: u64,
    /// Only these sections.
    pub only: Vec<String>,
}

pub const USAGE: &str = "cargo bench --bench table -- [--quick] [--existing N,N,...] [--lone N] [--memory N] \
                         [--repack-most N] [--runs N] [--only SECTION,...] [--reuse] [--prepare]";

impl Plan {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Plan> {
        let arguments: Vec<String> = arguments.collect();
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let mut plan = Plan {
            quick,
            prepare: false,
            reuse: false,
            existing: if quick {
                vec![0, 20_000]
            } else {
                vec![0, 100_000, 1_000_000]
            },
            runs: if quick { 1 } else { 3 },
            starts: if quick { 7 } else { 21 },
            batch: if quick { 10_000 } else { 50_000 },
            baseline_batch: if quick { 4_000 } else { 20_000 },
            seed_tasks: if quick { 12 } else { 40 },
            called: if quick { 10_000 } else { 50_000 },
            lone: if quick { 500 } else { 100_000 },
            memory: if quick { 20_000 } else { 1_000_000 },
            repack_most: 1_000_000,
            only: Vec::new(),
        };
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .with_context(|| format!("{argument} needs a value; {USAGE}"))
            };
            match argument.as_str() {
                "--quick" => {}
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--prepare" => plan.prepare = true,
                "--reuse" => plan.reuse = true,
                "--existing" => {
                    plan.existing = value()?
                        .split(',')
                        .map(str::parse)
                        .collect::<Result<_, _>>()?;
                    plan.existing.sort_unstable();
                }
                "--lone" => plan.lone = value()?.parse()?,
                "--memory" => plan.memory = value()?.parse()?,
                "--runs" => plan.runs = value()?.parse()?,
                "--repack-most" => plan.repack_most = value()?.parse()?,
                "--only" => plan.only = value()?.split(',').map(str::to_owned).collect(),
                _ => bail!("unknown argument {argument}; {USAGE}"),
            }
        }
        if plan.existing.is_empty() {
            bail!("--existing needs a number; {USAGE}");
        }
        Ok(plan)
    }

    /// The existing entries of what issue 3 measures at 100,000.
    pub fn middle(&self) -> u64 {
        let below = self
            .existing
            .iter()
            .copied()
            .filter(|existing| *existing <= 100_000)
            .max();
        below.unwrap_or(self.existing[0])
    }

    pub fn largest(&self) -> u64 {
        *self
            .existing
            .last()
            .expect("it was checked that there is one")
    }
}
