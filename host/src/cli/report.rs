//! `report`: the trail's contents for people, as a page or as a table.

mod kept;

use std::cell::RefCell;
use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;

use super::exit::Exit;
use super::output::{GOOD, paint};
use super::progress::Progress;
use super::session::Session;
use super::time::{self, Bound};
use super::verify::{AuditFlags, FetchedCopies};
use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::reports::{self as report, ReportCounter};
use crate::verify;

/// Report what a trail holds: a page for people, or a table
///
/// Audits the trail as `verify` does and counts its entries: over time, by service and agent pool, failures, gaps,
/// and which policies decided when. Refusals and conflicts come from the service's store, if there is one. The report
/// is one self-contained HTML page (no script, light and dark, printable), Markdown, CSV or JSON. Works on any clone.
///
/// Exit codes: 0 every claim holds; 3 a claim is broken; 6 none is broken, but one could not be shown. The report is
/// written in every case.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository [default: that of -C, or the current directory]
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    #[command(flatten)]
    flags: AuditFlags,
    /// The report's form [default: html; json with --json]
    #[arg(long, value_name = "FORM", value_enum)]
    format: Option<Format>,
    /// Count only what was recorded at this time or later: 2026-01-21, 2026-01-21T10:00:00Z, yesterday, `2 days ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Count only what was recorded at this time or earlier; a date alone is its whole day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The store with refusals and conflicts: sqlite:PATH or postgres://USER@HOST/DATABASE [default: the file beside
    /// the trail, if there is one]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The form of a report. The variants have no documentation, so that the help lists them on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Html,
    Markdown,
    Csv,
    Json,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let now = session.clock.now();
    let path = args.path.as_ref();
    let path = path.map_or(session.directory.clone(), |path| {
        session.directory.join(path)
    });
    let span = [
        time::option("--since", args.since.as_deref(), Bound::Since, now)?,
        time::option("--until", args.until.as_deref(), Bound::Until, now)?,
    ];
    let gathering = ReportCounter::new(span[0], span[1]);
    if args.flags.reference.is_none() {
        session.check_not_missing(&path)?;
    }
    let kept = kept::kept(args.store.as_ref(), &path, span, session)?;
    let progress = RefCell::new(Progress::new(None, session));
    let tell = |reached: verify::Progress| {
        let count = reached.judged.unwrap_or(reached.commits);
        progress.borrow_mut().reach(count, count, "commits");
    };
    let copies = FetchedCopies::fetch(&args.flags, &path, false, session)?;
    let audit = {
        let mut options = args.flags.options(session)?;
        copies.add_to(&mut options);
        options.progress = Some(&tell);
        options.visitors = vec![&gathering];
        verify::verify(&path, &options)
    };
    progress.borrow().finish();
    let mut asked = args.flags.describe();
    asked.extend(args.since.iter().map(|since| format!("since {since}")));
    asked.extend(args.until.iter().map(|until| format!("until {until}")));
    let facts = gathering.facts(
        audit?,
        report::ReportContext {
            now,
            repository: path.display().to_string(),
            asked,
            kept,
        },
    );
    let exit = Exit::of_audit(facts.outcome);
    let default = match session.output.is_json() {
        true => Format::Json,
        false => Format::Html,
    };
    let text = match args.format.unwrap_or(default) {
        Format::Html => report::html(&facts)?,
        Format::Markdown => report::markdown(&facts),
        Format::Csv => report::csv(&facts),
        Format::Json => {
            let mut line = Vec::new();
            super::output::write_object(&mut line, &facts)?;
            String::from_utf8(line)?
        }
    };
    match &args.output {
        None => session.output.write_all(text.as_bytes())?,
        Some(file) => {
            std::fs::write(file, text)
                .with_context(|| format!("cannot write {}", file.display()))?;
            session.output.note(format_args!(
                "{} {}",
                paint(GOOD, "wrote"),
                super::text::Line(&file.display().to_string())
            ));
        }
    }
    Ok(exit)
}
