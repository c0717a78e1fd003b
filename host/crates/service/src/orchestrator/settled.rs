//! Who waits for what became of a submission. Knows no store: it is told.
//!
//! What was told lately is remembered, because a submission may be settled before the caller who put it in gets to ask.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use store::{Sequence, State};

/// How many are remembered: some seconds' worth at the highest rate. Who asks later finds out from the store.
const REMEMBERED: usize = 16_384;

/// What became of submissions lately, and who waits for others.
#[derive(Default)]
pub(super) struct Settlements {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<Sequence, Vec<oneshot::Sender<State>>>,
    known: HashMap<Sequence, State>,
    order: VecDeque<Sequence>,
    /// Nobody tells any more.
    closed: bool,
}

/// An answer, or where it will come.
pub(super) enum Waiting {
    Known(State),
    Until(oneshot::Receiver<State>),
}

impl Settlements {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds the settlements")
    }

    /// Tells what became of submissions.
    pub(super) fn tell(&self, settled: impl IntoIterator<Item = (Sequence, State)>) {
        let mut inner = self.inner();
        for (sequence, state) in settled {
            for waiting in inner.waiting.remove(&sequence).unwrap_or_default() {
                // Who asked may have gone.
                let _ = waiting.send(state.clone());
            }
            if state.is_open() {
                // It will be something else.
                inner.known.remove(&sequence);
                continue;
            }
            if inner.known.insert(sequence, state).is_none() {
                inner.order.push_back(sequence);
            }
            if inner.order.len() > REMEMBERED
                && let Some(oldest) = inner.order.pop_front()
            {
                inner.known.remove(&oldest);
            }
        }
    }

    pub(super) fn wait(&self, sequence: Sequence) -> Waiting {
        let mut inner = self.inner();
        if let Some(state) = inner.known.get(&sequence) {
            return Waiting::Known(state.clone());
        }
        let (sender, receiver) = oneshot::channel();
        if inner.closed {
            return Waiting::Until(receiver);
        }
        inner.waiting.entry(sequence).or_default().push(sender);
        Waiting::Until(receiver)
    }

    /// Nobody tells from now on: who waits, now or later, is let go, to ask the store.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        inner.waiting.clear();
    }

    /// The submissions that somebody still waits for, oldest first, at most `most`.
    pub(super) fn waited_for(&self, most: usize) -> Vec<Sequence> {
        let mut inner = self.inner();
        inner.waiting.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        let mut sequences: Vec<Sequence> = inner.waiting.keys().copied().collect();
        sequences.sort_unstable();
        sequences.truncate(most);
        sequences
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{REMEMBERED, Settlements, Waiting};
    use store::{Sequence, State};

    fn committed() -> State {
        State::Committed {
            commit: "c".into(),
            path: "p".into(),
        }
    }

    #[test]
    fn who_asks_before_and_who_asks_after_hear_the_same() {
        let settlements = Settlements::default();
        let Waiting::Until(mut before) = settlements.wait(Sequence(1)) else {
            panic!("nothing was told yet");
        };
        assert_eq!(settlements.waited_for(9), [Sequence(1)]);
        settlements.tell([(Sequence(1), committed())]);
        assert_eq!(before.try_recv().unwrap(), committed());
        assert!(matches!(settlements.wait(Sequence(1)), Waiting::Known(_)));
        assert!(settlements.waited_for(9).is_empty());
    }

    #[test]
    fn when_nobody_tells_any_more_nobody_waits() {
        let settlements = Settlements::default();
        let Waiting::Until(mut before) = settlements.wait(Sequence(1)) else {
            panic!("nothing was told yet");
        };
        settlements.close();
        assert!(before.try_recv().is_err());
        let Waiting::Until(mut after) = settlements.wait(Sequence(1)) else {
            panic!("nothing was told");
        };
        assert!(after.try_recv().is_err());
        assert!(settlements.waited_for(9).is_empty());
    }

    #[test]
    fn what_is_open_is_told_and_not_remembered() {
        let settlements = Settlements::default();
        let Waiting::Until(mut first) = settlements.wait(Sequence(1)) else {
            panic!("nothing was told yet");
        };
        let blocked = State::Blocked {
            cause: "policy-fuel".into(),
        };
        settlements.tell([(Sequence(1), blocked.clone())]);
        assert_eq!(first.try_recv().unwrap(), blocked);
        assert!(matches!(settlements.wait(Sequence(1)), Waiting::Until(_)));
    }

    #[test]
    fn memory_and_those_who_have_gone_are_bounded() {
        let settlements = Settlements::default();
        drop(settlements.wait(Sequence(-1)));
        assert!(settlements.waited_for(9).is_empty());
        settlements.tell((0..=REMEMBERED as i64).map(|n| (Sequence(n), committed())));
        assert!(matches!(settlements.wait(Sequence(0)), Waiting::Until(_)));
        assert!(matches!(settlements.wait(Sequence(1)), Waiting::Known(_)));
    }
}
