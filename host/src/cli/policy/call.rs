//! Prints one policy call: for people, and as JSON.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::output::{BAD, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::show::EntryJson;
use crate::cli::text::{Line, Lines};
use crate::outcome::TaskOutcome;
use crate::outcome::counted;
use crate::policy::{Call, Exchange, LogLine, Policy, Source, Verdict, level_name};

/// A policy call with its context.
pub struct CallReport<'a> {
    pub policy: &'a Policy,
    pub outcome: &'a TaskOutcome,
    pub call: &'a Call,
    /// How a replayed call differs from the recorded one; `None` if the call is not a replay.
    pub differences: Option<&'a [String]>,
}

#[derive(Serialize)]
struct CallJson<'a> {
    schema: u32,
    policy: PolicyJson<'a>,
    task_id: &'a str,
    result: &'static str,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backtrace: Option<&'a str>,
    path: Option<String>,
    message: Option<&'a str>,
    entry: Option<EntryJson>,
    entry_text: Option<String>,
    log: Vec<LogJson<'a>>,
    log_dropped: u64,
    calls: &'a [Exchange],
    fuel: u64,
    memory: usize,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<&'a [String]>,
}

/// A policy's identity, as JSON.
#[derive(Serialize)]
pub struct PolicyJson<'a> {
    name: &'a str,
    digest: &'a str,
}

impl<'a> PolicyJson<'a> {
    /// The identity of this policy.
    pub fn new(policy: &'a Policy) -> PolicyJson<'a> {
        PolicyJson {
            name: policy.name(),
            digest: policy.digest(),
        }
    }
}

#[derive(Serialize)]
struct LogJson<'a> {
    level: &'static str,
    source: &'static str,
    message: &'a str,
}

/// The exit code that `commit` would have.
pub fn exit(call: &Call) -> Exit {
    match &call.verdict {
        Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => Exit::Done,
        Ok(Verdict::Refused(_)) => Exit::Refused,
        Ok(Verdict::Conflicting(_)) => Exit::Conflicting,
        Ok(Verdict::Unavailable(_)) | Err(_) => Exit::CouldNot,
    }
}

/// Prints a policy call.
pub fn print(report: &CallReport<'_>, output: &mut Output) -> io::Result<()> {
    if output.is_json() {
        output.object(&json(report))
    } else {
        print_text(report, output)
    }
}

fn json<'a>(report: &CallReport<'a>) -> CallJson<'a> {
    let call = report.call;
    let log = call.log.iter().map(|line| LogJson {
        level: level_name(line.level),
        source: source(line),
        message: &line.message,
    });
    CallJson {
        schema: SCHEMA,
        policy: PolicyJson::new(report.policy),
        task_id: report.outcome.task_id.as_str(),
        result: call.result(),
        reason: call.reason(),
        backtrace: call.backtrace.as_deref(),
        path: call.entry().map(|_| path(report.outcome)),
        message: call.message(),
        entry: call.entry().map(EntryJson::new),
        entry_text: call
            .entry()
            .map(|entry| String::from_utf8_lossy(entry).into_owned()),
        log: log.collect(),
        log_dropped: call.log_dropped,
        calls: &call.exchanges,
        fuel: call.fuel,
        memory: call.memory,
        seconds: call.duration.as_secs_f64(),
        differences: report.differences,
    }
}

fn source(line: &LogLine) -> &'static str {
    match line.source {
        Source::Log => "log",
        Source::Stdout => "stdout",
        Source::Stderr => "stderr",
    }
}

/// The path of the task's entry, as policies see it.
fn path(outcome: &TaskOutcome) -> String {
    format!(".audit/tasks/{}.json", outcome.task_id)
}

fn print_text(report: &CallReport<'_>, out: &mut Output) -> io::Result<()> {
    let (call, task) = (report.call, Line(report.outcome.task_id.as_str()));
    let style = match &call.verdict {
        Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => GOOD,
        Ok(Verdict::Unavailable(_)) => UNSURE,
        _ => BAD,
    };
    writeln!(out, "{} {task}", paint(style, call.result()))?;
    if let Ok(Verdict::Refused(violations)) = &call.verdict {
        for violation in violations {
            writeln!(out, "  {}", Line(&violation.to_string()))?;
        }
    } else if let Some(reason) = call.reason() {
        writeln!(out, "  {}", Line(&reason))?;
    }
    if call.verdict.is_err() {
        writeln!(out, "  {}", Line(&report.policy.describe_failure(call)))?;
        if let Some(backtrace) = call.backtrace.as_deref().filter(|_| out.is_verbose()) {
            writeln!(out, "{}", Lines(backtrace.trim_end()))?;
        }
    }
    if let (Some(entry), Some(message)) = (call.entry(), call.message()) {
        writeln!(out, "{}  {}", paint(STRONG, "message"), Line(message))?;
        writeln!(
            out,
            "{}    {} ({})",
            paint(STRONG, "entry"),
            Line(&path(report.outcome)),
            counted(entry.len(), "byte", "bytes")
        )?;
        let text = String::from_utf8_lossy(entry);
        writeln!(out, "{}", Lines(text.trim_end_matches('\n')))?;
    }
    if !call.exchanges.is_empty() {
        writeln!(out, "{}", paint(STRONG, "host calls"))?;
        for (number, exchange) in (1..).zip(&call.exchanges) {
            writeln!(out, "  {number} {}", Line(&exchange.to_string()))?;
        }
    }
    if !call.log.is_empty() {
        writeln!(out, "{}", paint(STRONG, "log"))?;
        for line in &call.log {
            writeln!(out, "  {}", Line(&line.to_string()))?;
        }
    }
    if call.log_dropped > 0 {
        writeln!(
            out,
            "  and {} dropped",
            counted(
                call.log_dropped,
                "more line, which was",
                "more lines, which were"
            )
        )?;
    }
    let cost = format!(
        "{} fuel, {:.1} MiB of memory, {:.2} ms",
        call.fuel,
        call.memory as f64 / f64::from(1 << 20),
        call.duration.as_secs_f64() * 1e3
    );
    writeln!(out, "{}  {}", paint(STRONG, "cost"), paint(FAINT, cost))?;
    match report.differences {
        None => {}
        Some([]) => writeln!(out, "{}", paint(GOOD, "the same as recorded"))?,
        Some(differences) => {
            writeln!(out, "{}", paint(BAD, "different from the recording"))?;
            for difference in differences {
                writeln!(out, "  {}", Line(difference))?;
            }
        }
    }
    Ok(())
}
