//! `ingest`: records a stream of outcomes, one per line, in constant memory and in order.
//!
//! Owns the window of outcomes in flight. Every line gets an answer, in the order of the lines.

mod at_remote;
mod documents;
mod lines;
mod report;
mod stop;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use intake::TakenKind;

use super::commit::{BEGUN, print_policy_log};
use super::exit::{Exit, UsageError, cannot_read};
use super::intake::IntakeFlags;
use super::output::{Output, warn};
use super::progress::Progress;
use super::push::PushFlags;
use super::receipt::{Changes, reason};
use super::sealing;
use super::session::{RecordFlags, Session};
use super::text;
use crate::cli::Result;
use crate::outcome::{TaskOutcome, Violation, counted};
use crate::policy::Allocation;
use crate::recorder::{Answer, AnswerKind, Pending};
use crate::trail::Trail;
use at_remote::LineRecorder;
use lines::{Event, Reading, Record, Source};
use report::{IngestReport, LineOrigin};
use stop::{Signal, Stop};

/// Record a stream of outcomes, one per line
///
/// Reads outcome documents, one on each line, from files or standard input. Commits are in the order of the lines. A
/// line that cannot be recorded is reported with its number and does not stop the rest. After an interruption, run
/// the same command again: outcomes that are already recorded make no commit.
///
/// With --receipts - it works as a co-process: write a line, and read its receipt as soon as it is durable.
///
/// SIGINT or SIGTERM ends the reading: outcomes accepted so far become durable and are counted. A second signal ends
/// the program at once; even that loses nothing that was acknowledged.
///
/// Exit codes: 130 after SIGINT, 143 after SIGTERM; else 1 if a line could not be recorded; else 5 if one conflicts;
/// else 4 if one was refused; else 0. A line that waits in the spool counts as 0, unless the remote needs a person: then
/// the exit code is that of `sync`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files of outcomes; - means standard input [default: -]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write each line that was not recorded to this file, with its reason, as JSON
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Write a receipt for each line, in order, as soon as it is durable; - means standard output
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    #[command(flatten)]
    intake: IntakeFlags,
    #[command(flatten)]
    record: RecordFlags,
    #[command(flatten)]
    push: PushFlags,
}

/// How many outcomes may be in flight. This is enough for one group being flushed, one being sequenced and one being
/// decided, of thousands each, and it bounds memory.
const WINDOW: usize = 12_288;

/// How many bytes of documents may be in flight. Processing them takes several times as much memory.
const WINDOW_BYTES: usize = 16 << 20;

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let mut settings = session.record_settings(&args.record)?;
    let door = Arc::new(args.intake.door(&mut settings)?);
    let max_bytes = door.accept_max_bytes.max(door.limits.max_bytes);
    let files = if args.files.is_empty() {
        vec![PathBuf::from("-")]
    } else {
        args.files.clone()
    };
    let sources: Vec<Source> = files.iter().map(|file| Source::new(file)).collect();
    for source in &sources {
        if let Source::File(path) = source {
            let unreadable = |error| cannot_read("the outcomes", path, error);
            let metadata = path.metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                let path = path.display();
                return Err(
                    UsageError(format!("{path} is a directory, not a file of outcomes")).into(),
                );
            }
            // Not for a pipe: opening and closing it would tell its writer that the reader is gone.
            if metadata.is_file() {
                File::open(path).map_err(unreadable)?;
            }
        }
    }
    if args.rejects.is_some() && sealing::is_configured(&settings) {
        let text = "--rejects would write sealed members in clear text (setting seal.pointers); --receipts names the lines";
        return Err(UsageError(text.into()).into());
    }
    let at_remote = args.push.open(session, &settings, Allocation::Pooling)?;
    let recorder = match at_remote {
        Some(recorder) => LineRecorder::AtRemote(Box::new(recorder)),
        None => LineRecorder::Here(session.recorder(&settings, Allocation::Pooling)?),
    };
    let trail = recorder.trail().cloned();
    if let Some(trail) = &trail {
        session.note_separate_ref(trail);
    }
    if files.iter().any(|file| file.as_os_str() == "-") && io::stdin().is_terminal() {
        session.output.note(format_args!(
            "reading outcomes from standard input, one per line"
        ));
    }
    let report = IngestReport::open(args.rejects.as_deref(), args.receipts.as_deref(), &files)?;
    let progress = Progress::new(size(&sources), session);
    let names = sources.iter().map(Source::name).collect();
    let started = session.clock.now();
    let mut ingest = Ingest {
        recorder,
        max_bytes,
        names,
        window: VecDeque::new(),
        window_bytes: 0,
        bytes_done: 0,
        report,
        progress,
        output: &mut session.output,
    };
    let (sender, events) = lines::channel();
    let stop = Stop::listen(sender.clone())?;
    let reading = Reading {
        door,
        keeps_lines: ingest.report.keeps_rejects(),
        keys: match &ingest.recorder {
            LineRecorder::Here(recorder) => recorder.key_preparer(),
            LineRecorder::AtRemote(_) => None,
        },
    };
    lines::read(sources, reading, sender);
    let done = ingest.run(&events, &stop);
    ingest.progress.finish();
    if let Some(warning) = trail.as_ref().and_then(Trail::take_warning) {
        warn(ingest.output.is_quiet(), &warning);
    }
    let Ingest { report, .. } = ingest;
    let stopped = match done {
        Ok(stopped) => stopped,
        // Nobody reads the receipts any longer. Outcomes in flight may still be recorded.
        Err(error) if error.is_broken_pipe() => return Ok(Exit::CouldNot),
        Err(error) => return Err(error),
    };
    let seconds = (session.clock.now().microseconds() - started.microseconds()).max(0) as f64 / 1e6;
    if let Some(trail) = trail {
        session.note_adopted(&trail);
    }
    report.print_summary(seconds, stopped, &mut session.output)?;
    Ok(stopped.map_or_else(|| report.exit(), Signal::exit))
}

/// The total size of all sources, unless one has no known size.
fn size(sources: &[Source]) -> Option<u64> {
    let size = |source: &Source| match source {
        Source::Stdin => None,
        Source::File(path) => path
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len()),
    };
    sources.iter().map(size).sum()
}

/// An ingest in progress.
struct Ingest<'a> {
    recorder: LineRecorder,
    max_bytes: usize,
    /// The sources' names.
    names: Vec<String>,
    window: VecDeque<PendingLine>,
    window_bytes: usize,
    bytes_done: u64,
    report: IngestReport,
    progress: Progress,
    output: &'a mut Output,
}

/// A line that waits for its answer.
struct PendingLine {
    source: usize,
    number: u64,
    element: Option<u64>,
    bytes: usize,
    /// The line, if it may have to be written as a reject.
    document: Option<Vec<u8>>,
    changes: Changes,
    answer: PendingAnswer,
}

enum PendingAnswer {
    Pending(Pending),
    /// The document is recorded at the remote together with others.
    Held(Vec<u8>),
    /// It is kept in a spool. With how the program ends for it.
    Spooled(Answer, Exit),
    Ready(Answer),
    /// The task has not ended.
    NotTerminal {
        task_id: Option<String>,
        reason: String,
        has_begun: bool,
    },
}

impl PendingLine {
    fn is_ready(&self) -> bool {
        match &self.answer {
            PendingAnswer::Pending(pending) => pending.is_ready(),
            PendingAnswer::Held(_) => false,
            PendingAnswer::Ready(_)
            | PendingAnswer::Spooled(..)
            | PendingAnswer::NotTerminal { .. } => true,
        }
    }
}

impl Ingest<'_> {
    /// Takes lines until the input ends or a signal arrives. Returns the signal.
    fn run(&mut self, events: &Receiver<Event>, stop: &Stop) -> Result<Option<Signal>> {
        let mut is_over = false;
        while !is_over && stop.signal().is_none() {
            let event = if self.window.is_empty() {
                self.report.flush(self.output)?;
                Some(events.recv().unwrap_or(Event::End))
            } else {
                events.try_recv().ok()
            };
            match event {
                Some(Event::Records(source, records)) => {
                    if let LineRecorder::Here(recorder) = &self.recorder {
                        recorder.expect(records.iter().filter_map(Record::outcome));
                    }
                    for record in records {
                        // Lines that are not accepted yet are left for another run.
                        if stop.signal().is_some() {
                            break;
                        }
                        self.submit(source, record);
                        self.settle_ready()?;
                    }
                }
                Some(Event::End) => is_over = true,
                Some(Event::Stop) => {}
                Some(Event::Unreadable(source, error)) => {
                    self.report.source_failed();
                    let name = &self.names[source];
                    self.progress.aside(|| {
                        self.output.note(format_args!(
                            "{}: cannot be read: {error}",
                            text::Line(name)
                        ));
                    });
                }
                // The input pauses: report what is durable, then wait for the rest. Lines that arrive meanwhile queue
                // up and share the next flush.
                None => {
                    self.settle_ready()?;
                    if !self.window.is_empty() {
                        self.settle_first()?;
                    }
                }
            }
        }
        let stopped = stop.signal().filter(|_| !is_over);
        if let Some(signal) = stopped
            && !self.window.is_empty()
        {
            let waiting = counted(self.window.len(), "outcome", "outcomes");
            self.progress.aside(|| {
                self.output.note(format_args!(
                    "{}: stopped reading; waiting for {waiting} (another signal ends at once)",
                    signal.name()
                ));
            });
        }
        while !self.window.is_empty() {
            self.settle_first()?;
        }
        self.report.flush(self.output)?;
        Ok(stopped)
    }

    fn submit(&mut self, source: usize, record: Record) {
        let Record {
            number,
            element,
            bytes,
            line,
            taken,
            task_id,
        } = record;
        self.bytes_done += bytes as u64;
        let mut changes = Changes::default();
        let mut in_flight = 0;
        let answer = match taken {
            None => PendingAnswer::Ready(self.too_long(task_id)),
            Some(taken) => {
                changes = Changes {
                    record: taken.place,
                    repaired: taken.repaired,
                    shortened: taken.shortened,
                };
                match taken.kind {
                    TakenKind::Outcome { document } => {
                        in_flight = document.len();
                        match &self.recorder {
                            LineRecorder::Here(recorder) => {
                                PendingAnswer::Pending(recorder.submit(&document))
                            }
                            LineRecorder::AtRemote(_) => PendingAnswer::Held(document),
                        }
                    }
                    TakenKind::Refused {
                        task_id, rejection, ..
                    } => PendingAnswer::Ready(Answer::refused(task_id, rejection.violations)),
                    TakenKind::NotTerminal { task_id, word } => PendingAnswer::NotTerminal {
                        task_id,
                        reason: format!("the state {word} is not terminal"),
                        has_begun: false,
                    },
                    TakenKind::Announced(_) => PendingAnswer::NotTerminal {
                        task_id: None,
                        reason: BEGUN.to_owned(),
                        has_begun: true,
                    },
                    TakenKind::Skipped => return self.report.skip(),
                }
            }
        };
        if let Some(element) = element {
            changes.record.insert_str(0, &format!("/{element}"));
        }
        self.window.push_back(PendingLine {
            source,
            number,
            element,
            bytes: in_flight,
            document: line,
            changes,
            answer,
        });
        self.window_bytes += in_flight;
    }

    fn too_long(&self, task_id: Option<String>) -> Answer {
        let violation = Violation::of_document(format!(
            "is larger than the limit of {} bytes (setting outcome.accept_max_bytes)",
            self.max_bytes
        ));
        Answer::refused(task_id, vec![violation])
    }

    /// Settles answers that are ready, and more until there is room for another line.
    fn settle_ready(&mut self) -> Result<()> {
        while let Some(first) = self.window.front() {
            let is_full = self.window.len() >= WINDOW || self.window_bytes >= WINDOW_BYTES;
            if !is_full && !first.is_ready() {
                break;
            }
            self.settle_first()?;
        }
        Ok(())
    }

    /// Waits for the oldest answer and adds it to the books.
    fn settle_first(&mut self) -> Result<()> {
        if matches!(self.window.front(), Some(line) if matches!(line.answer, PendingAnswer::Held(_)))
        {
            self.report.flush(self.output)?;
            self.record_held()?;
        }
        let Some(first) = self.window.pop_front() else {
            return Ok(());
        };
        let PendingLine {
            source,
            number,
            element,
            bytes,
            document,
            changes,
            answer,
        } = first;
        let file = &self.names[source];
        let origin = LineOrigin {
            file,
            line: number,
            document: document.as_deref(),
            changes: &changes,
        };
        let answer = match answer {
            PendingAnswer::Ready(answer) => answer,
            PendingAnswer::Spooled(answer, exit) => {
                self.window_bytes -= bytes;
                self.report.spooled(&answer, exit, origin, self.output)?;
                return Ok(());
            }
            // All of them were recorded before the first is settled.
            PendingAnswer::Held(document) => {
                Answer::unavailable(TaskOutcome::recover_task_id(&document))
            }
            PendingAnswer::NotTerminal {
                task_id,
                reason,
                has_begun,
            } => {
                let task_id = task_id.as_deref();
                let report = &mut self.report;
                return report.not_terminal(has_begun, task_id, &reason, origin, self.output);
            }
            PendingAnswer::Pending(pending) => {
                if !pending.is_ready() {
                    self.report.flush(self.output)?;
                }
                pending.wait()
            }
        };
        self.window_bytes -= bytes;
        let is_recorded = matches!(
            answer.result,
            AnswerKind::Committed | AnswerKind::AlreadyRecorded
        );
        if !is_recorded || !answer.policy_log.is_empty() {
            self.progress.aside(|| {
                print_policy_log(&answer, self.output);
                if !is_recorded {
                    let reason =
                        reason(&answer).unwrap_or_else(|| "no reason was given".to_owned());
                    let word = super::receipt::result(answer.result);
                    let element = element.map(|index| format!("/{index}: "));
                    self.output.note(format_args!(
                        "{}:{number}: {word}: {}{}",
                        text::Line(file),
                        element.unwrap_or_default(),
                        text::Line(&reason)
                    ));
                }
            });
        }
        self.report.add(&answer, origin, self.output)?;
        self.progress
            .reach(self.bytes_done, self.report.lines(), "outcomes");
        Ok(())
    }
}
