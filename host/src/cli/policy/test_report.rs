//! The results of test cases: for people, as JSON, and as JUnit XML.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::call::PolicyJson;
use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::cli::output::{BAD, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::text::{Line, Lines};
use crate::policy::{CaseReport, Covered, Difference, Mismatch, Policy};

/// A test case that was run.
pub struct CaseRun {
    pub file: PathBuf,
    pub report: CaseReport,
    pub duration: Duration,
}

/// The number of cases with each result.
#[derive(Debug, Default)]
pub struct Totals {
    pub passed: usize,
    pub failed: usize,
    pub updated: usize,
    pub seconds: f64,
}

impl Totals {
    /// Counts one case.
    pub fn count(&mut self, report: &CaseReport) {
        if report.mismatches.is_empty() {
            self.passed += 1;
        } else if report.updated {
            self.updated += 1;
        } else {
            self.failed += 1;
        }
    }
}

#[derive(Serialize)]
struct Tested<'a> {
    schema: u32,
    policy: PolicyJson<'a>,
    passed: usize,
    failed: usize,
    updated: usize,
    seconds: f64,
    cases: Vec<CaseJson<'a>>,
    /// What the cases exercise of the policy, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<BTreeMap<&'static str, CoveredJson<'a>>>,
}

#[derive(Serialize)]
struct CoveredJson<'a> {
    exercised: &'a [String],
    missing: &'a [String],
}

#[derive(Serialize)]
struct CaseJson<'a> {
    file: String,
    line: Option<usize>,
    name: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mismatches: Vec<MismatchJson<'a>>,
    result: Option<&'static str>,
    fuel: Option<u64>,
}

#[derive(Serialize)]
struct MismatchJson<'a> {
    what: &'a str,
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

/// Prints the results.
pub fn print(
    policy: &Policy,
    ran: &[CaseRun],
    totals: &Totals,
    coverage: Option<&[Covered]>,
    output: &mut Output,
) -> io::Result<()> {
    if output.is_json() {
        return output.object(&Tested {
            schema: SCHEMA,
            policy: PolicyJson::new(policy),
            passed: totals.passed,
            failed: totals.failed,
            updated: totals.updated,
            seconds: totals.seconds,
            cases: ran.iter().map(case_json).collect(),
            coverage: coverage.map(|kinds| kinds.iter().map(covered_json).collect()),
        });
    }
    for one in ran {
        print_case(one, output)?;
    }
    let updated = match totals.updated {
        0 => String::new(),
        updated => format!(", {updated} updated"),
    };
    let style = if totals.failed > 0 { BAD } else { GOOD };
    let summary = format!(
        "{} passed, {} failed{updated}",
        totals.passed, totals.failed
    );
    writeln!(
        output,
        "{} in {:.2} s",
        paint(style, summary),
        totals.seconds
    )?;
    coverage.map_or(Ok(()), |kinds| print_coverage(kinds, output))
}

fn covered_json(covered: &Covered) -> (&'static str, CoveredJson<'_>) {
    let json = CoveredJson {
        exercised: &covered.exercised,
        missing: &covered.missing,
    };
    (covered.what, json)
}

/// What no case exercises, kind by kind.
fn print_coverage(kinds: &[Covered], output: &mut Output) -> io::Result<()> {
    writeln!(output, "{}", paint(STRONG, "not exercised by any case"))?;
    for kind in kinds {
        let total = kind.exercised.len() + kind.missing.len();
        let (style, missing) = match kind.missing.as_slice() {
            [] => (GOOD, "none".to_owned()),
            missing => (UNSURE, missing.join(", ")),
        };
        writeln!(
            output,
            "  {:<9} {} ({} of {total})",
            kind.what,
            paint(style, Line(&missing)),
            kind.missing.len()
        )?;
    }
    Ok(())
}

fn word(report: &CaseReport) -> &'static str {
    match (report.mismatches.is_empty(), report.updated) {
        (true, _) => "passed",
        (false, true) => "updated",
        (false, false) => "failed",
    }
}

fn case_json(ran: &CaseRun) -> CaseJson<'_> {
    let mismatches = ran.report.mismatches.iter().map(|mismatch| {
        let (what, expected, actual, problem) = match &mismatch.difference {
            Difference::Differs {
                what,
                expected,
                actual,
            } => (*what, Some(&**expected), Some(&**actual), None),
            Difference::Fails { what, how } => (*what, None, None, Some(&**how)),
            Difference::Unusable(how) => ("case", None, None, Some(&**how)),
        };
        MismatchJson {
            what,
            line: mismatch.line,
            expected,
            actual,
            problem,
        }
    });
    let call = ran.report.call.as_ref();
    CaseJson {
        file: ran.file.display().to_string(),
        line: ran.report.line,
        name: &ran.report.name,
        outcome: word(&ran.report),
        mismatches: mismatches.collect(),
        result: call.map(|call| call.result()),
        fuel: call.map(|call| call.fuel),
    }
}

/// The case's file, and the line where it begins.
fn place(ran: &CaseRun) -> String {
    let file = ran.file.display();
    match ran.report.line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_string(),
    }
}

fn print_case(ran: &CaseRun, output: &mut Output) -> io::Result<()> {
    let style = match word(&ran.report) {
        "passed" if !output.is_verbose() => return Ok(()),
        "passed" => GOOD,
        "updated" => UNSURE,
        _ => BAD,
    };
    let place = place(ran);
    let call = ran.report.call.as_ref().filter(|_| output.is_verbose());
    let fuel = call.map(|call| format!(" ({} fuel)", call.fuel));
    writeln!(
        output,
        "{} {}: {}{}",
        paint(style, word(&ran.report)),
        Line(&place),
        paint(STRONG, Line(&ran.report.name)),
        paint(FAINT, fuel.unwrap_or_default())
    )?;
    if ran.report.updated {
        return Ok(());
    }
    for mismatch in &ran.report.mismatches {
        print_mismatch(mismatch, output)?;
    }
    Ok(())
}

fn print_mismatch(mismatch: &Mismatch, output: &mut Output) -> io::Result<()> {
    let line = mismatch.line.map(|line| format!("line {line}, "));
    let line = line.unwrap_or_default();
    match &mismatch.difference {
        Difference::Unusable(how) => writeln!(output, "  {line}{}", Lines(how)),
        Difference::Fails { what, how } => writeln!(output, "  {line}{what}: {}", Line(how)),
        Difference::Differs {
            what,
            expected,
            actual,
        } => {
            writeln!(
                output,
                "  {line}{what}:  {}",
                paint(FAINT, "- expected, + actual")
            )?;
            for line in diff(expected, actual) {
                let style = match line.as_bytes().first() {
                    Some(b'-') => BAD,
                    Some(b'+') => GOOD,
                    _ => FAINT,
                };
                writeln!(output, "    {}", paint(style, Line(&line)))?;
            }
            Ok(())
        }
    }
}

/// A diff by lines, with three lines of context. A difference in line endings alone is described in words.
fn diff(expected: &str, actual: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(expected, actual);
    let mut lines = Vec::new();
    for (number, group) in diff.grouped_ops(3).iter().enumerate() {
        if number > 0 {
            lines.push("  …".to_owned());
        }
        for change in group
            .iter()
            .flat_map(|operation| diff.iter_changes(operation))
        {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let text = change.value();
            let end = if text.ends_with('\n') || change.tag() == ChangeTag::Equal {
                ""
            } else if expected.contains('\n') || actual.contains('\n') {
                "  (no newline at the end)"
            } else {
                ""
            };
            let text = text.strip_suffix('\n').unwrap_or(text);
            lines.push(format!("{sign} {text}{end}"));
        }
    }
    lines
}

/// Writes the results as JUnit XML.
pub fn write_junit(path: &Path, policy: &Policy, ran: &[CaseRun]) -> Result<()> {
    let mut report = Report::new(format!("policy {}", policy.name()));
    let mut files: Vec<&Path> = ran.iter().map(|one| one.file.as_path()).collect();
    files.dedup();
    for file in files {
        let mut suite = TestSuite::new(file.display().to_string());
        for one in ran.iter().filter(|one| one.file == file) {
            let mut status = TestCaseStatus::success();
            if word(&one.report) == "failed" {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let text: Vec<String> = one.report.mismatches.iter().map(describe).collect();
                status.set_message(text.first().cloned().unwrap_or_default());
                status.set_description(text.join("\n"));
            }
            let mut case = TestCase::new(one.report.name.as_str(), status);
            case.set_classname(policy.name());
            case.set_time(one.duration);
            case.extra
                .insert("file".into(), file.display().to_string().into());
            if let Some(line) = one.report.line {
                case.extra.insert("line".into(), line.to_string().into());
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    let failed = || format!("cannot write the results {}", path.display());
    let file = File::create(path).with_context(failed)?;
    report.serialize(file).with_context(failed)
}

fn describe(mismatch: &Mismatch) -> String {
    let line = mismatch.line.map(|line| format!("line {line}, "));
    let line = line.unwrap_or_default();
    match &mismatch.difference {
        Difference::Unusable(how) => format!("{line}{how}"),
        Difference::Fails { what, how } => format!("{line}{what}: {how}"),
        Difference::Differs {
            what,
            expected,
            actual,
        } => format!("{line}{what}:\n{}", diff(expected, actual).join("\n")),
    }
}
