//! The trail as callers see it: what is durable, and what has its place and is not durable yet.

use std::collections::HashMap;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind;

use crate::error::TrailError;
use crate::objects::tree::{Node, TreeSource};
use crate::place::layout::{self, Layout, ROOT};
use crate::place::repository::Repository;
use crate::write::ticket::Ticket;
use outcome::TaskId;

/// The present state. Guarded by one lock, held for look-ups in memory only.
pub(crate) struct View {
    /// The ref's commit as of the last flush or refresh.
    pub(crate) tip: Option<ObjectId>,
    /// The tree of `tip`; `None` until it is first needed. What is sequenced beyond it is in `pending`.
    pub(crate) root: Option<Arc<Node>>,
    /// What is sequenced or queued and not durable, by folded id.
    pub(crate) pending: HashMap<String, PendingEntry>,
    /// Time of the last trail commit, microseconds since the epoch; `clock.now` is never before it.
    pub(crate) floor: i64,
    /// The writer has held the lock once, and `tip` is known to continue what was acknowledged, and to be durable.
    pub(crate) confirmed: bool,
}

/// An entry on its way.
pub(crate) struct PendingEntry {
    pub(crate) task_id: TaskId,
    pub(crate) entry: Arc<[u8]>,
    pub(crate) ticket: Ticket,
}

/// What one call of a policy may read.
pub struct Snapshot {
    /// The task's entry, if it has one.
    pub entry: Option<Arc<[u8]>>,
    /// The promise of that entry, while it is not durable yet.
    pub(crate) depends_on: Option<Ticket>,
    pub(crate) blob: Option<ObjectId>,
}

impl Snapshot {
    /// The promise that the entry rests on, while it is not durable.
    pub fn depends_on(&self) -> Option<&Ticket> {
        self.depends_on.as_ref()
    }

    /// Whether [`crate::Trail::confirm`] need not wait for the disk.
    pub fn is_settled(&self) -> bool {
        self.depends_on.as_ref().is_none_or(Ticket::is_settled)
    }
}

/// What the tree says about a task.
pub(crate) enum Presence {
    Absent,
    Present {
        blob: ObjectId,
        layout: Layout,
    },
    /// Another id that equals this one but for case.
    Collides(String),
}

impl View {
    pub(crate) fn unloaded() -> View {
        View {
            tip: None,
            root: None,
            pending: HashMap::new(),
            floor: i64::MIN,
            confirmed: false,
        }
    }

    /// The tree of a commit, with nothing below it loaded.
    pub(crate) fn load_root(
        repository: &Repository,
        tip: Option<ObjectId>,
    ) -> Result<Arc<Node>, TrailError> {
        let Some(tip) = tip else {
            return Ok(Arc::new(Node::empty(
                0,
                repository.hash,
                &repository.loaded,
            )));
        };
        let tree = repository.commit(&tip)?.tree;
        Ok(Arc::new(Node::new(
            tree,
            repository.tree(&tree)?,
            0,
            repository.hash,
            &repository.loaded,
        )?))
    }
}

/// Looks a task up in both layouts. With what is there comes the directory where a sharded layout has it, if there is
/// one; `seen` is one that may be it.
pub(crate) fn presence(
    root: &Arc<Node>,
    task_id: &TaskId,
    source: &dyn TreeSource,
    seen: Option<&Arc<Node>>,
) -> Result<(Presence, Option<Arc<Node>>), TrailError> {
    let Some(tasks) = root.descend(&ROOT, source, None)? else {
        return Ok((Presence::Absent, None));
    };
    let name = format!("{task_id}.json");
    let digits = layout::shard(task_id).map(String::from);
    let digits: Vec<&str> = digits.iter().map(String::as_str).collect();
    let sharded = tasks.descend(&digits, source, seen)?;
    let places = [(Some(tasks), Layout::Flat), (sharded, Layout::Sharded)];
    for (node, layout) in places {
        let Some(node) = node else { continue };
        if let Some((found, blob)) = node.entry_ignoring_case(&name) {
            let presence = if found == name {
                Presence::Present { blob, layout }
            } else {
                Presence::Collides(found.trim_end_matches(".json").to_owned())
            };
            return Ok((presence, sharded.cloned()));
        }
    }
    Ok((Presence::Absent, sharded.cloned()))
}

/// Reads the entry that the tree has for a task.
pub(crate) fn read(
    root: &Arc<Node>,
    task_id: &TaskId,
    repository: &Repository,
) -> Result<Snapshot, TrailError> {
    match presence(root, task_id, repository, None)?.0 {
        Presence::Absent => Ok(Snapshot {
            entry: None,
            depends_on: None,
            blob: None,
        }),
        Presence::Present { blob, .. } => {
            let entry = repository.object(Kind::Blob, &blob)?.into();
            Ok(Snapshot {
                entry: Some(entry),
                depends_on: None,
                blob: Some(blob),
            })
        }
        Presence::Collides(with) => Err(TrailError::CaseCollision(with)),
    }
}
