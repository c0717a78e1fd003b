//! The bond: which trail a store belongs to.

use std::sync::Mutex;

use super::StoreError;

/// Binds a store to a trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bond {
    /// The trail's UUID, if it has one.
    pub uuid: Option<String>,
    /// The trail's first commit; `None` while the store is not bound to a trail.
    pub first_commit: Option<String>,
    /// The newest commit that the store has acknowledged. It must be in the trail.
    pub last: Option<String>,
    /// The number of times that the store was bound.
    pub epoch: i64,
}

impl Bond {
    /// Names the trail that the store belongs to, for messages. If its UUID and first commit are unknown, this is the
    /// last acknowledged commit.
    pub fn name(&self) -> &str {
        let known = [&self.uuid, &self.first_commit, &self.last];
        known
            .into_iter()
            .flatten()
            .next()
            .map_or("no trail", String::as_str)
    }
}

/// The bond that a handle of a store requires.
#[derive(Debug, Default)]
pub(super) struct RequiredBond(Mutex<Option<i64>>);

impl RequiredBond {
    pub(super) fn to(&self, epoch: i64) {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(epoch);
    }

    /// The epoch that the store must still have; `None` if the handle requires none.
    pub(super) fn epoch(&self) -> Option<i64> {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Fails if the store was bound again since the handle began to require an epoch.
pub(super) fn check(required_epoch: Option<i64>, present: i64) -> Result<(), StoreError> {
    match required_epoch {
        Some(required_epoch) if required_epoch != present => Err(StoreError::Rebound),
        _ => Ok(()),
    }
}
