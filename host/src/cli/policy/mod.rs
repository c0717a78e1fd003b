//! `policy`: commands to create, inspect, try and test a policy without a repository, and to manage a trail's
//! policies.
//!
//! One file per subcommand. `subject`, shared by all, selects the policy and its settings.

mod activate;
mod annotate;
mod backtest;
mod bench;
mod call;
mod cases;
mod check;
mod compile;
mod compose;
mod dev;
mod distrust;
mod export;
mod fuel_baseline;
mod given;
mod import;
mod inspect;
mod interface_files;
mod log;
mod new;
mod policy_lock;
mod pull;
mod push;
mod recording_file;
mod registry_flags;
mod reproduce;
mod run;
mod signature;
mod strip;
mod subject;
mod submissions;
mod test;
mod test_report;
mod wit;

use clap::Subcommand;

pub use recording_file::RecordingFile;
pub use signature::{check_required as check_signed, is_required as needs_signature};
pub use subject::{Source, check_declared, unasked};

use super::exit::Exit;
use super::session::Session;
use crate::cli::Result;

/// Write a policy, try it, test it, put it in force
///
/// FILE is a WebAssembly component of the world chiffon:audit/policy, in any language, or `builtin` for the default
/// policy; this program also includes `builtin:redact` and `builtin:bound`. `new`, `dev`, `inspect`, `run`, `test`, `check`,
/// `bench`, `compose`, `annotate`, `strip`, `wit`, `push` and `pull` need no repository; only `activate`, `distrust` and `import` change one.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Dev(dev::Args),
    Wit(wit::Args),
    Inspect(inspect::Args),
    Run(run::Args),
    Test(test::Args),
    Cases(cases::Args),
    Check(check::Args),
    #[command(hide = true)]
    Compile(compile::Args),
    Bench(bench::Args),
    Compose(compose::Args),
    Annotate(annotate::Args),
    Strip(strip::Args),
    Backtest(backtest::Args),
    Activate(activate::Args),
    Distrust(distrust::Args),
    Log(log::Args),
    Export(export::Args),
    Import(import::Args),
    Push(push::Args),
    Pull(pull::Args),
    Reproduce(reproduce::Args),
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    match &args.command {
        Command::New(args) => new::run(args, session),
        Command::Dev(args) => dev::run(args, session),
        Command::Wit(args) => wit::run(args, session),
        Command::Inspect(args) => inspect::run(args, session),
        Command::Run(args) => run::run(args, session),
        Command::Test(args) => test::run(args, session),
        Command::Cases(args) => cases::run(args, session),
        Command::Check(args) => check::run(args, session),
        Command::Compile(args) => compile::run(args, session),
        Command::Bench(args) => bench::run(args, session),
        Command::Compose(args) => compose::run(args, session),
        Command::Annotate(args) => annotate::run(args, session),
        Command::Strip(args) => strip::run(args, session),
        Command::Backtest(args) => backtest::run(args, session),
        Command::Activate(args) => activate::run(args, session),
        Command::Distrust(args) => distrust::run(args, session),
        Command::Log(args) => log::run(args, session),
        Command::Export(args) => export::run(args, session),
        Command::Import(args) => import::run(args, session),
        Command::Push(args) => push::run(args, session),
        Command::Pull(args) => pull::run(args, session),
        Command::Reproduce(args) => reproduce::run(args, session),
    }
}

/// What a component calls itself, for the place behind its digest.
fn beside(label: Option<&str>) -> String {
    label.map_or_else(String::new, |label| format!(" {label}"))
}
