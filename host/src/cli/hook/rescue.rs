//! A hook that was called with arguments that cannot be used: the payload is kept, and the caller is not disturbed.
//!
//! Claude Code takes exit code 2 of a hook for an order to block.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::{SPOOL_KIND, read_payload, spool_beside};
use crate::cli::spool::Spool;
use crate::cli::text::Line;
use crate::config::Environment;

/// Options of the program that take a value.
const WITH_VALUE: [&str; 3] = ["-C", "--repo", "--color"];

/// Whether the command is `hook`.
pub fn is_called(arguments: &[OsString]) -> bool {
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        if WITH_VALUE.contains(&&*text) {
            rest.next();
        } else if !text.starts_with('-') {
            return text == "hook";
        }
    }
    false
}

/// Keeps the payload, and reports on standard error what is wrong with the arguments.
pub fn keep_payload(arguments: &[OsString], environment: &Environment, problem: &str) {
    let given = value_of(arguments, "--spool").or_else(|| environment.spool());
    let directory = value_of(arguments, "-C").or_else(|| value_of(arguments, "--repo"));
    let directory = directory.unwrap_or_else(|| PathBuf::from("."));
    let spool = Spool::new(
        given.unwrap_or_else(|| spool_beside(&directory)),
        SPOOL_KIND,
    );
    let kept = match io::stdin().is_terminal() {
        true => Ok(false),
        false => read_payload().and_then(|payload| {
            let is_there = !payload.trim_ascii().is_empty();
            if is_there {
                spool.keep_payload(&payload)?;
            }
            Ok(is_there)
        }),
    };
    let problem = match kept {
        Ok(true) => format!(
            "{problem}; kept in {} for the next call",
            spool.directory().display()
        ),
        Ok(false) => problem.to_owned(),
        Err(error) => format!("{problem}; {error:#}"),
    };
    crate::cli::output::warn(false, &Line(&problem).to_string());
}

/// The value of an option, as `--name value` or `--name=value`.
fn value_of(arguments: &[OsString], name: &str) -> Option<PathBuf> {
    let beginning = format!("{name}=");
    for (index, argument) in arguments.iter().enumerate() {
        if argument == OsStr::new(name) {
            return arguments.get(index + 1).map(Path::new).map(Path::to_owned);
        }
        let text = argument.to_string_lossy();
        if let Some(value) = text.strip_prefix(&beginning) {
            return Some(PathBuf::from(value));
        }
    }
    None
}
