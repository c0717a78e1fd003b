//! The sizes of the measurements, from the command line.

use anyhow::{Context as _, Result, bail};

/// The sizes of one run.
pub struct Plan {
    pub quick: bool,
    /// Whether to prepare trails only, which takes longest and is not timed.
    pub prepare: bool,
    /// Whether to use trails that another build has made.
    pub reuse: bool,
    /// The numbers of existing entries in the trails, ascending.
    pub existing: Vec<u64>,
    /// How many times a rate is measured.
    pub runs: usize,
    /// How many times a process is started for a latency.
    pub starts: usize,
    /// The number of outcomes in one ingest.
    pub batch: u64,
    /// The number of entries in one fast-import.
    pub baseline_batch: u64,
    /// The number of tasks that are recorded in the seed's way.
    pub seed_tasks: u64,
    /// The number of outcomes that the concurrent callers record together.
    pub called: u64,
    /// The number of commits that are made singly, each with its own flush.
    pub lone: u64,
    /// The number of outcomes that are ingested for the peak of memory.
    pub memory: u64,
    /// The largest trail that is compared with its repacked copy: git takes minutes for a million entries.
    pub repack_most: u64,
    /// The names of the sections to run.
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
                // Cargo passes this to every benchmark.
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

    /// The existing entries for the figures that issue 3 measures at 100,000.
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
