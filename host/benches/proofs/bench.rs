//! What the benchmarks `proofs` and `chain` share: a directory, the program in it, and outcomes to record.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// A directory in which programs run.
pub struct Bench {
    pub dir: PathBuf,
}

impl Bench {
    /// Runs a program in the directory. Returns how long it took.
    pub fn shell(&self, program: &str, arguments: &[&str]) -> Result<Duration> {
        let mut command = Command::new(program);
        command
            .current_dir(&self.dir)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let status = command.status()?;
        let took = began.elapsed();
        ensure!(status.success(), "{program} {arguments:?}: {status}");
        Ok(took)
    }

    /// Runs our program in the directory. Returns how long it took.
    pub fn ours(&self, arguments: &[&str]) -> Result<Duration> {
        self.shell(env!("CARGO_BIN_EXE_chiffon-audit"), arguments)
    }

    /// Writes outcomes of about 900 bytes with these numbers to the file `outcomes`, one a line.
    pub fn outcomes(&self, numbers: Range<usize>) -> Result<()> {
        let mut file = std::io::BufWriter::new(fs::File::create(self.dir.join("outcomes"))?);
        let mut random = fastrand::Rng::with_seed(7 + numbers.start as u64);
        for n in numbers {
            let mut output = String::new();
            for _ in 0..12 {
                write!(
                    output,
                    "step {} of unit-{:08x} done; ",
                    n % 97,
                    random.u32(..)
                )?;
            }
            writeln!(
                file,
                r#"{{"task_id":"task-{n:07}","status":"completed","plan_id":"plan-{}","dispatch_info":{{"agent_pool":"pool-{}","agent_id":"agent-{:04x}"}},"execution_result":{{"outcome":{{"exit_code":0,"output":"{output}"}},"resources_used":{{"cpu_ms":{}}},"services_touched":["checkout","mail"]}}}}"#,
                n / 10,
                n % 5,
                random.u16(..),
                random.u32(..100_000)
            )?;
        }
        Ok(file.into_inner()?.sync_all()?)
    }
}

pub fn median<T: PartialOrd + Copy>(mut figures: Vec<T>) -> T {
    figures.sort_by(|one, other| one.partial_cmp(other).expect("no figure is NaN"));
    figures[figures.len() / 2]
}

/// How many were done in a second.
pub fn rate(count: usize, time: Duration) -> String {
    format!("{:.0}/s", count as f64 / time.as_secs_f64())
}

/// Prints a row of a Markdown table.
#[expect(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]
pub fn row(what: &str, figure: &str, beside: &str, ratio: &str) {
    println!("| {what} | {figure} | {beside} | {ratio} |");
}
