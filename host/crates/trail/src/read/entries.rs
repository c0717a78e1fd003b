//! Iterating over a trail: the policy of each entry, and every entry of the tip, in constant memory.

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::Trail;
use crate::error::TrailError;
use crate::message;
use crate::place::layout::ROOT;
use crate::place::repository::Repository;
use crate::read::history::{History, tasks_of};
use crate::read::ref_moves::RefMove;
use outcome::TaskId;
use outcome::clock::Timestamp;

/// The policy decision that a trail commit names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The commit's id, in hexadecimal.
    pub commit: String,
    /// The commit's time.
    pub time: Timestamp,
    /// The id of the task.
    pub task_id: TaskId,
    /// The digest of the policy; empty if the commit does not name it.
    pub policy: String,
    /// The digest of the policy's settings; empty if the commit does not name it.
    pub settings: String,
}

/// The decisions of a trail, newest first, without their entries.
pub struct Decisions<'a>(History<'a>);

impl Iterator for Decisions<'_> {
    type Item = Result<Decision, TrailError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.next_commit().transpose()?;
        Some(next.map(|(id, commit, task_id)| {
            let trailer = |name| {
                message::trailer(&commit.message, name)
                    .unwrap_or_default()
                    .to_owned()
            };
            Decision {
                commit: id.to_string(),
                time: Timestamp::from_seconds(commit.seconds),
                task_id,
                policy: trailer(message::POLICY),
                settings: trailer(message::SETTINGS),
            }
        }))
    }
}

/// The entries of a trail's tip, ordered by path.
pub struct Entries<'a> {
    repository: &'a Repository,
    /// The directories down to the current position: the tree's bytes, the offset in them, and the path.
    open: Vec<Directory>,
}

struct Directory {
    raw: Vec<u8>,
    at: usize,
    depth: usize,
}

impl Entries<'_> {
    fn step(&mut self) -> Result<Option<(TaskId, Vec<u8>)>, TrailError> {
        let hash = self.repository.hash;
        while let Some(directory) = self.open.last_mut() {
            let mut entries = TreeRefIter::from_bytes(&directory.raw[directory.at..], hash);
            let Some(Ok(entry)) = entries.next() else {
                self.open.pop();
                continue;
            };
            // The mode, a space, the name, a zero, the id.
            let mode = directory.raw[directory.at..]
                .iter()
                .position(|byte| *byte == b' ')
                .unwrap_or_default();
            let (name, id) = (entry.filename.to_string(), entry.oid.to_owned());
            let (is_tree, is_blob) = (entry.mode.is_tree(), entry.mode.is_blob());
            directory.at += mode + 1 + entry.filename.len() + 1 + id.as_bytes().len();
            let depth = directory.depth;
            let leads_on = match depth {
                0 | 1 => name == ROOT[depth],
                _ => depth < 6 && name.len() == 1,
            };
            if is_tree && leads_on {
                self.enter(&id, depth + 1)?;
            } else if is_blob
                && depth >= ROOT.len()
                && let Some(task_id) = name.strip_suffix(".json")
                && let Ok(task_id) = TaskId::parse(task_id)
            {
                let entry = self.repository.object(Kind::Blob, &id)?;
                return Ok(Some((task_id, entry)));
            }
        }
        Ok(None)
    }

    fn enter(&mut self, tree: &ObjectId, depth: usize) -> Result<(), TrailError> {
        self.open.push(Directory {
            raw: self.repository.object(Kind::Tree, tree)?,
            at: 0,
            depth,
        });
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(TaskId, Vec<u8>), TrailError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Trail {
    /// The decisions for all entries, newest first.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn decisions(&self) -> Result<Decisions<'_>, TrailError> {
        Ok(Decisions(self.history()?))
    }

    /// The decisions for the entries that came with a move of the ref, newest first.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn decisions_in(&self, moved: &RefMove) -> Result<Decisions<'_>, TrailError> {
        let history = History::from(&self.shared().repository, Some(moved.to));
        Ok(Decisions(history.down_to(moved.from)))
    }

    /// The number of entries in the flat layout at the tip.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn flat_entries(&self) -> Result<usize, TrailError> {
        let shared = self.shared();
        let repository = &shared.repository;
        let Some(tip) = shared.read_tip()? else {
            return Ok(0);
        };
        let Some(tasks) = tasks_of(repository, repository.commit(&tip)?.tree)? else {
            return Ok(0);
        };
        let raw = repository.object(Kind::Tree, &tasks)?;
        let entries = TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok);
        Ok(entries.filter(|entry| entry.mode.is_blob()).count())
    }

    /// All entries of the current tip, ordered by path.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn entries(&self) -> Result<Entries<'_>, TrailError> {
        let shared = self.shared();
        let repository = &shared.repository;
        let mut entries = Entries {
            repository,
            open: Vec::new(),
        };
        if let Some(tip) = shared.read_tip()? {
            entries.enter(&repository.commit(&tip)?.tree, 0)?;
        }
        Ok(entries)
    }
}
