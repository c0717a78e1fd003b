//! `verify --chain`: audits trails that continue each other, and prints a table for each and one for all.

use std::cell::RefCell;
use std::io::Write as _;

use serde::Serialize;

use super::{Args, print, print_claims, result_line};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{SCHEMA, UNSURE, paint};
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::verify::{self, AuditResult, ChainReport, SegmentReport};

#[derive(Serialize)]
struct ChainAudit<'a> {
    schema: u32,
    #[serde(rename = "outcome")]
    result: AuditResult,
    #[serde(flatten)]
    report: &'a ChainReport,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let progress = RefCell::new(Progress::new(None, session));
    let tell = |reached: verify::Progress| {
        let count = reached.judged.unwrap_or(reached.commits);
        progress.borrow_mut().reach(count, count, "commits");
    };
    // What a flag names is read once before, so that a mistake in it is reported as such.
    args.flags.options(session)?;
    let report = verify::verify_chain(&args.chain, || {
        let options = args.flags.options(session);
        let options = options.map_err(|failure| verify::VerifyError::Unreadable {
            what: "what a flag names".to_owned(),
            why: format!("{failure:#}"),
        })?;
        Ok(verify::Options {
            progress: Some(&tell),
            ..options
        })
    });
    progress.borrow().finish();
    let report = report?;
    let result = report.result();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&ChainAudit {
            schema: SCHEMA,
            result,
            report: &report,
        })?;
        return Ok(Exit::of_audit(result));
    }
    for segment in &report.segments {
        print_segment(segment, session)?;
    }
    let output = &mut session.output;
    writeln!(output, "All trails together")?;
    writeln!(output)?;
    print_claims(&report.claims, output)?;
    writeln!(output, "{}", result_line(result, "chain of trails"))?;
    Ok(Exit::of_audit(result))
}

fn print_segment(segment: &SegmentReport, session: &mut Session) -> Result<()> {
    let output = &mut session.output;
    match (&segment.report, &segment.missing) {
        (Some(report), _) => print(report, segment.result(), output)?,
        (None, missing) => {
            let path = segment.path.display().to_string();
            writeln!(output, "{}  {}", paint(UNSURE, "not shown"), Line(&path))?;
            let why = missing.as_deref().unwrap_or_default();
            writeln!(output, "             {}", Line(why))?;
        }
    }
    writeln!(output)?;
    Ok(())
}
