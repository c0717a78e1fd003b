//! Tasks that were recorded twice: found by short hashes of their ids, then compared by id.

use super::chain::Chain;
use super::changes;
use super::earlier;
use super::{Context, Place};
use crate::findings::{Depth, Rule};
use crate::object::Kind;
use crate::quote::quote;
use crate::rules::commit::Commit;
use crate::rules::path;
use crate::rules::tree::Nodes;
use crate::store::reader::Reader;

/// Reports every task that occurs twice. Greater depths are older.
pub(crate) fn find(context: &Context<'_>, chain: &Chain, mut tasks: Vec<(u64, Depth)>) {
    let mut reader = Reader::new(context.current);
    // Earlier entries count as recorded by the commit before the first.
    let before = earlier::tasks(context, &mut reader, chain);
    tasks.extend(before.into_iter().map(|key| (key, chain.len())));
    tasks.sort_unstable_by_key(|(key, depth)| (*key, std::cmp::Reverse(*depth)));
    let mut again: Vec<(u64, Depth, Depth)> = Vec::new();
    for pair in tasks.windows(2) {
        // Both are earlier entries, which are not judged here.
        if pair[0].0 == pair[1].0 && pair[1].1 < chain.len() {
            again.push((pair[0].0, pair[0].1, pair[1].1));
        }
    }
    drop(tasks);
    // The report names the oldest, so it comes first. Two ids whose hashes are equal by chance are not an offence.
    again.sort_unstable_by_key(|(_, _, second)| std::cmp::Reverse(*second));
    let mut reported = false;
    for (key, first, second) in again {
        if reported {
            context
                .findings
                .broken(Rule::Once, (second, chain.id(second)), String::new());
            continue;
        }
        if first >= chain.len() {
            let Some((place, new)) = task_at_depth(context, &mut reader, chain, second, key) else {
                continue;
            };
            let what = format!(
                "the task {} was recorded before the checkpoint",
                quote(new.as_bytes())
            );
            context.findings.broken(Rule::Once, place, what);
            reported = true;
            continue;
        }
        let earlier = task_at_depth(context, &mut reader, chain, first, key);
        let later = task_at_depth(context, &mut reader, chain, second, key);
        let (Some((before, old)), Some((place, new))) = (earlier, later) else {
            continue;
        };
        if first == second {
            let what = format!(
                "the task {} is recorded twice in one commit",
                quote(new.as_bytes())
            );
            context.findings.broken(Rule::Once, place, what);
        } else if old.eq_ignore_ascii_case(&new) {
            let what = format!(
                "the task {} was recorded before, as {} in {}",
                quote(new.as_bytes()),
                quote(old.as_bytes()),
                before.1
            );
            context.findings.broken(Rule::Once, place, what);
        } else {
            continue;
        }
        reported = true;
    }
}

/// The first-parent commit at this depth, and its task with this key.
fn task_at_depth(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    chain: &Chain,
    depth: Depth,
    key: u64,
) -> Option<(Place, String)> {
    let hex_len = context.algorithm.len_in_hex();
    let id = chain.id(depth);
    let place = (depth, id);
    let content = reader.fetch(&id, Kind::Commit).ok()?;
    let commit = Commit::parse(&content.data, hex_len)?;
    let after = reader.fetch(&commit.tree, Kind::Tree).ok()?;
    let before = commit.parents.first().and_then(|parent| {
        let content = reader.fetch(parent, Kind::Commit).ok()?;
        let tree = Commit::parse(&content.data, hex_len)?.tree;
        reader.fetch(&tree, Kind::Tree).ok()
    });
    let hash_len = context.algorithm.len_in_bytes();
    let before: &[u8] = before.as_ref().map_or(&[], |content| &content.data);
    let audit = |tree| Nodes::new(tree, hash_len).find(|node| node.name == b".audit");
    let changes = changes::compare(context, reader, audit(before), audit(&after.data), place);
    let tasks = changes
        .list
        .iter()
        .filter(|change| change.before.is_none())
        .filter_map(|change| path::task_at(&change.path).ok());
    tasks
        .into_iter()
        .find(|task| context.task_key(task) == key)
        .map(|task| (place, task.to_owned()))
}
