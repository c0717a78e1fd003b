//! The note in a repository that it is one of several: without the log nothing may be recorded there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrailError;
use crate::place::state::{Identity, StateDir};
use crate::setup::init::create_repository;
use crate::write::lock::WriterLock;
use crate::{OpenOptions, Placement, Trail};

/// How a repository is named among those that hold the same trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// A random id. A copy of the repository has the same one, and must not run beside the original.
    pub id: String,
}

impl StateDir {
    fn membership_path(&self) -> PathBuf {
        self.root().join("replica.toml")
    }

    pub(crate) fn read_membership(&self) -> Result<Option<Membership>, TrailError> {
        StateDir::read_toml(&self.membership_path())
    }
}

impl Trail {
    /// The repository's name among those that hold the trail; `None` if the trail is not replicated.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`], [`TrailError::Io`].
    pub fn membership(&self) -> Result<Option<Membership>, TrailError> {
        self.shared().state.read_membership()
    }

    /// Notes that this repository is one of several. Durable on return. An earlier note stays.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn join(&self, membership: Membership) -> Result<Membership, TrailError> {
        let shared = self.shared();
        shared.state.create_root(shared.disk.as_ref())?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let joined = match shared.state.read_membership() {
            Ok(Some(earlier)) => Ok(earlier),
            Ok(None) => shared
                .state
                .create_contents(shared.disk.as_ref())
                .and_then(|_| {
                    let path = shared.state.membership_path();
                    let disk = shared.disk.as_ref();
                    shared.state.replace_toml(disk, &path, &membership)
                })
                .map(|()| membership),
            Err(error) => Err(error),
        };
        lock.release();
        joined
    }

    /// Makes a bare repository without a trail, and notes that it is one of several: the log has the trail. A repository that was made
    /// this way before is opened.
    ///
    /// # Errors
    ///
    /// [`TrailError::Io`], and those of opening.
    pub fn make_replica(
        dir: &Path,
        reference: &str,
        membership: Membership,
        options: OpenOptions,
    ) -> Result<Trail, TrailError> {
        let state = StateDir::new(dir);
        if !dir.join("HEAD").exists() {
            create_repository(dir, true, Some(reference))?;
        }
        let disk = options.disk.clone();
        state.create_root(disk.as_ref())?;
        let lock = WriterLock::acquire(&state, options.lock_wait)?;
        let identity = Identity {
            reference: reference.to_owned(),
            placement: Placement::Ref,
            layout: None,
        };
        let noted = state.create_contents(disk.as_ref()).and_then(|_| {
            if state.read_identity()?.is_none() {
                state.write_identity(disk.as_ref(), &identity)?;
            }
            match state.read_membership()? {
                Some(_) => Ok(()),
                None => state.replace_toml(disk.as_ref(), &state.membership_path(), &membership),
            }
        });
        lock.release();
        noted?;
        Trail::open(dir, options)
    }

    /// Removes the note. From then on the repository's trail moves alone.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn leave(&self) -> Result<(), TrailError> {
        let shared = self.shared();
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let path = shared.state.membership_path();
        let removed = crate::disk::remove_if_present(shared.disk.as_ref(), &path);
        lock.release();
        removed.map_err(|error| TrailError::Io {
            action: "remove",
            kind: error.kind(),
            cause: error.to_string(),
            path,
        })
    }
}
