//! The trail as callers see it: durable entries, and entries with a place that are not durable yet.

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

/// The current state. Guarded by one lock, which is held only for look-ups in memory.
pub(crate) struct View {
    /// The ref's commit as of the last flush or refresh.
    pub(crate) tip: Option<ObjectId>,
    /// The tree of `tip`; `None` until it is first needed. Sequenced entries after `tip` are in `pending`.
    pub(crate) root: Option<Arc<Node>>,
    /// Entries that are queued or sequenced and not durable, by folded task id.
    pub(crate) pending: HashMap<String, PendingEntry>,
    /// The time of the last trail commit, in microseconds since the epoch; `clock.now` is never before it.
    pub(crate) floor: i64,
    /// Whether the writer has held the lock once, and has checked that `tip` is durable and continues what was
    /// acknowledged.
    pub(crate) confirmed: bool,
}

/// An entry that is not durable yet.
pub(crate) struct PendingEntry {
    pub(crate) task_id: TaskId,
    pub(crate) entry: Arc<[u8]>,
    pub(crate) ticket: Ticket,
}

/// What one call of a policy may read about its task.
pub struct Snapshot {
    /// The entry of the task, if it has one.
    pub entry: Option<Arc<[u8]>>,
    /// The ticket of that entry, if it is not durable yet.
    pub(crate) depends_on: Option<Ticket>,
    pub(crate) blob: Option<ObjectId>,
}

impl Snapshot {
    /// The ticket of the entry, if it is not durable yet.
    pub fn depends_on(&self) -> Option<&Ticket> {
        self.depends_on.as_ref()
    }

    /// Whether [`crate::Trail::confirm`] returns without waiting for the disk.
    pub fn is_settled(&self) -> bool {
        self.depends_on.as_ref().is_none_or(Ticket::is_settled)
    }
}

/// What the tree has for a task.
pub(crate) enum Presence {
    Absent,
    Present {
        blob: ObjectId,
        layout: Layout,
    },
    /// The entry of another id that differs only by case.
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

    /// Reads the root tree of a commit. Its children are loaded when needed.
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

/// Looks a task up in both layouts. Also returns its directory in the sharded layout, if that exists; `seen` is a
/// candidate for that.
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

/// Reads the entry of a task from the tree.
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
