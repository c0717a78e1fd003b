//! Judges the one entry that a trail commit adds: its file, its bytes, and whether the message speaks of the same task.

use std::sync::Arc;

use super::changes::Change;
use super::judge::Case;
use super::{Context, Tally};
use crate::verify::findings::{Rule, quote};
use crate::verify::rules::message::Trailers;
use crate::verify::rules::tree::Mode;
use crate::verify::rules::{entry, path};
use crate::verify::store::cache::Content;
use crate::verify::store::hash::Kind;
use crate::verify::store::reader::Reader;

/// Judges the one file that a trail commit adds. Returns it, if it can be read.
pub(super) fn judge_entry(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    case: &Case<'_>,
    trailers: Option<&Trailers<'_>>,
    change: &Change,
) -> Option<Arc<Content>> {
    let place = case.place;
    let quoted = || quote(&change.path);
    let (mode, id) = change.after?;
    let malformed = |why: &str| {
        context
            .findings
            .broken(Rule::OneEntry, place, format!("{}: {why}", quoted()))
    };
    if mode != Mode::File {
        malformed(&format!("it is {}, no regular file", mode.name()));
    }
    if matches!(mode, Mode::Submodule | Mode::Tree) {
        return None;
    }
    let task = path::task_at(&change.path).map_err(malformed).ok();
    if let Some(task) = task {
        tally.tasks.push((context.task_key(task), place.0));
    }
    let content = match reader.fetch(&id, Kind::Blob) {
        Ok(content) => content,
        Err(fault) => {
            context.fault(&id, "entry", &fault, place);
            return None;
        }
    };
    tally.objects += 1;
    let entry = match entry::parse(&content.data) {
        Ok(entry) => entry,
        Err(why) => {
            context
                .findings
                .broken(Rule::OneEntry, place, format!("{} {why}", quoted()));
            return Some(content);
        }
    };
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
    if case.commit.time().is_none_or(|time| time < entry.seconds) {
        context.findings.broken(
            Rule::Times,
            place,
            format!(
                "it is committed before the time that {} was recorded at",
                quoted()
            ),
        );
    }
    Some(content)
}
