//! `verify`: audits a trail and prints a table of claims.

mod chain;
mod flags;
mod proof;
mod remote;
mod sample;
mod sealed;

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

pub use flags::AuditFlags;
pub use remote::FetchedCopies;

use super::exit::{Exit, UsageError, cannot_read};
use super::output::{BAD, COMMIT, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use super::progress::Progress;
use super::session::Session;
use super::text::Line;
use crate::cli::Result;
use crate::outcome::counted;
use crate::verify::{self, AuditResult, Claim, Report, Verdict};
use sealed::{Sealed, SealedCount};

/// Audit a trail, or any clone of one
///
/// Reads the repository with separate code, which shares nothing with the writer and knows no policy.
///
/// Exit codes: 0 every claim holds; 3 a claim is broken; 6 none is broken, but one could not be shown, or it is
/// unclear which trail is meant. A pipeline must fail on 6, too: an attacker who changes a repository can often turn
/// a broken claim into one that is not shown.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository [default: that of -C, or the current directory]
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    #[command(flatten)]
    flags: AuditFlags,
    /// Check one entry's proof file instead, without a repository
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "reference", "require", "since", "max_age"])]
    proof: Option<PathBuf>,
    /// Check a sample that `sample` drew instead, without a repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["path", "proof", "reference", "require", "since", "max_age"])]
    sample: Option<PathBuf>,
    /// The SHA-256 of the sample's nonce, which was published before the checkpoint was signed
    #[arg(long, value_name = "SHA256", requires = "sample", conflicts_with_all = ["path", "proof", "chain"], value_parser = super::sample::commitment)]
    commitment: Option<String>,
    /// With --against remote:NAME, fetch the whole copy and audit it, too, instead of asking only where its tip is
    #[arg(long, requires = "against")]
    full: bool,
    /// A checkpoint up to which the trail was already audited
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
    /// Audit these trails, which continue each other, and the links between them
    #[arg(
        long,
        value_name = "DIR",
        num_args = 1..,
        conflicts_with_all = ["path", "proof", "sample", "since", "reference", "trail", "against"]
    )]
    chain: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Audit<'a> {
    schema: u32,
    #[serde(rename = "outcome")]
    result: AuditResult,
    #[serde(flatten)]
    report: &'a Report,
    /// What is sealed and erased, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    copies: &'a [CopyAudit<'a>],
}

/// The audit of a copy that was fetched.
#[derive(Serialize)]
struct CopyAudit<'a> {
    name: &'a str,
    #[serde(rename = "outcome")]
    result: AuditResult,
    #[serde(flatten)]
    report: Report,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    if let Some(file) = &args.proof {
        return proof::run(file, args, session);
    }
    if let Some(directory) = &args.sample {
        return sample::run(directory, args, session);
    }
    if !args.chain.is_empty() {
        return chain::run(args, session);
    }
    let path = args
        .path
        .as_ref()
        .map_or(session.directory.clone(), |path| {
            session.directory.join(path)
        });
    if !path.is_dir() {
        let (named, why) = match path.metadata() {
            Ok(_) => (path.display(), "is a file, not a repository".to_owned()),
            Err(error) => (path.display(), format!("cannot be found: {error}")),
        };
        return Err(UsageError(format!("{named} {why}")).into());
    }
    if let Some(since) = &args.since {
        since
            .metadata()
            .map_err(|error| cannot_read("the checkpoint", since, error))?;
    }
    let progress = RefCell::new(Progress::new(None, session));
    let tell = |reached: verify::Progress| {
        let (count, what) = match reached.judged {
            None => (reached.commits, "commits found"),
            Some(judged) => (judged, "commits judged"),
        };
        progress.borrow_mut().reach(count, count, what)
    };
    let mut options = verify::Options {
        progress: Some(&tell),
        since: args.since.clone(),
        ..args.flags.options(session)?
    };
    let copies = FetchedCopies::fetch(&args.flags, &path, args.full, session)?;
    copies.add_to(&mut options);
    let sealed = SealedCount::default();
    options.visitors.push(&sealed);
    let report = verify::verify(&path, &options);
    progress.borrow().finish();
    let report = report?;
    let copies = match args.full {
        true => audit_copies(&copies, args, session)?,
        false => Vec::new(),
    };
    let result = copies
        .iter()
        .map(|copy| copy.result)
        .fold(report.result(), AuditResult::max);
    // The recorder's own state is not evidence, so it never changes the result. If the recorded branch is missing, the user is
    // told; if there is no trail at all, that is the error.
    if args.flags.reference.is_none()
        && let Err(why) = session.check_not_missing(&path)
    {
        if report.entries == 0 {
            return Err(why.into());
        }
        session.output.note(format_args!("note: {why}"));
    }
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Audit {
            schema: SCHEMA,
            result,
            report: &report,
            sealed: sealed.counts(),
            copies: &copies,
        })?;
    } else {
        print(&report, report.result(), output)?;
        if let Some(sealed) = sealed.counts() {
            writeln!(output, "{}", paint(FAINT, sealed.sentence()))?;
        }
        for copy in &copies {
            writeln!(output, "\nThe copy at {}:\n", Line(copy.name))?;
            print(&copy.report, copy.result, output)?;
        }
    }
    Ok(Exit::of_audit(result))
}

/// Audits each copy by itself, with the same questions.
fn audit_copies<'a>(
    copies: &'a FetchedCopies,
    args: &Args,
    session: &Session,
) -> Result<Vec<CopyAudit<'a>>> {
    let audit = |(name, path): (&'a str, PathBuf)| {
        let options = verify::Options {
            reference: None,
            ..args.flags.options(session)?
        };
        let report = verify::verify(&path, &options)?;
        Ok(CopyAudit {
            name,
            result: report.result(),
            report,
        })
    };
    copies.named().map(audit).collect()
}

fn print(report: &Report, result: AuditResult, output: &mut Output) -> io::Result<()> {
    let trail = report.trail_id.as_deref().unwrap_or("without an identity");
    writeln!(
        output,
        "Trail {} on {}",
        paint(STRONG, Line(trail)),
        Line(&report.reference)
    )?;
    let tip = report.tip.as_deref().unwrap_or("none");
    writeln!(
        output,
        "{}",
        paint(
            FAINT,
            format_args!(
                "tip {tip} · {}, {}, {}",
                counted(report.commits, "commit", "commits"),
                counted(report.entries, "entry", "entries"),
                counted(report.objects, "object", "objects")
            )
        )
    )?;
    writeln!(output)?;
    print_claims(&report.claims, output)?;
    writeln!(output, "{}", result_line(result, "trail"))
}

/// Prints the table of claims.
fn print_claims(claims: &[Claim], output: &mut Output) -> io::Result<()> {
    for claim in claims {
        let title = Line(&claim.title);
        match &claim.verdict {
            Verdict::Holds => writeln!(output, "  {}      {title}", paint(GOOD, "holds"))?,
            Verdict::Broken {
                commit,
                what,
                count,
            } => {
                writeln!(output, "  {}     {title}", paint(BAD, "BROKEN"))?;
                if let Some(commit) = commit {
                    writeln!(
                        output,
                        "             commit {}",
                        paint(COMMIT, Line(commit))
                    )?;
                }
                let more = if *count > 1 {
                    format!(" (and {} more)", count - 1)
                } else {
                    String::new()
                };
                writeln!(output, "             {}{more}", Line(what))?;
            }
            Verdict::NotShown { missing } => {
                writeln!(output, "  {}  {title}", paint(UNSURE, "not shown"))?;
                writeln!(output, "             {}", Line(missing))?;
            }
            Verdict::NotAsked { why } => {
                writeln!(output, "  {}  {title}", paint(FAINT, "not asked"))?;
                writeln!(output, "             {}", paint(FAINT, Line(why)))?;
            }
        }
        for note in &claim.notes {
            writeln!(output, "             {}", paint(FAINT, Line(note)))?;
        }
    }
    writeln!(output)
}

/// The verdict on a trail or a proof, as a sentence.
fn result_line(result: AuditResult, what: &str) -> impl std::fmt::Display {
    let (style, sentence) = match result {
        AuditResult::Holds => (GOOD, "Every claim that was asked for holds.".to_owned()),
        AuditResult::Broken => (BAD, format!("The {what} is broken.")),
        AuditResult::NotShown => (
            UNSURE,
            "Nothing is broken, but not everything could be shown.".to_owned(),
        ),
    };
    paint(style, sentence)
}
