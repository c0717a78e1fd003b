//! `show`: prints one task's entry with the commit that recorded it.

use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use ::intake::map::shipped;
use ::intake::{candidates, source_id_of};

use super::exit::{Exit, UsageError};
use super::output::{COMMIT, SCHEMA, paint};
use super::sealed_view::{ErasedMember, OpenFlag, SealedView};
use super::session::Session;
use super::text::{Line, Lines, one_line_json};
use crate::cli::Result;
use crate::cli::failure::failure;
use crate::config::Settings;
use crate::outcome::{Reporter, TaskId, json};
use crate::trail::{Earlier, RecordedEntry, Trail};

/// Print an entry with its commit
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The task id
    #[arg(value_name = "TASK_ID", required_unless_present = "source_id")]
    task_id: Option<String>,
    /// Print the entries of this task of another system: metadata.source_id
    #[arg(
        long,
        value_name = "ID",
        conflicts_with = "task_id",
        allow_hyphen_values = true
    )]
    source_id: Option<String>,
    /// Read the trail that this ref holds, such as refs/remotes/origin/audit [default: the repository's own trail]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Print the entry's bytes and nothing else, unescaped
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    open: OpenFlag,
}

#[derive(Serialize)]
struct EntryOutput<'a> {
    schema: u32,
    task_id: &'a str,
    path: &'a str,
    commit: Option<&'a str>,
    /// The tip has different bytes than the commit added. The bytes shown are the commit's.
    altered: bool,
    /// The origin of the trail that has the entry, if that is one that this trail continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<&'a str>,
    /// Who reported the outcome, according to the commit; `null` if it names nobody.
    reporter: Option<&'a str>,
    /// Members whose keys were destroyed.
    #[serde(skip_serializing_if = "<[ErasedMember]>::is_empty")]
    erased: &'a [ErasedMember],
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
    let given = args.task_id.as_deref().map(parse_id).transpose()?;
    let settings = session.settings(Settings::default())?;
    let trail = session.trail_to_read(&settings, args.reference.as_deref())?;
    let given_id = given.clone();
    let found = match &args.source_id {
        Some(source_id) => by_source_id(&trail, source_id)?,
        None => given.into_iter().collect(),
    };
    let named = args.source_id.as_ref().or(args.task_id.as_ref());
    let mut is_first = true;
    for task_id in found {
        if let Some(recorded) = trail.find(&task_id)? {
            if !std::mem::take(&mut is_first) && !args.raw && !session.output.is_json() {
                writeln!(session.output)?;
            }
            show(args, (&trail, None), &task_id, &recorded, session)?;
        }
    }
    if is_first && let Some(task_id) = given_id {
        is_first = !show_earlier(args, &trail, &task_id, session)?;
    }
    if is_first {
        return Err(failure!(
            "no entry for {} in the trail {} of {}",
            Line(named.map_or("", String::as_str)),
            trail.reference(),
            trail.common_dir().display()
        ));
    }
    Ok(Exit::Done)
}

/// Shows the entry of a task in a trail that this one continues. Returns whether there is one.
fn show_earlier(
    args: &Args,
    trail: &Trail,
    task_id: &TaskId,
    session: &mut Session,
) -> Result<bool> {
    let Earlier::Entry(earlier) = trail.find_earlier(task_id)? else {
        return Ok(false);
    };
    let recorded = earlier.recorded(task_id)?;
    session.output.note(format_args!(
        "note: the entry is in {}, which this trail continues, in {}",
        Line(&earlier.origin),
        Line(&earlier.trail.directory().display().to_string())
    ));
    let origin = Some(earlier.origin.as_str());
    show(args, (&earlier.trail, origin), task_id, &recorded, session)?;
    Ok(true)
}

fn parse_id(text: &str) -> Result<TaskId, UsageError> {
    TaskId::parse(text).map_err(|rule| {
        UsageError(format!(
            "{} is not a task id: it {rule}; --source-id finds a task by the id of another system",
            Line(text)
        ))
    })
}

/// How many attempts in a row may be missing: a system may report only the last ones.
const GAP: usize = 8;

/// The tasks with this original id: first those whose ids the encoding gives, else whatever the history has.
fn by_source_id(trail: &Trail, source_id: &str) -> Result<Vec<TaskId>> {
    let mut found = Vec::new();
    let sources = shipped().iter().map(|shipped| shipped.name);
    for mut attempts in candidates(source_id, sources) {
        let mut missed = 0;
        while missed < GAP
            && let Some(task_id) = attempts.next()
        {
            let exists = match trail.find(&task_id)? {
                Some(recorded) => is_of(&recorded.entry, &task_id, source_id),
                None => false,
            };
            if exists && !found.contains(&task_id) {
                found.push(task_id);
            }
            missed = if exists { 0 } else { missed + 1 };
        }
    }
    if found.is_empty() {
        for logged in trail.history()? {
            let logged = logged?;
            if let Ok(task_id) = TaskId::parse(&logged.task_id)
                && is_of(&logged.entry, &task_id, source_id)
            {
                found.push(task_id);
            }
        }
    }
    Ok(found)
}

/// Whether the entry is of the task that another system calls so.
pub fn is_of(entry: &[u8], task_id: &TaskId, source_id: &str) -> bool {
    let text = std::str::from_utf8(entry).unwrap_or_default();
    match source_id_of(text) {
        Some(found) => found == source_id,
        None => task_id.as_str() == source_id,
    }
}

fn show(
    args: &Args,
    (trail, origin): (&Trail, Option<&str>),
    task_id: &TaskId,
    recorded: &RecordedEntry,
    session: &mut Session,
) -> Result<()> {
    let RecordedEntry {
        path,
        entry,
        commit,
        altered,
        reporter,
    } = recorded;
    if *altered {
        session.output.note(format_args!(
            "warning: the tip of {} has different bytes for this entry; this is what its commit added, and `verify` reports what changed it",
            trail.reference()
        ));
    }
    let settings = session.settings(Settings::default())?;
    let view = SealedView::new(args.open, &settings, trail, session)?;
    let shown = view.show(task_id.as_str(), entry)?;
    let output = &mut session.output;
    if args.raw {
        output.write_all(&shown.bytes)?;
    } else if output.is_json() {
        output.object(&EntryOutput {
            schema: SCHEMA,
            task_id: task_id.as_str(),
            path,
            commit: commit.as_deref(),
            altered: *altered,
            trail: origin,
            reporter: reporter.as_ref().map(Reporter::as_str),
            erased: &shown.erased,
            entry: EntryJson::new(&shown.bytes),
        })?;
    } else {
        let commit = commit.as_deref().unwrap_or(
            "not in this clone, whose history is cut off: `git fetch --unshallow` fetches it",
        );
        writeln!(output, "{}", paint(COMMIT, format_args!("commit {commit}")))?;
        writeln!(output, "Path:  {}", Line(path))?;
        if let Some(reporter) = reporter {
            writeln!(output, "Reporter: {reporter}")?;
        }
        writeln!(output)?;
        let text = String::from_utf8_lossy(&shown.bytes);
        writeln!(output, "{}", Lines(text.trim_end_matches('\n')))?;
        for note in shown.notes() {
            output.note(format_args!("{note}"));
        }
    }
    Ok(())
}
