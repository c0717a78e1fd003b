//! The service's log on standard error: JSON for machines, or text for a terminal.
//!
//! Logging never fails, and never blocks or delays the caller: see [`Lines`].

mod lines;
mod targets;

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::Args;
use crate::cli::Result;
use crate::cli::exit::UsageError;
use crate::cli::failure::failure;
use crate::cli::session::Session;
use crate::clock::{Clock as _, SystemClock};
use lines::Lines;

/// On exit, how long to wait for lines that are not written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The process's log.
pub struct Log {
    /// `None` if standard error must stay empty.
    lines: Option<Lines>,
}

impl Log {
    /// How many lines were lost; the counter stays current.
    pub fn lost(&self) -> Option<Arc<AtomicU64>> {
        self.lines.as_ref().map(Lines::lost)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            lines.finish(LAST_WORDS);
        }
    }
}

/// Starts the log. From now on, nothing in this process writes to standard error directly.
pub fn start(args: &Args, session: &Session) -> Result<Log> {
    let filter = EnvFilter::builder()
        .parse(targets::current(&args.log))
        .map_err(|error| UsageError(format!("--log {}: {error}", args.log)))?;
    let terminal = io::stderr().is_terminal();
    let json = match args.log_format.as_deref() {
        Some(form) => form == "json",
        None => !terminal,
    };
    let lines = match session.output.is_quiet() {
        true => None,
        false => Some(start_lines(json)?),
    };
    let writer = match &lines {
        Some(lines) => BoxMakeWriter::new(lines.clone()),
        None => BoxMakeWriter::new(io::sink),
    };
    let layer = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // The subscriber would print internal errors on standard error, and panic if it is closed.
        .log_internal_errors(false)
        .with_ansi(terminal);
    let started = if json {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    } else {
        layer.try_init()
    };
    started.map_err(|error| failure!("cannot write a log: {error}"))?;
    log_panics();
    Ok(Log { lines })
}

fn start_lines(json: bool) -> Result<Lines> {
    // A separate descriptor: a thread that blocks in a write must not hold the lock of `io::stderr`.
    let descriptor = io::stderr().as_fd().try_clone_to_owned()?;
    let report = move |lost| {
        let time = SystemClock.now().to_rfc3339();
        let message =
            "log lines were lost: standard error could not be written, or not fast enough";
        match json {
            true => {
                let target = module_path!();
                format!(
                    "{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"message\":\"{message}\",\"lines\":{lost},\"target\":\"{target}\"}}\n"
                )
            }
            false => format!("{time}  WARN {message} lines={lost}\n"),
        }
    };
    Ok(Lines::start(std::fs::File::from(descriptor), report)?)
}

/// Sends panics to the log. The standard library would print them on standard error, which could block.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or_default();
        let at = panic.location().map(ToString::to_string);
        tracing::error!(thread, at, "panicked: {message}");
    }));
}
