//! `commit`: records one outcome as one durable commit.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use super::exit::{Exit, UsageError, cannot_read};
use super::failure::{Context as _, Failure};
use super::intake::IntakeFlags;
use super::output::{BAD, COMMIT, FAINT, GOOD, Output, UNSURE, paint, warn};
use super::policy::{RecordingFile, unasked};
use super::push::PushFlags;
use super::receipt::{Changes, Receipt, reason, result};
use super::sealing;
use super::session::{RecordFlags, Session};
use super::text::Line;
use crate::cli::Result;
use crate::config::Settings;
use crate::outcome::{Cause, TaskOutcome};
use crate::policy::{Allocation, Level, level_name};
use crate::recorder::{Answer, AnswerKind};
use ::intake::{Taken, TakenKind};

/// Record one outcome
///
/// Reads one outcome document and records it. The answer comes only once the commit would survive a power cut.
/// Submitting the same outcome again makes no commit and is not a failure.
///
/// Exit codes: 0 recorded, or already recorded; 1 could not; 2 usage; 4 refused; 5 the task has a different entry.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The outcome document; - means standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the policy call, unredacted, to this file; `policy run --replay` repeats it, and `policy test` accepts
    /// it as a case
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    intake: IntakeFlags,
    #[command(flatten)]
    flags: RecordFlags,
    #[command(flatten)]
    push: PushFlags,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let mut settings = session.record_settings(&args.flags)?;
    if args.record.is_some() && sealing::is_configured(&settings) {
        let text = "--record would write sealed members in clear text (setting seal.pointers)";
        return Err(UsageError(text.into()).into());
    }
    let door = args.intake.door(&mut settings)?;
    let most = door.most_bytes();
    let document =
        read(&args.file, most).map_err(|error| cannot_read("the outcome", &args.file, error))?;
    let Taken {
        place,
        kind,
        repaired,
        shortened,
    } = match the_one(door.take(document))? {
        Some(taken) => taken,
        None => {
            return nothing(
                "not-terminal",
                None,
                "the document holds no finished task",
                session,
            );
        }
    };
    let changes = Changes {
        record: place,
        repaired,
        shortened,
    };
    let document = match kind {
        TakenKind::Outcome { document } => document,
        TakenKind::Refused {
            task_id, rejection, ..
        } => {
            let answer = Answer::refused(task_id, rejection.violations);
            print(&answer, &changes, &mut session.output)?;
            return Ok(Exit::of_answer(answer.result));
        }
        TakenKind::NotTerminal { task_id, word } => {
            let reason = format!("the state {word} is not terminal");
            return nothing("not-terminal", task_id.as_deref(), &reason, session);
        }
        TakenKind::Announced(_) => return nothing("announced", None, BEGUN, session),
        TakenKind::Skipped => {
            return nothing("skipped", None, "the record is known, and no task", session);
        }
    };
    // Created before anything is recorded, so that a failure here has no cost.
    let file = args.record.as_deref().map(RecordingFile::create);
    let file = file.transpose()?;
    let mut spooled = None;
    let recorded = match args.push.is_asked() {
        true => record_at_remote(args, &document, &settings, file.is_some(), session),
        false => record_here(&document, &settings, file.is_some(), session)
            .map(|answer| (Exit::of_answer(answer.result), answer, None)),
    };
    let (answer, exit) = match recorded {
        Ok((exit, answer, kept)) => {
            spooled = kept;
            (answer, exit)
        }
        Err(error) => (unavailable(&document, &error), error.exit),
    };
    let mut kept = Ok(());
    match (file, &answer.recording) {
        (Some(file), Some(recording)) => kept = file.keep(recording),
        (Some(file), None) => session.output.note(format_args!(
            "no policy was called, so there is nothing to write to {}",
            Line(&file.name())
        )),
        (None, _) => {}
    }
    match spooled {
        Some(directory) => print_spooled(&answer, &changes, &directory, &mut session.output)?,
        None => print(&answer, &changes, &mut session.output)?,
    }
    if answer.result == AnswerKind::Committed {
        let asked = answer.settings_read.iter().map(|name| &**name);
        if let Some(unasked) = unasked(args.flags.policy_setting_names(), asked) {
            session.output.note(format_args!("note: {unasked}"));
        }
    }
    // The outcome is recorded and was reported. Failing to write the call is a separate error.
    kept?;
    Ok(exit)
}

/// The only outcome of a document.
fn the_one(mut taken: Vec<Taken>) -> Result<Option<Taken>, UsageError> {
    if taken.len() > 1 {
        let is_outcome = |taken: &Taken| {
            !matches!(
                taken.kind,
                TakenKind::Skipped | TakenKind::NotTerminal { .. } | TakenKind::Announced(_)
            )
        };
        taken.retain(is_outcome);
    }
    match taken.len() {
        0 | 1 => Ok(taken.pop()),
        many => Err(UsageError(format!(
            "the document holds {many} outcomes, and this records one: use `ingest`"
        ))),
    }
}

/// Why a task that has begun is not recorded.
pub const BEGUN: &str = "the task has begun, and has not ended";

/// Reports that there is nothing to record yet.
fn nothing(
    result: &'static str,
    task_id: Option<&str>,
    reason: &str,
    session: &mut Session,
) -> Result<Exit> {
    if session.output.is_json() {
        session
            .output
            .object(&Receipt::without_outcome(result, task_id, reason))?;
    } else {
        session
            .output
            .note(format_args!("nothing to record: {}", Line(reason)));
    }
    Ok(Exit::Done)
}

fn record_here(
    document: &[u8],
    settings: &Settings,
    with_call: bool,
    session: &mut Session,
) -> Result<Answer> {
    let recorder = session.recorder(settings, Allocation::OnDemand)?;
    let trail = recorder.trail().clone();
    let answer = match with_call {
        true => recorder.recording().record(document),
        false => recorder.record(document),
    };
    session.note_adopted(&trail);
    if answer.result == AnswerKind::Committed {
        session.note_separate_ref(&trail);
    }
    if let Some(warning) = trail.take_warning() {
        warn(session.output.is_quiet(), &warning);
    }
    Ok(answer)
}

/// Records at the remote that the options name. Returns the spool's directory, too, if the outcome is kept there.
fn record_at_remote(
    args: &Args,
    document: &[u8],
    settings: &Settings,
    with_call: bool,
    session: &mut Session,
) -> Result<(Exit, Answer, Option<PathBuf>)> {
    let recorder = args.push.open(session, settings, Allocation::OnDemand)?;
    let mut recorder = recorder.context("no remote is named")?;
    if with_call {
        recorder = recorder.recording();
    }
    let output = &mut session.output;
    let mut say = |text: String| output.note(format_args!("{}", Line(&text)));
    let recorded = recorder.record(&[document.to_vec()], &mut say)?;
    let recorded = recorded.into_iter().next();
    let recorded = recorded.context("the remote's recorder gave no answer")?;
    let spool = recorder.spool().filter(|_| recorded.is_spooled);
    Ok((recorded.exit, recorded.answer, spool.map(Path::to_owned)))
}

/// Reports that an outcome waits in the spool.
fn print_spooled(
    answer: &Answer,
    changes: &Changes,
    directory: &Path,
    output: &mut Output,
) -> io::Result<()> {
    if output.is_json() {
        return output.object(&Receipt::spooled(answer).changed(changes));
    }
    let task = answer.task_id.as_deref().unwrap_or("(no task id)");
    let reason = reason(answer).unwrap_or_default();
    let directory = directory.display().to_string();
    output.note(format_args!(
        "{} {}: kept in {} until the remote can be used",
        paint(UNSURE, "not recorded yet:"),
        Line(task),
        Line(&directory)
    ));
    output.note(format_args!("  {}", Line(&reason)));
    Ok(())
}

/// Reads a document, but at most one byte beyond the limit.
fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    let limit = (max_bytes as u64).saturating_add(1);
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut document)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut document)?;
    }
    Ok(document)
}

/// The answer when no recorder could be opened. Neither the outcome nor the repository was changed.
fn unavailable(document: &[u8], error: &Failure) -> Answer {
    Answer {
        cause: Some(error.cause.unwrap_or(Cause::Settings)),
        reason: Some(format!("{error:#}")),
        retry: error.retry,
        ..Answer::unavailable(TaskOutcome::recover_task_id(document))
    }
}

fn print(answer: &Answer, changes: &Changes, output: &mut Output) -> io::Result<()> {
    print_policy_log(answer, output);
    if output.is_json() {
        return output.object(&Receipt::new(answer).changed(changes));
    }
    if let Some(sentence) = changes.sentence() {
        output.note(format_args!("note: {}", Line(&sentence)));
    }
    let task = answer.task_id.as_deref().unwrap_or("(no task id)");
    let task = Line(task);
    let (style, word) = match answer.result {
        AnswerKind::Committed => (GOOD, "recorded"),
        AnswerKind::AlreadyRecorded => (GOOD, "already recorded"),
        AnswerKind::Unavailable => (UNSURE, "unavailable"),
        kind => (BAD, result(kind)),
    };
    match answer.result {
        AnswerKind::Committed | AnswerKind::AlreadyRecorded => {
            write!(output, "{} {task}", paint(style, word))?;
            // A person's commit may have brought the entry.
            if let Some(commit) = answer.commit.as_deref() {
                write!(output, " {}", paint(COMMIT, short(commit)))?;
            }
            let path = answer.path.as_deref().unwrap_or_default();
            writeln!(output, " {}", paint(FAINT, Line(path)))?;
            if let Some(reason) = &answer.reason {
                output.note(format_args!("  {}", Line(reason)));
            }
            if answer.unsigned {
                output.note(format_args!(
                    "  {}: its commit could not be signed, and says so",
                    paint(UNSURE, "unsigned")
                ));
            }
            Ok(())
        }
        _ => {
            output.note(format_args!(
                "{} {task}",
                paint(style, format_args!("{word}:"))
            ));
            if let Some(reason) = &answer.reason {
                output.note(format_args!("  {}", Line(reason)));
            }
            for violation in &answer.violations {
                output.note(format_args!("  {}", Line(&violation.to_string())));
            }
            if answer.reason.is_none() && answer.violations.is_empty() {
                output.note(format_args!(
                    "  {}",
                    reason(answer).unwrap_or_else(|| "no reason was given".into())
                ));
            }
            Ok(())
        }
    }
}

/// A commit's id as git abbreviates it.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Prints the policy's log: warnings and errors always, the rest with `--verbose`.
pub fn print_policy_log(answer: &Answer, output: &mut Output) {
    for line in &answer.policy_log {
        if output.is_verbose() || line.level >= Level::Warn {
            output.note(format_args!(
                "policy {}: {}",
                level_name(line.level),
                Line(&line.message)
            ));
        }
    }
}
