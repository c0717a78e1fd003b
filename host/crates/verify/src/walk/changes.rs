//! The changes of a commit below `.audit`, by path: compares two trees, and enters only directories that differ.

use super::objects::{self, read_tree_and_form};
use super::{Context, Place};
use crate::findings::Rule;
use crate::object::{Id, Kind};
use crate::quote::quote;
use crate::rules::tree::{self, Mode, Node, Nodes};
use crate::store::reader::Reader;

/// A change of one path.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: Vec<u8>,
    pub(super) before: Option<(Mode, Id)>,
    pub(super) after: Option<(Mode, Id)>,
}

/// The changes of one commit.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) list: Vec<Change>,
    /// Whether there are more changes, or something could not be read.
    pub(super) more: bool,
    /// The number of new trees that were hashed.
    pub(super) objects: u64,
}

/// The most changes that are listed. No trail commit has more, so the first ones are enough for the report.
const MAX_CHANGES: usize = 10_000;

/// The most directories that are compared for one commit, for the same reason.
const MAX_COMPARED: usize = 100_000;

/// `.audit/tasks/a/b/c/d` has six levels. Below twice as many, paths are not named, only hashed.
const MAX_LEVELS: usize = 12;

/// The longest path that is named, in bytes; ten times that of an entry.
const MAX_PATH: usize = 4096;

/// Two directories at the same path.
struct Pair {
    path: Vec<u8>,
    level: usize,
    before: Option<Id>,
    after: Option<Id>,
}

/// Compares the two states of `.audit`. New objects that are not listed are hashed here; new files that are listed are
/// not.
pub(super) fn compare(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    before: Option<Node<'_>>,
    after: Option<Node<'_>>,
    place: Place,
) -> Changes {
    let mut changes = Changes::default();
    let mut pairs = Vec::new();
    note(
        context,
        reader,
        &mut changes,
        &mut pairs,
        &[],
        0,
        before,
        after,
        place,
    );
    let mut compared = 0;
    while let Some(pair) = pairs.pop() {
        compared += 1;
        if compared > MAX_COMPARED || pair.level > MAX_LEVELS || changes.list.len() >= MAX_CHANGES {
            changes.more = true;
            if let Some(after) = pair.after {
                changes.objects += objects::check_new(context, reader, after, None, place);
            }
            continue;
        }
        let old = match pair.before.map(|id| reader.fetch(&id, Kind::Tree)) {
            None => None,
            Some(Ok(content)) => Some(content),
            // Reported where it was new; here it only hides the change.
            Some(Err(_)) => {
                changes.more = true;
                if let Some(after) = pair.after {
                    changes.objects += objects::check_new(context, reader, after, None, place);
                }
                continue;
            }
        };
        let (new, is_padded) = match pair.after {
            None => (None, false),
            Some(id) => {
                let Some((content, is_padded)) = read_tree_and_form(context, reader, &id, place)
                else {
                    changes.more = true;
                    continue;
                };
                changes.objects += 1;
                (Some(content), is_padded)
            }
        };
        let old: &[u8] = old.as_ref().map_or(&[], |content| &content.data);
        let new: &[u8] = new.as_ref().map_or(&[], |content| &content.data);
        // Git stores no empty directories. One that appears or disappears is a change like any other.
        if old.is_empty() && new.is_empty() {
            let tree = |id: Option<Id>| id.map(|id| (Mode::Tree, id));
            changes.list.push(Change {
                path: pair.path,
                before: tree(pair.before),
                after: tree(pair.after),
            });
            continue;
        }
        if is_padded {
            context.findings.broken(
                Rule::Objects,
                place,
                format!(
                    "the directory {}: its modes are not in git's form",
                    quote(&pair.path)
                ),
            );
        }
        let mut left = Nodes::new(old, context.hash_len());
        let mut right = Nodes::new(new, context.hash_len());
        loop {
            left.skip_same(&mut right);
            let (before, after) = match (&left.peek(), &right.peek()) {
                (None, None) => break,
                (Some(_), None) => (left.next(), None),
                (None, Some(_)) => (None, right.next()),
                (Some(before), Some(after)) => match tree::order(before, after) {
                    std::cmp::Ordering::Less => (left.next(), None),
                    std::cmp::Ordering::Greater => (None, right.next()),
                    std::cmp::Ordering::Equal => (left.next(), right.next()),
                },
            };
            if let (Some(before), Some(after)) = (&before, &after)
                && before.is_same(after)
            {
                continue;
            }
            note(
                context,
                reader,
                &mut changes,
                &mut pairs,
                &pair.path,
                pair.level,
                before,
                after,
                place,
            );
        }
    }
    changes
}

/// Notes a difference: directories are entered, everything else is a change.
#[expect(
    clippy::too_many_arguments,
    reason = "the loop's state, taken apart so that it can be borrowed"
)]
fn note(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    changes: &mut Changes,
    pairs: &mut Vec<Pair>,
    directory: &[u8],
    level: usize,
    before: Option<Node<'_>>,
    after: Option<Node<'_>>,
    place: Place,
) {
    let Some(name) = after.or(before).map(|node| node.name) else {
        return;
    };
    if directory.len() + name.len() > MAX_PATH {
        changes.more = true;
        changes.objects += match after {
            Some(node) if node.mode == Mode::Tree => {
                objects::check_new(context, reader, node.id(), None, place)
            }
            Some(node) => objects::check_leaf(context, reader, &node, place),
            None => 0,
        };
        return;
    }
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if !directory.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    let is_tree = |node: &Option<Node<'_>>| node.is_some_and(|node| node.mode == Mode::Tree);
    let file = |node: Option<Node<'_>>| {
        node.filter(|node| node.mode != Mode::Tree)
            .map(|node| (node.mode, node.id()))
    };
    if is_tree(&before) || is_tree(&after) {
        let tree = |node: Option<Node<'_>>| {
            node.filter(|node| node.mode == Mode::Tree)
                .map(|node| node.id())
        };
        let pair = |path| Pair {
            path,
            level: level + 1,
            before: tree(before),
            after: tree(after),
        };
        if file(before).is_none() && file(after).is_none() {
            pairs.push(pair(path));
            return;
        }
        pairs.push(pair(path.clone()));
    }
    let (before, after_file) = (file(before), file(after));
    if changes.list.len() < MAX_CHANGES {
        changes.list.push(Change {
            path,
            before,
            after: after_file,
        });
    } else {
        changes.more = true;
        if let Some(node) = after.filter(|_| after_file.is_some()) {
            changes.objects += objects::check_leaf(context, reader, &node, place);
        }
    }
}
