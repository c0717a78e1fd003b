//! `policy compile`: a command that this program runs itself, to compile a component in a process that can be
//! stopped. Not for people.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::session::{Session, policy_limits, setting};
use crate::config::Settings;
use crate::policy;

/// Compile the component on standard input into the cache, within the limits
#[derive(clap::Args, Debug)]
pub struct Args {
    /// All limits, as NAME=VALUE
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = setting)]
    limits: Vec<(String, String)>,
    /// The cache directory
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    // Only these settings: this process acts for the one that started it.
    let mut settings = Settings::default();
    for (name, value) in &args.limits {
        settings.set_policy_limit(name, value)?;
    }
    let (result_line, is_compiled) = policy::compile(
        policy_limits(settings.policy_limits),
        args.cache.as_deref(),
        io::stdin().lock(),
    )?;
    write!(session.output, "{result_line}")?;
    Ok(if is_compiled {
        Exit::Done
    } else {
        Exit::CouldNot
    })
}
