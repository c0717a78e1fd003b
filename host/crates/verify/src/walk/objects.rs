//! Enters trees only to hash everything in them. The work is bounded by the number of objects, however often they
//! occur.

use std::sync::Arc;

use super::{Context, Place};
use crate::findings::Rule;
use crate::object::{Id, Kind};
use crate::rules::tree::{self, Mode, Node, Nodes};
use crate::store::cache::Content;
use crate::store::reader::{Fault, Reader};

/// The most pairs of trees that are compared for one commit before its whole tree is walked instead. Trees that contain
/// each other in many ways have more pairs than objects.
const MAX_PAIRS: usize = 4096;

/// Hashes everything in `tree` that `parent` does not have at the same path. Returns the number of objects.
pub(super) fn check_new(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tree: Id,
    parent: Option<Id>,
    place: Place,
) -> u64 {
    let mut count = 0;
    let mut pairs = vec![(tree, parent)];
    let mut compared = 0;
    while let Some((tree, parent)) = pairs.pop() {
        compared += 1;
        let parent = parent.filter(|_| compared <= MAX_PAIRS);
        let Some(parent) = parent else {
            count += check_whole(context, reader, tree, place);
            continue;
        };
        // Defects of the parent's tree are reported where it was new.
        let Ok(before) = reader.fetch(&parent, Kind::Tree) else {
            count += check_whole(context, reader, tree, place);
            continue;
        };
        let Some(after) = read_tree(context, reader, &tree, place) else {
            continue;
        };
        count += 1;
        let mut old = Nodes::new(&before.data, context.hash_len()).peekable();
        for node in Nodes::new(&after.data, context.hash_len()) {
            while old.next_if(|old| tree::order(old, &node).is_lt()).is_some() {}
            let same_name = old.next_if(|old| old.name == node.name);
            if same_name.is_some_and(|old| old.is_same(&node)) {
                continue;
            }
            match node.mode {
                Mode::Tree => {
                    let before = same_name
                        .filter(|old| old.mode == Mode::Tree)
                        .map(|old| old.id());
                    pairs.push((node.id(), before));
                }
                _ => count += check_leaf(context, reader, &node, place),
            }
        }
    }
    count
}

/// Hashes everything in a tree that was not entered before.
fn check_whole(context: &Context<'_>, reader: &mut Reader<'_>, tree: Id, place: Place) -> u64 {
    let mut count = 0;
    let mut trees = vec![tree];
    while let Some(tree) = trees.pop() {
        if !context.enter(&tree, Kind::Tree) {
            continue;
        }
        let Some(content) = read_tree(context, reader, &tree, place) else {
            continue;
        };
        count += 1;
        for node in Nodes::new(&content.data, context.hash_len()) {
            match node.mode {
                Mode::Tree => trees.push(node.id()),
                Mode::Submodule => {}
                _ if context.enter(&node.id(), Kind::Blob) => {
                    count += check_leaf(context, reader, &node, place)
                }
                _ => {}
            }
        }
    }
    count
}

/// Hashes an object that is not a directory.
pub(super) fn check_leaf(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    place: Place,
) -> u64 {
    if node.mode == Mode::Submodule {
        return 0;
    }
    let id = node.id();
    match reader.check_blob(&id) {
        Ok(()) => 1,
        Err(fault) => {
            context.record_fault(&id, "file", &fault, place);
            0
        }
    }
}

/// Reads a new tree and checks its form.
pub(super) fn read_tree(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    id: &Id,
    place: Place,
) -> Option<Arc<Content>> {
    read_tree_and_form(context, reader, id, place).map(|(content, _)| content)
}

/// Reads a new tree and checks its form. Also returns whether a mode is padded with a zero.
pub(super) fn read_tree_and_form(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    id: &Id,
    place: Place,
) -> Option<(Arc<Content>, bool)> {
    let content = reader.fetch_new(id, Kind::Tree);
    let content = content
        .map_err(|fault| context.record_fault(id, "directory", &fault, place))
        .ok()?;
    let form = tree::check(&content.data, context.hash_len());
    if let Err(why) = form {
        context
            .findings
            .broken(Rule::Objects, place, format!("the directory {id}: {why}"));
    }
    Some((content, form == Ok(true)))
}

/// Reads an object that is not in a tree, and reports what is wrong with it.
pub(super) fn read_other(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    id: &Id,
    kind: Kind,
    place: Place,
) -> Result<Arc<Content>, Fault> {
    let content = reader.fetch_new(id, kind);
    context.record_bad_copies(reader, place);
    content.inspect_err(|fault| context.record_fault(id, kind.name(), fault, place))
}
