//! The trails that this one knows: where its predecessors and successors are. Owns `trails.toml` and `continues.toml` in
//! the state directory.
//!
//! `trails.toml` is a cache. Without it, or if it is damaged, the places are searched beside the repository, and what a
//! place holds is always checked against the entries.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::caches::leaves::ORIGIN;
use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::place::layout;
use crate::place::state::StateDir;
use crate::write::lock::WriterLock;
use crate::{OpenOptions, Trail};

/// A trail and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTrail {
    /// The name of its directory.
    pub name: String,
    /// Its origin, as checkpoints name it.
    pub origin: String,
    /// The directory of its repository; `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PathBuf>,
    /// The number of its entries, if it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The root over them in base64, if it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The uuid of its successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
}

impl KnownTrail {
    /// A trail of which only its place and its origin are known.
    pub fn at(place: &Path, origin: &str) -> KnownTrail {
        let name = place.file_name().unwrap_or_default();
        KnownTrail {
            name: name.to_string_lossy().into_owned(),
            origin: origin.to_owned(),
            place: Some(place.to_owned()),
            ..KnownTrail::default()
        }
    }

    /// The last part of its origin: its uuid, or `commit-` and the id of its first entry's commit.
    pub fn id(&self) -> &str {
        id_of(&self.origin)
    }
}

/// The last part of an origin: the uuid of the trail, or `commit-` and the id of its first entry's commit.
pub fn id_of(origin: &str) -> &str {
    origin.rsplit('/').next().unwrap_or(origin)
}

/// The origin whose last part is this id.
pub fn origin_with_id(id: &str) -> String {
    format!("{ORIGIN}{id}")
}

#[derive(Default, Serialize, Deserialize)]
struct KnownFile {
    #[serde(default, rename = "trail")]
    trails: Vec<KnownTrail>,
}

/// The trail to continue, noted before the first commit of the successor.
#[derive(Serialize, Deserialize)]
struct AwaitedFile {
    origin: String,
}

/// The most repositories beside another one that are looked at: a look-up opens each of them.
const MAX_BESIDE: usize = 1000;

/// The directory of a repository: its work tree, or the git directory if that is not within it.
pub(crate) fn directory(common_dir: &Path) -> &Path {
    match common_dir.file_name() {
        Some(name) if name == ".git" => common_dir.parent().unwrap_or(common_dir),
        _ => common_dir,
    }
}

/// The places where the trail with this origin may be: first those that are `known`, then the repositories beside each
/// of the directories in `near`.
pub fn places_of(origin: &str, known: &[KnownTrail], near: &[&Path]) -> Vec<PathBuf> {
    let known = known.iter().filter(|trail| trail.origin == origin);
    let mut places: Vec<PathBuf> = known.filter_map(|trail| trail.place.clone()).collect();
    places.extend(near.iter().flat_map(|directory| beside(directory)));
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

/// The repositories beside a directory, in the order of their names.
fn beside(own: &Path) -> Vec<PathBuf> {
    let Some(entries) = own.parent().and_then(|parent| parent.read_dir().ok()) else {
        return Vec::new();
    };
    let repositories = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_repository = path.join(".git").exists() || path.join("objects").is_dir();
        (is_repository && path != own).then_some(path)
    });
    let mut found: Vec<PathBuf> = repositories.take(MAX_BESIDE).collect();
    found.sort();
    found
}

impl StateDir {
    fn known_path(&self) -> PathBuf {
        self.root().join("trails.toml")
    }

    fn awaited_path(&self) -> PathBuf {
        self.root().join("continues.toml")
    }

    /// The trails in `trails.toml`.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub(crate) fn read_known(&self) -> Result<Vec<KnownTrail>, TrailError> {
        Ok(StateDir::read_toml::<KnownFile>(&self.known_path())?
            .unwrap_or_default()
            .trails)
    }

    /// The origin of the trail that this one is to continue, if that was noted.
    pub(crate) fn read_awaited(&self) -> Result<Option<String>, TrailError> {
        let file = StateDir::read_toml::<AwaitedFile>(&self.awaited_path())?;
        Ok(file.map(|file| file.origin))
    }
}

impl Trail {
    /// The trails that this machine knows from this one, and whether the file with them was damaged.
    pub fn known_trails(&self) -> (Vec<KnownTrail>, bool) {
        match self.shared().state.read_known() {
            Ok(known) => (known, false),
            Err(_) => (Vec::new(), true),
        }
    }

    /// The directory of the repository: its work tree, or the git directory of a bare one.
    pub fn directory(&self) -> &Path {
        directory(&self.shared().repository.common_dir)
    }

    /// Adds trails to the known ones, or replaces what is known of them. Replaces a damaged list.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn note_known_trails(&self, noted: Vec<KnownTrail>) -> Result<(), TrailError> {
        let (known, was_damaged) = self.known_trails();
        if !was_damaged && noted.iter().all(|trail| known.contains(trail)) {
            return Ok(());
        }
        self.write_state(|trail| {
            let (disk, state) = (trail.shared().disk.as_ref(), &trail.shared().state);
            // Read again under the lock: another process may have added one.
            let mut trails = state.read_known().unwrap_or_default();
            trails.retain(|known| noted.iter().all(|trail| trail.origin != known.origin));
            trails.extend(noted);
            state.replace_toml(disk, &state.known_path(), &KnownFile { trails })
        })
    }

    /// Notes durably that this trail is to continue another one. Until its first entry says so, nothing else is recorded.
    /// Returns `false`, and notes nothing, if the trail has entries.
    ///
    /// The entries are looked for under the lock, at the ref's current commit. Otherwise another process could record
    /// one before the note, and the beginning could never be recorded.
    ///
    /// # Errors
    ///
    /// Those of any writing; [`TrailError::Invalid`] if it is to continue a third one.
    pub fn await_beginning(&self, origin: &str) -> Result<bool, TrailError> {
        self.write_state(|trail| {
            let (disk, state) = (trail.shared().disk.as_ref(), &trail.shared().state);
            let root = trail.root_to_read()?;
            let tasks = root.descend(&layout::ROOT, &trail.shared().repository, None)?;
            if tasks.is_some() {
                return Ok(false);
            }
            match state.read_awaited()? {
                Some(noted) if noted == origin => return Ok(true),
                Some(noted) => {
                    return Err(TrailError::Invalid(format!(
                        "the trail is to continue {noted} already, not {origin}"
                    )));
                }
                None => {}
            }
            let origin = origin.to_owned();
            state.replace_toml(disk, &state.awaited_path(), &AwaitedFile { origin })?;
            state.sync_common_dir(disk)?;
            Ok(true)
        })
    }

    /// Forgets that this trail is to continue another one, after its first entry says so.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn forget_awaited(&self) -> Result<(), TrailError> {
        if self.shared().state.read_awaited()?.is_none() {
            return Ok(());
        }
        self.write_state(|trail| {
            let path = trail.shared().state.awaited_path();
            disk::remove_if_present(trail.shared().disk.as_ref(), &path).doing("remove", &path)
        })
    }

    fn write_state<T>(
        &self,
        write: impl FnOnce(&Trail) -> Result<T, TrailError>,
    ) -> Result<T, TrailError> {
        let shared = self.shared();
        shared.repository.check_writable()?;
        shared.state.create_root(shared.disk.as_ref())?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let created = shared.state.create_contents(shared.disk.as_ref());
        let written = created.and_then(|_| write(self));
        lock.release();
        written
    }

    /// The options for opening a trail that this one knows.
    pub fn options_for_known(&self) -> OpenOptions {
        OpenOptions {
            environment: self.shared().environment.clone(),
            ..OpenOptions::default()
        }
    }
}
