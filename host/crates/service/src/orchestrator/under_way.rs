//! What is on the line: which submissions, and how much of it there may be.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use store::{Queued, Sequence};

/// Enough for one flush of the trail to carry many, and a bound on what a crash leaves to be found again.
const SUBMISSIONS_MOST: usize = 1024;

/// What is made of a document takes several times as much.
const BYTES_MOST: usize = 16 << 20;

#[derive(Default)]
pub(super) struct UnderWay {
    inner: Mutex<Inner>,
    /// Told when there is room again.
    pub(super) room: Notify,
}

#[derive(Default)]
struct Inner {
    documents: HashMap<Sequence, usize>,
    bytes: usize,
}

impl UnderWay {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds what is under way")
    }

    /// How many more may go.
    pub(super) fn room_for(&self) -> usize {
        let inner = self.inner();
        if inner.bytes >= BYTES_MOST {
            return 0;
        }
        SUBMISSIONS_MOST.saturating_sub(inner.documents.len())
    }

    pub(super) fn len(&self) -> usize {
        self.inner().documents.len()
    }

    /// Which.
    pub(super) fn sequences(&self) -> HashSet<Sequence> {
        self.inner().documents.keys().copied().collect()
    }

    /// Puts one on the line; `false` if it is there already.
    pub(super) fn put(&self, queued: &Queued) -> bool {
        let mut inner = self.inner();
        if inner.documents.contains_key(&queued.sequence) {
            return false;
        }
        inner.bytes += queued.document.len();
        inner
            .documents
            .insert(queued.sequence, queued.document.len());
        true
    }

    pub(super) fn done(&self, sequences: &[Sequence]) {
        let mut inner = self.inner();
        for sequence in sequences {
            if let Some(bytes) = inner.documents.remove(sequence) {
                inner.bytes -= bytes;
            }
        }
        drop(inner);
        self.room.notify_one();
    }
}
