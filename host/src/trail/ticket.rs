//! Tickets: the promise that an entry which has its place will be made durable, or its caller told why not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::error::TrailError;

/// Where an entry ended up. Given out only once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The commit's id, in hexadecimal.
    pub commit: String,
    /// The entry's path in the trail.
    pub path: String,
}

/// The promise for one entry.
#[derive(Clone)]
pub struct Ticket {
    slot: Arc<Slot>,
}

struct Slot {
    outcome: Mutex<Option<Result<Placed, TrailError>>>,
    settled: Condvar,
    waiting: Arc<Waiting>,
}

/// How many callers are blocked: the writer flushes a small group only if somebody waits for it.
pub(super) struct Waiting {
    count: AtomicUsize,
    wake_writer: Box<dyn Fn() + Send + Sync>,
}

impl Waiting {
    pub(super) fn new(wake_writer: impl Fn() + Send + Sync + 'static) -> Waiting {
        Waiting {
            count: AtomicUsize::new(0),
            wake_writer: Box::new(wake_writer),
        }
    }

    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }
}

impl Ticket {
    pub(super) fn new(waiting: Arc<Waiting>) -> Ticket {
        Ticket {
            slot: Arc::new(Slot {
                outcome: Mutex::new(None),
                settled: Condvar::new(),
                waiting,
            }),
        }
    }

    pub(super) fn settle(&self, outcome: Result<Placed, TrailError>) {
        *self
            .slot
            .outcome
            .lock()
            .expect("nothing panics while it holds a ticket") = Some(outcome);
        self.slot.settled.notify_all();
    }

    /// Whether [`Ticket::wait`] would return at once.
    pub fn is_settled(&self) -> bool {
        self.slot
            .outcome
            .lock()
            .expect("nothing panics while it holds a ticket")
            .is_some()
    }

    /// Blocks until the entry is durable.
    ///
    /// # Errors
    ///
    /// [`TrailError::Changed`] if the decision has to be taken again; otherwise why the entry was not recorded.
    pub fn wait(&self) -> Result<Placed, TrailError> {
        let mut outcome = self
            .slot
            .outcome
            .lock()
            .expect("nothing panics while it holds a ticket");
        if outcome.is_none() {
            self.slot.waiting.count.fetch_add(1, Ordering::SeqCst);
            (self.slot.waiting.wake_writer)();
            while outcome.is_none() {
                outcome = self
                    .slot
                    .settled
                    .wait(outcome)
                    .expect("nothing panics while it holds a ticket");
            }
            self.slot.waiting.count.fetch_sub(1, Ordering::SeqCst);
        }
        outcome
            .clone()
            .expect("the loop ends when there is an outcome")
    }
}
