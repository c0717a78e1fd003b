//! `policy distrust`: excludes a former policy from judging redeliveries.

use std::io::Write as _;

use serde::Serialize;

use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::{GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::config::Settings;
use crate::outcome::digest::{is_sha256, sha256};
use crate::policy::Policy;

/// No longer ask a former policy about the entries that it decided
///
/// When the policy in force finds a conflict, the policy that decided the entry is asked whether the outcome is the
/// same. This holds for policies that were used on this machine, and for included ones. A distrusted policy is not
/// asked: such an outcome is then conflicting. `policy activate` ends the distrust.
///
/// Exit codes: 0 it is distrusted; 2 it is in force; 1 it could not be distrusted.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The policy's digest, as `policy log` shows it
    #[arg(value_name = "DIGEST")]
    digest: String,
}

#[derive(Serialize)]
struct Distrusted<'a> {
    schema: u32,
    distrusted: &'a str,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let digest = &args.digest;
    if !is_sha256(digest) {
        let digest = Line(digest);
        return Err(UsageError(format!(
            "{digest} is not a digest: it must be `sha256:` and 64 hexadecimal digits, as `policy log` shows it"
        ))
        .into());
    }
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let default = sha256(Policy::builtin_component());
    trail.distrust(digest, &default, session.clock.now())?;
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Distrusted {
            schema: SCHEMA,
            distrusted: digest,
        })?;
    } else {
        writeln!(output, "{} {digest}", paint(GOOD, "distrusted"))?;
    }
    Ok(Exit::Done)
}
