//! `export`: streams the trail's entries to other systems, oldest first, each with the data to verify it. Audits what
//! it exports.

mod form;

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;

use super::exit::Exit;
use super::output::{BAD, Output, UNSURE, paint};
use super::progress::Progress;
use super::sealed_view::{OpenFlag, SealedView};
use super::session::Session;
use super::text::Line;
use super::time::{self, Bound};
use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::verify::{self, Report, TrailCommit, Verdict, Visitor, Walk};
use form::Entry;

/// Export entries for other systems, oldest first
///
/// Writes one JSON object per line: NDJSON, or CloudEvents 1.0 (structured mode). Each names its commit, path, blob,
/// place and leaf hash, so that the receiver can check it against a clone, a checkpoint or a proof. With --raw it
/// also carries the bytes. The order never changes, so after an interruption `--after` with the last commit received
/// continues the export.
///
/// Everything that is exported is audited as well. Exit codes: 0 all is well; 3 something is broken; 6 something
/// could not be shown.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The form of each line
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    format: Format,
    /// The ref that holds the trail [default: the repository's own trail, or HEAD]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Only entries after this commit, such as the last one received
    #[arg(long, value_name = "COMMIT")]
    after: Option<String>,
    /// Only entries recorded at this time or later: 2026-01-21, 2026-01-21T10:00:00Z, yesterday, `2 days ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries recorded at this time or earlier; a date alone includes the whole day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Add the bytes of entry and commit, to verify without the repository
    #[arg(long)]
    raw: bool,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    open: OpenFlag,
}

/// The form of a line. The variants have no documentation, so that the help lists them on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Ndjson,
    Cloudevents,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let now = session.clock.now();
    let progress = RefCell::new(Progress::new(None, session));
    let tell = |reached: verify::Progress| {
        let count = reached.judged.unwrap_or(reached.commits);
        progress.borrow_mut().reach(count, count, "commits");
    };
    let (since, until) = (
        time::option("--since", args.since.as_deref(), Bound::Since, now)?,
        time::option("--until", args.until.as_deref(), Bound::Until, now)?,
    );
    if args.reference.is_none() {
        session.check_not_missing(&session.directory)?;
    }
    let view = match args.open.is_set() {
        true => {
            let settings = session.settings(Settings::default())?;
            let trail = session.trail_to_read(&settings, args.reference.as_deref())?;
            SealedView::new(args.open, &settings, &trail, session)?
        }
        false => SealedView::closed(),
    };
    let file = args.output.as_ref().map(|path| {
        let file = std::fs::File::create(path);
        file.with_context(|| format!("cannot write {}", path.display()))
    });
    let sink: Box<dyn io::Write + Send + '_> = match file.transpose()? {
        Some(file) => Box::new(io::BufWriter::new(file)),
        None => Box::new(&mut session.output),
    };
    let state = Mutex::new(State {
        sink,
        source: String::new(),
        failed: None,
    });
    let exporter = Exporter {
        format: args.format,
        raw: args.raw,
        view: &view,
        since,
        until,
        state: &state,
    };
    let options = verify::Options {
        reference: args.reference.clone(),
        progress: Some(&tell),
        visitors: vec![&exporter],
        in_order: true,
        after: args.after.clone(),
        ..verify::Options::default()
    };
    let report = verify::verify(&session.directory, &options);
    progress.borrow().finish();
    finish(state).context("cannot write the export")?;
    Ok(judge(&report?, &mut session.output))
}

fn finish(state: Mutex<State<'_>>) -> io::Result<()> {
    let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed.take() {
        Some(error) => Err(error),
        None => state.sink.flush(),
    }
}

/// Reports what is wrong with the exported entries.
fn judge(report: &Report, output: &mut Output) -> Exit {
    let mut exit = Exit::Done;
    for claim in &report.claims {
        let title = Line(&claim.title);
        match &claim.verdict {
            Verdict::Broken { commit, what, .. } => {
                let commit = commit.as_deref().unwrap_or("the repository");
                output.note(format_args!(
                    "{} {title}: {commit}: {}",
                    paint(BAD, "broken:"),
                    Line(what)
                ));
                exit = Exit::Broken;
            }
            // Having nothing (more) to export is not an error, unless it is missing here.
            Verdict::NotShown { missing } if report.entries > 0 || report.is_cut_off => {
                output.note(format_args!(
                    "{} {title}: {}",
                    paint(UNSURE, "not shown:"),
                    Line(missing)
                ));
                if exit == Exit::Done {
                    exit = Exit::NotShown;
                }
            }
            _ => {}
        }
    }
    exit
}

struct Exporter<'a, 'b> {
    format: Format,
    raw: bool,
    view: &'a SealedView,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    state: &'a Mutex<State<'b>>,
}

struct State<'a> {
    sink: Box<dyn io::Write + Send + 'a>,
    /// The CloudEvents `source` of the events.
    source: String,
    failed: Option<io::Error>,
}

impl Visitor for Exporter<'_, '_> {
    fn begin(&self, walk: &Walk<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.source = match walk.trail_id {
            Some(id) => format!("urn:uuid:{id}"),
            None => "chiffon-audit:trail".to_owned(),
        };
    }

    fn visit(&self, commit: &TrailCommit<'_>) {
        let Some(mut entry) = Entry::new(commit, self.raw) else {
            return;
        };
        if self.since.is_some_and(|since| entry.time < since)
            || self.until.is_some_and(|until| entry.time > until)
        {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed.is_some() {
            return;
        }
        if let Err(error) = entry.open(self.view) {
            state.failed = Some(io::Error::other(format!("{error:#}")));
            return;
        }
        let State { sink, source, .. } = &mut *state;
        let written = match self.format {
            Format::Ndjson => entry.write_line(sink),
            Format::Cloudevents => entry.write_event(source, sink),
        };
        state.failed = written.err();
    }

    fn is_done(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.is_some()
    }
}
