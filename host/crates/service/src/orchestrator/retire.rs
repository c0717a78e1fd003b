//! Deletes old conflicts and refusals from the store, if the operator wants that. Only the committer does it, a few
//! at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::{Inner, Orchestrator};

/// The longest interval between two passes, however long submissions are kept.
const EVERY: Duration = Duration::from_secs(60);

/// The interval while another host commits, so that this one starts soon after it takes over.
const LOOK: Duration = Duration::from_secs(1);

/// How many to delete in one transaction: a few milliseconds of work.
const TOGETHER: usize = 500;

impl Orchestrator {
    /// From now on, while this host commits, deletes submissions that were turned down longer ago than this; with `None`,
    /// deletes nothing. Open and committed ones are never deleted.
    pub fn retire_turned_down(&self, older_than: Option<Duration>) {
        self.inner().keep_turned_down.send_replace(older_than);
    }
}

/// Starts the task that deletes. It ends with the host.
pub(super) fn start(inner: &Arc<Inner>) {
    let kept = inner.keep_turned_down.subscribe();
    tokio::spawn(run(Arc::downgrade(inner), kept));
}

async fn run(inner: Weak<Inner>, mut kept: watch::Receiver<Option<Duration>>) {
    loop {
        let Some(older_than) = *kept.borrow_and_update() else {
            match kept.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        let commits = match inner.upgrade() {
            Some(inner) if !inner.is_stopping() => {
                retire(&inner, older_than).await;
                inner.lease().is_some()
            }
            _ => return,
        };
        let pause = match commits {
            true => (older_than / 4).clamp(LOOK, EVERY),
            false => LOOK,
        };
        // A new setting takes effect at once.
        let _ = tokio::time::timeout(pause, kept.changed()).await;
    }
}

async fn retire(inner: &Inner, older_than: Duration) {
    let mut all = 0;
    while let Some(lease) = inner.lease()
        && !inner.is_stopping()
    {
        match inner.store.retire(&lease, older_than, TOGETHER).await {
            Ok(0) => break,
            Ok(deleted) => {
                inner.metrics.retired.add(deleted);
                all += deleted;
            }
            Err(error) => {
                tracing::warn!(%error, "old conflicts and refusals could not be deleted");
                break;
            }
        }
    }
    if all > 0 {
        let seconds = older_than.as_secs();
        tracing::info!(
            deleted = all,
            older_than = seconds,
            "old conflicts and refusals were deleted"
        );
    }
}
