//! Queries about the past of a trail: one task's entry and commit, and the whole history.

use gix::ObjectId;
use gix::objs::Kind;

use crate::error::TrailError;
use crate::place::layout;
use crate::place::repository;
use crate::read::history::{self, History, LoggedEntry, RecordedEntry};
use crate::read::view::{self, Presence, View};
use crate::signing::{self, Signing};
use crate::{Trail, TrailInner, message};
use outcome::{Reporter, TaskId};

impl Trail {
    /// The recorded entry of a task, with the commit that added it.
    pub fn find(&self, task_id: &TaskId) -> Result<Option<RecordedEntry>, TrailError> {
        let Some((tip, path, blob)) = self.entry_at_tip(task_id)? else {
            return Ok(None);
        };
        let commit = self.commit_of(task_id, tip)?;
        self.recorded_by(task_id, (path, blob), commit).map(Some)
    }

    /// The entry of a task as the commit that added it has it. `blob` is what the tree has at its path.
    pub(crate) fn recorded_by(
        &self,
        task_id: &TaskId,
        (path, blob): (String, ObjectId),
        commit: Option<String>,
    ) -> Result<RecordedEntry, TrailError> {
        let repository = &self.shared().repository;
        let (added, reporter) = match commit.as_deref().map(parse_id).transpose()? {
            Some(id) => {
                let info = repository.commit(&id)?;
                let place = history::entry_in_tree(repository, info.tree, task_id.as_str())?;
                (
                    place.map(|(_, blob)| blob),
                    message::reporter(&info.message),
                )
            }
            None => (None, None),
        };
        Ok(RecordedEntry {
            path,
            entry: repository.object(Kind::Blob, &added.unwrap_or(blob))?,
            commit,
            altered: added.is_some_and(|added| added != blob),
            reporter,
        })
    }

    /// The path of a task's entry, and the commit that added it.
    pub fn locate(&self, task_id: &TaskId) -> Result<Option<(String, Option<String>)>, TrailError> {
        let Some((tip, path, _)) = self.entry_at_tip(task_id)? else {
            return Ok(None);
        };
        Ok(Some((path, self.commit_of(task_id, tip)?)))
    }

    /// Checks that a commit of the trail added the entry at `path`. `commit` is what [`Trail::locate`] found.
    ///
    /// # Errors
    ///
    /// [`TrailError::NotRecorded`] if no commit did. In a shallow clone, the commit may be one that is not here.
    pub fn check_recorded(&self, path: &str, commit: Option<&str>) -> Result<(), TrailError> {
        let shared = self.shared();
        if commit.is_some() || shared.repository.shallow {
            return Ok(());
        }
        Err(TrailError::NotRecorded {
            path: path.to_owned(),
            reference: shared.identity.reference.clone(),
        })
    }

    /// Whether this repository has a trail: from `init`, or because an entry was recorded.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn has_begun(&self) -> Result<bool, TrailError> {
        let shared = self.shared();
        if shared.state.read_identity()?.is_some() || shared.remotes.adopts.is_some() {
            return Ok(true);
        }
        let tip = shared.read_tip()?;
        let root = View::load_root(&shared.repository, tip)?;
        let tasks = root.descend(&layout::ROOT, &shared.repository, None)?;
        Ok(tasks.is_some())
    }

    /// The newest commit on the trail's ref, in hexadecimal; `None` before the first.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn tip(&self) -> Result<Option<String>, TrailError> {
        let shared = self.shared();
        let tip = shared.read_tip()?;
        Ok(tip.map(|tip| tip.to_string()))
    }

    /// The trail commit that added a task's entry, in the form of the log.
    pub fn logged(&self, task_id: &TaskId) -> Result<Option<LoggedEntry>, TrailError> {
        let repository = &self.shared().repository;
        let Some((_, Some(commit))) = self.locate(task_id)? else {
            return Ok(None);
        };
        let id = parse_id(&commit)?;
        repository.logged(&id, &repository.commit(&id)?, task_id)
    }

    /// The reporter of the entry that a trail commit added, if the commit names one.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn reporter_of(&self, commit: &str) -> Result<Option<Reporter>, TrailError> {
        let commit = self.shared().repository.commit(&parse_id(commit)?)?;
        Ok(message::reporter(&commit.message))
    }

    /// Whether this handle records entries that cannot be signed now, rather than holding them.
    pub fn records_unsigned(&self) -> bool {
        let signing = self.shared().signing.as_ref();
        signing.is_some_and(Signing::records_unsigned)
    }

    /// Whether a commit says that it could not be signed. If one signature covers a group, only its last commit says
    /// so.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn is_unsigned(&self, commit: &str) -> Result<bool, TrailError> {
        let id = parse_id(commit)?;
        let contents = self.shared().repository.object(Kind::Commit, &id)?;
        Ok(signing::is_unavailable(&contents))
    }

    /// The entry that a trail commit added, in the form of the log; `None` if it names no task or lacks the entry.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn logged_by(&self, commit: &str) -> Result<Option<LoggedEntry>, TrailError> {
        let repository = &self.shared().repository;
        let id = parse_id(commit)?;
        let commit = repository.commit(&id)?;
        let task = message::trailer(&commit.message, message::TASK);
        match task.and_then(|task| TaskId::parse(task).ok()) {
            Some(task_id) => repository.logged(&id, &commit, &task_id),
            None => Ok(None),
        }
    }

    fn entry_at_tip(
        &self,
        task_id: &TaskId,
    ) -> Result<Option<(ObjectId, String, ObjectId)>, TrailError> {
        let shared = self.shared();
        let Some(tip) = shared.read_tip()? else {
            return Ok(None);
        };
        // The trees in the writer's memory avoid reading and checking a large directory for each query.
        let known = {
            let view = shared.view();
            view.root.clone().filter(|_| view.tip == Some(tip))
        };
        let root = match known {
            Some(root) => root,
            None => View::load_root(&shared.repository, Some(tip))?,
        };
        Ok(
            match view::presence(&root, task_id, &shared.repository, None)?.0 {
                Presence::Present { blob, layout } => Some((tip, layout.path(task_id), blob)),
                Presence::Absent | Presence::Collides(_) => None,
            },
        )
    }

    /// Finds the commit that added a task's entry: from the catalogue, which is checked, or else from history.
    fn commit_of(&self, task_id: &TaskId, tip: ObjectId) -> Result<Option<String>, TrailError> {
        let TrailInner {
            repository,
            identity,
            catalogue,
            ..
        } = &**self.shared();
        if !self.shared().reads_own_ref() {
            // The caches are of the trail's own ref.
            return self.search(task_id, tip, None, false);
        }
        let noted = catalogue.tip();
        // The ref moves before the catalogue is updated. Read after the catalogue, it contains all of the catalogue's
        // commits, unless it was moved by force.
        let tip = match noted {
            Some(noted) if noted != tip => repository.read_ref(&identity.reference)?.unwrap_or(tip),
            _ => tip,
        };
        self.search(task_id, tip, noted, true)
    }

    /// Finds the commit that added a task's entry in the history of `tip`, wherever the ref is.
    pub(crate) fn commit_until(
        &self,
        task_id: &TaskId,
        tip: ObjectId,
    ) -> Result<Option<String>, TrailError> {
        let shared = self.shared();
        match shared.reads_own_ref() {
            true => {
                let is_current = shared.read_tip()? == Some(tip);
                self.search(task_id, tip, shared.catalogue.tip(), is_current)
            }
            false => self.search(task_id, tip, None, false),
        }
    }

    /// Searches the history of `tip`, down to the commit that the catalogue has `noted`.
    fn search(
        &self,
        task_id: &TaskId,
        tip: ObjectId,
        noted: Option<ObjectId>,
        may_rebuild: bool,
    ) -> Result<Option<String>, TrailError> {
        let TrailInner {
            repository,
            catalogue,
            ..
        } = &**self.shared();
        // If the catalogue is missing, or of another history, a longer search rebuilds it.
        const MAX_WALK: usize = 1000;
        let mut history = History::from(repository, Some(tip));
        let mut seen: Vec<(TaskId, ObjectId)> = Vec::new();
        let among = |seen: &[(TaskId, ObjectId)]| {
            let found = seen.iter().find(|(task, _)| task == task_id);
            found.map(|(_, id)| id.to_string())
        };
        while let Some((id, _, task)) = history.next_commit()? {
            if noted == Some(id)
                && let Some(found) = among(&seen).or_else(|| self.noted(task_id))
            {
                return Ok(Some(found));
            }
            if task == *task_id && (seen.len() < MAX_WALK || !may_rebuild) {
                return Ok(Some(id.to_string()));
            }
            if may_rebuild {
                seen.push((task, id));
            }
        }
        if may_rebuild
            && seen.len() >= MAX_WALK
            && let Some((_, newest)) = seen.first()
            && let Err(error) = catalogue.rebuild(&seen, *newest)
        {
            tracing::debug!(%error, "the catalogue could not be rebuilt");
        }
        Ok(among(&seen))
    }

    /// The commit in the catalogue, if it is of that task.
    fn noted(&self, task_id: &TaskId) -> Option<String> {
        let TrailInner {
            repository,
            catalogue,
            ..
        } = &**self.shared();
        let names_task = |commit: repository::CommitInfo| {
            message::trailer(&commit.message, message::TASK) == Some(task_id.as_str())
        };
        let mut candidates = catalogue.candidates(task_id).into_iter();
        let found = candidates.find(|id| repository.commit(id).is_ok_and(names_task));
        found.map(|id| id.to_string())
    }

    /// The current commits of the trail, newest first.
    pub fn history(&self) -> Result<History<'_>, TrailError> {
        let shared = self.shared();
        Ok(History::from(&shared.repository, shared.read_tip()?))
    }
}

fn parse_id(commit: &str) -> Result<ObjectId, TrailError> {
    ObjectId::from_hex(commit.as_bytes()).map_err(|error| TrailError::Unreadable {
        what: format!("the id {commit}"),
        cause: error.to_string(),
    })
}
