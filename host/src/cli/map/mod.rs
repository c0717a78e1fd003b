//! `map`: tries the maps that make outcomes of other systems' documents. Records nothing.

mod explain;
mod list;
mod test;

use crate::cli::Result;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::exit::Exit;
use super::intake::{check_statuses, load, named};
use super::session::Session;
use crate::config::Settings;
use intake::Map;

/// Try maps for documents of other systems
///
/// A map is a TOML file that says where another system's documents have records of tasks, and how each becomes an
/// outcome. MAP is a file, or the name of a map that comes with this program. `commit`, `ingest` and the service use
/// maps; these commands record nothing.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Explain(explain::Args),
    Test(test::Args),
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    match &args.command {
        Command::List(args) => list::run(args, session),
        Command::Explain(args) => explain::run(args, session),
        Command::Test(args) => test::run(args, session),
    }
}

/// The map in this file, or with this name if there is no such file.
fn find(map: &Path, session: &Session) -> Result<Map> {
    let name = map.to_string_lossy();
    let is_name = !name.contains(['/', '.']) && !map.exists();
    match is_name {
        true => Ok(named(&name)?),
        false => {
            let loaded = load(map)?;
            check_statuses(&loaded, &name, &session.settings(Settings::default())?)?;
            Ok(loaded)
        }
    }
}

/// The file of cases beside a map: `orders.toml` has `orders.test.toml`.
fn cases_of(map: &Path) -> PathBuf {
    map.with_extension("test.toml")
}
