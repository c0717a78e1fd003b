//! `trail begin`: the first entry of a trail that continues another one.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::successor::{self, SuccessorFlags};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::{GOOD, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::recorder::continuation::ContinuationError;
use crate::trail::{KnownTrail, OpenOptions, Trail, origin_with_id, places_of};
use crate::verify;

/// Begin a trail that continues another one
///
/// Makes a trail in the repository of -C, or the current directory, and records its first entry once the predecessor
/// has ended: `trail end --successor UUID` ends that one. Then run this command again. Until then, nothing is recorded
/// here. In a trail that has begun, this notes where the predecessor is. A clone needs that.
///
/// Exit codes: 0 it has begun; 1 could not, or the predecessor has not ended yet; 2 usage.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The predecessor: its directory, or its origin if its repository is beside this one
    #[arg(long, value_name = "DIR|ORIGIN")]
    after: String,
    #[command(flatten)]
    flags: SuccessorFlags,
}

#[derive(Serialize)]
struct Begun<'a> {
    schema: u32,
    /// The uuid of this trail.
    trail: &'a str,
    directory: String,
    /// The predecessor.
    after: &'a str,
    /// Where it is.
    place: String,
    size: u64,
    root: &'a str,
    tip: &'a str,
    /// Whether the beginning was recorded now.
    begun_now: bool,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(args.flags.settings())?;
    let before = predecessor(args, session)?;
    let directory = session.directory.clone();
    let prepared = successor::prepare(&before, &directory, &args.flags, &settings, session)?;
    let completed = successor::complete(&before, &prepared, &settings, session);
    if completed.is_err() && prepared.is_new && before.ended()?.is_none() {
        session.output.note(format_args!(
            "{} {}, which waits for the end of the predecessor",
            paint(UNSURE, "made a trail:"),
            Line(&prepared.uuid)
        ));
    }
    let (described, begun_now) = completed?;
    let place = before.directory().display().to_string();
    let own = KnownTrail::at(prepared.trail.directory(), &prepared.trail.origin(&[])?);
    successor::remember(&prepared.trail, vec![own]);
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Begun {
            schema: SCHEMA,
            trail: &prepared.uuid,
            directory: prepared.trail.directory().display().to_string(),
            after: &described.origin,
            place,
            size: described.size,
            root: &described.root,
            tip: &described.tip,
            begun_now,
        })?;
        return Ok(Exit::Done);
    }
    let did = match begun_now {
        true => "begun",
        false => "has begun already",
    };
    writeln!(
        output,
        "{} {}",
        paint(GOOD, did),
        paint(STRONG, Line(&prepared.uuid))
    )?;
    writeln!(output, "  after  {}", Line(&described.origin))?;
    writeln!(output, "  in     {}", Line(&place))?;
    Ok(Exit::Done)
}

/// Opens the predecessor: in a directory, or the repository beside this one with that origin.
fn predecessor(args: &Args, session: &Session) -> Result<Trail> {
    // Relative names start at the current directory, as those of other flags.
    let directory = PathBuf::from(&args.after);
    if directory.is_dir() {
        return Ok(Trail::open(&directory, OpenOptions::default())?);
    }
    let Some(named) = verify::trail_named(&args.after) else {
        let message = format!(
            "{} is neither a directory nor the origin of a trail",
            Line(&args.after)
        );
        return Err(UsageError(message).into());
    };
    let origin = origin_with_id(&named);
    let here = std::path::absolute(&session.directory)?;
    let mut near = vec![&*here];
    let own = Trail::open(&here, OpenOptions::default()).ok();
    let known = own.as_ref().map(|own| own.known_trails().0);
    near.extend(own.as_ref().map(Trail::directory));
    for place in places_of(&origin, &known.unwrap_or_default(), &near) {
        if let Ok(trail) = Trail::open(&place, OpenOptions::default())
            && trail.origin(&[]).is_ok_and(|found| found == origin)
        {
            return Ok(trail);
        }
    }
    Err(ContinuationError::NotFound { origin }.into())
}
