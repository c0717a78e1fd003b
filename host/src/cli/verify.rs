//! `verify`: an audit of a trail, as a table of claims.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use super::exit::Exit;
use super::output::{BAD, COMMIT, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use super::progress::Progress;
use super::session::Session;
use super::text::Line;
use crate::verify::{self, Outcome, Report, Verdict};

/// Audit a trail, or any clone of one
///
/// Reads the repository with code of its own, which shares nothing with the writer and knows no policy.
///
/// Exit codes: 0 every claim holds; 3 a claim is broken; 6 none is broken, but one could not be shown.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository [default: that of -C, or the current directory]
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    /// The ref that holds the trail [default: the repository's own trail, or HEAD]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Whose signatures count, and when: a file in the format of git's gpg.ssh.allowedSignersFile
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// What must be shown: signed, checkpoint
    #[arg(long, value_name = "CLAIM", value_delimiter = ',')]
    require: Vec<Required>,
    /// A checkpoint that the trail must extend, or another copy of the trail (a directory); may be given more than once
    #[arg(long, value_name = "CHECKPOINT|TRAIL")]
    against: Vec<PathBuf>,
    /// A checkpoint up to which the trail was audited before
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
}

/// Claims that are not asked for unless named. The variants have no documentation, so that the help names them on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Required {
    Signed,
    Checkpoint,
}

#[derive(Serialize)]
struct Audit<'a> {
    schema: u32,
    outcome: Outcome,
    #[serde(flatten)]
    report: &'a Report,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> anyhow::Result<Exit> {
    let path = args
        .path
        .as_ref()
        .map_or(session.directory.clone(), |path| {
            session.directory.join(path)
        });
    // Unlike the repository, files are named from where the command is typed.
    let below = PathBuf::clone;
    let progress = RefCell::new(Progress::new(None, session));
    let tell = |reached: verify::Progress| {
        progress
            .borrow_mut()
            .reach(reached.commits, reached.commits, "commits")
    };
    let options = verify::Options {
        reference: args.reference.clone(),
        progress: Some(&tell),
        allowed_signers: args.allowed_signers.as_ref().map(below),
        require: verify::Require {
            signed: args.require.contains(&Required::Signed),
            checkpoint: args.require.contains(&Required::Checkpoint),
        },
        against: args.against.iter().map(below).collect(),
        since: args.since.as_ref().map(below),
        ..verify::Options::default()
    };
    let report = verify::verify(&path, &options);
    progress.borrow().finish();
    let report = report?;
    let outcome = report.outcome();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Audit {
            schema: SCHEMA,
            outcome,
            report: &report,
        })?;
    } else {
        print(&report, outcome, output)?;
    }
    Ok(Exit::of_audit(outcome))
}

fn print(report: &Report, outcome: Outcome, output: &mut Output) -> io::Result<()> {
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
                count(report.commits, "commit", "commits"),
                count(report.entries, "entry", "entries"),
                count(report.objects, "object", "objects")
            )
        )
    )?;
    writeln!(output)?;
    for claim in &report.claims {
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
    writeln!(output)?;
    match outcome {
        Outcome::Holds => writeln!(
            output,
            "{}",
            paint(GOOD, "Every claim that was asked for holds.")
        ),
        Outcome::Broken => writeln!(output, "{}", paint(BAD, "The trail is broken.")),
        Outcome::NotShown => writeln!(
            output,
            "{}",
            paint(
                UNSURE,
                "Nothing is broken, but not everything could be shown."
            )
        ),
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
