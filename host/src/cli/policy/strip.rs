//! `policy strip`: removes from a component what does not affect its decisions.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::subject::Source;
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Context as _;
use crate::cli::output::{FAINT, GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::files;
use crate::outcome::counted;
use crate::outcome::digest::sha256;
use crate::policy::{Policy, Stripped, strip};

/// Remove custom sections, such as function names and the versions of tools, from a policy or a layer
///
/// None of them affects what a policy decides, but each of them is part of its digest: names and debug information can
/// hold paths of the machine that built it, and `producers` names the tools. What the author wrote stays: name, version,
/// authors, source, revision, home page, licence and description, and the declared settings. So do hints for the
/// compiler (`metadata.code.…`).
///
/// Without names, a backtrace shows only function numbers. Stripping a stripped policy changes nothing. Strip a policy
/// before you activate it, since its digest changes; and strip the parts of a stack before you compose them.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: chiffon-audit policy strip tidy.wasm -o tidy-stripped.wasm")]
pub struct Args {
    /// The component
    #[arg(value_name = "FILE")]
    component: Source,
    /// Write the component to this file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct StrippedJson<'a> {
    schema: u32,
    file: &'a str,
    policy: &'a str,
    /// The digest before.
    former: &'a str,
    bytes: usize,
    former_bytes: usize,
    removed: Vec<RemovedJson<'a>>,
}

#[derive(Serialize)]
struct RemovedJson<'a> {
    name: &'a str,
    sections: usize,
    bytes: usize,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let former = args.component.read()?;
    let name = args.component.name();
    Policy::check_component(&name, &former)?;
    let Stripped { component, removed } =
        strip(&former).map_err(|error| UsageError(format!("{}: {error}", Line(&name))))?;
    files::replace(&args.output, &component)
        .with_context(|| format!("cannot write the policy {}", args.output.display()))?;
    let (was, digest) = (sha256(&former), sha256(&component));
    let file = args.output.display().to_string();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&StrippedJson {
            schema: SCHEMA,
            file: &file,
            policy: &digest,
            former: &was,
            bytes: component.len(),
            former_bytes: former.len(),
            removed: removed
                .iter()
                .map(|(name, sections, bytes)| RemovedJson {
                    name,
                    sections: *sections,
                    bytes: *bytes,
                })
                .collect(),
        })?;
        return Ok(Exit::Done);
    }
    writeln!(
        output,
        "{} {}: {}, was {}",
        paint(GOOD, "stripped"),
        Line(&file),
        counted(component.len(), "byte", "bytes"),
        former.len()
    )?;
    writeln!(output, "  {} {digest}", paint(FAINT, "policy "))?;
    writeln!(output, "  {} {was}", paint(FAINT, "was    "))?;
    for (name, sections, bytes) in &removed {
        writeln!(
            output,
            "  {} {} ({}, {})",
            paint(FAINT, "removed"),
            Line(name),
            counted(*sections, "section", "sections"),
            counted(*bytes, "byte", "bytes")
        )?;
    }
    Ok(Exit::Done)
}
