//! The cost of an audit of several trails that continue each other, beside that of one trail with as many entries.
//! Method: README.md in this directory.
//!
//! `cargo bench --bench chain -- [--entries 1000000] [--segments 10] [--runs 3]` prints Markdown.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark runs the program and prints its figures"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        let given = place.and_then(|place| arguments.get(place + 1)?.parse().ok());
        given.unwrap_or(default)
    };
    let (entries, segments) = (number("--entries", 1_000_000), number("--segments", 10));
    let runs = number("--runs", 3).max(1);
    ensure!(segments > 1, "a chain has two segments or more");
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let bench = Bench {
        dir: work.path().to_owned(),
    };
    let each = entries / segments;
    bench.outcomes(0..each * segments)?;
    bench.ours(&["init", "--bare", "one"])?;
    bench.ours(&["-C", "one", "ingest", "outcomes"])?;
    bench.ours(&["init", "--bare", "segment-0"])?;
    for segment in 0..segments {
        let name = format!("segment-{segment}");
        bench.outcomes(segment * each..(segment + 1) * each)?;
        bench.ours(&["-C", &name, "ingest", "outcomes"])?;
        if segment + 1 < segments {
            let next = format!("segment-{}", segment + 1);
            bench.ours(&["-C", &name, "trail", "end", "--successor", &next])?;
        }
    }
    let names: Vec<String> = (0..segments)
        .map(|segment| format!("segment-{segment}"))
        .collect();
    let mut chain = vec!["verify", "--chain"];
    chain.extend(names.iter().map(String::as_str));
    let mut took: [Vec<Duration>; 2] = Default::default();
    for _ in 0..runs {
        took[0].push(bench.ours(&["verify", "one"])?);
        took[1].push(bench.ours(&chain)?);
    }
    let [one, all] = took.map(median);
    println!("| what | figure | beside | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    println!(
        "| verify --chain of {segments} trails of {each} | {} | {} one trail | {:.2}x |",
        rate(each * segments, all),
        rate(each * segments, one),
        one.as_secs_f64() / all.as_secs_f64()
    );
    Ok(())
}

struct Bench {
    dir: PathBuf,
}

impl Bench {
    /// Runs the program in the bench's directory. Returns how long it took.
    fn ours(&self, arguments: &[&str]) -> Result<Duration> {
        let program = env!("CARGO_BIN_EXE_chiffon-audit");
        let mut command = Command::new(program);
        command
            .current_dir(&self.dir)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let status = command.status()?;
        let took = began.elapsed();
        ensure!(status.success(), "{arguments:?}: {status}");
        Ok(took)
    }

    /// Writes outcomes of about 900 bytes with these numbers, one a line.
    fn outcomes(&self, numbers: std::ops::Range<usize>) -> Result<()> {
        let mut file = std::io::BufWriter::new(fs::File::create(self.dir.join("outcomes"))?);
        let mut random = fastrand::Rng::with_seed(numbers.start as u64);
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
                r#"{{"task_id":"task-{n:07}","status":"completed","plan_id":"plan-{}","execution_result":{{"outcome":{{"exit_code":0,"output":"{output}"}},"services_touched":["checkout","mail"]}}}}"#,
                n / 10
            )?;
        }
        Ok(file.into_inner()?.sync_all()?)
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn rate(entries: usize, took: Duration) -> String {
    format!("{:.0}/s", entries as f64 / took.as_secs_f64())
}
