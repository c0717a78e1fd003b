//! `policy annotate`: writes an author's metadata into a component.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::subject::Source;
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Context as _;
use crate::cli::output::{FAINT, GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::settings_file::schema_file;
use crate::cli::text::Line;
use crate::files;
use crate::outcome::digest::sha256;
use crate::policy::{Annotation, Policy, SettingsSchema, annotate};

/// Write metadata, such as name and version, and declared settings into a policy or a layer
///
/// The metadata goes into the sections that other WebAssembly tools read and write. Fields that are not given stay unchanged.
/// The result has another digest, so annotate a policy before you activate it. `policy inspect` shows the metadata, and
/// `policy log` name and version. Nothing checks what an author claims here.
///
/// Settings that are given on the command line, in a configuration or over HTTP are checked against the declared ones: an
/// undeclared name, a value of another type, a missing required setting and a secret in clear text are errors. Settings in
/// test cases and recordings are not checked.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: chiffon-audit policy annotate tidy.wasm --name tidy --version 1.2.0 -o tidy-1.2.0.wasm"
)]
pub struct Args {
    /// The component
    #[arg(value_name = "FILE")]
    component: Source,
    /// Its name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its version, in any scheme
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The URL of its source code
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Its licence, an SPDX expression such as `Apache-2.0 OR MIT`
    #[arg(long, visible_alias = "license", value_name = "SPDX")]
    licence: Option<String>,
    /// What it does, on one line
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Declare the settings in this TOML file: a table for each, with `type` (string, integer, number, boolean, json) and
    /// optionally `default`, `required`, `secret` and `doc`
    #[arg(long, value_name = "FILE", value_parser = schema_file)]
    settings: Option<SettingsSchema>,
    /// Write the component to this file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Annotated<'a> {
    schema: u32,
    file: String,
    policy: &'a str,
    /// The digest before.
    former: &'a str,
    label: Option<&'a str>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let annotation = Annotation {
        name: args.name.clone(),
        version: args.version.clone(),
        source: args.source.clone(),
        licence: args.licence.clone(),
        description: args.description.clone(),
    };
    if annotation == Annotation::default() && args.settings.is_none() {
        let text = "give at least one of --name, --version, --source, --licence, --description and --settings";
        return Err(UsageError(text.to_owned()).into());
    }
    let component = args.component.read()?;
    Policy::check_component(&args.component.name(), &component)?;
    let wrong = |error: &dyn std::fmt::Display| {
        let name = args.component.name();
        UsageError(format!("{}: {error}", Line(&name)))
    };
    let mut annotated = annotate(&component, &annotation).map_err(|error| wrong(&error))?;
    if let Some(schema) = &args.settings {
        annotated = schema
            .write_into(&annotated)
            .map_err(|error| wrong(&error))?;
    }
    files::replace(&args.output, &annotated)
        .with_context(|| format!("cannot write the policy {}", args.output.display()))?;
    let (former, digest) = (sha256(&component), sha256(&annotated));
    let label = Policy::label_of(&annotated);
    let file = args.output.display().to_string();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Annotated {
            schema: SCHEMA,
            file,
            policy: &digest,
            former: &former,
            label: label.as_deref(),
        })?;
        return Ok(Exit::Done);
    }
    writeln!(output, "{} {}", paint(GOOD, "annotated"), Line(&file))?;
    let label = super::beside(label.as_deref());
    writeln!(output, "  {} {digest}{label}", paint(FAINT, "policy"))?;
    writeln!(output, "  {} {former}", paint(FAINT, "was   "))?;
    Ok(Exit::Done)
}
