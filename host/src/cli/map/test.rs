//! `map test`: runs cases against a map.

use crate::cli::Result;
use std::io::Write as _;
use std::path::PathBuf;

use intake::map::{Case, Shipped, run_cases, shipped};
use serde::Serialize;

use super::{cases_of, find};
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::output::{BAD, GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;

/// Run test cases against a map
///
/// A case is TOML: `name`, `document`, and what must come of it: `outcomes` and `announced` (JSON documents),
/// `not_terminal` and `skipped` (numbers) and `refused` (parts of messages).
///
/// Exit codes: 0 all passed; 3 a case failed; 2 a file cannot be used.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The map
    #[arg(value_name = "MAP")]
    map: PathBuf,
    /// The cases [default: orders.test.toml for orders.toml]
    #[arg(value_name = "CASES")]
    cases: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    case: &'a str,
    passed: bool,
    problems: &'a [String],
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let map = find(&args.map, session)?;
    let own = shipped()
        .iter()
        .find(|shipped| shipped.name == args.map.as_os_str() && !args.map.exists());
    let (name, text) = match (&args.cases, own) {
        (None, Some(Shipped { name, cases, .. })) => ((*name).to_owned(), (*cases).to_owned()),
        (cases, _) => {
            let path = cases.clone().unwrap_or_else(|| cases_of(&args.map));
            let text = std::fs::read_to_string(&path)
                .map_err(|error| cannot_read("the cases", &path, error))?;
            (path.display().to_string(), text)
        }
    };
    let cases = Case::parse_all(&text).map_err(|error| UsageError(format!("{name}: {error}")))?;
    let findings = run_cases(&map, &cases);
    let mut failed = 0;
    for finding in &findings {
        let passed = finding.problems.is_empty();
        failed += usize::from(!passed);
        if session.output.is_json() {
            session.output.object(&Report {
                schema: SCHEMA,
                case: &finding.name,
                passed,
                problems: &finding.problems,
            })?;
            continue;
        }
        if !passed {
            let output = &mut session.output;
            writeln!(output, "{} {}", paint(BAD, "failed:"), Line(&finding.name))?;
            for problem in &finding.problems {
                writeln!(output, "  {}", Line(problem))?;
            }
        }
    }
    if !session.output.is_json() {
        let style = if failed == 0 { GOOD } else { BAD };
        let passed = format!("{} passed", findings.len() - failed);
        writeln!(session.output, "{}, {failed} failed", paint(style, passed))?;
    }
    Ok(if failed == 0 {
        Exit::Done
    } else {
        Exit::Broken
    })
}
