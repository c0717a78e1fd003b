//! Reading the trail: one task's entry, and the log of all entries.

use std::borrow::Cow;
use std::collections::VecDeque;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::error::TrailError;
use crate::message;
use crate::place::layout::{Layout, ROOT};
use crate::place::repository::{CommitInfo, Repository};
use crate::read::directory::{self, Directory};
use outcome::clock::Timestamp;
use outcome::{Reporter, TaskId};

/// A recorded entry and the commit that added it.
#[derive(Clone, Debug)]
pub struct RecordedEntry {
    /// The entry's path in the trail.
    pub path: String,
    /// The entry's bytes, as that commit added them.
    pub entry: Vec<u8>,
    /// The commit's id, in hexadecimal; `None` if history is cut off before it (a shallow clone).
    pub commit: Option<String>,
    /// Whether the trail's tip has other bytes: a later commit has changed the entry.
    pub altered: bool,
    /// The reporter, if that commit names one.
    pub reporter: Option<Reporter>,
}

/// One trail commit, as the log shows it.
#[derive(Clone, Debug)]
pub struct LoggedEntry {
    /// The commit's id, in hexadecimal.
    pub commit: String,
    /// The commit's time.
    pub time: Timestamp,
    /// The first line of the commit's message.
    pub subject: String,
    /// The task, as named in the commit's trailer.
    pub task_id: String,
    /// The entry's path in the trail.
    pub path: String,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The digest of the policy that decided.
    pub policy: Option<String>,
    /// The reporter of the outcome, if the commit names one.
    pub reporter: Option<Reporter>,
}

/// The trail's commits in first-parent order, newest first.
pub struct History<'a> {
    repository: &'a Repository,
    next: Option<ObjectId>,
    end: Option<ObjectId>,
    /// Commits that were read ahead.
    ahead: VecDeque<Step>,
    /// The error after those commits.
    failed: Option<TrailError>,
    /// The directory of entries before the last of those commits, if it is large.
    directory: Option<Directory>,
    /// How many commits to read ahead at a time.
    stretch: usize,
}

/// A trail commit, and the path and blob of its entry if they are known without reading its tree.
struct Step {
    id: ObjectId,
    commit: CommitInfo,
    task: TaskId,
    /// Whether it is the first parent of the commit before it in the list.
    follows: bool,
    blob: Option<ObjectId>,
}

/// The longest stretch, so that the check of the directory at its end is a small part of the work.
const MAX_STRETCH: usize = 1024;

impl<'a> History<'a> {
    pub(crate) fn from(repository: &'a Repository, tip: Option<ObjectId>) -> History<'a> {
        History {
            repository,
            next: tip,
            end: None,
            ahead: VecDeque::new(),
            failed: None,
            directory: None,
            // A caller that needs only a few commits waits only for a few.
            stretch: 1,
        }
    }

    /// Ends the history at that commit, without it.
    pub(crate) fn down_to(self, end: Option<ObjectId>) -> History<'a> {
        History { end, ..self }
    }

    /// The next trail commit that names a task: its id, its contents, and the task.
    pub(crate) fn next_commit(
        &mut self,
    ) -> Result<Option<(ObjectId, CommitInfo, TaskId)>, TrailError> {
        while let Some(id) = self.next.take() {
            if self.end == Some(id) {
                break;
            }
            let commit = self.repository.commit(&id)?;
            self.next = self.repository.parent(&id, &commit);
            let task = message::trailer(&commit.message, message::FORMAT)
                .and_then(|_| message::trailer(&commit.message, message::TASK))
                .and_then(|task| TaskId::parse(task).ok());
            if let Some(task) = task {
                return Ok(Some((id, commit, task)));
            }
        }
        Ok(None)
    }

    fn logged(&mut self) -> Result<Option<LoggedEntry>, TrailError> {
        loop {
            if self.ahead.is_empty() {
                self.read_ahead()?;
            }
            let Some(step) = self.ahead.pop_front() else {
                return self.failed.take().map_or(Ok(None), Err);
            };
            let logged = match &step.blob {
                Some(blob) => {
                    let path = Layout::Flat.path(&step.task);
                    let place = (path, *blob);
                    Some(
                        self.repository
                            .entry_at(&step.id, &step.commit, &step.task, place)?,
                    )
                }
                None => self.repository.logged(&step.id, &step.commit, &step.task)?,
            };
            // `verify` reports a commit without the entry that it names.
            if let Some(logged) = logged {
                return Ok(Some(logged));
            }
        }
    }

    /// Reads the commits of a stretch, and finds their entries in the directory if it is large.
    fn read_ahead(&mut self) -> Result<(), TrailError> {
        let mut steps = Vec::new();
        while steps.len() < self.stretch && self.failed.is_none() {
            let expected = self.next;
            match self.next_commit() {
                Ok(None) => break,
                Ok(Some((id, commit, task))) => steps.push(Step {
                    follows: expected == Some(id),
                    id,
                    commit,
                    task,
                    blob: None,
                }),
                // The commits before it can be returned.
                Err(error) => self.failed = Some(error),
            }
        }
        self.stretch = (self.stretch * 2).min(MAX_STRETCH);
        // A commit by a person in between may have changed the directory in any way.
        for run in steps.chunk_by_mut(|_, after| after.follows) {
            // The same error occurs again when the commit is returned. The commits before it come first.
            if self.locate(run).is_err() {
                self.directory = None;
            }
        }
        self.ahead.extend(steps);
        Ok(())
    }

    /// Finds the entries of consecutive commits, if that is possible without reading their trees.
    fn locate(&mut self, run: &mut [Step]) -> Result<(), TrailError> {
        let [first, .., last] = run else {
            self.directory = None;
            return Ok(());
        };
        let before = self.directory.take().filter(|_| first.follows);
        let directory = match before {
            Some(directory) => Some(directory),
            None => large_directory(self.repository, first.commit.tree)?,
        };
        let (Some(mut directory), Some(end)) =
            (directory, tasks_of(self.repository, last.commit.tree)?)
        else {
            return Ok(());
        };
        let mut blobs = Vec::with_capacity(run.len());
        for (number, step) in (1..).zip(run.iter()) {
            if number == run.len() && directory.id() != end {
                return Ok(());
            }
            match directory.take(&format!("{}.json", step.task)) {
                Some(blob) => blobs.push(blob),
                None => return Ok(()),
            }
        }
        for (step, blob) in run.iter_mut().zip(blobs) {
            step.blob = Some(blob);
        }
        self.directory = Some(directory);
        Ok(())
    }
}

/// The tree of `.audit/tasks` in a commit's tree.
pub(crate) fn tasks_of(
    repository: &Repository,
    tree: ObjectId,
) -> Result<Option<ObjectId>, TrailError> {
    let mut id = tree;
    for name in ROOT {
        match child(repository, &repository.object(Kind::Tree, &id)?, name, true) {
            Some(found) => id = found,
            None => return Ok(None),
        }
    }
    Ok(Some(id))
}

/// The directory of a commit's entries, if it is large.
fn large_directory(
    repository: &Repository,
    tree: ObjectId,
) -> Result<Option<Directory>, TrailError> {
    let Some(tasks) = tasks_of(repository, tree)? else {
        return Ok(None);
    };
    let raw = repository.object(Kind::Tree, &tasks)?;
    let is_large = raw.len() >= directory::LARGE;
    Ok(is_large.then(|| Directory::parse(&raw, repository.hash)))
}

impl Repository {
    /// Reads a commit with the entry that it added; `None` if its tree lacks it.
    pub(crate) fn logged(
        &self,
        id: &gix::oid,
        commit: &CommitInfo,
        task: &TaskId,
    ) -> Result<Option<LoggedEntry>, TrailError> {
        let place = entry_in_tree(self, commit.tree, task.as_str())?;
        place
            .map(|place| self.entry_at(id, commit, task, place))
            .transpose()
    }

    /// Reads a commit with the entry that it added, which is in its tree.
    fn entry_at(
        &self,
        id: &gix::oid,
        commit: &CommitInfo,
        task: &TaskId,
        (path, blob): (String, ObjectId),
    ) -> Result<LoggedEntry, TrailError> {
        Ok(LoggedEntry {
            commit: id.to_string(),
            time: Timestamp::from_seconds(commit.seconds),
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            task_id: task.as_str().to_owned(),
            path,
            entry: self.object(Kind::Blob, &blob)?,
            policy: message::trailer(&commit.message, message::POLICY).map(str::to_owned),
            reporter: message::reporter(&commit.message),
        })
    }
}

impl Iterator for History<'_> {
    type Item = Result<LoggedEntry, TrailError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.logged().transpose()
    }
}

impl Repository {
    /// The first parent, unless history is cut off at this commit.
    pub(crate) fn parent(&self, id: &gix::oid, commit: &CommitInfo) -> Option<ObjectId> {
        let parent = commit.parents.first().copied()?;
        if self.shallow && !self.has(Kind::Commit, &parent) {
            tracing::debug!(%id, "history is cut off here (a shallow clone)");
            return None;
        }
        Some(parent)
    }
}

/// Finds the entry of a task in a commit's tree, in either layout: its path and blob.
pub(crate) fn entry_in_tree(
    repository: &Repository,
    tree: ObjectId,
    task: &str,
) -> Result<Option<(String, ObjectId)>, TrailError> {
    let Ok(task_id) = TaskId::parse(task) else {
        return Ok(None);
    };
    let Some(tasks) = tasks_of(repository, tree)? else {
        return Ok(None);
    };
    // The directory may be large: it is read once for both layouts.
    let tasks = repository.object(Kind::Tree, &tasks)?;
    for layout in [Layout::Sharded, Layout::Flat] {
        if let Some(blob) = blob_below(repository, &tasks, &layout.components(&task_id))? {
            return Ok(Some((layout.path(&task_id), blob)));
        }
    }
    Ok(None)
}

fn blob_below(
    repository: &Repository,
    tree: &[u8],
    components: &[String],
) -> Result<Option<ObjectId>, TrailError> {
    let Some((name, directories)) = components.split_last() else {
        return Ok(None);
    };
    let mut raw = Cow::Borrowed(tree);
    for directory in directories {
        match child(repository, &raw, directory, true) {
            Some(id) => raw = Cow::Owned(repository.object(Kind::Tree, &id)?),
            None => return Ok(None),
        }
    }
    Ok(child(repository, &raw, name, false))
}

/// The id of the directory or file with this name in a tree.
fn child(repository: &Repository, tree: &[u8], name: &str, is_tree: bool) -> Option<ObjectId> {
    TreeRefIter::from_bytes(tree, repository.hash)
        .filter_map(Result::ok)
        .find(|entry| {
            entry.filename == name
                && if is_tree {
                    entry.mode.is_tree()
                } else {
                    entry.mode.is_blob()
                }
        })
        .map(|entry| entry.oid.to_owned())
}
