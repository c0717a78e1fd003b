//! What waits for the writer: entries in the order in which they got their place, and requests to look at the ref.

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

/// What the writer is called for besides entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    None,
    /// To look at the ref.
    Refresh,
    /// To end.
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

    /// Asks the writer to take the ref as it is now; the receiver hears when it has.
    pub(crate) fn request_refresh(&self) -> Receiver<Result<(), TrailError>> {
        let (sender, receiver) = channel();
        self.state().refreshes.push(sender);
        self.wake.notify_all();
        receiver
    }

    pub(crate) fn wake(&self) {
        // Under the lock: otherwise it could fall between the writer's look and its sleep.
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

    /// The next entry, waited for as long as `patience` says.
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

    /// Puts entries back that have to be sequenced again, before all others.
    pub(crate) fn requeue(&self, items: Vec<Item>) {
        let mut state = self.state();
        items
            .into_iter()
            .rev()
            .for_each(|item| state.items.push_front(item));
    }

    /// Whether somebody wants the ref to be looked at.
    pub(crate) fn wants_refresh(&self) -> bool {
        !self.state().refreshes.is_empty()
    }

    pub(crate) fn drain(&self) -> Vec<Item> {
        self.state().items.drain(..).collect()
    }

    /// How many want the ref to be looked at.
    pub(crate) fn refreshes(&self) -> usize {
        self.state().refreshes.len()
    }

    /// Tells the first so many that the ref was looked at since they asked. Whoever asked later may have seen a later ref.
    pub(crate) fn settle_refreshes(&self, first: usize) {
        for sender in self.state().refreshes.drain(..first) {
            // The one who asked may have gone.
            let _ = sender.send(Ok(()));
        }
    }

    /// All who want the ref to be looked at.
    pub(crate) fn take_refreshes(&self) -> Vec<Sender<Result<(), TrailError>>> {
        std::mem::take(&mut self.state().refreshes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use super::*;

    /// Whoever asks while the writer looks may have seen a ref that it has not.
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
