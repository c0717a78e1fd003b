//! The parts of the writer, each by itself and without a disk, for `cargo bench --bench parts`. Nothing else uses them.

use std::sync::Arc;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use crate::error::TrailError;
use crate::objects::commit::Commit;
use crate::objects::loaded::LoadedBytes;
use crate::objects::object::{self, Deflater};
use crate::objects::pack::PackBuilder;
use crate::objects::tree::{Edit, Node, TreeSource};
use crate::place::layout::{Layout, ROOT};
use outcome::TaskId;

const HASH: HashKind = HashKind::Sha1;

/// A sharded trail in memory.
pub struct InMemory {
    root: Arc<Node>,
    tip: Option<ObjectId>,
    deflater: Deflater,
}

/// Fails for every tree: all of them are in memory.
struct NoOther;

impl TreeSource for NoOther {
    fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
        Err(TrailError::Unreadable {
            what: format!("tree {id}"),
            cause: "there is no object database here".into(),
        })
    }
}

impl Default for InMemory {
    fn default() -> InMemory {
        InMemory {
            root: Arc::new(Node::empty(0, HASH, &LoadedBytes::default())),
            tip: None,
            deflater: Deflater::new(),
        }
    }
}

impl InMemory {
    /// Makes the trees for one more entry, seven of them, from the entry's directory up to the root, each with its id.
    ///
    /// # Errors
    ///
    /// None is expected.
    pub fn update_trees(&mut self, task_id: &TaskId, entry: &[u8]) -> Result<(), TrailError> {
        let blob = object::name_checked(HASH, Kind::Blob, entry)?;
        self.add(task_id, &blob, &mut |_, _| {})
    }

    fn add(
        &mut self,
        task_id: &TaskId,
        blob: &gix::oid,
        made: &mut dyn FnMut(&mut Node, Option<Edit>),
    ) -> Result<(), TrailError> {
        let below = Layout::Sharded.components(task_id);
        let mut path: Vec<&str> = ROOT.to_vec();
        path.extend(below.iter().map(String::as_str));
        Node::add_file(&mut self.root, &path, blob, &NoOther, made)
    }

    /// Makes the pack and index of one group: for each entry a blob, its updated trees and a commit. Returns their size
    /// in bytes.
    ///
    /// # Errors
    ///
    /// None is expected.
    pub fn write_pack(
        &mut self,
        group: &[(TaskId, Vec<u8>)],
        message: &str,
    ) -> Result<usize, TrailError> {
        let mut builder = PackBuilder::new(HASH);
        // The closure below borrows all of `self`.
        let mut deflater = std::mem::replace(&mut self.deflater, Deflater::new());
        for (task_id, entry) in group {
            let blob = object::name_checked(HASH, Kind::Blob, entry)?;
            builder.add_entry(blob, entry, None, &mut deflater);
            self.add(task_id, &blob, &mut |tree, edit| {
                builder.add_tree(tree, edit, &mut deflater);
            })?;
            let commit = Commit {
                tree: self.root.id,
                parent: self.tip,
                author: "Bench <bench@localhost>",
                seconds: 0,
                message,
            };
            let (id, contents) = commit.make(HASH, None)?;
            builder.add_commit(id, &contents, &mut deflater);
            self.tip = Some(id);
        }
        self.deflater = deflater;
        let pack = builder.finish();
        Ok(pack.pack.len() + pack.index.len())
    }
}
