//! `policy check`: tries the contract for policies on one policy, without a test file.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::call::PolicyJson;
use super::given;
use super::subject::{ConfigFlags, Source, Subject};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::Context as _;
use crate::cli::output::{BAD, FAINT, GOOD, Output, SCHEMA, UNSURE, paint};
use crate::cli::session::{Session, outcome_limits};
use crate::cli::text::{Line, shell_word};
use crate::outcome::counted;
use crate::policies::MissingKey;
use crate::policy::{Allocation, Claim, ClaimResult, Contract, Policy, Report};

/// Check a policy against the contract for policies, without a test file
///
/// The policy must be deterministic and idempotent, report host failures, cope with odd outcomes, reproduce its own
/// entry byte for byte, and stay within its limits. A call that breaks the contract is kept in a file, for `policy
/// run --replay`.
///
/// Exit codes: 0 it holds, 3 it does not, 1 the policy could not be loaded.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    config: ConfigFlags,
    /// Also try these outcomes: documents, one per line
    #[arg(long, value_name = "FILE")]
    outcomes: Vec<PathBuf>,
    /// How many hostile outcomes to generate
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    hostile: u32,
    /// The seed for generating hostile outcomes
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Keep calls that break the contract in this directory [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Serialize)]
struct Checked<'a> {
    schema: u32,
    policy: PolicyJson<'a>,
    holds: bool,
    claims: Vec<ClaimJson<'a>>,
    calls: u64,
    fuel: u64,
    memory: usize,
    settings_read: &'a [String],
    seconds: f64,
}

#[derive(Serialize)]
struct ClaimJson<'a> {
    name: &'a str,
    title: &'a str,
    standing: &'static str,
    detail: &'a str,
    kept: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let started = Instant::now();
    let settings = args.subject.settings(session)?;
    let limits = outcome_limits(&settings)?;
    let mut documents = Vec::new();
    for path in &args.outcomes {
        documents.extend(given::documents(path, &limits)?);
    }
    let policy = args.subject.load(&settings, Allocation::Pooling, session)?;
    let contract = Contract {
        settings: args.config.settings_for(&policy, MissingKey::UseOnce)?,
        limits,
        documents,
        hostile: args.hostile,
        seed: args.seed,
        ..Contract::default()
    };
    let output = &mut session.output;
    if !output.is_json() {
        let name = Line(policy.name()).to_string();
        writeln!(output, "{name} {}\n", paint(FAINT, policy.digest()))?;
    }
    let mut printed = Ok(());
    let report = contract.check(&policy, &mut |claim| {
        if !output.is_json() && printed.is_ok() {
            printed = print_claim(claim, output).and_then(|()| output.flush());
        }
    });
    printed?;
    let kept = keep(args.keep.as_deref(), &report)?;
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        output.object(&json(&policy, &report, &kept, seconds))?;
    } else {
        print_end(&args.subject.policy, &report, &kept, seconds, output)?;
    }
    let asked = report.settings_read.iter().map(|name| &**name);
    if let Some(unasked) = args.config.unasked(asked) {
        output.note(format_args!("note: {unasked}"));
    }
    Ok(if report.holds() {
        Exit::Done
    } else {
        Exit::Broken
    })
}

/// Writes each call that breaks the contract to a file named after its claim.
fn keep(directory: Option<&Path>, report: &Report) -> Result<Vec<Option<PathBuf>>> {
    let mut kept = Vec::new();
    let mut made: Option<PathBuf> = None;
    for claim in &report.claims {
        let Some(recording) = &claim.recording else {
            kept.push(None);
            continue;
        };
        let directory = match (&made, directory) {
            (Some(made), _) => made.clone(),
            (None, Some(directory)) => directory.to_owned(),
            (None, None) => tempfile::Builder::new()
                .prefix("chiffon-audit-check-")
                .disable_cleanup(true)
                .tempdir()
                .context("cannot create a directory for the recordings")?
                .path()
                .to_owned(),
        };
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let file = directory.join(format!("{}.recording.json", claim.name));
        fs::write(&file, recording.to_text())
            .with_context(|| format!("cannot write the recording {}", file.display()))?;
        made = Some(directory);
        kept.push(Some(file));
    }
    Ok(kept)
}

fn json<'a>(
    policy: &'a Policy,
    report: &'a Report,
    kept: &[Option<PathBuf>],
    seconds: f64,
) -> Checked<'a> {
    let claims = report
        .claims
        .iter()
        .zip(kept)
        .map(|(claim, kept)| ClaimJson {
            name: claim.name,
            title: claim.title,
            standing: claim.result.name(),
            detail: &claim.detail,
            kept: kept.as_ref().map(|path| path.display().to_string()),
        });
    Checked {
        schema: SCHEMA,
        policy: PolicyJson::new(policy),
        holds: report.holds(),
        claims: claims.collect(),
        calls: report.calls,
        fuel: report.fuel,
        memory: report.memory,
        settings_read: &report.settings_read,
        seconds,
    }
}

/// Prints one claim for people.
pub(super) fn print_claim(claim: &Claim, output: &mut Output) -> io::Result<()> {
    let (style, word) = match claim.result {
        ClaimResult::Holds => (GOOD, "holds"),
        ClaimResult::Broken => (BAD, "BROKEN"),
        ClaimResult::NotShown => (UNSURE, "not shown"),
    };
    let word = format!("{word:<9}");
    writeln!(output, "  {}  {}", paint(style, word), claim.title)?;
    let detail = Line(&claim.detail).to_string();
    writeln!(output, "             {}", paint(FAINT, detail))
}

/// Advice if a limit was the problem.
pub(super) fn hint(report: &Report) -> Option<&'static str> {
    let is_limit = |claim: &Claim| claim.detail.contains("(setting policy.");
    report.broken().any(is_limit).then_some(
        "Raise a limit for one trial with --limit NAME=VALUE, or permanently in the named setting.",
    )
}

fn print_end(
    source: &Source,
    report: &Report,
    kept: &[Option<PathBuf>],
    seconds: f64,
    output: &mut Output,
) -> io::Result<()> {
    writeln!(output)?;
    for path in kept.iter().flatten() {
        let file = match source {
            Source::Builtin => "builtin".to_owned(),
            Source::Bundled(name, _) => format!("builtin:{name}"),
            Source::File(file) => shell_word(&file.display().to_string()),
        };
        let path = shell_word(&path.display().to_string());
        writeln!(
            output,
            "Repeat it: chiffon-audit policy run {} --replay {}",
            Line(&file),
            Line(&path)
        )?;
    }
    if !report.settings_read.is_empty() {
        let keys = report.settings_read.join(", ");
        writeln!(output, "It reads the settings {}.", Line(&keys))?;
    }
    if let Some(hint) = hint(report) {
        writeln!(output, "{hint}")?;
    }
    let broken = report.broken().count();
    let summary = match broken {
        0 => "It keeps the contract".to_owned(),
        1 => "It breaks the contract in one way".to_owned(),
        broken => format!("It breaks the contract in {broken} ways"),
    };
    let style = if broken == 0 { GOOD } else { BAD };
    writeln!(
        output,
        "{} ({} in {seconds:.1} s).",
        paint(style, summary),
        counted(report.calls, "call", "calls")
    )
}
