//! `trail`: ends a trail, begins the one that continues it, and lists both.

mod begin;
mod end;
mod list;
mod successor;

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;
use crate::cli::Result;

/// End a trail, begin the one that continues it, list them
///
/// A trail that lasts for years is easier to copy, verify and archive in segments, such as one for each year. The last
/// entry of a segment names the trail that continues it, and the first entry of that one names the end of the segment
/// before. A task is recorded once over all of them, and `verify --chain` audits them together.
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
