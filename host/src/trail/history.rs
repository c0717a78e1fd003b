//! Reading the trail back: one task's entry, and the log of all of them.

use std::collections::HashMap;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use super::error::TrailError;
use super::layout::{Layout, ROOT};
use super::message;
use super::repository::{CommitInfo, Repository};
use crate::clock::Timestamp;
use crate::outcome::TaskId;

/// A recorded entry and the commit that added it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The entry's path in the trail.
    pub path: String,
    /// The entry's bytes, as that commit added them.
    pub entry: Vec<u8>,
    /// The commit's id, in hexadecimal; `None` where history is cut off before it (a shallow clone).
    pub commit: Option<String>,
    /// The trail's tip has other bytes: somebody has changed the entry by a commit of their own.
    pub altered: bool,
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
    /// The task, as the commit's trailer names it.
    pub task_id: String,
    /// The entry's path in the trail.
    pub path: String,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The digest of the policy that decided.
    pub policy: Option<String>,
}

/// The trail's commits, newest first, in first-parent order.
pub struct History<'a> {
    repository: &'a Repository,
    next: Option<ObjectId>,
    end: Option<ObjectId>,
}

impl<'a> History<'a> {
    pub(super) fn from(repository: &'a Repository, tip: Option<ObjectId>) -> History<'a> {
        History {
            repository,
            next: tip,
            end: None,
        }
    }

    /// The same, as far as that commit, which is left out.
    pub(super) fn down_to(self, end: Option<ObjectId>) -> History<'a> {
        History { end, ..self }
    }

    /// The next trail commit that names a task: its id, what it says, and the task.
    pub(super) fn next_commit(
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
        while let Some((id, commit, task)) = self.next_commit()? {
            // A commit without the entry that it names is for `verify` to call by its name.
            if let Some(logged) = self.repository.logged(&id, &commit, &task)? {
                return Ok(Some(logged));
            }
        }
        Ok(None)
    }
}

impl Repository {
    /// A commit with the entry that it added, if its tree has it.
    pub(super) fn logged(
        &self,
        id: &gix::oid,
        commit: &CommitInfo,
        task: &TaskId,
    ) -> Result<Option<LoggedEntry>, TrailError> {
        let found = entry_in_tree(self, commit.tree, task.as_str())?;
        let Some((path, blob)) = found else {
            return Ok(None);
        };
        Ok(Some(LoggedEntry {
            commit: id.to_string(),
            time: Timestamp::from_seconds(commit.seconds),
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            task_id: task.as_str().to_owned(),
            path,
            entry: self.object(Kind::Blob, &blob)?,
            policy: message::trailer(&commit.message, message::POLICY).map(str::to_owned),
        }))
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
    pub(super) fn parent(&self, id: &gix::oid, commit: &CommitInfo) -> Option<ObjectId> {
        let parent = commit.parents.first().copied()?;
        if self.shallow && !self.has(Kind::Commit, &parent) {
            tracing::debug!(%id, "history is cut off here (a shallow clone)");
            return None;
        }
        Some(parent)
    }
}

/// The entry of a task in a commit's tree, in either layout: its path and blob.
pub(super) fn entry_in_tree(
    repository: &Repository,
    tree: ObjectId,
    task: &str,
) -> Result<Option<(String, ObjectId)>, TrailError> {
    let Ok(task_id) = TaskId::parse(task) else {
        return Ok(None);
    };
    for layout in [Layout::Sharded, Layout::Flat] {
        let path = layout.path(&task_id);
        if let Some(blob) = blob_at(repository, tree, &path)? {
            return Ok(Some((path, blob)));
        }
    }
    Ok(None)
}

fn blob_at(
    repository: &Repository,
    tree: ObjectId,
    path: &str,
) -> Result<Option<ObjectId>, TrailError> {
    let mut id = tree;
    let mut components = path.split('/').peekable();
    while let Some(component) = components.next() {
        let raw = repository.object(Kind::Tree, &id)?;
        let is_last = components.peek().is_none();
        let found = TreeRefIter::from_bytes(&raw, repository.hash)
            .filter_map(Result::ok)
            .find(|entry| {
                entry.filename == component
                    && entry.mode.is_blob() == is_last
                    && (is_last || entry.mode.is_tree())
            });
        match found {
            Some(entry) => id = entry.oid.to_owned(),
            None => return Ok(None),
        }
    }
    Ok(Some(id))
}

/// Whether the tree `after` has all that `before` has below `.audit`, as it was.
pub(super) fn keeps_entries(
    repository: &Repository,
    before: ObjectId,
    after: ObjectId,
) -> Result<bool, TrailError> {
    let children = |id: ObjectId| -> Result<Vec<_>, TrailError> {
        let raw = repository.object(Kind::Tree, &id)?;
        Ok(TreeRefIter::from_bytes(&raw, repository.hash)
            .filter_map(Result::ok)
            .map(|entry| {
                (
                    entry.filename.to_owned(),
                    (entry.mode, entry.oid.to_owned()),
                )
            })
            .collect())
    };
    let mut differing = Vec::from([(before, after, true)]);
    while let Some((before, after, is_root)) = differing.pop() {
        let now: HashMap<_, _> = children(after)?.into_iter().collect();
        for (name, (mode, id)) in children(before)? {
            if is_root && name != ROOT[0] {
                continue;
            }
            match now.get(&name) {
                Some(same) if *same == (mode, id) => {}
                Some((now_mode, now_id)) if mode.is_tree() && now_mode.is_tree() => {
                    differing.push((id, *now_id, false));
                }
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// Every file below `.audit/tasks` whose name is an entry's: path and blob.
pub(super) fn entries_of_tree(
    repository: &Repository,
    tree: ObjectId,
) -> Result<Vec<(String, ObjectId)>, TrailError> {
    let mut found = Vec::new();
    let mut dirs = vec![(String::new(), tree)];
    while let Some((prefix, id)) = dirs.pop() {
        let raw = repository.object(Kind::Tree, &id)?;
        let depth = prefix.matches('/').count();
        for entry in TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok) {
            let name = entry.filename.to_string();
            let wanted = match depth {
                0 | 1 => name == ROOT[depth],
                _ => depth < 6 && name.len() == 1,
            };
            if entry.mode.is_tree() && wanted {
                dirs.push((format!("{prefix}{name}/"), entry.oid.to_owned()));
            } else if entry.mode.is_blob() && depth >= 2 && name.ends_with(".json") {
                found.push((format!("{prefix}{name}"), entry.oid.to_owned()));
            }
        }
    }
    Ok(found)
}
