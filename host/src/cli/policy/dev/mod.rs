//! `policy dev`: builds, tests and checks a policy on each save.

mod build;
mod sources;
mod stop;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::check::print_claim;
use super::subject::{ConfigFlags, LimitFlags, Source, check_declared};
use super::test;
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::output::{BAD, FAINT, GOOD, Output, STRONG, UNSURE, paint};
use crate::cli::session::{Session, engine, outcome_limits};
use crate::cli::text::Line;
use crate::outcome::{self, counted};
use crate::policies::MissingKey;
use crate::policy::{Allocation, Contract, Engine, Policy, PolicySettings};
use build::{Build, Built};
use sources::{Snapshot, Sources};
use stop::Stop;

/// Build, test and check a policy each time that a file is saved
///
/// DIR is a project: its build.sh, or the command given with --build, makes the component, which is then tested with the
/// project's cases and checked as by `policy check`. With a component instead of a directory, nothing is built, and the
/// component and its cases are watched.
///
/// Build output is not watched: the directories target, node_modules and __pycache__, names that start with a dot, virtual environments,
/// components, what `.gitignore` names without a pattern, and files that every build writes. Ctrl-C ends it, and the build with it.
///
/// Exit codes: 130 after ctrl-C; with --once 0 all is well, 3 a case failed or the contract is broken, 1 the build failed,
/// or the component or the cases cannot be used.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: chiffon-audit policy dev tidy")]
pub struct Args {
    /// The project's directory, or a component
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    subject: PathBuf,
    /// Build with this command, which `sh` runs in the project's directory [default: sh build.sh]
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// The component that the build makes [default: the newest *.wasm in DIR or in cargo's directory for wasm32-wasip2]
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Files of cases, or directories with such files [default: DIR/tests, or else the directory that DIR or FILE names]
    #[arg(long = "cases", value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// How many hostile outcomes to generate for the check
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    hostile: u32,
    /// Build, test and check once, then exit
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

/// How often to look for changes: soon enough for a person, and rare enough to cost nothing.
const PERIOD: Duration = Duration::from_millis(300);

/// What is watched, and how it is tried.
struct Project {
    /// `None` if the component is given.
    build: Option<Build>,
    component: PathBuf,
    cases: Vec<PathBuf>,
    hostile: u32,
    settings: PolicySettings,
    limits: outcome::Limits,
    engine: Engine,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    if session.output.is_json() {
        let text = "`policy dev` is for people: `policy test` and `policy check` have --json";
        return Err(UsageError(text.to_owned()).into());
    }
    let settings = args.limits.settings(session)?;
    let limits = outcome_limits(&settings)?;
    let subject = &args.subject;
    let metadata = subject
        .metadata()
        .map_err(|error| cannot_read("the project", subject, error))?;
    let build = if metadata.is_dir() {
        let target = session.environment.cargo_target();
        let (command, component) = (args.build.as_deref(), args.component.as_deref());
        Some(Build::new(subject, command, component, target)?)
    } else if args.build.is_some() || args.component.is_some() {
        let text = "--build and --component need the project's directory";
        return Err(UsageError(text.to_owned()).into());
    } else if !metadata.is_file() {
        let subject = subject.display().to_string();
        let text = format!("{} is neither a directory nor a file", Line(&subject));
        return Err(UsageError(text).into());
    } else {
        None
    };
    let cases = cases(args, metadata.is_dir());
    for path in &cases {
        path.metadata()
            .map_err(|error| cannot_read("the cases", path, error))?;
    }
    let on_slow = session.output.slow_compile_notice();
    let project = Project {
        build,
        component: subject.clone(),
        cases,
        hostile: args.hostile,
        settings: args.config.settings(MissingKey::UseOnce)?,
        limits,
        engine: engine(&settings, Allocation::Pooling, on_slow)?,
    };
    let roots: BTreeSet<PathBuf> = std::iter::once(subject)
        .chain(&project.cases)
        .cloned()
        .collect();
    let mut sources = Sources::new(roots.into_iter().collect(), project.build.is_some());
    let stop = Stop::install()?;
    loop {
        let before = sources.snapshot()?;
        let built = project.build(&stop, &mut session.output)?;
        // Also one that arrived when the build had just ended.
        if let Some(exit) = stop.take() {
            return Ok(exit);
        }
        let (after, saved) = match &project.build {
            None => (before, BTreeSet::new()),
            Some(_) => {
                let after = sources.snapshot()?;
                let saved = sources.note_build(&before, &after);
                (after, saved)
            }
        };
        let exit = match built {
            Built::Stopped(exit) => return Ok(exit),
            Built::Failed(how) => failed(&how, &mut session.output)?,
            Built::Component(component) => project.try_out(&component, &mut session.output)?,
        };
        if args.once {
            return Ok(exit);
        }
        let shown = subject.display().to_string();
        let watching = format!("watching {}; ctrl-C ends it", Line(&shown));
        writeln!(session.output, "{}", paint(FAINT, watching))?;
        session.output.flush()?;
        let changed = wait_for_change(&mut sources, &after, saved)?;
        let (changed, more) = (changed.first(), changed.len().saturating_sub(1));
        if let Some(path) = changed {
            let path = path
                .strip_prefix(subject)
                .unwrap_or(path)
                .display()
                .to_string();
            let more = match more {
                0 => String::new(),
                more => format!(" and {}", counted(more, "other file", "other files")),
            };
            writeln!(
                session.output,
                "\n{} {}{more}",
                paint(STRONG, "changed"),
                Line(&path)
            )?;
        }
    }
}

/// The cases of the project.
fn cases(args: &Args, is_directory: bool) -> Vec<PathBuf> {
    if !args.cases.is_empty() {
        return args.cases.clone();
    }
    let directory = match is_directory {
        true => &*args.subject,
        false => crate::files::directory_of(&args.subject),
    };
    let tests = directory.join("tests");
    vec![match tests.is_dir() {
        true => tests,
        false => directory.to_owned(),
    }]
}

/// Waits until files differ from those after the build, and then until they stay as they are: an editor writes a file in
/// several steps, and a checkout writes many. Returns them with those that were saved during the build.
fn wait_for_change(
    sources: &mut Sources,
    built: &Snapshot,
    mut saved: BTreeSet<PathBuf>,
) -> Result<BTreeSet<PathBuf>> {
    let mut latest = built.clone();
    loop {
        let now = sources.snapshot()?;
        let is_quiet = now == latest;
        let changed = built.changed(&now);
        if is_quiet && !(changed.is_empty() && saved.is_empty()) {
            sources.note_saved(&changed);
            saved.extend(changed);
            return Ok(saved);
        }
        latest = now;
        thread::sleep(PERIOD);
    }
}

impl Project {
    /// Builds the component, if this is a project.
    fn build(&self, stop: &Stop, output: &mut Output) -> Result<Built> {
        let Some(build) = &self.build else {
            return Ok(Built::Component(self.component.clone()));
        };
        let command = Line(build.command());
        writeln!(output, "{} {command}", paint(STRONG, "building"))?;
        output.flush()?;
        stop.noting(|| build.run(stop))
    }

    /// Tests and checks the component once. Problems of the project are printed; an error is one of this program's.
    fn try_out(&self, component: &Path, output: &mut Output) -> Result<Exit> {
        let policy = match self.load(component) {
            Ok(policy) => policy,
            Err(error) => return failed(&format!("{error:#}"), output),
        };
        let size = fs::metadata(component).map_or(0, |metadata| metadata.len());
        writeln!(
            output,
            "{}   {} {}",
            paint(STRONG, "policy"),
            Line(policy.name()),
            paint(FAINT, format!("{} ({size} bytes)", policy.digest()))
        )?;
        write!(output, "{}    ", paint(STRONG, "cases"))?;
        let passed = match test::run_all(&self.cases, &policy, &self.limits, output) {
            Ok(Some(totals)) => totals.failed == 0,
            Ok(None) => {
                writeln!(output, "{}", paint(UNSURE, "none found"))?;
                true
            }
            Err(error) => return failed(&format!("{error:#}"), output),
        };
        output.flush()?;
        let holds = self.check(&policy, output)?;
        output.flush()?;
        Ok(match passed && holds {
            true => Exit::Done,
            false => Exit::Broken,
        })
    }

    fn load(&self, component: &Path) -> Result<Policy> {
        let policy = Source::File(component.to_owned()).load(&self.engine)?;
        check_declared(&policy, &self.settings)?;
        Ok(policy)
    }

    /// Tries the contract, and prints what is broken.
    fn check(&self, policy: &Policy, output: &mut Output) -> Result<bool> {
        let contract = Contract {
            settings: self.settings.clone(),
            limits: self.limits.clone(),
            hostile: self.hostile,
            ..Contract::default()
        };
        let report = contract.check(policy, &mut |_| {});
        let (style, summary) = match report.holds() {
            true => (GOOD, "holds"),
            false => (BAD, "is broken"),
        };
        writeln!(
            output,
            "{} {} ({})",
            paint(STRONG, "contract"),
            paint(style, summary),
            counted(report.calls, "call", "calls")
        )?;
        for claim in report.broken() {
            print_claim(claim, output)?;
        }
        Ok(report.holds())
    }
}

/// Prints a problem of the project.
fn failed(how: &str, output: &mut Output) -> Result<Exit> {
    writeln!(output, "{} {}", paint(BAD, "failed"), Line(how))?;
    output.flush()?;
    Ok(Exit::CouldNot)
}
