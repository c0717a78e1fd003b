//! Which policy is in force on this machine.
//!
//! Owns the file `policy.toml` in the state directory, which only [`Trail::set_policy_in_force`] writes. No ref and no commit
//! puts a policy in force: they can come from anywhere.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::place::state::StateDir;
use crate::write::lock::WriterLock;
use crate::{Trail, TrailInner};

/// The policy that was put in force on this machine, by the digests of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInForce {
    /// `sha256:…` of the component.
    pub component: String,
    /// `sha256:…` of the settings.
    pub settings: String,
    /// When that was, RFC 3339.
    pub since: String,
    /// The objections that the operator overrode to put it in force, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
}

impl Trail {
    /// The policy that was put in force on this machine; `None` if none was.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if the file cannot be read: the policy is never guessed.
    pub fn in_force(&self) -> Result<Option<PolicyInForce>, TrailError> {
        StateDir::read_toml(&self.shared().state.in_force_path())
    }

    /// Puts a kept policy in force and ends any distrust of it. With `is_default`, removes the file instead, because this
    /// policy decides when there is no file. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn set_policy_in_force(
        &self,
        policy: &PolicyInForce,
        is_default: bool,
    ) -> Result<(), TrailError> {
        self.refresh()?;
        let shared = self.shared();
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let noted = shared.note_in_force(policy, is_default);
        lock.release();
        noted
    }
}

impl TrailInner {
    fn note_in_force(&self, policy: &PolicyInForce, is_default: bool) -> Result<(), TrailError> {
        let (disk, state) = (self.disk.as_ref(), &self.state);
        let path = state.in_force_path();
        // First: otherwise, after a crash in between, a distrusted policy would decide.
        self.end_distrust_locked(&policy.component)?;
        if is_default {
            disk::remove_if_present(disk, &path).doing("remove", &path)?;
            return disk.sync_dir(state.root()).doing("sync", state.root());
        }
        state.replace_toml(disk, &path, policy)?;
        // Last: after a crash in between, the policy in force still counts as used.
        self.note_used_locked(policy)
    }
}

impl StateDir {
    /// Which policy the operator of this machine has put in force.
    pub(crate) fn in_force_path(&self) -> PathBuf {
        self.root().join("policy.toml")
    }
}
