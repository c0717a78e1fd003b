//! What an open trail says of the place where it is: its branch, the locks beside it, whether another is there too.

use std::path::PathBuf;

use crate::error::TrailError;
use crate::setup::locate;
use crate::{POLICIES_REF, Placement, Trail, TrailInner};

impl Trail {
    /// Why the trail, which had not begun when it was opened, begins on a ref of its own; `None` if it had, or does not.
    pub fn own_ref_reason(&self) -> Option<&str> {
        self.shared().apart.as_deref()
    }

    /// The default branch, if the trail is on another one that people check out.
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

    /// The lock files of git that may stand in the way of recording, whether or not they are there.
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

    /// Whether both are at one place: the same git directory, the same ref. Opening looks upward, as git does, so where a
    /// repository is gone another may be found above it.
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
