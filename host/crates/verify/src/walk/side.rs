//! Histories that people merged: their objects are hashed like all others, but they are not part of the trail.

use std::collections::HashSet;

use super::chain::Chain;
use super::history::{Job, Walker};
use super::objects::{self, read_other};
use super::{Context, Place};
use crate::findings::Rule;
use crate::object::{Id, Kind};
use crate::rules::commit::Commit;
use crate::rules::message::{self, Role};
use crate::rules::subject;
use crate::store::reader::{Fault, Reader};

/// A commit of a merged history.
pub(super) struct Side {
    tree: Id,
    parent: Option<Id>,
    /// The first-parent commit that merged it.
    place: Place,
}

/// Commits in a batch.
const BATCH: usize = 256;

/// Reads every commit that is reachable only through merges.
pub(super) fn walk(
    walker: &mut Walker<'_, '_, '_>,
    chain: &Chain,
    merged: Vec<(Id, Place)>,
    shallow: &HashSet<Id>,
) {
    if merged.is_empty() {
        return;
    }
    let context = walker.context;
    let hex_len = context.algorithm.len_in_hex();
    let below = chain.below.iter().copied();
    let mainline = chain.ids().chain(below);
    let mut mainline: Vec<u64> = mainline.map(|id| context.key(id.as_slice())).collect();
    mainline.sort_unstable();
    let mut visited = HashSet::new();
    let mut is_new = |id: &Id| {
        let key = context.key(id.as_slice());
        mainline.binary_search(&key).is_err() && visited.insert(key)
    };
    let mut stack = merged;
    stack.retain(|(id, _)| is_new(id));
    let mut batch = Vec::with_capacity(BATCH);
    while let Some((id, place)) = stack.pop() {
        let Ok(content) = read_other(context, &mut walker.reader, &id, Kind::Commit, place) else {
            continue;
        };
        let Some(commit) = Commit::parse(&content.data, hex_len) else {
            context.findings.broken(
                Rule::Objects,
                place,
                format!("the commit {id}: it is malformed"),
            );
            continue;
        };
        if message::role(commit.message) != Role::Person || subject::is_record(commit.message) {
            let what = format!(
                "commit {id}, which was merged, looks like a record and is not one of this trail: plain `git log` \
                 shows it among the others"
            );
            context.findings.note(Rule::Agreement, what);
        }
        context.check_graph(&id, &commit, place);
        let mut parent = commit.parents.first().copied();
        for (number, next) in commit.parents.iter().enumerate() {
            if shallow.contains(&id)
                && let Err(Fault::Missing) = walker.reader.fetch(next, Kind::Commit)
            {
                let what = format!(
                    "the merged history before the commit {id}, where this shallow clone is cut off"
                );
                context.findings.not_shown(Rule::Objects, Some(place), what);
                parent = parent.filter(|_| number > 0);
            } else if is_new(next) {
                stack.push((*next, place));
            }
        }
        batch.push(Side {
            tree: commit.tree,
            parent,
            place,
        });
        if batch.len() == BATCH {
            walker.hand_out(Job::Side(std::mem::take(&mut batch)));
        }
    }
    walker.hand_out(Job::Side(batch));
}

/// Hashes what a commit of a merged history adds to its first parent. Returns the number of objects.
pub(super) fn check(context: &Context<'_>, reader: &mut Reader<'_>, side: &Side) -> u64 {
    let hex_len = context.algorithm.len_in_hex();
    // A parent that cannot be read is reported where it is walked.
    let parent = side
        .parent
        .and_then(|id| reader.fetch(&id, Kind::Commit).ok());
    let parent =
        parent.and_then(|content| Commit::parse(&content.data, hex_len).map(|commit| commit.tree));
    let count = match parent {
        Some(parent) if parent == side.tree => 0,
        _ => objects::check_new(context, reader, side.tree, parent, side.place),
    };
    context.record_bad_copies(reader, side.place);
    count + 1
}
