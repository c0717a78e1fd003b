//! `show`: prints one task's entry with the commit that recorded it.

use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use super::exit::{Exit, UsageError};
use super::output::{COMMIT, SCHEMA, paint};
use super::session::Session;
use super::text::{Line, Lines, one_line_json};
use crate::cli::Result;
use crate::cli::failure::failure;
use crate::config::Settings;
use crate::outcome::{Reporter, TaskId, json};
use crate::trail::RecordedEntry;

/// Print an entry with its commit
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The task id
    #[arg(value_name = "TASK_ID")]
    task_id: String,
    /// Read the trail that this ref holds, such as refs/remotes/origin/audit [default: the repository's own trail]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Print the entry's bytes and nothing else, unescaped
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

#[derive(Serialize)]
struct EntryOutput<'a> {
    schema: u32,
    task_id: &'a str,
    path: &'a str,
    commit: Option<&'a str>,
    /// The tip has different bytes than the commit added. The bytes shown are the commit's.
    altered: bool,
    /// Who reported the outcome, according to the commit; `null` if it names nobody.
    reporter: Option<&'a str>,
    entry: EntryJson,
}

/// An entry within JSON: the object itself, or its text if it is not an object, which only a manual commit can cause.
#[derive(Serialize)]
#[serde(untagged)]
pub enum EntryJson {
    /// The object, on one line.
    Object(Box<RawValue>),
    /// Text that is not a JSON object.
    Text(String),
}

impl EntryJson {
    /// Converts an entry's bytes.
    pub fn new(entry: &[u8]) -> EntryJson {
        let object = || {
            let text = str::from_utf8(entry).ok()?;
            json::validate(text, json::MAX_DEPTH).ok()?;
            RawValue::from_string(one_line_json(text)).ok()
        };
        object().map_or_else(
            || EntryJson::Text(String::from_utf8_lossy(entry).into_owned()),
            EntryJson::Object,
        )
    }
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let task_id = TaskId::parse(&args.task_id).map_err(|rule| {
        UsageError(format!(
            "{} is not a task id: it {rule}",
            Line(&args.task_id)
        ))
    })?;
    let settings = session.settings(Settings::default())?;
    let trail = session.trail_to_read(&settings, args.reference.as_deref())?;
    let Some(recorded) = trail.find(&task_id)? else {
        return Err(failure!(
            "no entry for {task_id} in the trail {} of {}",
            trail.reference(),
            trail.common_dir().display()
        ));
    };
    let RecordedEntry {
        path,
        entry,
        commit,
        altered,
        reporter,
    } = &recorded;
    if *altered {
        session.output.note(format_args!(
            "warning: the tip of {} has different bytes for this entry; this is what its commit added, and `verify` reports what changed it",
            trail.reference()
        ));
    }
    let output = &mut session.output;
    if args.raw {
        output.write_all(entry)?;
    } else if output.is_json() {
        output.object(&EntryOutput {
            schema: SCHEMA,
            task_id: task_id.as_str(),
            path,
            commit: commit.as_deref(),
            altered: *altered,
            reporter: reporter.as_ref().map(Reporter::as_str),
            entry: EntryJson::new(entry),
        })?;
    } else {
        let commit = commit
            .as_deref()
            .unwrap_or("not in this clone: its history is cut off");
        writeln!(output, "{}", paint(COMMIT, format_args!("commit {commit}")))?;
        writeln!(output, "Path:  {}", Line(path))?;
        if let Some(reporter) = reporter {
            writeln!(output, "Reporter: {reporter}")?;
        }
        writeln!(output)?;
        let text = String::from_utf8_lossy(entry);
        writeln!(output, "{}", Lines(text.trim_end_matches('\n')))?;
    }
    Ok(Exit::Done)
}
