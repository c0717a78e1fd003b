//! Which trail a store belongs to.

use std::sync::Mutex;

use super::StoreError;

/// What ties a store to a trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bond {
    /// The trail's uuid, if it has one.
    pub uuid: Option<String>,
    /// The trail's first commit; `None` while the store is bound to no trail.
    pub first_commit: Option<String>,
    /// The newest commit that the store has acknowledged; it must be in the trail.
    pub last: Option<String>,
    /// Counts how often the store was bound.
    pub epoch: i64,
}

impl Bond {
    /// What the trail is called that the store belongs to; the last commit that was acknowledged where nothing else is known.
    pub fn name(&self) -> &str {
        let known = [&self.uuid, &self.first_commit, &self.last];
        known
            .into_iter()
            .flatten()
            .next()
            .map_or("no trail", String::as_str)
    }
}

/// The bond that a handle of a store was told to keep to.
#[derive(Debug, Default)]
pub(super) struct RequiredBond(Mutex<Option<i64>>);

impl RequiredBond {
    pub(super) fn to(&self, epoch: i64) {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(epoch);
    }

    /// The epoch that must still be the store's; `None` where the handle was told nothing.
    pub(super) fn epoch(&self) -> Option<i64> {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Refuses where the store was bound again since the handle was told to keep to a bond.
pub(super) fn check(required_epoch: Option<i64>, present: i64) -> Result<(), StoreError> {
    match required_epoch {
        Some(required_epoch) if required_epoch != present => Err(StoreError::Rebound),
        _ => Ok(()),
    }
}
