//! Looking at refs for a trail: which hold one, and which of two has all that the other has.

use std::collections::HashSet;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::checkpoints::CHECKPOINTS_REF;
use crate::error::TrailError;
use crate::message;
use crate::place::layout::ROOT;
use crate::place::repository::Repository;
use crate::policies::POLICIES_REF;
use crate::read::history::{entry_in_tree, keeps_entries, tasks_of};
use crate::setup::locate::RemoteTip;
use crate::setup::locate::remotes::Remotes;
use outcome::TaskId;

/// So many commits are looked at for a trail commit on each ref: a trail that people's commits cover shows its entries
/// all the same.
const MAX_SEARCH: usize = 10_000;

/// A ref that holds a trail.
#[derive(Clone, Debug)]
pub(super) struct TrailRef {
    pub(super) reference: String,
    pub(super) tip: ObjectId,
    /// The root tree of `tip`.
    pub(super) tree: ObjectId,
    /// The newest trail commit that was found, and the task that it names; the genesis commit names none.
    last: Option<(ObjectId, Option<TaskId>)>,
}

/// Goes through refs.
pub(super) struct Search<'a> {
    repository: &'a Repository,
    /// Commits whose history holds no trail.
    without_trail: HashSet<ObjectId>,
    unreadable: Option<TrailError>,
}

impl<'a> Search<'a> {
    pub(super) fn new(repository: &'a Repository) -> Search<'a> {
        Search {
            repository,
            without_trail: HashSet::new(),
            unreadable: None,
        }
    }

    /// The refs in these namespaces that hold a trail.
    pub(super) fn below(&mut self, namespaces: &[String]) -> Result<Vec<TrailRef>, TrailError> {
        let mut held = Vec::new();
        for (name, tip) in self.refs(namespaces)? {
            if !is_companion_ref(&name) {
                held.extend(self.inspect(&name, tip)?);
            }
        }
        Ok(held)
    }

    /// The remote-tracking refs of these branches that hold a trail.
    pub(super) fn tracking(
        &mut self,
        remotes: &Remotes,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<TrailRef>, TrailError> {
        let mut held = Vec::new();
        for (name, tip) in self.refs(&remotes.namespaces())? {
            if is_wanted(&remotes.branch(&name)) {
                held.extend(self.inspect(&name, tip)?);
            }
        }
        Ok(held)
    }

    pub(super) fn refs(
        &self,
        namespaces: &[String],
    ) -> Result<Vec<(String, ObjectId)>, TrailError> {
        let mut refs = Vec::new();
        for namespace in namespaces {
            refs.extend(self.repository.refs_below(namespace)?);
        }
        refs.sort();
        refs.dedup();
        Ok(refs)
    }

    /// What a ref holds, if it holds a trail: entries in its tree, or a trail commit in its first-parent history. A ref that
    /// cannot be read is remembered.
    pub(super) fn inspect(
        &mut self,
        reference: &str,
        tip: ObjectId,
    ) -> Result<Option<TrailRef>, TrailError> {
        match self.try_inspect(reference, tip) {
            Err(error @ TrailError::Unreadable { .. }) => {
                self.unreadable = Some(error);
                Ok(None)
            }
            other => other,
        }
    }

    fn try_inspect(
        &mut self,
        reference: &str,
        tip: ObjectId,
    ) -> Result<Option<TrailRef>, TrailError> {
        let repository = self.repository;
        let tree = repository.commit(&tip)?.tree;
        let has_entries = tasks_of(repository, tree)?.is_some();
        let mut last = None;
        let mut walked = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next.filter(|_| walked.len() < MAX_SEARCH) {
            if self.without_trail.contains(&id) {
                break;
            }
            let commit = repository.commit(&id)?;
            if message::trailer(&commit.message, message::FORMAT).is_some() {
                let task = message::trailer(&commit.message, message::TASK);
                last = Some((id, task.and_then(|task| TaskId::parse(task).ok())));
                break;
            }
            next = repository.parent(&id, &commit);
            walked.push(id);
        }
        if last.is_none() {
            self.without_trail.extend(walked);
        }
        let held = TrailRef {
            reference: reference.to_owned(),
            tip,
            tree,
            last,
        };
        Ok((has_entries || held.last.is_some()).then_some(held))
    }

    /// Fails if a ref could not be read.
    pub(super) fn unreadable(self) -> Result<(), TrailError> {
        self.unreadable.map_or(Ok(()), Err)
    }
}

impl TrailRef {
    pub(super) fn remote_tip(&self) -> RemoteTip {
        RemoteTip {
            reference: self.reference.clone(),
            tip: self.tip,
        }
    }

    /// Whether the trail here has all that `other` has: the newest entry of the one is in the other as it was recorded.
    pub(super) fn contains(
        &self,
        other: &TrailRef,
        repository: &Repository,
    ) -> Result<bool, TrailError> {
        if self.tip == other.tip {
            return Ok(true);
        }
        match &other.last {
            Some(last) if self.last.as_ref() == Some(last) => Ok(true),
            Some((_, Some(task))) => {
                let there = entry_in_tree(repository, other.tree, task.as_str())?;
                let here = entry_in_tree(repository, self.tree, task.as_str())?;
                match there {
                    Some(_) => Ok(there == here),
                    None => keeps_entries(repository, other.tree, self.tree),
                }
            }
            Some((genesis, None)) => self.is_reached_from(*genesis, repository),
            // Cut off before its newest entry (a shallow clone), or far below people's commits.
            None => keeps_entries(repository, other.tree, self.tree),
        }
    }

    /// Whether a commit is in the first-parent history.
    fn is_reached_from(
        &self,
        commit: ObjectId,
        repository: &Repository,
    ) -> Result<bool, TrailError> {
        let mut next = Some(self.tip);
        while let Some(id) = next {
            if id == commit {
                return Ok(true);
            }
            next = repository.parent(&id, &repository.commit(&id)?);
        }
        Ok(false)
    }

    /// Whether the tree holds anything but the trail.
    pub(super) fn has_other_files(&self, repository: &Repository) -> Result<bool, TrailError> {
        let raw = repository.object(Kind::Tree, &self.tree)?;
        Ok(TreeRefIter::from_bytes(&raw, repository.hash)
            .filter_map(Result::ok)
            .any(|entry| entry.filename != ROOT[0]))
    }
}

/// Whether a ref is one of those beside a trail, here or at a remote.
fn is_companion_ref(name: &str) -> bool {
    [POLICIES_REF, CHECKPOINTS_REF].iter().any(|ours| {
        let short = ours.trim_start_matches("refs/heads");
        name.ends_with(short)
    })
}
