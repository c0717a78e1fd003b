//! `policy inspect`: what a component is and what it can reach.

use std::io::Write as _;

use serde::Serialize;

use super::subject::Subject;
use crate::cli::exit::Exit;
use crate::cli::output::SCHEMA;
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::policy::Allocation;

/// Show what a policy is and what it can reach
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
}

#[derive(Serialize)]
struct Inspected<'a> {
    schema: u32,
    name: &'a str,
    digest: &'a str,
    bytes: usize,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> anyhow::Result<Exit> {
    let settings = args.subject.settings(session)?;
    let bytes = args.subject.policy.read()?;
    let policy = args.subject.load(&settings, Allocation::OnDemand)?;
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Inspected {
            schema: SCHEMA,
            name: policy.name(),
            digest: policy.digest(),
            bytes: bytes.len(),
        })?;
    } else {
        writeln!(output, "{}", Line(policy.name()))?;
        writeln!(output, "digest  {}", policy.digest())?;
        writeln!(output, "size    {} bytes", bytes.len())?;
    }
    Ok(Exit::Done)
}
