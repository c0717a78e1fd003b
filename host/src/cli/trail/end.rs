//! `trail end`: records the last entry of a trail, which names its successor.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::successor::{self, Successor, SuccessorFlags};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::{FAINT, GOOD, SCHEMA, STRONG, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::recorder::continuation::{self, ContinuationError};
use crate::trail::{KnownTrail, Trail, TrailError};
use crate::verify;

/// End a trail and name its successor
///
/// Makes the successor in DIR, records the end here, and then the beginning there. Nothing can be recorded here after
/// that. If it is interrupted, the same command completes it. With a uuid in place of DIR, only the end is recorded:
/// `trail begin --after` has made the successor, on another machine.
///
/// Exit codes: 0 it has ended and names this successor; 1 could not; 2 usage.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The directory of the trail that continues this one, or its uuid
    #[arg(long, value_name = "DIR|UUID")]
    successor: String,
    #[command(flatten)]
    flags: SuccessorFlags,
}

#[derive(Serialize)]
struct Ended<'a> {
    schema: u32,
    /// The trail that has ended.
    origin: &'a str,
    /// The number of its entries, with the end.
    size: u64,
    root: String,
    tip: Option<String>,
    /// The uuid of its successor.
    successor: &'a str,
    /// Where the successor is; `null` if only its uuid was given.
    directory: Option<String>,
    /// Whether the end was recorded now.
    ended_now: bool,
    /// Whether the beginning was recorded now; `null` if it is recorded elsewhere.
    begun_now: Option<bool>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(args.flags.settings())?;
    let options = session.record_options(&settings)?;
    let trail = Trail::open(&session.directory, options)?;
    if trail.tip()?.is_none() {
        let message = "there is no trail here that could end";
        return Err(UsageError(message.into()).into());
    }
    let engine = successor::own_engine(&settings, session)?;
    // Relative names start at the current directory, as those of other flags.
    let directory = PathBuf::from(&args.successor);
    let named = verify::trail_named(&args.successor).filter(|_| !directory.exists());
    let is_other = trail.ended()?.flatten();
    let successor = match named {
        Some(_) => None,
        None => {
            if let Some(named) = &is_other {
                check_is_successor(&directory, named)?;
            }
            let flags = &args.flags;
            Some(successor::prepare(
                &trail, &directory, flags, &settings, session,
            )?)
        }
    };
    let uuid = match (&successor, named) {
        (Some(successor), _) => successor.uuid.clone(),
        (None, named) => named.unwrap_or_default(),
    };
    let ended_now = continuation::record_end(&trail, &uuid, &engine, &session.clock)?;
    let begun_now = match &successor {
        Some(successor) => {
            let (described, is_new) = successor::complete(&trail, successor, &settings, session)?;
            let after = KnownTrail::at(successor.trail.directory(), &successor.trail.origin(&[])?);
            let own = KnownTrail {
                size: Some(described.size),
                root: Some(described.root),
                successor: Some(uuid.clone()),
                ..KnownTrail::at(trail.directory(), &described.origin)
            };
            successor::remember(&trail, vec![after, own]);
            Some(is_new)
        }
        None => None,
    };
    report(
        &trail,
        successor.as_ref(),
        &uuid,
        (ended_now, begun_now),
        session,
    )
}

/// Fails if the trail in the directory is not the one that the end names.
fn check_is_successor(directory: &Path, named: &str) -> Result<()> {
    let other = || ContinuationError::OtherSuccessor {
        successor: named.to_owned(),
    };
    let trail = match Trail::open(directory, crate::trail::OpenOptions::default()) {
        Ok(trail) => trail,
        Err(TrailError::NoRepository(_)) => return Err(other().into()),
        Err(error) => return Err(error.into()),
    };
    let uuid = trail.name()?.and_then(|name| name.uuid);
    match uuid.as_deref() == Some(named) {
        true => Ok(()),
        false => Err(other().into()),
    }
}

fn report(
    trail: &Trail,
    successor: Option<&Successor>,
    uuid: &str,
    (ended_now, begun_now): (bool, Option<bool>),
    session: &mut Session,
) -> Result<Exit> {
    let tree = trail.tree()?;
    let directory = successor.map(|successor| successor.trail.directory().display().to_string());
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Ended {
            schema: SCHEMA,
            origin: tree.origin(),
            size: tree.size(),
            root: tree.root_in_base64(),
            tip: tree.last_commit(),
            successor: uuid,
            directory,
            ended_now,
            begun_now,
        })?;
        return Ok(Exit::Done);
    }
    let did = match ended_now {
        true => "ended",
        false => "has ended already",
    };
    writeln!(output, "{} {}", paint(GOOD, did), Line(tree.origin()))?;
    writeln!(output, "  entries    {}", tree.size())?;
    writeln!(output, "  successor  {}", paint(STRONG, Line(uuid)))?;
    match directory {
        Some(directory) => writeln!(output, "  in         {}", Line(&directory))?,
        None => writeln!(
            output,
            "{}",
            paint(
                FAINT,
                "next: `chiffon-audit trail begin --after` with a copy of this trail, where the successor is"
            )
        )?,
    }
    Ok(Exit::Done)
}
