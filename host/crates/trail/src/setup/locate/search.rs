//! Searching refs for a trail, and comparing two trails.

use std::collections::HashSet;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::checkpoints::CHECKPOINTS_REF;
use crate::error::TrailError;
use crate::message;
use crate::place::layout::ROOT;
use crate::place::repository::Repository;
use crate::policies::POLICIES_REF;
use crate::read::history::{entry_in_tree, tasks_of};
use crate::read::tree_files::keeps_entries;
use crate::setup::locate::RemoteTip;
use crate::setup::locate::remotes::Remotes;
use outcome::TaskId;

/// The most commits to search for a trail commit on each ref. A trail below more commits by people still shows its
/// entries.
const MAX_SEARCH: usize = 10_000;

/// A ref that holds a trail.
#[derive(Clone, Debug)]
pub(super) struct TrailRef {
    pub(super) reference: String,
    pub(super) tip: ObjectId,
    /// The root tree of `tip`.
    pub(super) tree: ObjectId,
    /// The newest trail commit that was found, and the task that it names; a genesis commit names none.
    last: Option<(ObjectId, Option<TaskId>)>,
}

/// A search through the refs of a repository.
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

    /// Finds the refs in these namespaces that hold a trail.
    pub(super) fn below(&mut self, namespaces: &[String]) -> Result<Vec<TrailRef>, TrailError> {
        let mut trails = Vec::new();
        for (name, tip) in self.refs(namespaces)? {
            if !is_companion_ref(&name) {
                trails.extend(self.inspect(&name, tip)?);
            }
        }
        Ok(trails)
    }

    /// Finds the remote-tracking refs of these branches that hold a trail.
    pub(super) fn tracking(
        &mut self,
        remotes: &Remotes,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<TrailRef>, TrailError> {
        let mut trails = Vec::new();
        for (name, tip) in self.refs(&remotes.namespaces())? {
            if is_wanted(&remotes.branch(&name)) {
                trails.extend(self.inspect(&name, tip)?);
            }
        }
        Ok(trails)
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

    /// Reads the trail on a ref: entries in its tree, or a trail commit in its first-parent history. `None` if the ref
    /// holds no trail, or cannot be read, which is noted.
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
        let trail = TrailRef {
            reference: reference.to_owned(),
            tip,
            tree,
            last,
        };
        Ok((has_entries || trail.last.is_some()).then_some(trail))
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

    /// Whether this trail contains `other`: it has the newest entry of `other`, unchanged.
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
            // The history ends before the newest entry (a shallow clone), or the entry is far below commits by people.
            None => keeps_entries(repository, other.tree, self.tree),
        }
    }

    /// Whether a commit is in the first-parent history of this trail.
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

    /// Whether the tree contains other files than the trail.
    pub(super) fn has_other_files(&self, repository: &Repository) -> Result<bool, TrailError> {
        let raw = repository.object(Kind::Tree, &self.tree)?;
        Ok(TreeRefIter::from_bytes(&raw, repository.hash)
            .filter_map(Result::ok)
            .any(|entry| entry.filename != ROOT[0]))
    }
}

/// Whether a ref stores the policies or checkpoints of a trail, here or at a remote.
fn is_companion_ref(name: &str) -> bool {
    [POLICIES_REF, CHECKPOINTS_REF].iter().any(|ours| {
        let short = ours.trim_start_matches("refs/heads");
        name.ends_with(short)
    })
}
