//! Whether the store belongs to the trail: known before anything is accepted or committed, and asked again when another process
//! has bound the store, or this host's turn to commit begins.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Inner;
use crate::binding::{self, BindError};
use store::{Settled, Settlement, State, StoreError};

/// What is known so far.
#[derive(Default)]
pub(super) struct Belonging {
    known: AtomicU8,
    /// One asks at a time; the others wait for the answer.
    asking: tokio::sync::Mutex<()>,
}

const NOT_ASKED: u8 = 0;
/// The trail has no commit yet, and the store is bound to none.
const UNBOUND: u8 = 1;
const BOUND: u8 = 2;

impl Inner {
    /// Refuses where the store is another trail's. A trail that cannot be read now is no reason to accept nothing: what is
    /// accepted waits, and who tries to commit it meets the same.
    pub(super) async fn may_use_store(&self) -> Result<(), StoreError> {
        if self.belonging.known.load(Ordering::Acquire) != NOT_ASKED {
            return Ok(());
        }
        match self.ask(NOT_ASKED).await {
            Err(BindError::Trail(error)) => {
                tracing::debug!(%error, "whether the store belongs to the trail is not known yet");
                Ok(())
            }
            Err(BindError::Store(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// Before the first entry is acknowledged: by now the trail has a commit, to which the store can be bound.
    pub(super) async fn may_settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let acknowledges = settlements
            .iter()
            .any(|settlement| matches!(settlement.settled, Settled::Committed(_)));
        if !acknowledges || self.belonging.known.load(Ordering::Acquire) == BOUND {
            return Ok(());
        }
        self.ask(UNBOUND).await.map_err(StoreError::from)
    }

    /// Whether what another host has committed is in this host's trail. Where it is not, this is a copy of the repository, and the
    /// store is not its own: nobody is told that it is committed.
    pub(super) async fn is_in_trail(&self, state: &State) -> bool {
        let State::Committed { commit, .. } = state else {
            return true;
        };
        let (trail, commit) = (self.force.now().recorder.trail().clone(), commit.clone());
        let looked = tokio::task::spawn_blocking(move || trail.holds(&commit)).await;
        // A trail that cannot be read says nothing against it.
        let holds = !matches!(looked, Ok(Ok(false)));
        if !holds {
            self.ask_again_whose_store();
        }
        holds
    }

    /// What was known may be wrong by now.
    pub(super) fn ask_again_whose_store(&self) {
        self.belonging.known.store(NOT_ASKED, Ordering::Release);
    }

    /// Asks if no more than that is known.
    async fn ask(&self, known: u8) -> Result<(), BindError> {
        let _one = self.belonging.asking.lock().await;
        if self.belonging.known.load(Ordering::Acquire) > known {
            return Ok(());
        }
        let trail = self.force.now().recorder.trail().clone();
        let is_bound = binding::bind(&*self.store, &trail, None).await?;
        let known = if is_bound { BOUND } else { UNBOUND };
        self.belonging.known.store(known, Ordering::Release);
        Ok(())
    }
}
