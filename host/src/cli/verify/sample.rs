//! `verify --sample`: checks that a sample is the right one and complete.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::proof::check_only_files;
use super::{Args, print_claims, result_line};
use crate::cli::Result;
use crate::cli::exit::{Exit, check_exists};
use crate::cli::output::{FAINT, SCHEMA, STRONG, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::outcome::counted;
use crate::pages::{self, EntryFacts, SampleFacts};
use crate::verify::{self, AuditResult, SampleReport};

#[derive(Serialize)]
struct Checked<'a> {
    schema: u32,
    #[serde(rename = "outcome")]
    result: AuditResult,
    #[serde(flatten)]
    report: &'a SampleReport,
}

/// Runs the command.
pub(super) fn run(directory: &Path, args: &Args, session: &mut Session) -> Result<Exit> {
    for name in ["population", "sample"] {
        check_exists("the sample", &directory.join(name))?;
    }
    check_only_files(&args.flags.against, "--sample")?;
    let options = args.flags.options(session)?;
    let mut report = verify::verify_sample(directory, args.commitment.as_deref(), &options)?;
    let expected = expected_report(&report)?;
    report.add_report_claim(directory, &expected);
    let result = report.result();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Checked {
            schema: SCHEMA,
            result,
            report: &report,
        })?;
        return Ok(Exit::of_audit(result));
    }
    writeln!(
        output,
        "Sample of the trail {}",
        paint(STRONG, Line(&report.origin))
    )?;
    let time = report.time.as_deref().unwrap_or("an unstated time");
    let of = format!(
        "{} of {} in the checkpoint of {time}",
        counted(report.entries.len() as u64, "entry", "entries"),
        report.size
    );
    writeln!(output, "{}", paint(FAINT, Line(&of)))?;
    let nonce = format!("nonce {}", report.nonce);
    writeln!(output, "{}", paint(FAINT, Line(&nonce)))?;
    writeln!(output)?;
    print_claims(&report.claims, output)?;
    writeln!(output, "{}", result_line(result, "sample"))?;
    Ok(Exit::of_audit(result))
}

/// The report as `sample` makes it.
fn expected_report(report: &SampleReport) -> Result<String> {
    let facts = SampleFacts {
        origin: report.origin.clone(),
        size: report.size,
        time: report.time.clone(),
        nonce: report.nonce.clone(),
        entries: report.entries.iter().map(facts).collect(),
    };
    Ok(pages::sample_report(&facts)?)
}

fn facts(entry: &verify::SampledEntry) -> EntryFacts {
    EntryFacts::new(
        entry.index,
        entry.task_id.as_deref().unwrap_or_default(),
        entry.commit.as_deref().unwrap_or_default(),
        &entry.entry,
    )
}
