//! Memory budgets: the bytes that all requests and answers together may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::slots::Slots;
use service::orchestrator::Orchestrator;

/// More than four gigabytes are no limit.
const MAX_BYTES: usize = u32::MAX as usize;

/// A number of bytes that all share.
#[derive(Clone)]
pub struct Budget {
    bytes: Slots,
    /// How many tasks wait for a share.
    waiting: Arc<AtomicUsize>,
    /// The orchestrator whose gauge shows how much is held.
    shown: Option<Orchestrator>,
}

/// A share of a budget, returned on drop.
pub struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
    budget: Budget,
}

/// Counts a waiting task.
struct Waiting<'a>(&'a AtomicUsize);

impl Budget {
    pub fn new(bytes: usize, shown: Option<Orchestrator>) -> Budget {
        Budget {
            bytes: Slots::new(bytes.min(MAX_BYTES)),
            waiting: Arc::default(),
            shown,
        }
    }

    /// Makes it that many bytes. What is held beyond that goes when it is given back.
    pub fn resize(&self, bytes: usize) {
        self.bytes.resize(bytes.min(MAX_BYTES));
    }

    /// Waits until there is room for this many bytes. A request for more than the budget takes all of it.
    pub async fn reserve(&self, bytes: usize) -> Reservation {
        let permits = u32::try_from(bytes.min(self.bytes.most())).unwrap_or(u32::MAX);
        let waiting = Waiting::new(&self.waiting);
        // The semaphore is never closed.
        let permit = self
            .bytes
            .semaphore()
            .acquire_many_owned(permits)
            .await
            .ok();
        drop(waiting);
        self.show();
        Reservation {
            permit,
            budget: self.clone(),
        }
    }

    /// Whether a task waits for a share.
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn show(&self) {
        if let Some(orchestrator) = &self.shown {
            let held = self.bytes.taken();
            let numbers = &orchestrator.metrics().service;
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            numbers.bytes_in_flight.set(held as f64);
        }
    }
}

impl Reservation {
    /// Returns all but this many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.permit {
            let surplus = permit.num_permits().saturating_sub(bytes);
            drop(permit.split(surplus));
        }
        self.budget.show();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.permit = None;
        self.budget.show();
    }
}

impl Waiting<'_> {
    fn new(count: &AtomicUsize) -> Waiting<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::Budget;

    #[test]
    fn what_is_held_is_given_back_and_never_more_than_there_is() {
        let budget = Budget::new(100, None);
        let mut first = budget.reserve(1000).now_or_never().expect("all of it");
        {
            let mut second = std::pin::pin!(budget.reserve(1));
            assert!(second.as_mut().now_or_never().is_none());
            assert!(budget.is_wanted());
        }
        assert!(!budget.is_wanted());
        first.shrink(60);
        let second = budget.reserve(40).now_or_never().expect("there is room");
        assert!(budget.reserve(1).now_or_never().is_none());
        drop(first);
        assert!(budget.reserve(60).now_or_never().is_some());
        drop(second);
    }
}
