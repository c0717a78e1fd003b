//! Callers that wait for the result of a submission. Knows no store: results are passed in.
//!
//! Recent results are remembered, because a submission may be settled before its caller starts to wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use store::{Sequence, State};

/// How many results to remember: some seconds at the highest rate. Later callers read the store.
const REMEMBERED: usize = 16_384;

/// Recent results, and the callers that wait for others.
#[derive(Default)]
pub(super) struct Settlements {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<Key, Vec<oneshot::Sender<State>>>,
    known: HashMap<Key, State>,
    order: VecDeque<Key>,
    /// No more results will come.
    closed: bool,
}

/// A submission: a database that lost its newest rows in a failover gives their numbers to other tasks.
pub(super) type Key = (Sequence, String);

/// A result, or a receiver for it.
pub(super) enum WaitState {
    Known(State),
    Until(oneshot::Receiver<State>),
}

impl Settlements {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds the settlements")
    }

    /// Reports results.
    pub(super) fn tell(&self, settled: impl IntoIterator<Item = (Key, State)>) {
        let mut inner = self.inner();
        for (key, state) in settled {
            for waiting in inner.waiting.remove(&key).unwrap_or_default() {
                // The caller may be gone.
                let _ = waiting.send(state.clone());
            }
            if state.is_open() {
                // The state will change again.
                inner.known.remove(&key);
                continue;
            }
            if inner.known.insert(key.clone(), state).is_none() {
                inner.order.push_back(key);
            }
            if inner.order.len() > REMEMBERED
                && let Some(oldest) = inner.order.pop_front()
            {
                inner.known.remove(&oldest);
            }
        }
    }

    pub(super) fn wait(&self, sequence: Sequence, task_id: &str) -> WaitState {
        let mut inner = self.inner();
        let key = (sequence, task_id.to_owned());
        if let Some(state) = inner.known.get(&key) {
            return WaitState::Known(state.clone());
        }
        let (sender, receiver) = oneshot::channel();
        if inner.closed {
            return WaitState::Until(receiver);
        }
        inner.waiting.entry(key).or_default().push(sender);
        WaitState::Until(receiver)
    }

    /// Stops reporting: callers that wait now or later are released to read the store.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        inner.waiting.clear();
    }

    /// Up to `most` submissions that callers still wait for, oldest first.
    pub(super) fn awaited(&self, most: usize) -> Vec<Key> {
        let mut inner = self.inner();
        inner.waiting.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        let mut keys: Vec<Key> = inner.waiting.keys().cloned().collect();
        keys.sort_unstable();
        keys.truncate(most);
        keys
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{REMEMBERED, Settlements, WaitState};
    use store::{Sequence, State};

    fn committed() -> State {
        State::Committed {
            commit: "c".into(),
            path: "p".into(),
        }
    }

    #[test]
    fn early_and_late_callers_get_the_same_result() {
        let settlements = Settlements::default();
        let WaitState::Until(mut before) = settlements.wait(Sequence(1), "a") else {
            panic!("nothing was told yet");
        };
        assert_eq!(settlements.awaited(9), [(Sequence(1), "a".to_owned())]);
        settlements.tell([((Sequence(1), "a".to_owned()), committed())]);
        assert_eq!(before.try_recv().unwrap(), committed());
        assert!(matches!(
            settlements.wait(Sequence(1), "a"),
            WaitState::Known(_)
        ));
        assert!(settlements.awaited(9).is_empty());
        // A database that was set back has given the number to another task.
        assert!(matches!(
            settlements.wait(Sequence(1), "b"),
            WaitState::Until(_)
        ));
    }

    #[test]
    fn after_closing_no_caller_waits() {
        let settlements = Settlements::default();
        let WaitState::Until(mut before) = settlements.wait(Sequence(1), "a") else {
            panic!("nothing was told yet");
        };
        settlements.close();
        assert!(before.try_recv().is_err());
        let WaitState::Until(mut after) = settlements.wait(Sequence(1), "a") else {
            panic!("nothing was told");
        };
        assert!(after.try_recv().is_err());
        assert!(settlements.awaited(9).is_empty());
    }

    #[test]
    fn an_open_state_is_reported_and_not_remembered() {
        let settlements = Settlements::default();
        let WaitState::Until(mut first) = settlements.wait(Sequence(1), "a") else {
            panic!("nothing was told yet");
        };
        let blocked = State::Blocked {
            cause: Some(outcome::Cause::PolicyFuel),
            reason: None,
        };
        settlements.tell([((Sequence(1), "a".to_owned()), blocked.clone())]);
        assert_eq!(first.try_recv().unwrap(), blocked);
        assert!(matches!(
            settlements.wait(Sequence(1), "a"),
            WaitState::Until(_)
        ));
    }

    #[test]
    fn memory_is_bounded_even_with_callers_that_are_gone() {
        let settlements = Settlements::default();
        drop(settlements.wait(Sequence(-1), "a"));
        assert!(settlements.awaited(9).is_empty());
        settlements
            .tell((0..=REMEMBERED as i64).map(|n| ((Sequence(n), "a".to_owned()), committed())));
        assert!(matches!(
            settlements.wait(Sequence(0), "a"),
            WaitState::Until(_)
        ));
        assert!(matches!(
            settlements.wait(Sequence(1), "a"),
            WaitState::Known(_)
        ));
    }
}
