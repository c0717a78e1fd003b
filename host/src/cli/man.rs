//! `man`: prints the manual pages, generated from the help texts.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use clap_mangen::Man;

use super::args;
use super::exit::{Exit, UsageError};
use super::session::Session;
use crate::cli::Result;
use crate::cli::failure::Context as _;

/// Print the manual page, or write all of them
///
/// For the page of one command: `chiffon-audit man policy run | man -l -`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The command whose page to print [default: the program's]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write a page for the program and one for each command into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let mut program = args::command();
    program.build();
    if let Some(dir) = &args.dir {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        clap_mangen::generate_to(program, dir)
            .with_context(|| format!("cannot write pages to {}", dir.display()))?;
        return Ok(Exit::Done);
    }
    let mut page = &program;
    for name in &args.command {
        page = page.find_subcommand(name).ok_or_else(|| {
            UsageError(format!(
                "no command {:?} has a page",
                args.command.join(" ")
            ))
        })?;
    }
    let source = concat!("chiffon-audit ", env!("CARGO_PKG_VERSION"));
    let mut text = Vec::new();
    Man::new(page.clone()).source(source).render(&mut text)?;
    session.output.write_all(&text)?;
    Ok(Exit::Done)
}
