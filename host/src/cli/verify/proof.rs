//! `verify --proof`: checks one entry's proof file without a repository.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::flags::remote_name;
use super::{Args, print_claims, result_line};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError, check_exists};
use crate::cli::output::{FAINT, STRONG, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::verify::{self, ProofAnswer};

/// Runs the command.
pub(super) fn run(file: &Path, args: &Args, session: &mut Session) -> Result<Exit> {
    check_exists("the proof", file)?;
    check_only_files(&args.flags.against, "--proof")?;
    let options = args.flags.options(session)?;
    let report = verify::verify_proof(file, &options)?;
    let result = report.result();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&ProofAnswer::new(&report))?;
        return Ok(Exit::of_audit(result));
    }
    writeln!(
        output,
        "Proof of {}",
        paint(
            STRONG,
            Line(report.task_id.as_deref().unwrap_or(&report.path))
        )
    )?;
    let time = report.time.as_deref().unwrap_or("an unstated time");
    writeln!(output, "of the trail {}", Line(&report.origin))?;
    let of = format!(
        "entry {} of {} in the checkpoint of {time}",
        report.index + 1,
        report.size
    );
    writeln!(output, "{}", paint(FAINT, Line(&of)))?;
    if let Some(commit) = &report.commit {
        writeln!(output, "{}", paint(FAINT, format_args!("commit {commit}")))?;
    }
    writeln!(output)?;
    print_claims(&report.claims, output)?;
    writeln!(output, "{}", result_line(result, "proof"))?;
    Ok(Exit::of_audit(result))
}

/// Checks that nothing is compared with but checkpoints in files.
pub(super) fn check_only_files(against: &[PathBuf], with: &str) -> Result<()> {
    let is_other = |path: &&PathBuf| path.is_dir() || remote_name(path).is_some();
    match against.iter().find(is_other) {
        None => Ok(()),
        Some(other) => Err(UsageError(format!(
            "with {with}, --against must be a file of checkpoints, and {} is none",
            other.display()
        ))
        .into()),
    }
}
