//! The cost of an audit of several trails that continue each other, beside that of one trail with as many entries.
//! Method: README.md in this directory.
//!
//! `cargo bench --bench chain -- [--entries 1000000] [--segments 10] [--runs 3]` prints Markdown.

#![expect(clippy::disallowed_methods, reason = "a benchmark runs the program")]

#[path = "proofs/bench.rs"]
mod bench;

use std::time::Duration;

use anyhow::{Result, ensure};

use bench::{Bench, median, rate, row};

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
    // In turns, and each is the first of every other pair: other work on the machine then slows both.
    let mut took: [Vec<Duration>; 2] = Default::default();
    for run in 0..runs {
        for turn in [run % 2, (run + 1) % 2] {
            took[turn].push(match turn {
                0 => bench.ours(&["verify", "one"])?,
                _ => bench.ours(&chain)?,
            });
        }
    }
    let pairs = took[0].iter().zip(&took[1]);
    let ratios = pairs.map(|(one, all)| one.as_secs_f64() / all.as_secs_f64());
    let ratio = median(ratios.collect());
    let [one, all] = took.map(median);
    row("what", "speed", "beside", "speed, median of the pairs");
    row("---", "---:", "---:", "---:");
    row(
        &format!("verify --chain of {segments} trails of {each}"),
        &rate(each * segments, all),
        &format!("{} one trail", rate(each * segments, one)),
        &format!("{ratio:.2}x"),
    );
    Ok(())
}
