//! Whether the store belongs to the trail. This is checked before anything is accepted or committed, and again after
//! another process has bound the store or when this host becomes the committer.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Inner;
use crate::binding::{self, BindError};
use store::{Settlement, SettlementResult, State, StoreError};

/// What is known so far.
#[derive(Default)]
pub(super) struct BindingCheck {
    known: AtomicU8,
    /// One check runs at a time; the others wait for its result.
    asking: tokio::sync::Mutex<()>,
}

const NOT_ASKED: u8 = 0;
/// The trail has no commit yet, and the store is bound to none.
const UNBOUND: u8 = 1;
const BOUND: u8 = 2;

impl Inner {
    /// Fails if the store belongs to another trail. A trail that cannot be read now does not prevent accepting:
    /// accepted outcomes wait, and committing them meets the same check.
    pub(super) async fn may_use_store(&self) -> Result<(), StoreError> {
        if self.binding_check.known.load(Ordering::Acquire) != NOT_ASKED {
            return Ok(());
        }
        match self.check(NOT_ASKED).await {
            Err(BindError::Trail(error)) => {
                tracing::debug!(%error, "it is not known yet whether the store belongs to the trail");
                Ok(())
            }
            Err(BindError::Store(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// Called before the first entry is acknowledged, when the trail has a commit that the store can be bound to.
    pub(super) async fn may_settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let acknowledges = settlements
            .iter()
            .any(|settlement| matches!(settlement.result, SettlementResult::Committed(_)));
        if !acknowledges || self.binding_check.known.load(Ordering::Acquire) == BOUND {
            return Ok(());
        }
        self.check(UNBOUND).await.map_err(StoreError::from)
    }

    /// Whether this host's trail contains what another host has committed. If not, this is a copy of the repository
    /// and the store belongs to another one, so no caller may be told that it is committed.
    pub(super) async fn is_in_trail(&self, state: &State) -> bool {
        let State::Committed { commit, .. } = state else {
            return true;
        };
        let (trail, commit) = (
            self.current_policy.now().recorder.trail().clone(),
            commit.clone(),
        );
        let looked = tokio::task::spawn_blocking(move || {
            // Another host may have committed it, and the log is read every few milliseconds.
            if trail.is_replicated() && !trail.holds(&commit)? {
                trail.catch_up()?;
            }
            trail.holds(&commit)
        })
        .await;
        // A trail that cannot be read is no evidence.
        let holds = !matches!(looked, Ok(Ok(false)));
        if !holds {
            self.invalidate_binding();
        }
        holds
    }

    /// Discards the result of the last check, which may be outdated.
    pub(super) fn invalidate_binding(&self) {
        self.binding_check.known.store(NOT_ASKED, Ordering::Release);
    }

    /// Checks, unless at least `known` has been established.
    async fn check(&self, known: u8) -> Result<(), BindError> {
        let _one = self.binding_check.asking.lock().await;
        if self.binding_check.known.load(Ordering::Acquire) > known {
            return Ok(());
        }
        let trail = self.current_policy.now().recorder.trail().clone();
        let is_bound = binding::bind(&*self.store, &trail, None).await?;
        let known = if is_bound { BOUND } else { UNBOUND };
        self.binding_check.known.store(known, Ordering::Release);
        Ok(())
    }
}
