//! `policy wit`: brings the interface files of a project up to date.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::interface_files::{InterfaceFile, LAYER, LAYER_INTERFACE, POLICY};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::failure::Context as _;
use crate::cli::output::{BAD, FAINT, GOOD, Output, SCHEMA, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::files;
use crate::policy::INTERFACE;

/// Compare the interface files of a project with those of this program, or update them
///
/// A project keeps the interface in its directory wit/, as `policy new` wrote it. This command says which of these files
/// differ from those of this program, and --upgrade replaces them. It touches no other file. The files in wit/0.2, which
/// layers need, are compared if that directory exists. --verbose shows the lines that differ.
///
/// Exit codes: 0 the files are up to date; 3 they are not, and --upgrade was not given; 2 the directory has no interface of
/// this program.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The project's directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Replace the files that differ, and add those that are missing
    #[arg(long)]
    upgrade: bool,
}

/// The largest file to read: the interface's have some kilobytes.
const MAX_FILE: u64 = 1 << 20;

/// The package of the interface, without its version.
const PACKAGE: &str = "chiffon:audit";

/// One file of the interface in the project.
struct Compared {
    path: String,
    /// The project's text. `None` if the file is missing.
    found: Option<String>,
    current: &'static str,
}

#[derive(Serialize)]
struct WitJson<'a> {
    schema: u32,
    directory: String,
    interface: &'a str,
    /// The version that the project's files were of.
    found: &'a str,
    upgraded: bool,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
struct FileJson<'a> {
    path: &'a str,
    /// `current`, `differs` or `missing`, before an upgrade.
    state: &'static str,
    added: usize,
    removed: usize,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let wit = args.directory.join("wit");
    check_kind(&wit, "a directory", fs::Metadata::is_dir)
        .map_err(|error| cannot_read("the interface", &wit, error))?;
    let mut compared = compare(&wit, POLICY)?;
    let package = check_version(&wit, &compared, INTERFACE)?;
    if wit.join("0.2").exists() {
        check_kind(&wit.join("0.2"), "a directory", fs::Metadata::is_dir)
            .map_err(|error| cannot_read("the interface", &wit.join("0.2"), error))?;
        let layer = compare(&wit, LAYER)?;
        // An empty directory is filled.
        if layer.iter().any(|file| file.found.is_some()) {
            check_version(&wit.join("0.2"), &layer, LAYER_INTERFACE)?;
        }
        compared.extend(layer);
    }
    let is_current = compared.iter().all(|file| file.state() == "current");
    if args.upgrade {
        for file in compared.iter().filter(|file| file.state() != "current") {
            let path = wit.join(&file.path);
            files::replace(&path, file.current.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    let output = &mut session.output;
    if output.is_json() {
        output.object(&WitJson {
            schema: SCHEMA,
            directory: wit.display().to_string(),
            interface: INTERFACE,
            found: &package,
            upgraded: args.upgrade && !is_current,
            files: compared.iter().map(Compared::json).collect(),
        })?;
    } else {
        print(args, &wit, &package, &compared, output)?;
    }
    Ok(match is_current || args.upgrade {
        true => Exit::Done,
        false => Exit::Broken,
    })
}

/// Reads the project's files beside those of the interface.
fn compare(wit: &Path, files: &[InterfaceFile]) -> Result<Vec<Compared>> {
    let mut compared = Vec::new();
    for (name, current) in files {
        let path = wit.join(name);
        let read = check_kind(&path, "a regular file", fs::Metadata::is_file)
            .and_then(|()| files::read_text(&path, MAX_FILE));
        let found = match read {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(cannot_read("the interface", &path, error)),
        };
        compared.push(Compared {
            path: (*name).to_owned(),
            found,
            current,
        });
    }
    Ok(compared)
}

/// Checks what is at a path itself. A link could lead out of the project, and an upgrade would write there.
fn check_kind(path: &Path, what: &str, is_kind: fn(&fs::Metadata) -> bool) -> io::Result<()> {
    match is_kind(&path.symlink_metadata()?) {
        true => Ok(()),
        false => Err(io::Error::other(format!("it is not {what}"))),
    }
}

/// Returns the package that the project's files are of. It must be this interface, in this or an earlier version.
fn check_version(
    directory: &Path,
    compared: &[Compared],
    interface: &str,
) -> Result<String, UsageError> {
    let texts = compared.iter().filter_map(|file| file.found.as_deref());
    let declared = texts.flat_map(str::lines).find_map(|line| {
        let package = line.trim().strip_prefix("package ")?.split(';').next()?;
        Some(package.trim().to_owned())
    });
    let directory = directory.display().to_string();
    let directory = Line(&directory);
    let Some(declared) = declared else {
        return Err(UsageError(format!(
            "{directory} has no interface: no file in it names a package"
        )));
    };
    let version = declared
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.strip_prefix('@'));
    let ours = interface.split('@').nth(1).unwrap_or_default();
    let number = |version: &str| -> Vec<u64> {
        let numbers = version
            .split('.')
            .map(|part| part.parse().unwrap_or(u64::MAX));
        numbers.collect()
    };
    match version {
        None => Err(UsageError(format!(
            "{directory} has the interface {}, not {PACKAGE}",
            Line(&declared)
        ))),
        Some(version) if number(version) > number(ours) => Err(UsageError(format!(
            "{directory} has {}, which is newer than this program's {interface}",
            Line(&declared)
        ))),
        Some(_) => Ok(declared),
    }
}

impl Compared {
    fn state(&self) -> &'static str {
        match &self.found {
            None => "missing",
            Some(found) if found == self.current => "current",
            Some(_) => "differs",
        }
    }

    /// The numbers of lines that an upgrade adds and removes.
    fn lines(&self) -> (usize, usize) {
        let diff = TextDiff::from_lines(self.found.as_deref().unwrap_or_default(), self.current);
        let count = |tag| {
            diff.iter_all_changes()
                .filter(|change| change.tag() == tag)
                .count()
        };
        (count(ChangeTag::Insert), count(ChangeTag::Delete))
    }

    fn json(&self) -> FileJson<'_> {
        let (added, removed) = self.lines();
        FileJson {
            path: &self.path,
            state: self.state(),
            added,
            removed,
        }
    }
}

fn print(
    args: &Args,
    wit: &Path,
    package: &str,
    compared: &[Compared],
    out: &mut Output,
) -> io::Result<()> {
    let directory = wit.display().to_string();
    let differing: Vec<&Compared> = compared
        .iter()
        .filter(|file| file.state() != "current")
        .collect();
    if differing.is_empty() {
        return writeln!(
            out,
            "{} {} ({INTERFACE})",
            paint(GOOD, "up to date"),
            Line(&directory)
        );
    }
    let (style, word) = match args.upgrade {
        true => (GOOD, "upgraded"),
        false => (UNSURE, "not up to date"),
    };
    let from = match package == INTERFACE {
        true => String::new(),
        false => format!("{} to ", Line(package)),
    };
    writeln!(
        out,
        "{} {} ({from}{INTERFACE})",
        paint(style, word),
        Line(&directory)
    )?;
    for file in &differing {
        let (added, removed) = file.lines();
        let word = match (file.state(), args.upgrade) {
            ("missing", true) => "added",
            (_, true) => "changed",
            (state, false) => state,
        };
        writeln!(
            out,
            "  {word:<7}  {}  {}",
            file.path,
            paint(FAINT, format!("+{added} -{removed} lines"))
        )?;
        if out.is_verbose() {
            print_lines(file, out)?;
        }
    }
    if package != INTERFACE && args.upgrade {
        writeln!(
            out,
            "Sources that name {} need to name {INTERFACE}.",
            Line(package)
        )?;
    }
    Ok(())
}

/// The lines that differ.
fn print_lines(file: &Compared, out: &mut Output) -> io::Result<()> {
    let diff = TextDiff::from_lines(file.found.as_deref().unwrap_or_default(), file.current);
    for change in diff.iter_all_changes() {
        let (style, sign) = match change.tag() {
            ChangeTag::Insert => (GOOD, '+'),
            ChangeTag::Delete => (BAD, '-'),
            ChangeTag::Equal => continue,
        };
        let line = format!("{sign} {}", change.value().trim_end());
        writeln!(out, "    {}", paint(style, Line(&line)))?;
    }
    Ok(())
}
