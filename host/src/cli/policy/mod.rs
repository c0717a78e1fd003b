//! `policy`: look at a policy, try it, test it. No repository is needed, and nothing is recorded.
//!
//! One file a subcommand. Which policy and which settings is in `subject`, shared by all of them.

mod bench;
mod call;
mod check;
mod given;
mod inspect;
mod run;
mod subject;
mod test;
mod test_report;

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;

/// Look at a policy, try it, test it
///
/// FILE is a WebAssembly component of the world chiffon:audit/policy, whatever language made it, or `builtin` for the default
/// policy. No repository is needed, and nothing is recorded.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Args),
    Run(run::Args),
    Test(test::Args),
    Check(check::Args),
    Bench(bench::Args),
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Inspect(args) => inspect::run(args, session),
        Command::Run(args) => run::run(args, session),
        Command::Test(args) => test::run(args, session),
        Command::Check(args) => check::run(args, session),
        Command::Bench(args) => bench::run(args, session),
    }
}
