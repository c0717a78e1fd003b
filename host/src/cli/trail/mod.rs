//! `trail`: ends a trail, begins the one that continues it, and lists both.

mod begin;
mod end;
mod list;
mod successor;

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;
use crate::cli::Result;

/// End a trail, begin its successor, or list the chain
///
/// A trail that lasts for years is easier to copy, verify and archive in segments, such as one for each year. The last
/// entry of a segment names its successor, and the first entry of the successor describes the end of its predecessor.
/// A task is recorded once across all of them, and `verify --chain` audits them together.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    End(end::Args),
    Begin(begin::Args),
    List(list::Args),
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    match &args.command {
        Command::End(args) => end::run(args, session),
        Command::Begin(args) => begin::run(args, session),
        Command::List(args) => list::run(args, session),
    }
}
