//! The queue of the writer: entries in the order of their places, and requests to read the ref.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::error::TrailError;
use crate::write::sequence::Item;

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    refreshes: Vec<Sender<Result<(), TrailError>>>,
    closed: bool,
}

/// A request to the writer besides entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    None,
    /// Read the ref.
    Refresh,
    /// End the thread.
    Close,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the queue")
    }

    pub(crate) fn push(&self, item: Item) {
        self.state().items.push_back(item);
        self.wake.notify_all();
    }

    /// Asks the writer to read the ref. The receiver gets the result.
    pub(crate) fn request_refresh(&self) -> Receiver<Result<(), TrailError>> {
        let (sender, receiver) = channel();
        self.state().refreshes.push(sender);
        self.wake.notify_all();
        receiver
    }

    pub(crate) fn wake(&self) {
        // Under the lock: otherwise the wake-up could come between the writer's check and its sleep.
        let _state = self.state();
        self.wake.notify_all();
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_all();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().items.is_empty()
    }

    /// Blocks until there is something to do; `false` once closed and empty.
    pub(crate) fn wait_for_work(&self) -> bool {
        let mut state = self.state();
        loop {
            if !state.items.is_empty() || !state.refreshes.is_empty() {
                return true;
            }
            if state.closed {
                return false;
            }
            state = self
                .wake
                .wait(state)
                .expect("nothing panics while it holds the queue");
        }
    }

    /// Takes the next entry; waits for it as long as `patience` says.
    pub(crate) fn next(&self, patience: impl Fn(Call) -> Duration) -> Option<Item> {
        let mut state = self.state();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            let patience = patience(match &*state {
                State { refreshes, .. } if !refreshes.is_empty() => Call::Refresh,
                State { closed: true, .. } => Call::Close,
                _ => Call::None,
            });
            if patience.is_zero() {
                return None;
            }
            let (next, _) = self
                .wake
                .wait_timeout(state, patience)
                .expect("nothing panics while it holds the queue");
            state = next;
        }
    }

    /// Puts entries that must be sequenced again at the front of the queue.
    pub(crate) fn requeue(&self, items: Vec<Item>) {
        let mut state = self.state();
        items
            .into_iter()
            .rev()
            .for_each(|item| state.items.push_front(item));
    }

    /// Whether a caller has asked to read the ref.
    pub(crate) fn wants_refresh(&self) -> bool {
        !self.state().refreshes.is_empty()
    }

    pub(crate) fn drain(&self) -> Vec<Item> {
        self.state().items.drain(..).collect()
    }

    /// How many callers have asked to read the ref.
    pub(crate) fn refreshes(&self) -> usize {
        self.state().refreshes.len()
    }

    /// Tells the first callers, this many, that the ref was read after they asked. Callers that asked later may have
    /// seen a later ref.
    pub(crate) fn settle_refreshes(&self, first: usize) {
        for sender in self.state().refreshes.drain(..first) {
            // The caller may be gone.
            let _ = sender.send(Ok(()));
        }
    }

    /// Takes all requests to read the ref.
    pub(crate) fn take_refreshes(&self) -> Vec<Sender<Result<(), TrailError>>> {
        std::mem::take(&mut self.state().refreshes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use super::*;

    /// A caller that asks during a read may have seen a newer ref than the writer.
    #[test]
    fn who_asks_while_the_ref_is_looked_at_is_answered_by_the_next_look() {
        let queue = Queue::default();
        let before = queue.request_refresh();
        let asked = queue.refreshes();
        let meanwhile = queue.request_refresh();
        queue.settle_refreshes(asked);
        assert!(matches!(before.try_recv(), Ok(Ok(()))));
        assert!(matches!(meanwhile.try_recv(), Err(TryRecvError::Empty)));
        assert!(queue.wants_refresh());
        queue.settle_refreshes(queue.refreshes());
        assert!(matches!(meanwhile.try_recv(), Ok(Ok(()))));
        assert!(!queue.wants_refresh());
    }
}
