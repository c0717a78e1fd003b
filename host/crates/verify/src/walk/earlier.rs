//! The tasks that were recorded before an audit starts, from the tree of the commit before it, so that a second record
//! of one of them is noticed.

use super::Context;
use super::chain::Chain;
use crate::object::{Id, Kind};
use crate::rules::commit::Commit;
use crate::rules::path;
use crate::rules::tree::{Mode, Nodes};
use crate::store::reader::Reader;

/// The levels of directories below `.audit/tasks` that are entered: four, as in the sharded layout.
const DEPTH: usize = 4;

/// The keys of all tasks in the tree of the commit where the chain ends, if it ends after the genesis commit.
pub(super) fn tasks(context: &Context<'_>, reader: &mut Reader<'_>, chain: &Chain) -> Vec<u64> {
    let mut keys = Vec::new();
    let root = chain.until.and_then(|id| {
        let content = reader.fetch(&id, Kind::Commit).ok()?;
        let tree = Commit::parse(&content.data, context.hash_len() * 2)?.tree;
        let audit = child(context, reader, tree, b".audit")?;
        child(context, reader, audit, b"tasks")
    });
    let mut trees: Vec<(Id, usize)> = root.map(|id| (id, 0)).into_iter().collect();
    while let Some((id, depth)) = trees.pop() {
        // It was there before the checkpoint, and is not judged again.
        let Ok(content) = reader.fetch(&id, Kind::Tree) else {
            continue;
        };
        for node in Nodes::new(&content.data, context.hash_len()) {
            match node.mode {
                Mode::Tree if depth < DEPTH => trees.push((node.id(), depth + 1)),
                Mode::File => {
                    let name = node.name.strip_suffix(b".json");
                    let task = name.and_then(|name| path::task_id(name).ok());
                    keys.extend(task.map(|task| context.task_key(task)));
                }
                _ => {}
            }
        }
    }
    keys
}

fn child(context: &Context<'_>, reader: &mut Reader<'_>, tree: Id, name: &[u8]) -> Option<Id> {
    let content = reader.fetch(&tree, Kind::Tree).ok()?;
    Nodes::new(&content.data, context.hash_len())
        .find(|node| node.name == name && node.mode == Mode::Tree)
        .map(|node| node.id())
}
