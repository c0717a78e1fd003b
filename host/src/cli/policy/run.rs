//! `policy run`: one call, with everything that can be known about it.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::given;
use super::subject::{ConfigFlags, Subject};
use crate::cli::exit::Exit;
use crate::cli::output::{BAD, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::show::EntryJson;
use crate::cli::text::{Line, Lines};
use crate::outcome::TaskOutcome;
use crate::policy::{Allocation, Call, Level, LogLine, Trial, Verdict};

/// Call a policy once, with no trail: nothing is recorded
///
/// Exit codes as for `commit`: 0 it would be recorded, or is already; 1 the policy failed or answers `unavailable`; 4 it refuses;
/// 5 it finds a conflict.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// The outcome document; - is standard input
    #[arg(long, value_name = "FILE")]
    outcome: PathBuf,
    /// An entry's file, or a directory with entries: what the trail holds already
    #[arg(long, value_name = "DIR")]
    existing: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFlags,
    /// The time of recording [default: the present]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

#[derive(Serialize)]
struct Ran<'a> {
    schema: u32,
    task_id: &'a str,
    result: &'static str,
    reason: Option<String>,
    path: Option<String>,
    message: Option<&'a str>,
    entry: Option<EntryJson>,
    fuel: u64,
    memory: usize,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> anyhow::Result<Exit> {
    let settings = args.subject.settings(session)?;
    let outcome = given::outcome(&args.outcome, &settings)?;
    let existing = match &args.existing {
        Some(path) => given::existing(path, &outcome.task_id)?,
        None => None,
    };
    let policy_settings = args.config.settings();
    let now = given::now(args.now.as_deref(), session)?;
    let policy = args.subject.load(&settings, Allocation::OnDemand)?;
    let trial = Trial {
        existing: existing.as_deref(),
        ..Trial::new(&outcome, &policy_settings, now)
    };
    let call = trial.run(&policy);
    print(&outcome, &call, &mut session.output)?;
    Ok(match &call.verdict {
        Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => Exit::Done,
        Ok(Verdict::Refused(_)) => Exit::Refused,
        Ok(Verdict::Conflicting(_)) => Exit::Conflicting,
        Ok(Verdict::Unavailable(_)) | Err(_) => Exit::CouldNot,
    })
}

fn result(call: &Call) -> &'static str {
    match &call.verdict {
        Ok(Verdict::Commit { .. }) => "committed",
        Ok(Verdict::AlreadyRecorded) => "already-recorded",
        Ok(Verdict::Refused(_)) => "refused",
        Ok(Verdict::Conflicting(_)) => "conflicting",
        Ok(Verdict::Unavailable(_)) => "unavailable",
        Err(_) => "fault",
    }
}

fn reason(call: &Call) -> Option<String> {
    match &call.verdict {
        Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => None,
        Ok(Verdict::Refused(violations)) => {
            let said: Vec<_> = violations.iter().map(ToString::to_string).collect();
            Some(said.join("; "))
        }
        Ok(Verdict::Conflicting(reason) | Verdict::Unavailable(reason)) => Some(reason.clone()),
        Err(fault) => Some(fault.to_string()),
    }
}

fn print(outcome: &TaskOutcome, call: &Call, output: &mut Output) -> anyhow::Result<()> {
    let (entry, message) = match &call.verdict {
        Ok(Verdict::Commit { entry, subject }) => (Some(entry), Some(subject.as_str())),
        _ => (None, None),
    };
    let path = entry.map(|_| format!(".audit/tasks/{}.json", outcome.task_id));
    if output.is_json() {
        output.object(&Ran {
            schema: SCHEMA,
            task_id: outcome.task_id.as_str(),
            result: result(call),
            reason: reason(call),
            path,
            message,
            entry: entry.map(|entry| EntryJson::new(entry)),
            fuel: call.fuel,
            memory: call.memory,
            seconds: call.duration.as_secs_f64(),
        })?;
        return Ok(());
    }
    let style = match &call.verdict {
        Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => GOOD,
        Ok(Verdict::Unavailable(_)) => UNSURE,
        _ => BAD,
    };
    writeln!(
        output,
        "{} {}",
        paint(style, result(call)),
        Line(outcome.task_id.as_str())
    )?;
    if let Some(reason) = reason(call) {
        writeln!(output, "  {}", Line(&reason))?;
    }
    if let (Some(entry), Some(path), Some(message)) = (entry, path, message) {
        writeln!(output, "{} {}", paint(STRONG, "path   "), Line(&path))?;
        writeln!(output, "{} {}", paint(STRONG, "message"), Line(message))?;
        writeln!(output, "{}", paint(STRONG, "entry"))?;
        let text = String::from_utf8_lossy(entry);
        writeln!(output, "{}", Lines(text.trim_end_matches('\n')))?;
    }
    for line in &call.log {
        writeln!(output, "{} {}", paint(STRONG, "log    "), log_line(line))?;
    }
    let cost = format!(
        "{} fuel, {} bytes of memory, {:.2} ms",
        call.fuel,
        call.memory,
        call.duration.as_secs_f64() * 1e3
    );
    writeln!(output, "{}", paint(FAINT, cost))?;
    Ok(())
}

fn log_line(line: &LogLine) -> String {
    let level = match line.level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    format!("{level}: {}", Line(&line.message))
}
