//! Timed programs: in a separate environment, with their time and memory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The environment of programs: a separate configuration, and a separate cache of compiled policies.
pub struct Shell {
    pub work: PathBuf,
    /// A copy of the program, so that a build during a long run does not replace it.
    pub program: PathBuf,
}

/// The memory of a process: anonymous pages, sampled, without mapped files.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// The peak.
    pub peak: u64,
    /// The peak of the first third of the time, and of the last third.
    pub early: u64,
    pub late: u64,
    /// The peak of the resident set, including mapped files.
    pub resident: u64,
}

impl Shell {
    /// A command in this environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "programs are what is measured, and they need a search path"
    )]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.work)
            .env("XDG_CACHE_HOME", self.work.join("cache"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Bench")
                .env(format!("GIT_{role}_EMAIL"), "bench@localhost");
        }
        command
    }

    /// The product's program on one repository.
    pub fn ours(&self, repository: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.program);
        command
            .args(["--quiet", "-C"])
            .arg(repository)
            .args(arguments);
        command
    }

    /// Stock git on one repository. Garbage collection in the background would only make it slower.
    pub fn git(&self, repository: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command("git");
        command
            .arg("-C")
            .arg(repository)
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(arguments);
        command
    }
}

/// Runs a program, which must succeed; returns the time that it took.
pub fn time(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    let took = began.elapsed();
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(took)
}

/// Runs a program, which must succeed; returns its output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdout(Stdio::piped())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program with a file as its input; returns the time that it took.
pub fn time_with_input(command: &mut Command, input: &Path) -> Result<Duration> {
    time(command.stdin(File::open(input)?))
}

/// Runs a program and watches its memory.
pub fn watch(command: &mut Command) -> Result<(Duration, Memory)> {
    let began = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut samples = Vec::new();
    let mut resident = 0;
    let status = loop {
        if let Some((anonymous, highest)) = memory_of(&child) {
            samples.push(anonymous);
            resident = resident.max(highest);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let took = began.elapsed();
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    let highest = |samples: &[u64]| samples.iter().copied().max().unwrap_or(0);
    let third = samples.len() / 3;
    let (early, late) = (
        highest(&samples[..third]),
        highest(&samples[samples.len() - third..]),
    );
    Ok((
        took,
        Memory {
            peak: highest(&samples),
            early,
            late,
            resident,
        },
    ))
}

/// `RssAnon` and `VmHWM` of a running process, in bytes.
fn memory_of(child: &Child) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    };
    Some((field("RssAnon:")?, field("VmHWM:")?))
}

/// The median of these.
pub fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .copied()
        .unwrap_or_default()
}

/// The median of several runs, each of which returns its time.
pub fn median_of(runs: usize, mut run: impl FnMut(usize) -> Result<Duration>) -> Result<Duration> {
    Ok(median((0..runs).map(&mut run).collect::<Result<_>>()?))
}
