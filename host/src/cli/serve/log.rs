//! What the service writes down: on standard error, as JSON for machines or as text for a terminal.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::Args;
use crate::cli::exit::UsageError;
use crate::cli::session::Session;

/// Begins to write down.
pub fn start(args: &Args, session: &Session) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&args.log)
        .map_err(|error| UsageError(format!("--log {}: {error}", args.log)))?;
    let terminal = io::stderr().is_terminal();
    let json = match args.log_format.as_deref() {
        Some(form) => form == "json",
        None => !terminal,
    };
    let writer = if session.output.is_quiet() {
        BoxMakeWriter::new(io::sink)
    } else {
        BoxMakeWriter::new(io::stderr)
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(terminal);
    let started = if json {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    } else {
        lines.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot write a log: {error}"))
}
