//! `verify`: an audit of a trail, as a table of claims.

mod proof;

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use super::exit::Exit;
use super::output::{BAD, COMMIT, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use super::progress::Progress;
use super::session::Session;
use super::text::Line;
use crate::config::Settings;
use crate::verify::{self, Claim, Outcome, Report, Verdict};

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
    /// OpenPGP keys whose signatures count: a file as gpg --export writes it
    #[arg(long, value_name = "FILE")]
    openpgp_keys: Option<PathBuf>,
    /// Keys whose signatures do not count any more: public keys or fingerprints, one a line
    #[arg(long, value_name = "FILE", requires = "allowed_signers")]
    revoked_signers: Option<PathBuf>,
    /// The key that signs the trail's checkpoints, name+id+base64, or a file with it
    #[arg(long, value_name = "KEY")]
    checkpoint_key: Option<String>,
    /// Check one entry's proof file instead, without any repository
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "reference", "require", "against", "since"])]
    proof: Option<PathBuf>,
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
    if let Some(file) = &args.proof {
        return proof::run(file, args, session);
    }
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
        let (count, what) = match reached.judged {
            None => (reached.commits, "commits found"),
            Some(judged) => (judged, "commits judged"),
        };
        progress.borrow_mut().reach(count, count, what)
    };
    let options = verify::Options {
        reference: args.reference.clone(),
        progress: Some(&tell),
        allowed_signers: args.allowed_signers.as_ref().map(below),
        openpgp_keys: args.openpgp_keys.as_ref().map(below),
        openpgp_program: openpgp_program(args, session)?,
        revoked_signers: args.revoked_signers.as_ref().map(below),
        checkpoint_key: args.checkpoint_key.as_deref().map(key).transpose()?,
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

/// The operator's program; asked for only where there is something for it to do, since an audit needs no configuration.
fn openpgp_program(args: &Args, session: &Session) -> anyhow::Result<Option<PathBuf>> {
    if args.openpgp_keys.is_none() {
        return Ok(None);
    }
    Ok(session.settings(Settings::default())?.signing.program)
}

/// A key is given as it is, or as a file that holds it.
fn key(given: &str) -> anyhow::Result<String> {
    if given.contains('+') {
        return Ok(given.to_owned());
    }
    std::fs::read_to_string(given)
        .with_context(|| format!("cannot read the checkpoint key {given}"))
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
    print_claims(&report.claims, output)?;
    writeln!(output, "{}", outcome_line(outcome))
}

/// The table of claims.
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

/// The verdict in a sentence.
fn outcome_line(outcome: Outcome) -> impl std::fmt::Display {
    match outcome {
        Outcome::Holds => paint(GOOD, "Every claim that was asked for holds."),
        Outcome::Broken => paint(BAD, "The trail is broken."),
        Outcome::NotShown => paint(
            UNSURE,
            "Nothing is broken, but not everything could be shown.",
        ),
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
