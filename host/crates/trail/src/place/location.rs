//! The location of an open trail: its branch, the lock files beside it, and whether another trail has the same
//! location.

use std::path::PathBuf;

use crate::error::TrailError;
use crate::setup::locate;
use crate::{POLICIES_REF, Placement, Trail, TrailInner};

impl Trail {
    /// The reason why a new trail starts on a separate ref; `None` if the trail had started when it was opened, or
    /// starts on the branch that is checked out.
    pub fn own_ref_reason(&self) -> Option<&str> {
        self.shared().own_ref_reason.as_deref()
    }

    /// The default branch, if the trail is on another branch that people check out.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn other_default_branch(&self) -> Result<Option<String>, TrailError> {
        let TrailInner {
            repository,
            identity,
            ..
        } = &**self.shared();
        if identity.placement == Placement::Ref {
            return Ok(None);
        }
        let default = locate::default_branch(repository)?;
        Ok(default.filter(|default| *default != identity.reference))
    }

    /// The lock files of git that can block recording. They need not exist.
    pub fn git_locks(&self) -> Vec<PathBuf> {
        let TrailInner {
            repository,
            identity,
            ..
        } = &**self.shared();
        let dir = &repository.common_dir;
        let mut locks = vec![
            dir.join(format!("{}.lock", identity.reference)),
            dir.join(format!("{POLICIES_REF}.lock")),
            dir.join("packed-refs.lock"),
        ];
        if identity.placement == Placement::Checkout {
            for tree in repository.work_trees().unwrap_or_default() {
                locks.push(tree.git_dir.join("index.lock"));
                locks.push(tree.git_dir.join("HEAD.lock"));
            }
        }
        locks
    }

    /// Whether both trails have the same git directory and ref. Opening searches upwards, as git does, so it may find
    /// another repository if the expected one was deleted.
    pub fn has_same_location(&self, other: &Trail) -> bool {
        let place = |trail: &Trail| {
            let shared = trail.shared();
            (
                shared.repository.common_dir.clone(),
                shared.identity.reference.clone(),
            )
        };
        place(self) == place(other)
    }
}
