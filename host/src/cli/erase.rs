//! `erase` and `erasures`: destroys keys of sealed members, and lists what was destroyed.

use std::io::Write as _;

use serde::Serialize;

use super::commit::short;
use super::exit::{Exit, UsageError};
use super::output::{COMMIT, GOOD, SCHEMA, UNSURE, paint};
use super::sealing::key_store;
use super::session::{Session, engine};
use super::text::Line;
use crate::cli::failure::failure;
use crate::cli::{Failure, Result};
use crate::config::Settings;
use crate::outcome::{TaskId, counted};
use crate::policy::Allocation;
use crate::recorder::erasures::{self, RecordedErasure};
use crate::sealing::{KeyStore, NewErasure, Selection};
use crate::trail::Trail;

/// Make sealed members unreadable for ever
///
/// Destroys the keys of a task, or of a person or tenant. From that moment nothing that was sealed with them can be read:
/// in the trail, in its copies, in the store or in a backup of them. Then an entry of the trail records which keys were
/// destroyed, when and why; it does not name the person. Every proof still verifies.
///
/// An erasure is final after `keys rotate`: before that, who has an old copy of the key store and its key-encryption key
/// can undo it.
///
/// Exit codes: 0 erased, or nothing to erase; 1 could not, or the keys are erased and the entry follows later.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The task whose sealed members to erase
    #[arg(value_name = "TASK_ID", required_unless_present = "subject")]
    task_id: Option<String>,
    /// Erase everything of this person or tenant: the value at seal.subject
    #[arg(long, value_name = "NAME", conflicts_with = "task_id")]
    subject: Option<String>,
    /// Why; it is recorded for ever, so do not name the person
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Only print what would be erased
    #[arg(long)]
    dry_run: bool,
}

/// List erasures, and whether each is final
///
/// Records those that have no entry in the trail yet. Without keys, lists what the trail says.
#[derive(clap::Args, Debug)]
pub struct ListArgs {}

/// The longest reason. It is not the place for a letter.
const MAX_REASON: usize = 500;

/// How many tasks a dry run names.
const MAX_NAMED: usize = 20;

#[derive(Serialize)]
struct ErasedJson<'a> {
    schema: u32,
    dry_run: bool,
    keys: usize,
    tasks: usize,
    erasures: Vec<ErasureJson<'a>>,
}

#[derive(Serialize)]
struct ListJson<'a> {
    schema: u32,
    erasures: Vec<ErasureJson<'a>>,
}

#[derive(Serialize)]
struct ErasureJson<'a> {
    task_id: String,
    number: u32,
    commit: Option<&'a str>,
    erased_at: String,
    reason: &'a str,
    keys: &'a [String],
    /// `null` if this machine has no key store, or a key program has the former key-encryption key.
    #[serde(rename = "final")]
    is_final: Option<bool>,
}

/// Runs `erase`.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let selection = match (&args.task_id, &args.subject) {
        (Some(task), None) => {
            let is_id = TaskId::parse(task).is_ok();
            if !is_id {
                return Err(UsageError(format!("{} is not a task id", Line(task))).into());
            }
            Selection::Task(task)
        }
        (None, Some(subject)) => Selection::Subject(subject),
        _ => return Err(UsageError("name a task, or a subject".into()).into()),
    };
    let settings = session.settings(Settings::default())?;
    if args.subject.is_some() && settings.seal.subject.is_none() {
        let why = "--subject needs the setting seal.subject: without it, each task has its own key, so name the tasks";
        return Err(UsageError(why.into()).into());
    }
    if args.subject.as_deref() == Some("") {
        return Err(UsageError("--subject is empty".into()).into());
    }
    let trail = trail_to_record(&settings, session)?;
    if let Some(task) = &args.task_id {
        check_has_entry(&trail, task)?;
    }
    let keys = key_store(&settings, &trail)?;
    let selected = keys.select(selection)?;
    let (number, mut tasks): (usize, Vec<String>) = (
        selected.len(),
        selected.into_iter().map(|(_, task)| task).collect(),
    );
    tasks.sort_unstable();
    tasks.dedup();
    if args.dry_run {
        return dry_run(number, &tasks, session);
    }
    let reason = args.reason.as_deref().unwrap_or_default();
    if reason.is_empty() || reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        let limit = format!("--reason must be one line of 1 to {MAX_REASON} bytes");
        return Err(UsageError(limit).into());
    }
    if args
        .subject
        .as_deref()
        .is_some_and(|subject| reason.contains(subject))
    {
        let advice = "--reason names the person, and it is recorded for ever";
        return Err(UsageError(advice.into()).into());
    }
    let now = session.clock.now().microseconds();
    // From here on nothing can be read, whatever happens to the entry.
    let erased = keys.erase(&NewErasure {
        selection,
        reason,
        now,
    })?;
    let number = erased.iter().map(|erasure| erasure.keys.len()).sum();
    let recorded = record_pending(&trail, &keys, &settings, session)
        .map_err(|error| error.within(not_recorded(number)))?;
    print_erased(number, &tasks, &recorded, session)
}

/// Fails for a task without an entry: a mistyped id must not look like an answered request.
fn check_has_entry(trail: &Trail, task: &str) -> Result<()> {
    let task_id = TaskId::parse(task).map_err(|error| UsageError(error.to_string()))?;
    match trail.snapshot(&task_id)?.entry {
        Some(_) => Ok(()),
        None => Err(failure!(
            "the trail has no entry of the task {}",
            Line(task)
        )),
    }
}

fn not_recorded(number: usize) -> String {
    let keys = counted(number as u64, "key is", "keys are");
    format!("{keys} erased, and the entry is not recorded yet; `erasures` records it")
}

/// Runs `erasures`.
pub fn list(_: &ListArgs, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = trail_to_record(&settings, session)?;
    let keys = match settings.seal.key_file.is_some() || settings.seal.key_program.is_some() {
        true => Some(key_store(&settings, &trail)?),
        false => None,
    };
    let mut is_final = Vec::new();
    // What is recorded already is listed even if nothing more can be, such as after the trail has ended.
    let mut recorded_now = Ok(());
    if let Some(keys) = &keys {
        recorded_now = record_pending(&trail, keys, &settings, session).map(drop);
        is_final = keys.erasures()?;
    }
    let erasures = erasures::list(&trail)?;
    let find_final = |number: u32| {
        let own = is_final.iter().find(|own| own.number == Some(number));
        own.and_then(|own| own.is_final)
    };
    let output = &mut session.output;
    if output.is_json() {
        let erasures = erasures.iter();
        let erasures = erasures
            .map(|recorded| json(recorded, find_final(recorded.erasure.number)))
            .collect();
        output.object(&ListJson {
            schema: SCHEMA,
            erasures,
        })?;
        return recorded_now.map(|()| Exit::Done);
    }
    for recorded in &erasures {
        let erasure = &recorded.erasure;
        let state = match find_final(erasure.number) {
            Some(true) => paint(GOOD, "final").to_string(),
            Some(false) => paint(UNSURE, "final after `keys rotate`").to_string(),
            None if keys.is_some() => paint(
                UNSURE,
                "final once the key program's former key is destroyed",
            )
            .to_string(),
            None => paint(
                UNSURE,
                "this machine has no keys, so it cannot say whether it is final",
            )
            .to_string(),
        };
        let commit = recorded.commit.as_deref().map_or("", short);
        writeln!(
            output,
            "{:>4}  {}  {}  {}  {state}",
            erasure.number,
            erasure.erased_at.to_rfc3339(),
            paint(COMMIT, commit),
            counted(erasure.keys.len() as u64, "key", "keys"),
        )?;
        writeln!(output, "      {}", Line(&erasure.reason))?;
    }
    recorded_now.map(|()| Exit::Done)
}

fn trail_to_record(settings: &Settings, session: &Session) -> Result<Trail> {
    let options = session.record_options(settings)?;
    Ok(Trail::open(&session.directory, options)?)
}

fn record_pending(
    trail: &Trail,
    keys: &KeyStore,
    settings: &Settings,
    session: &Session,
) -> Result<Vec<RecordedErasure>> {
    if keys.status()?.erasures_without_entry == 0 {
        return Ok(Vec::new());
    }
    let notice = session.output.slow_compile_notice();
    let engine = engine(settings, Allocation::OnDemand, notice)?;
    let recorded = erasures::record_pending(trail, keys, &engine, &session.clock);
    recorded.map_err(Failure::from)
}

fn dry_run(number: usize, tasks: &[String], session: &mut Session) -> Result<Exit> {
    let output = &mut session.output;
    if output.is_json() {
        output.object(&ErasedJson {
            schema: SCHEMA,
            dry_run: true,
            keys: number,
            tasks: tasks.len(),
            erasures: Vec::new(),
        })?;
        return Ok(Exit::Done);
    }
    writeln!(output, "{}", would_erase(number, tasks.len()))?;
    for task in tasks.iter().take(MAX_NAMED) {
        writeln!(output, "  {}", Line(task))?;
    }
    if tasks.len() > MAX_NAMED {
        writeln!(output, "  and {} more", tasks.len() - MAX_NAMED)?;
    }
    Ok(Exit::Done)
}

fn would_erase(keys: usize, tasks: usize) -> String {
    if keys == 0 {
        return "there is nothing to erase".into();
    }
    let keys = counted(keys as u64, "key", "keys");
    format!(
        "would erase {keys} of {}",
        counted(tasks as u64, "task", "tasks")
    )
}

fn print_erased(
    number: usize,
    tasks: &[String],
    recorded: &[RecordedErasure],
    session: &mut Session,
) -> Result<Exit> {
    let output = &mut session.output;
    if output.is_json() {
        output.object(&ErasedJson {
            schema: SCHEMA,
            dry_run: false,
            keys: number,
            tasks: tasks.len(),
            erasures: recorded.iter().map(|it| json(it, Some(false))).collect(),
        })?;
        return Ok(Exit::Done);
    }
    if number == 0 {
        output.note(format_args!("nothing to erase: no live key"));
    } else {
        writeln!(
            output,
            "{} {} of {}",
            paint(GOOD, "erased"),
            counted(number as u64, "key", "keys"),
            counted(tasks.len() as u64, "task", "tasks")
        )?;
    }
    for RecordedErasure { erasure, commit } in recorded {
        let commit = commit.as_deref().map_or("", short);
        let task_id = crate::outcome::ErasureEntry::task_id(erasure.number);
        writeln!(output, "recorded {task_id} {}", paint(COMMIT, commit))?;
    }
    if number > 0 {
        output.note(format_args!(
            "note: final after `chiffon-audit keys rotate`; until then a backup of the keys can undo it"
        ));
    }
    Ok(Exit::Done)
}

fn json(recorded: &RecordedErasure, is_final: Option<bool>) -> ErasureJson<'_> {
    let RecordedErasure { erasure, commit } = recorded;
    ErasureJson {
        task_id: crate::outcome::ErasureEntry::task_id(erasure.number).to_string(),
        number: erasure.number,
        commit: commit.as_deref(),
        erased_at: erasure.erased_at.to_rfc3339(),
        reason: &erasure.reason,
        keys: &erasure.keys,
        is_final,
    }
}
