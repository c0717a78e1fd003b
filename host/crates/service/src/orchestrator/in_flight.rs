//! The submissions in flight on the line, and the limit on their number and size.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use store::{Queued, Sequence};

/// Enough for one flush of the trail to carry many, and a limit on what a crash leaves to be recovered.
const MAX_SUBMISSIONS: usize = 1024;

/// Processing a document takes several times its size in memory.
const MAX_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(super) struct InFlight {
    inner: Mutex<Inner>,
    /// Notified when there is room again.
    pub(super) room: Notify,
}

#[derive(Default)]
struct Inner {
    documents: HashMap<Sequence, usize>,
    bytes: usize,
}

impl InFlight {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// How many more submissions may enter.
    pub(super) fn room_for(&self) -> usize {
        let inner = self.inner();
        if inner.bytes >= MAX_BYTES {
            return 0;
        }
        MAX_SUBMISSIONS.saturating_sub(inner.documents.len())
    }

    pub(super) fn len(&self) -> usize {
        self.inner().documents.len()
    }

    /// The numbers of the submissions in flight.
    pub(super) fn sequences(&self) -> HashSet<Sequence> {
        self.inner().documents.keys().copied().collect()
    }

    /// Adds a submission; `false` if it is already in flight.
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
