//! Looks a task up in the predecessors of a trail: a task is recorded once across all of them.
//!
//! Each is read at the commit that the first entry of its successor names, so that what its ref does later has no
//! influence. A predecessor is opened on first use, once for each open trail, and never written.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gix::ObjectId;
use gix::objs::Kind;

use super::known::{KnownTrail, directory, id_of, places_of};
use crate::error::TrailError;
use crate::objects::tree::Node;
use crate::place::git_config::GitEnvironment;
use crate::place::state::StateDir;
use crate::read::history::RecordedEntry;
use crate::read::view::{self, Presence, View};
use crate::{OpenOptions, Trail, TrailInner};
use outcome::TaskId;
use outcome::continuation::{self, Predecessor};

/// Beyond this many bytes, the trees of a predecessor are dropped, and read again when needed.
const MAX_LOADED: usize = 64 << 20;

/// What the predecessors have for a task.
pub enum Earlier {
    /// This trail continues no other.
    NoPredecessor,
    /// None of them has an entry of the task.
    NoEntry,
    /// One of them has.
    Entry(EarlierEntry),
}

/// The entry of a task in a predecessor.
pub struct EarlierEntry {
    /// The entry's bytes.
    pub entry: Arc<[u8]>,
    /// The entry's path.
    pub path: String,
    /// The commit that added it, in hexadecimal; `None` if no commit of the trail did, or a shallow clone lacks it.
    pub commit: Option<String>,
    /// The trail that has it. Its ref may have moved since its end.
    pub trail: Trail,
    /// The origin of that trail.
    pub origin: String,
    blob: ObjectId,
}

impl EarlierEntry {
    /// The entry as its commit recorded it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn recorded(&self, task_id: &TaskId) -> Result<RecordedEntry, TrailError> {
        let (path, commit) = (self.path.clone(), self.commit.clone());
        self.trail.recorded_by(task_id, (path, self.blob), commit)
    }
}

/// A predecessor, at its end.
pub(crate) struct EndedTrail {
    trail: Trail,
    origin: String,
    tip: ObjectId,
    root: Mutex<Arc<Node>>,
    before: OnceLock<Option<Arc<EndedTrail>>>,
}

impl EndedTrail {
    /// Opens the trail that `described` describes, at the first place that has it.
    fn open(
        described: &Predecessor,
        successor: Option<&str>,
        places: &[PathBuf],
        environment: &GitEnvironment,
    ) -> Result<EndedTrail, TrailError> {
        let unavailable = |why: String| TrailError::Predecessor {
            origin: described.origin.clone(),
            why,
        };
        let tip = ObjectId::from_hex(described.tip.as_bytes())
            .map_err(|_| unavailable("the first entry here names no commit of it".into()))?;
        let mut problem = None;
        for place in places {
            match EndedTrail::open_at(place, described, tip, successor, environment) {
                Ok(opened) => return Ok(opened),
                Err(why) => {
                    problem.get_or_insert_with(|| format!("{}: {why}", place.display()));
                }
            }
        }
        let none = || "no place is known where it is".to_owned();
        Err(unavailable(problem.unwrap_or_else(none)))
    }

    fn open_at(
        place: &Path,
        described: &Predecessor,
        tip: ObjectId,
        successor: Option<&str>,
        environment: &GitEnvironment,
    ) -> Result<EndedTrail, TrailError> {
        let options = OpenOptions {
            environment: environment.clone(),
            ..OpenOptions::default()
        };
        let trail = Trail::open(place, options)?;
        let repository = &trail.shared().repository;
        // Most repositories beside the successor are others, and a read would wait for an object that is missing.
        if !repository.has(Kind::Commit, &tip) {
            return Err(TrailError::Invalid(format!(
                "it does not have the commit {tip}, which ends that trail"
            )));
        }
        let root = View::load_root(repository, Some(tip))?;
        let named = super::end_in(&root, repository)?.flatten();
        if named.is_none() || successor.is_some_and(|own| named.as_deref() != Some(own)) {
            return Err(TrailError::Invalid(format!(
                "the commit {tip} does not end that trail with this one as its successor"
            )));
        }
        Ok(EndedTrail {
            origin: described.origin.clone(),
            tip,
            root: Mutex::new(root),
            before: OnceLock::new(),
            trail,
        })
    }

    fn root(&self) -> Result<Arc<Node>, TrailError> {
        let repository = &self.trail.shared().repository;
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if repository.loaded.bytes() > MAX_LOADED {
            *root = View::load_root(repository, Some(self.tip))?;
        }
        Ok(root.clone())
    }

    fn entry(&self, task_id: &TaskId) -> Result<Option<EarlierEntry>, TrailError> {
        let repository = &self.trail.shared().repository;
        match view::presence(&self.root()?, task_id, repository, None)?.0 {
            Presence::Absent => Ok(None),
            Presence::Present { blob, layout } => Ok(Some(EarlierEntry {
                entry: repository.object(Kind::Blob, &blob)?.into(),
                path: layout.path(task_id),
                commit: self.trail.commit_until(task_id, self.tip)?,
                blob,
                trail: self.trail.clone(),
                origin: self.origin.clone(),
            })),
            Presence::Collides(with) => Err(TrailError::CaseCollision(with)),
        }
    }

    /// The predecessor, opened on first use.
    fn before(
        &self,
        near: &TrailInner,
        environment: &GitEnvironment,
    ) -> Result<Option<Arc<EndedTrail>>, TrailError> {
        if let Some(before) = self.before.get() {
            return Ok(before.clone());
        }
        let shared = self.trail.shared();
        let opened = match super::predecessor_in(&self.root()?, &shared.repository)? {
            None => None,
            Some(described) => {
                let own = uuid_of(&self.origin);
                let places = places(&described.origin, &[shared, near]);
                let opened = EndedTrail::open(&described, own, &places, environment)?;
                Some(Arc::new(opened))
            }
        };
        Ok(self.before.get_or_init(|| opened).clone())
    }
}

/// The uuid in an origin; `None` if the trail has none.
fn uuid_of(origin: &str) -> Option<&str> {
    let id = id_of(origin);
    (!id.starts_with("commit-")).then_some(id)
}

/// The places where a trail may be: those that these trails know, and the repositories beside them.
fn places(origin: &str, near: &[&TrailInner]) -> Vec<PathBuf> {
    let known = near.iter().flat_map(|shared| {
        let state = StateDir::new(search_root(shared));
        state.read_known().unwrap_or_default()
    });
    let known: Vec<KnownTrail> = known.collect();
    let near: Vec<&Path> = near
        .iter()
        .map(|shared| directory(search_root(shared)))
        .collect();
    places_of(origin, &known, &near)
}

/// The git directory beside which repositories are searched: a temporary repository has no neighbours.
fn search_root(shared: &TrailInner) -> &Path {
    let lender = shared.lender.as_deref();
    lender.unwrap_or(&shared.repository.common_dir)
}

/// The predecessors of an open trail.
#[derive(Default)]
pub(crate) struct Predecessors {
    opened: Mutex<Option<Arc<EndedTrail>>>,
    /// Whether the last look-up found no beginning. Most trails have none, and no recorder has to wait for another then.
    /// This is only a hint: a beginning may be recorded meanwhile, and the writer refuses what was decided without it.
    none: AtomicBool,
}

impl Predecessors {
    fn opened(&self) -> MutexGuard<'_, Option<Arc<EndedTrail>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next look-up read the tree.
    pub(crate) fn forget_none(&self) {
        self.none.store(false, Ordering::Relaxed);
    }
}

impl Trail {
    /// Looks up a task's entry in the predecessors, one after the other. An id of the host is in each of them and means
    /// nothing there.
    ///
    /// # Errors
    ///
    /// [`TrailError::Predecessor`] if one of them cannot be read; [`TrailError::CaseCollision`].
    pub fn find_earlier(&self, task_id: &TaskId) -> Result<Earlier, TrailError> {
        let shared = self.shared();
        if continuation::is_reserved(task_id.as_str()) {
            return Ok(Earlier::NoPredecessor);
        }
        let Some(first) = self.opened_predecessor()? else {
            return Ok(Earlier::NoPredecessor);
        };
        let mut next = Some(first);
        while let Some(before) = next {
            let asked = before.entry(task_id).and_then(|found| match found {
                Some(found) => Ok((Some(found), None)),
                None => Ok((None, before.before(shared, &shared.environment)?)),
            });
            match asked.map_err(|error| before.unavailable(error))? {
                (Some(found), _) => return Ok(Earlier::Entry(found)),
                (None, more) => next = more,
            }
        }
        Ok(Earlier::NoEntry)
    }

    /// Checks that each of the predecessors is readable.
    ///
    /// # Errors
    ///
    /// [`TrailError::Predecessor`].
    pub fn check_predecessors(&self) -> Result<(), TrailError> {
        let shared = self.shared();
        let mut next = self.opened_predecessor()?;
        while let Some(before) = next {
            let asked = before.before(shared, &shared.environment);
            next = asked.map_err(|error| before.unavailable(error))?;
        }
        Ok(())
    }

    fn opened_predecessor(&self) -> Result<Option<Arc<EndedTrail>>, TrailError> {
        let shared = self.shared();
        if shared.predecessors.none.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut opened = shared.predecessors.opened();
        if let Some(opened) = &*opened {
            return Ok(Some(opened.clone()));
        }
        let root = {
            let view = shared.view();
            view.root.clone()
        };
        // Only a writer clears the hint, and it has loaded a tree.
        let is_writing = root.is_some();
        let root = match root {
            Some(root) => root,
            None => self.root_to_read()?,
        };
        let Some(described) = super::predecessor_in(&root, &shared.repository)? else {
            shared
                .predecessors
                .none
                .store(is_writing, Ordering::Relaxed);
            return Ok(None);
        };
        // That the end names this trail was checked before the first entry was recorded, which names the end by its
        // commit. To look for the own uuid again would read the whole history.
        let places = places(&described.origin, &[shared]);
        let before = EndedTrail::open(&described, None, &places, &shared.environment)?;
        Ok(Some(opened.insert(Arc::new(before)).clone()))
    }
}

impl EndedTrail {
    /// The error for a predecessor that cannot be read.
    fn unavailable(&self, error: TrailError) -> TrailError {
        match error {
            TrailError::CaseCollision(_) | TrailError::Predecessor { .. } => error,
            error => TrailError::Predecessor {
                origin: self.origin.clone(),
                why: error.to_string(),
            },
        }
    }
}
