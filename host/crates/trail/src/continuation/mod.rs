//! Trails that continue each other: what a trail's own tree says about its beginning and its end.
//!
//! The writer reads the borders under its lock, so that nothing is recorded after the end or before the beginning.

pub(crate) mod known;
pub(crate) mod predecessors;

use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind;

use crate::error::TrailError;
use crate::objects::tree::Node;
use crate::place::layout;
use crate::place::repository::Repository;
use crate::read::view::{self, Presence};
use crate::write::sequence::Chain;
use crate::{Trail, TrailInner};
use outcome::TaskId;
use outcome::continuation::{BEGIN, END, EndOfTrail, Predecessor, is_reserved};

/// The ends of a trail, as its tree has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Borders {
    /// The end, if the trail has ended. The successor is `None` if the entry does not name one.
    pub(crate) ended: Option<Option<String>>,
    /// The entry of the beginning, if the trail continues another.
    pub(crate) begun: Option<ObjectId>,
    /// The origin of the trail to continue, if the beginning is still to be recorded.
    pub(crate) awaited: Option<String>,
}

/// The entry of one of the host's own tasks in a tree.
pub(crate) fn own_entry(
    root: &Arc<Node>,
    task: &str,
    repository: &Repository,
) -> Result<Option<ObjectId>, TrailError> {
    let task = TaskId::parse(task).expect("the host's ids are valid");
    Ok(match view::presence(root, &task, repository, None)?.0 {
        Presence::Present { blob, .. } => Some(blob),
        Presence::Absent | Presence::Collides(_) => None,
    })
}

/// Reads the predecessor from the tree of a trail that continues it; `None` if the trail continues none.
///
/// # Errors
///
/// [`TrailError::Predecessor`] if the entry is none that a host writes.
pub(crate) fn predecessor_in(
    root: &Arc<Node>,
    repository: &Repository,
) -> Result<Option<Predecessor>, TrailError> {
    let Some(blob) = own_entry(root, BEGIN, repository)? else {
        return Ok(None);
    };
    let entry = repository.object(Kind::Blob, &blob)?;
    let unreadable = || TrailError::Predecessor {
        origin: "another trail".into(),
        why: "the first entry here does not say which one".into(),
    };
    Predecessor::parse(&entry).map(Some).ok_or_else(unreadable)
}

/// Reads the end from a tree; `None` if the trail has not ended.
pub(crate) fn end_in(
    root: &Arc<Node>,
    repository: &Repository,
) -> Result<Option<Option<String>>, TrailError> {
    let Some(blob) = own_entry(root, END, repository)? else {
        return Ok(None);
    };
    let entry = repository.object(Kind::Blob, &blob)?;
    Ok(Some(EndOfTrail::parse(&entry).map(|end| end.successor)))
}

impl TrailInner {
    /// The error for a trail that has ended.
    pub(crate) fn ended(&self, successor: Option<&str>) -> TrailError {
        let known = self.state.read_known().unwrap_or_default();
        let mut known = known.into_iter();
        let known = known.find(|known| Some(known.id()) == successor);
        TrailError::Ended {
            successor: successor.map(Into::into),
            place: known.and_then(|known| known.place).map(Into::into),
        }
    }

    /// The borders of the trail whose tree this is.
    pub(crate) fn borders(&self, root: &Arc<Node>) -> Result<Borders, TrailError> {
        let is_empty = root
            .descend(&layout::ROOT, &self.repository, None)?
            .is_none();
        // Only the first entry can be the beginning.
        let awaited = match is_empty {
            true => self.state.read_awaited()?,
            false => None,
        };
        let begun = own_entry(root, BEGIN, &self.repository)?;
        if begun.is_some() {
            self.predecessors.forget_none();
        }
        Ok(Borders {
            ended: end_in(root, &self.repository)?,
            begun,
            awaited,
        })
    }
}

impl Chain {
    /// Fails if an entry of this task may not be the next one.
    ///
    /// # Errors
    ///
    /// [`TrailError::Ended`], [`TrailError::NotBegun`]; [`TrailError::Changed`] if the predecessors were not asked for
    /// the task; [`TrailError::Invalid`] for a beginning after other entries.
    pub(crate) fn check_borders(
        &self,
        shared: &TrailInner,
        task_id: &TaskId,
        predecessors_asked: bool,
    ) -> Result<(), TrailError> {
        if let Some(successor) = &self.borders.ended {
            return Err(shared.ended(successor.as_deref()));
        }
        if task_id.as_str() == BEGIN {
            let tasks = self.root.descend(&layout::ROOT, &shared.repository, None)?;
            return match tasks {
                None => Ok(()),
                Some(_) => Err(TrailError::Invalid(
                    "the trail has entries already, so it cannot begin as the continuation of another one".into(),
                )),
            };
        }
        if let Some(origin) = &self.borders.awaited {
            return Err(TrailError::NotBegun {
                predecessor: origin.clone(),
            });
        }
        let is_asked = predecessors_asked || is_reserved(task_id.as_str());
        match self.borders.begun.is_some() && !is_asked {
            true => {
                shared.predecessors.forget_none();
                Err(TrailError::Changed)
            }
            false => Ok(()),
        }
    }

    /// Notes an entry that was placed, if it is a border.
    pub(crate) fn note_border(&mut self, task_id: &TaskId, entry: &[u8], blob: ObjectId) {
        match task_id.as_str() {
            END => {
                self.borders.ended = Some(EndOfTrail::parse(entry).map(|end| end.successor));
            }
            BEGIN => {
                self.borders.begun = Some(blob);
                self.borders.awaited = None;
            }
            _ => {}
        }
    }
}

impl Trail {
    /// The uuid of the trail that continues this one, if this one has ended. The inner value is `None` if the end does
    /// not name a successor.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn ended(&self) -> Result<Option<Option<String>>, TrailError> {
        end_in(&self.root_to_read()?, &self.shared().repository)
    }

    /// Fails if the trail has ended.
    ///
    /// # Errors
    ///
    /// [`TrailError::Ended`], which names the successor.
    pub fn check_not_ended(&self) -> Result<(), TrailError> {
        match self.ended()? {
            Some(successor) => Err(self.shared().ended(successor.as_deref())),
            None => Ok(()),
        }
    }

    /// The trail that this one continues, as its first entry describes it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`], and [`TrailError::Predecessor`] if the entry is malformed.
    pub fn predecessor(&self) -> Result<Option<Predecessor>, TrailError> {
        predecessor_in(&self.root_to_read()?, &self.shared().repository)
    }

    /// The tree of the tip.
    pub(crate) fn root_to_read(&self) -> Result<Arc<Node>, TrailError> {
        let shared = self.shared();
        view::View::load_root(&shared.repository, shared.read_tip()?)
    }
}
