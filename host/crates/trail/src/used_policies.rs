//! Which policies an operator of this machine has used on the trail, and which of them are distrusted.
//!
//! Owns the file `used-policies.toml` beside the repository's own files. A policy that only a fetched ref names is not in
//! it: commits and refs can come from anywhere, so they cannot make this machine believe a policy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use serde::{Deserialize, Serialize};

use crate::error::TrailError;
use crate::place::state::StateDir;
use crate::write::lock::WriterLock;
use crate::{PolicyInForce, Trail, TrailInner, message};
use outcome::clock::Timestamp;

/// The policy and settings that decided an entry, according to its commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecidedBy {
    /// `sha256:…` of the component; empty if the commit does not name it.
    pub policy: String,
    /// `sha256:…` of the settings; empty if the commit does not name them.
    pub settings: String,
}

/// The policies that were used on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedPolicies {
    #[serde(default)]
    used: Vec<DecidedBy>,
    #[serde(default)]
    distrusted: Vec<Distrusted>,
    /// The files of secret settings, by the tag that replaces the value in the kept settings.
    #[serde(default)]
    secret_files: BTreeMap<String, PathBuf>,
}

/// A policy that an operator has excluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distrusted {
    policy: String,
    since: String,
}

impl UsedPolicies {
    /// Whether the policy was used with these settings.
    pub fn includes(&self, decided_by: &DecidedBy) -> bool {
        self.used.contains(decided_by)
    }

    /// Whether an operator has excluded the policy, whatever its settings.
    pub fn is_distrusted(&self, policy: &str) -> bool {
        self.distrusted.iter().any(|one| one.policy == policy)
    }

    /// The digests of the excluded policies, in the order in which they were excluded.
    pub fn distrusted(&self) -> impl Iterator<Item = &str> {
        self.distrusted.iter().map(|one| &*one.policy)
    }

    /// The file that holds the value of a secret setting, by the tag that replaces the value in the kept settings.
    pub fn secret_file(&self, tag: &str) -> Option<&Path> {
        self.secret_files.get(tag).map(PathBuf::as_path)
    }

    /// Ends the distrust of a policy. Returns whether anything changed.
    fn trust(&mut self, policy: &str) -> bool {
        let before = self.distrusted.len();
        self.distrusted.retain(|one| one.policy != policy);
        self.distrusted.len() != before
    }

    /// Adds a policy with its settings. Returns whether anything changed.
    fn add(&mut self, decided_by: DecidedBy) -> bool {
        let is_new = !self.includes(&decided_by);
        if is_new {
            self.used.push(decided_by);
        }
        is_new
    }
}

impl Trail {
    /// The policies that were used on this machine.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if the file cannot be read.
    pub fn used_policies(&self) -> Result<UsedPolicies, TrailError> {
        let mut used = self.shared().read_used_policies()?;
        // Versions before this file existed wrote only which policy is in force.
        if let Some(in_force) = self.in_force()? {
            used.add(decided_by(&in_force));
        }
        Ok(used)
    }

    /// Notes that an operator of this machine uses the policy with these settings. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn note_used(&self, decided_by: &DecidedBy) -> Result<(), TrailError> {
        if self.shared().read_used_policies()?.includes(decided_by) {
            return Ok(());
        }
        self.change_used(|used| used.add(decided_by.clone()))
    }

    /// Notes which file of this machine holds the value of each secret setting. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of any writing.
    pub fn note_secret_files(&self, files: &[(String, PathBuf)]) -> Result<(), TrailError> {
        if files.is_empty() {
            return Ok(());
        }
        self.change_used(|used| {
            let before = used.secret_files.clone();
            used.secret_files.extend(files.iter().cloned());
            used.secret_files != before
        })
    }

    /// Excludes a policy: it is no longer asked about entries that it decided, until it is put in force again.
    /// `default` is the digest of the policy that decides if none was put in force. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of any writing; [`TrailError::Invalid`] if the policy is in force.
    pub fn distrust(&self, policy: &str, default: &str, now: Timestamp) -> Result<(), TrailError> {
        let in_force = self.in_force()?;
        let in_force = in_force.map_or(default.to_owned(), |in_force| in_force.component);
        if in_force == policy {
            return Err(TrailError::Invalid(format!(
                "the policy {policy} is in force: activate another one first"
            )));
        }
        self.change_used(|used| {
            let is_new = !used.is_distrusted(policy);
            if is_new {
                used.distrusted.push(Distrusted {
                    policy: policy.to_owned(),
                    since: now.to_rfc3339(),
                });
            }
            is_new
        })
    }

    /// Who decided the entry that a commit added.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn decided_by(&self, commit: &str) -> Result<DecidedBy, TrailError> {
        let unreadable = |_| TrailError::Invalid(format!("{commit} is not an object id"));
        let id = ObjectId::from_hex(commit.as_bytes()).map_err(unreadable)?;
        let commit = self.shared().repository.commit(&id)?;
        let trailer = |name| {
            let value = message::trailer(&commit.message, name);
            value.unwrap_or_default().to_owned()
        };
        Ok(DecidedBy {
            policy: trailer(message::POLICY),
            settings: trailer(message::SETTINGS),
        })
    }

    fn change_used(
        &self,
        change: impl FnOnce(&mut UsedPolicies) -> bool,
    ) -> Result<(), TrailError> {
        self.refresh()?;
        let shared = self.shared();
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let changed = shared.change_used_locked(change);
        lock.release();
        changed
    }
}

impl TrailInner {
    /// Notes that a policy was put in force. The caller holds the lock.
    pub(crate) fn note_used_locked(&self, in_force: &PolicyInForce) -> Result<(), TrailError> {
        self.change_used_locked(|used| used.add(decided_by(in_force)))
    }

    /// Ends the distrust of a policy. The caller holds the lock.
    pub(crate) fn end_distrust_locked(&self, policy: &str) -> Result<(), TrailError> {
        self.change_used_locked(|used| used.trust(policy))
    }

    fn change_used_locked(
        &self,
        change: impl FnOnce(&mut UsedPolicies) -> bool,
    ) -> Result<(), TrailError> {
        let mut used = self.read_used_policies()?;
        if !change(&mut used) {
            return Ok(());
        }
        let path = self.state.used_policies_path();
        self.state.replace_toml(self.disk.as_ref(), &path, &used)
    }

    fn read_used_policies(&self) -> Result<UsedPolicies, TrailError> {
        Ok(StateDir::read_toml(&self.state.used_policies_path())?.unwrap_or_default())
    }
}

impl StateDir {
    /// Which policies operators of this machine have used and distrusted.
    pub(crate) fn used_policies_path(&self) -> PathBuf {
        self.root().join("used-policies.toml")
    }
}

fn decided_by(in_force: &PolicyInForce) -> DecidedBy {
    DecidedBy {
        policy: in_force.component.clone(),
        settings: in_force.settings.clone(),
    }
}
