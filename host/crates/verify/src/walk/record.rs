//! Judges the entry that a trail commit adds: its file, its bytes, and whether the message names the same task.

use std::sync::Arc;

use super::changes::Change;
use super::judge::CommitCase;
use super::{Context, Tally};
use crate::findings::Rule;
use crate::object::Kind;
use crate::quote::quote;
use crate::rules::message::Trailers;
use crate::rules::tree::Mode;
use crate::rules::{entry, path, subject, time};
use crate::store::cache::Content;
use crate::store::reader::Reader;

/// An entry that can be read.
pub(super) struct JudgedEntry {
    pub(super) content: Arc<Content>,
    /// The time in it, in seconds since 1970.
    pub(super) recorded: Option<i64>,
    /// Whether its path is one for an entry.
    pub(super) has_task: bool,
}

/// Judges the only file that a trail commit adds. Returns it, if it can be read.
pub(super) fn judge_entry(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    case: &CommitCase<'_>,
    trailers: Option<&Trailers<'_>>,
    change: &Change,
) -> Option<JudgedEntry> {
    let place = case.place;
    let quoted = || quote(&change.path);
    let (mode, id) = change.after?;
    if context
        .graph
        .as_ref()
        .is_some_and(|graph| graph.would_skip(&place.1, &change.path))
    {
        let what = format!(
            "the commit-graph hides from `git log -- {}` that it adds it",
            quoted()
        );
        context.findings.broken(Rule::Hidden, place, what);
    }
    let malformed = |why: &str| {
        context
            .findings
            .broken(Rule::OneEntry, place, format!("{}: {why}", quoted()))
    };
    if mode != Mode::File {
        malformed(&format!("it is {}, not a regular file", mode.name()));
    }
    if matches!(mode, Mode::Submodule | Mode::Tree) {
        return None;
    }
    let task = path::task_at(&change.path).map_err(malformed).ok();
    if let Some(task) = task {
        tally.tasks.push((context.task_key(task), place.0));
    }
    let content = match reader.fetch_new(&id, Kind::Blob) {
        Ok(content) => content,
        Err(fault) => {
            context.record_fault(&id, "entry", &fault, place);
            return None;
        }
    };
    tally.objects += 1;
    let has_task = task.is_some();
    let entry = match entry::parse(&content.data) {
        Ok(entry) => entry,
        Err(why) => {
            context
                .findings
                .broken(Rule::OneEntry, place, format!("{} {why}", quoted()));
            return Some(JudgedEntry {
                content,
                recorded: None,
                has_task,
            });
        }
    };
    if content.data.len() > entry::USUAL_BYTES {
        context.findings.note(
            Rule::OneEntry,
            format!(
                "commit {}: {} has {} bytes, which a host writes only if its limits were raised",
                place.1,
                quoted(),
                content.data.len()
            ),
        );
    }
    if let Some(similar) = &entry.similar {
        context.findings.note(
            Rule::OneEntry,
            format!(
                "commit {}: {} has the member {}, which some programs read as {}",
                place.1,
                quoted(),
                quote(similar.as_bytes()),
                quote(similar.to_ascii_lowercase().as_bytes())
            ),
        );
    }
    if task.is_some_and(|task| task != entry.task_id) {
        let what = format!(
            "{} holds an entry of the task {}",
            quoted(),
            quote(entry.task_id.as_bytes())
        );
        context.findings.broken(Rule::Agreement, place, what);
    }
    if let (Some(said), Some(task)) = (trailers.and_then(|trailers| trailers.task), task)
        && said != task
    {
        context.findings.broken(
            Rule::Agreement,
            place,
            format!(
                "its trailer says `Audit-Task: {said}`, but it adds {}",
                quoted()
            ),
        );
    }
    if let Err(why) = subject::check_agrees(case.commit.message, &entry) {
        context.findings.broken(Rule::Agreement, place, why);
    }
    judge_time(context, case, &quoted(), entry.seconds);
    let recorded = Some(entry.seconds);
    Some(JudgedEntry {
        content,
        recorded,
        has_task,
    })
}

/// Compares the time in an entry with that of its commit.
fn judge_time(context: &Context<'_>, case: &CommitCase<'_>, path: &str, recorded: i64) {
    let findings = &context.findings;
    let before = case.commit.time().map(|time| time.saturating_sub(recorded));
    match before {
        Some(before @ ..0) => findings.broken(
            Rule::Times,
            case.place,
            format!("it is committed before the time that {path} was recorded at, by {} s", -before),
        ),
        None => findings.broken(
            Rule::Times,
            case.place,
            format!("it is committed before the time that {path} was recorded at"),
        ),
        Some(before) if before > time::MAX_ENTRY_AGE_BEFORE_RULE => findings.broken(
            Rule::Times,
            case.place,
            format!("{path} is backdated: it says that it was recorded {before} s before it was committed"),
        ),
        Some(before) if before > time::MAX_ENTRY_AGE => findings.note(
            Rule::Times,
            format!(
                "commit {}: {path} says that it was recorded {before} s before it was committed; a writer decides \
                 again after {} s, older ones did not",
                case.place.1,
                time::MAX_ENTRY_AGE
            ),
        ),
        Some(_) => {}
    }
}
