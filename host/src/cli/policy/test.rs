//! `policy test`: runs test cases from files, reports the failures, and writes result files for other tools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::fuel_baseline::{self, FuelBaseline};
use super::subject::{Subject, unasked};
use super::test_report::{self, CaseRun, Totals};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::failure::failure;
use crate::cli::output::Output;
use crate::cli::session::{Session, outcome_limits};
use crate::cli::text::Line;
use crate::outcome::Limits;
use crate::policy::{
    Allocation, CASES_SUFFIX, Call, CaseError, CaseFile, CaseReport, Coverage, Difference,
    Mismatch, Policy,
};

/// Run test cases against a policy
///
/// A case is TOML. It says what the policy is given (outcome, existing, after, settings, now, faults, recording) and
/// what it must answer (expect.result, .reason, .message, .entry, .entry_lacks, .log). Only failures are reported in
/// detail. --verbose also lists the cases that passed, with the fuel of each.
///
/// Exit codes: 0 all passed, 3 a case failed or uses too much fuel, 1 there is no case, or a file of cases cannot be used.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// Files of cases, or directories with such files (*.test.toml) [default: the current directory]
    #[arg(value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// Run only cases whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write a failed case's results into its expectations
    #[arg(long)]
    update: bool,
    /// Also write the results as JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show which answers, settings and host calls no case exercises
    #[arg(long)]
    coverage: bool,
    /// Fail if a case uses more fuel than this file says; --update-baseline writes it
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Allowed increase over the baseline, in percent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 5.0,
        requires = "baseline"
    )]
    tolerance: f64,
    /// Write the fuel of each case into the baseline instead of comparing it
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
}

/// Directories that are not searched for cases: build output, and names that start with a dot.
const NOT_SEARCHED: &[&str] = &["target", "node_modules"];

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let started = Instant::now();
    let settings = args.subject.settings(session)?;
    let limits = outcome_limits(&settings)?;
    for path in &args.cases {
        path.metadata()
            .map_err(|error| cannot_read("the cases", path, error))?;
    }
    let mut files = Vec::new();
    for path in find(&args.cases)? {
        let file =
            CaseFile::load(&path).map_err(|error| failure!("{}: {error}", place(&path, &error)))?;
        files.push(file);
    }
    let mut baseline = baseline(args)?;
    let policy = args.subject.load(&settings, Allocation::Pooling, session)?;
    let mut coverage = Coverage::new(&policy);
    let mut totals = Totals::default();
    let mut ran = Vec::new();
    let (mut given, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for file in &mut files {
        let key = baseline.as_ref().map(|baseline| baseline.key(file.path()));
        if let (Some(baseline), Some(key)) = (&mut baseline, &key)
            && args.update_baseline
            && args.filter.is_none()
        {
            // Cases that are gone must not stay.
            baseline.clear(key);
        }
        for index in 0..file.len() {
            let began = Instant::now();
            let mut report = file.run(index, &policy, &limits);
            let wanted = args
                .filter
                .as_ref()
                .is_none_or(|text| report.name.contains(text));
            if !wanted {
                continue;
            }
            given.extend(report.settings_given.iter().cloned());
            coverage.add(&report);
            let calls = report.call.iter();
            asked.extend(calls.flat_map(Call::settings_read).map(str::to_owned));
            if args.update {
                file.update(index, &mut report)
                    .map_err(|error| failure!("{}: {error}", place(file.path(), &error)))?;
            }
            if let (Some(baseline), Some(key)) = (&mut baseline, &key) {
                compare_fuel(args, baseline, key, &mut report);
            }
            totals.count(&report);
            ran.push(CaseRun {
                file: file.path().to_owned(),
                report,
                duration: began.elapsed(),
            });
        }
        file.save()
            .map_err(|error| failure!("{}: {error}", place(file.path(), &error)))?;
    }
    totals.seconds = started.elapsed().as_secs_f64();
    if ran.is_empty() {
        return Err(failure!("{}", nothing_found(args)));
    }
    if let Some(baseline) = baseline.filter(|_| args.update_baseline) {
        baseline.save()?;
    }
    if let Some(path) = &args.junit {
        test_report::write_junit(path, &policy, &ran)?;
    }
    let kinds = args.coverage.then(|| coverage.kinds());
    let kinds = kinds.as_ref().map(<[_; 4]>::as_slice);
    test_report::print(&policy, &ran, &totals, kinds, &mut session.output)?;
    let given = given.iter().map(|name: &String| &**name);
    if let Some(unasked) = unasked(given, asked.iter().map(|name: &String| &**name)) {
        session.output.note(format_args!("note: {unasked}"));
    }
    Ok(if totals.failed == 0 {
        Exit::Done
    } else {
        Exit::Broken
    })
}

/// Runs all cases of these files and prints the results. `None` if there is no case.
pub(super) fn run_all(
    paths: &[PathBuf],
    policy: &Policy,
    limits: &Limits,
    output: &mut Output,
) -> Result<Option<Totals>> {
    let started = Instant::now();
    let (mut totals, mut ran) = (Totals::default(), Vec::new());
    for path in find(paths)? {
        let file =
            CaseFile::load(&path).map_err(|error| failure!("{}: {error}", place(&path, &error)))?;
        for index in 0..file.len() {
            let began = Instant::now();
            let report = file.run(index, policy, limits);
            totals.count(&report);
            ran.push(CaseRun {
                file: path.clone(),
                report,
                duration: began.elapsed(),
            });
        }
    }
    if ran.is_empty() {
        return Ok(None);
    }
    totals.seconds = started.elapsed().as_secs_f64();
    test_report::print(policy, &ran, &totals, None, output)?;
    Ok(Some(totals))
}

/// The baseline to compare with, or to write. One that is written again keeps the cases that do not run.
fn baseline(args: &Args) -> Result<Option<FuelBaseline>> {
    let Some(path) = &args.baseline else {
        return Ok(None);
    };
    if !(args.tolerance >= 0.0 && args.tolerance.is_finite()) {
        return Err(UsageError("--tolerance must be 0 or more".into()).into());
    }
    Ok(Some(match args.update_baseline && !path.exists() {
        true => FuelBaseline::empty(path),
        false => FuelBaseline::load(path)?,
    }))
}

/// Adds a mismatch if the case uses more fuel than before, or notes what it uses.
fn compare_fuel(args: &Args, baseline: &mut FuelBaseline, key: &str, report: &mut CaseReport) {
    let Some(fuel) = report.call.as_ref().map(|call| call.fuel) else {
        return;
    };
    if args.update_baseline {
        // A failed case has not done all of its work.
        if report.mismatches.is_empty() || report.updated {
            baseline.set(key, &report.name, fuel);
        }
        return;
    }
    let before = baseline.get(key, &report.name);
    if let Some(how) = fuel_baseline::excess(before, fuel, args.tolerance) {
        if std::mem::take(&mut report.updated) {
            report.mismatches.clear();
        }
        report.mismatches.push(Mismatch {
            line: None,
            difference: Difference::Fails { what: "fuel", how },
        });
    }
}

/// The file with the line of the mistake, if it is one line's.
fn place(path: &Path, error: &CaseError) -> String {
    match error.line() {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

/// The error for a run without cases, which must not look like a success.
fn nothing_found(args: &Args) -> String {
    let places: Vec<String> = args
        .cases
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let places = match places.as_slice() {
        [] => "the current directory".to_owned(),
        places => places.join(", "),
    };
    match &args.filter {
        Some(text) => format!("no test case in {places} has a name that contains {text:?}"),
        None => format!("no test case was found in {places} (files *{CASES_SUFFIX})"),
    }
}

fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            search(path, &mut files)?;
        } else if path.exists() {
            files.push(path.clone());
        } else {
            let path = path.display().to_string();
            return Err(UsageError(format!("there is no {}", Line(&path))).into());
        }
    }
    Ok(files)
}

/// Collects the files of cases below a directory, ordered by name.
fn search(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Links are not followed, so that the search ends.
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !NOT_SEARCHED.contains(&&*name) {
                search(&entry.path(), files)?;
            }
        } else if name.ends_with(CASES_SUFFIX) {
            let path = entry.path();
            files.push(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
        }
    }
    Ok(())
}
