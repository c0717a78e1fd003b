//! `policy new`: creates a project for a policy in the author's language.

mod files;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Context as _;
use crate::cli::output::{COMMIT, GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::{Line, shell_word};

/// Create a policy project that builds, passes its tests and records an outcome
///
/// The file to edit holds two pure functions: `entry` (what to record, or why not) and `same` (whether it is already
/// recorded). The rest of the project does the work around them. Rust needs the target wasm32-wasip2, Python
/// componentize-py from pip, JavaScript jco from npm. The project's README.md has the commands.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The directory to create; its name is the policy's name
    #[arg(value_name = "NAME")]
    directory: PathBuf,
    /// The language to use
    #[arg(long, value_name = "LANGUAGE", value_enum)]
    lang: Language,
}

/// The languages. The variants have no documentation, so that the help lists them on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    Python,
    #[value(name = "javascript")]
    JavaScript,
}

#[derive(Serialize)]
struct NewCheckpoint<'a> {
    schema: u32,
    name: &'a str,
    lang: Language,
    directory: String,
    edit: &'a str,
    files: Vec<&'a str>,
    commands: &'a [String],
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let name = name(&args.directory)?;
    let project = files::project(args.lang, name);
    write(&args.directory, &project.files)?;
    let directory = shell_word(&args.directory.to_string_lossy());
    let commands: Vec<String> = std::iter::once(format!("cd {directory}"))
        .chain(project.commands)
        .collect();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&NewCheckpoint {
            schema: SCHEMA,
            name,
            lang: args.lang,
            directory: args.directory.display().to_string(),
            edit: project.edit,
            files: project.files.iter().map(|(path, _)| &**path).collect(),
            commands: &commands,
        })?;
        return Ok(Exit::Done);
    }
    let shown = args.directory.join(project.edit);
    writeln!(
        output,
        "{} {}; the file to edit is {}\n",
        paint(GOOD, "made"),
        Line(&args.directory.to_string_lossy()),
        Line(&shown.to_string_lossy())
    )?;
    for command in &commands {
        writeln!(output, "  {}", paint(COMMIT, Line(command)))?;
    }
    Ok(Exit::Done)
}

/// The project's name, which must be a valid package name in every language.
fn name(directory: &Path) -> Result<&str, UsageError> {
    let name = directory.file_name().and_then(|name| name.to_str());
    let fits = |name: &&str| {
        name.len() <= 64
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    name.filter(fits).ok_or_else(|| {
        UsageError(
            "the name must begin with a lower-case letter and consist of lower-case letters, digits, `-` and `_`"
                .into(),
        )
    })
}

/// Writes the project. A directory that is not empty is left unchanged.
fn write(directory: &Path, files: &[(String, String)]) -> Result<()> {
    let is_free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_free {
        return Err(UsageError(format!(
            "{} already exists: nothing was changed",
            directory.display()
        ))
        .into());
    }
    for (name, contents) in files {
        let path = directory.join(name);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, contents))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
