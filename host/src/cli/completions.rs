//! `completions`: prints a script that completes commands and options in a shell.

use std::io::Write as _;

use clap_complete::Shell;

use super::args;
use super::exit::Exit;
use super::session::Session;
use crate::cli::Result;

/// Print a completion script for a shell
///
/// For bash: `chiffon-audit completions bash > ~/.local/share/bash-completion/completions/chiffon-audit`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell to complete for
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut args::command(),
        "chiffon-audit",
        &mut script,
    );
    let mut script = String::from_utf8(script)?;
    if args.shell == Shell::Bash {
        // clap_complete (4.6.11) spells the hyphen of the program's name in two ways in the names of the script's
        // states. Without this change nothing after a subcommand is completed.
        script = script.replace("chiffon__subcmd__audit", "chiffon__audit");
    }
    session.output.write_all(script.as_bytes())?;
    Ok(Exit::Done)
}
