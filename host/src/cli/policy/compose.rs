//! `policy compose`: makes one policy of layers and a policy.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::Result;
use crate::cli::failure::Context as _;
use compose::{NameError, Part, PartName};
use serde::Serialize;

use super::subject::Source;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::{FAINT, GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::files;
use crate::outcome::digest::sha256;
use crate::policy::Policy;

/// Make one policy of layers and a policy
///
/// Layers rewrite an outcome one after the other, until none of them changes anything; then the policy decides. The
/// result is one component with one digest, which every other command takes as a policy. Its parts are in it byte for
/// byte.
///
/// Settings of a part begin with its name: `--setting redact.rules=…`. A part is called by the name of its file, or by
/// NAME in NAME=PART. `builtin:redact` and `builtin:bound` can be layers, and any policy can be the last part.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: chiffon-audit policy compose builtin:redact builtin:bound builtin -o stack.wasm"
)]
pub struct Args {
    /// The layers, in the order in which they are called, and then the policy
    #[arg(value_name = "[NAME=]PART", required = true, num_args = 2..)]
    parts: Vec<OsString>,
    /// Write the component to this file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Composed<'a> {
    schema: u32,
    policy: &'a str,
    bytes: usize,
    parts: Vec<PartJson>,
}

#[derive(Serialize)]
struct PartJson {
    name: String,
    digest: String,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let last = args.parts.len() - 1;
    let parts: Vec<Part> = (0..)
        .zip(&args.parts)
        .map(|(at, argument)| part(argument, at == last))
        .collect::<Result<_, _>>()?;
    let (policy, layers) = parts.split_last().context("there is no part")?;
    let component = compose::compose(Policy::stack_driver(), layers, policy)
        .map_err(|error| UsageError(error.to_string()))?;
    files::replace(&args.output, &component)
        .with_context(|| format!("cannot write the policy {}", args.output.display()))?;
    let digest = sha256(&component);
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Composed {
            schema: SCHEMA,
            policy: &digest,
            bytes: component.len(),
            parts: parts
                .iter()
                .map(|part| PartJson {
                    name: part.name.to_string(),
                    digest: sha256(&part.component),
                })
                .collect(),
        })?;
        return Ok(Exit::Done);
    }
    let file = args.output.display().to_string();
    writeln!(output, "{} {}", paint(GOOD, "composed"), Line(&file))?;
    writeln!(output, "  {} {digest}", paint(FAINT, "policy"))?;
    for part in &parts {
        let name = part.name.as_str();
        writeln!(
            output,
            "  {} {name} {}",
            paint(FAINT, "part  "),
            sha256(&part.component)
        )?;
    }
    Ok(Exit::Done)
}

/// Reads one part. Included policies are layers unless they are the last part.
fn part(argument: &OsString, is_last: bool) -> Result<Part> {
    let text = argument.to_str();
    // A file may have an equals sign in its name.
    let named = text
        .filter(|text| !Path::new(text).exists())
        .and_then(|text| text.split_once('='))
        .map(|(name, rest)| Ok((PartName::parse(name)?, rest)))
        .transpose()
        .map_err(|error: NameError| UsageError(error.to_string()))?;
    let (name, source) = match named {
        Some((name, rest)) => (Some(name), Source::from(OsString::from(rest))),
        None => (None, Source::from(argument.clone())),
    };
    let stem = match &source {
        Source::Builtin => "builtin".to_owned(),
        Source::Bundled(name, _) => (*name).to_owned(),
        Source::File(path) => path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default(),
    };
    let name = match name {
        Some(name) => name,
        None => PartName::of_file(&stem)
            .map_err(|error| UsageError(format!("{error}; give it another one with NAME=FILE")))?,
    };
    let layer = match &source {
        Source::Bundled(name, _) if !is_last => Policy::bundled_layers()
            .iter()
            .find(|(layer, _)| layer == name),
        _ => None,
    };
    let component = match layer {
        Some((_, component)) => component.to_vec(),
        None => source.read()?,
    };
    Ok(Part { name, component })
}
