//! The baselines, written for this benchmark: `git fast-import` of the same entries, and the seed's way.
//!
//! Neither has a policy, idempotency or a promise of durability.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::material::{Entries, NOW};
use super::shell::{self, Shell};
use super::trails::REF;

/// Writes the stream that adds these tasks to a trail, one commit each.
pub fn write_stream(
    shell: &Shell,
    entries: &Entries,
    tasks: Range<u64>,
    sharded: bool,
) -> Result<PathBuf> {
    let layout = if sharded { "sharded" } else { "flat" };
    let path = shell
        .work
        .join(format!("stream-{layout}-{}-{}", tasks.start, tasks.end));
    if path.exists() {
        return Ok(path);
    }
    let mut out = BufWriter::new(File::create(&path)?);
    for (count, number) in tasks.enumerate() {
        let recorded = entries.recorded(number, sharded)?;
        let seconds = NOW.seconds() + count as i64;
        write!(
            out,
            "commit {REF}\ncommitter Bench <bench@localhost> {seconds} +0000\ndata {}\n",
            recorded.message.len()
        )?;
        out.write_all(recorded.message.as_bytes())?;
        if count == 0 {
            writeln!(out, "from {REF}^0")?;
        }
        write!(
            out,
            "M 100644 inline {}\ndata {}\n",
            recorded.path,
            recorded.entry.len()
        )?;
        out.write_all(&recorded.entry)?;
        out.write_all(b"\n")?;
    }
    writeln!(out, "done")?;
    out.flush()?;
    Ok(path)
}

/// Adds a stream with stock git.
pub fn fast_import(shell: &Shell, repository: &Path, stream: &Path) -> Result<Duration> {
    shell::time_with_input(
        &mut shell.git(repository, &["fast-import", "--quiet", "--done"]),
        stream,
    )
}

/// The seed's way: for each task write the file, `git add`, `git commit`.
pub fn seeds_way(
    shell: &Shell,
    entries: &Entries,
    repository: &Path,
    tasks: Range<u64>,
) -> Result<Duration> {
    let recorded = tasks
        .map(|number| entries.recorded(number, false))
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(repository.join(".audit/tasks"))?;
    let began = Instant::now();
    for task in recorded {
        fs::write(repository.join(&task.path), &task.entry)?;
        shell::time(&mut shell.git(repository, &["add", &task.path]))?;
        let subject = task.message.lines().next().unwrap_or_default();
        shell::time(&mut shell.git(repository, &["commit", "--quiet", "-m", subject]))?;
    }
    Ok(began.elapsed())
}
