//! `map list`: the maps that come with this program.

use crate::cli::Result;
use std::io::Write as _;

use intake::map::shipped;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::intake::named;
use crate::cli::output::{SCHEMA, STRONG, paint};
use crate::cli::session::Session;

/// List the maps that come with this program, or print one
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print the text of this map
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    schema: u32,
    name: &'static str,
    about: String,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let output = &mut session.output;
    if let Some(name) = &args.name {
        named(name)?;
        let found = shipped().iter().filter(|shipped| shipped.name == name);
        for shipped in found {
            write!(output, "{}", shipped.text)?;
        }
        return Ok(Exit::Done);
    }
    for shipped in shipped() {
        let about = shipped.map().about;
        if output.is_json() {
            output.object(&Listed {
                schema: SCHEMA,
                name: shipped.name,
                about,
            })?;
        } else {
            let name = format!("{:<14}", shipped.name);
            writeln!(output, "{} {about}", paint(STRONG, name))?;
        }
    }
    Ok(Exit::Done)
}
