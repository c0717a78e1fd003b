//! Tickets: the promise that an entry with a place becomes durable, or that its caller gets an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::error::TrailError;

/// A durable entry and its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// The commit's id, in hexadecimal.
    pub commit: String,
    /// The entry's path in the trail.
    pub path: String,
    /// Whether the commit should be signed but could not be, as it says itself.
    pub unsigned: bool,
}

/// The promise for one entry.
#[derive(Clone)]
pub struct Ticket {
    slot: Arc<Slot>,
}

struct Slot {
    state: Mutex<State>,
    settled: Condvar,
    waiting: Arc<WaitingCallers>,
}

#[derive(Default)]
struct State {
    outcome: Option<Result<CommittedEntry, TrailError>>,
    /// Called when the result is known.
    then: Vec<Box<dyn FnOnce() + Send>>,
}

/// How many callers are blocked. The writer flushes a small group only if a caller waits for it.
pub(crate) struct WaitingCallers {
    count: AtomicUsize,
    wake_writer: Box<dyn Fn() + Send + Sync>,
}

impl WaitingCallers {
    pub(crate) fn new(wake_writer: impl Fn() + Send + Sync + 'static) -> WaitingCallers {
        WaitingCallers {
            count: AtomicUsize::new(0),
            wake_writer: Box::new(wake_writer),
        }
    }

    fn begin(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        (self.wake_writer)();
    }

    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }
}

impl Ticket {
    pub(crate) fn new(waiting: Arc<WaitingCallers>) -> Ticket {
        Ticket {
            slot: Arc::new(Slot {
                state: Mutex::new(State::default()),
                settled: Condvar::new(),
                waiting,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.slot
            .state
            .lock()
            .expect("nothing panics while it holds a ticket")
    }

    pub(crate) fn settle(&self, outcome: Result<CommittedEntry, TrailError>) {
        let then = {
            let mut state = self.state();
            state.outcome = Some(outcome);
            std::mem::take(&mut state.then)
        };
        self.slot.settled.notify_all();
        self.slot
            .waiting
            .count
            .fetch_sub(then.len(), Ordering::SeqCst);
        // A callback that panics must not keep others from their receipts.
        for then in then {
            let _ = catch_unwind(AssertUnwindSafe(then));
        }
    }

    /// Whether [`Ticket::wait`] would return immediately.
    pub fn is_settled(&self) -> bool {
        self.state().outcome.is_some()
    }

    /// Calls `then` as soon as [`Ticket::wait`] would return immediately, which may be now.
    ///
    /// It is called on the flush thread: it MUST be quick and MUST NOT wait for the trail. Until then it counts as a
    /// blocked caller, for which the writer flushes without waiting for more entries.
    pub fn on_settled(&self, then: Box<dyn FnOnce() + Send>) {
        {
            let mut state = self.state();
            if state.outcome.is_none() {
                state.then.push(then);
                self.slot.waiting.begin();
                return;
            }
        }
        then();
    }

    /// Blocks until the entry is durable.
    ///
    /// # Errors
    ///
    /// [`TrailError::Changed`] if the policy must decide again; otherwise the reason why the entry was not recorded.
    pub fn wait(&self) -> Result<CommittedEntry, TrailError> {
        let mut state = self.state();
        if state.outcome.is_none() {
            self.slot.waiting.begin();
            while state.outcome.is_none() {
                state = self
                    .slot
                    .settled
                    .wait(state)
                    .expect("nothing panics while it holds a ticket");
            }
            self.slot.waiting.count.fetch_sub(1, Ordering::SeqCst);
        }
        state
            .outcome
            .clone()
            .expect("the loop ends when there is an outcome")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_called_once_and_counts_as_waiting_until_then() {
        let waiting = Arc::new(WaitingCallers::new(|| ()));
        let ticket = Ticket::new(waiting.clone());
        let calls = Arc::new(AtomicUsize::new(0));
        let add_callback = || {
            let calls = calls.clone();
            ticket.on_settled(Box::new(move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }));
        };
        add_callback();
        ticket.on_settled(Box::new(|| panic!("a caller's defect")));
        add_callback();
        assert!(waiting.any() && calls.load(Ordering::SeqCst) == 0);
        ticket.settle(Err(TrailError::Changed));
        assert!(!waiting.any() && calls.load(Ordering::SeqCst) == 2);
        add_callback();
        assert!(!waiting.any() && calls.load(Ordering::SeqCst) == 3);
    }
}
