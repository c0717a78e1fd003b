//! Merging and indexing packs in the background: a thread makes the merged pack, or the index over the large packs,
//! which is installed between two flushes.
//!
//! No receipt waits for it. The result is durable before it is visible, and nothing depends on it until it is
//! installed, so it can be cancelled at any time. The writer lock is held until the thread has ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::TrailInner;
use crate::caches::multi_index::NewIndex;
use crate::error::TrailError;
use crate::write::flush::Flusher;
use crate::write::flush_thread::{Activity, Command};
use crate::write::packs::{MergedPack, OwnPack, PackTask};

const NAME: &str = "trail-merge";

/// The current merge, if there is one. Belongs to the flush thread.
pub(crate) struct PackMaintenance {
    shared: Arc<TrailInner>,
    orders: Sender<Command>,
    busy: Arc<Activity>,
    running: Option<Running>,
    /// How many tasks have been started.
    count: u64,
    /// The packs of the index that was started last. After a failure it is not tried again for the same packs.
    indexed: Vec<String>,
}

struct Running {
    number: u64,
    stop: Arc<AtomicBool>,
    /// The result: `None` if the task failed, `Some(None)` if there was nothing to do.
    made: Receiver<Option<Option<FinishedTask>>>,
    thread: JoinHandle<()>,
}

/// A result that is durable and not installed yet.
enum FinishedTask {
    Pack(Vec<OwnPack>, MergedPack),
    Index(NewIndex),
}

impl PackTask {
    /// Returns `None` if there was nothing to do.
    fn make(
        self,
        shared: &TrailInner,
        stop: &AtomicBool,
    ) -> Result<Option<FinishedTask>, TrailError> {
        let flusher = Flusher::of(shared);
        Ok(match self {
            PackTask::Merge(packs) => flusher
                .merge(&packs, stop)?
                .map(|merged| FinishedTask::Pack(packs, merged)),
            PackTask::Index(packs) => flusher.make_index(packs, stop)?.map(FinishedTask::Index),
        })
    }
}

impl FinishedTask {
    fn put_in_place(&self, shared: &TrailInner) -> Result<(), TrailError> {
        let flusher = Flusher::of(shared);
        match self {
            FinishedTask::Pack(packs, merged) => flusher.replace(packs, merged),
            FinishedTask::Index(indexed) => flusher.install(indexed),
        }
    }
}

impl PackMaintenance {
    pub(crate) fn new(
        shared: Arc<TrailInner>,
        orders: Sender<Command>,
        busy: Arc<Activity>,
    ) -> PackMaintenance {
        PackMaintenance {
            shared,
            orders,
            busy,
            running: None,
            count: 0,
            indexed: Vec::new(),
        }
    }

    /// Starts a merge if there are too many packs of one size, or an index if there are large packs without one, unless
    /// a task is running.
    pub(crate) fn start_if_due(&mut self) {
        if self.running.is_some() {
            return;
        }
        if !self.shared.merge_beside {
            self.merge_in_turn();
            return;
        }
        if let Some(Some(due)) = caught(|| Flusher::of(&self.shared).next_task())
            && self.is_new(&due)
        {
            self.start(due);
        }
    }

    fn is_new(&mut self, due: &PackTask) -> bool {
        match due {
            PackTask::Merge(_) => true,
            PackTask::Index(packs) => std::mem::replace(&mut self.indexed, packs.clone()) != *packs,
        }
    }

    fn start(&mut self, due: PackTask) {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, orders) = (self.shared.clone(), self.orders.clone());
        let stopped = stop.clone();
        self.count += 1;
        let number = self.count;
        self.busy.merging.store(true, Ordering::SeqCst);
        let (sender, made) = channel();
        let work = Box::new(move || {
            let made = caught(|| due.make(&shared, &stopped));
            let _ = sender.send(made);
            let _ = orders.send(Command::Merged(number));
        });
        match self.shared.disk.start_thread(NAME, work) {
            Ok(thread) => {
                self.running = Some(Running {
                    number,
                    stop,
                    made,
                    thread,
                });
            }
            Err(error) => {
                not_merged(&TrailError::no_thread(NAME, &error));
                self.rest();
            }
        }
    }

    /// Installs the result of the merge with this number, unless that was done or cancelled.
    pub(crate) fn take_over(&mut self, number: u64) {
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.number == number)
        {
            self.finish_one();
        }
    }

    /// Waits until no task is running or due.
    pub(crate) fn finish(&mut self) {
        while self.running.is_some() {
            self.finish_one();
        }
    }

    /// Installs the result, and starts the next task if one is due.
    fn finish_one(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let _ = running.thread.join();
        let in_place = match running.made.try_recv() {
            Ok(Some(Some(made))) => caught(|| made.put_in_place(&self.shared)).is_some(),
            // There may be another task without this one in the way.
            Ok(Some(None)) => true,
            Ok(None) | Err(_) => false,
        };
        if in_place {
            self.start_if_due();
        }
        self.rest();
    }

    /// Cancels the current task.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.store(true, Ordering::SeqCst);
            let _ = running.thread.join();
        }
        self.rest();
    }

    fn rest(&self) {
        if self.running.is_none() {
            self.busy.merging.store(false, Ordering::SeqCst);
            self.shared.queue.wake();
        }
    }

    /// Merges on this thread, so that the order of operations is always the same.
    fn merge_in_turn(&mut self) {
        let shared = self.shared.clone();
        caught(|| {
            while let Some(due) = Flusher::of(&shared).next_task()?
                && self.is_new(&due)
                && let Some(made) = due.make(&shared, &AtomicBool::new(false))?
            {
                made.put_in_place(&shared)?;
            }
            Ok(())
        });
    }
}

/// Runs a part of merging that may fail or panic, and logs the failure. The receipts are given already, and the task is
/// tried again after the next group.
fn caught<T>(work: impl FnOnce() -> Result<T, TrailError>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            not_merged(&error);
            None
        }
        Err(_) => {
            tracing::warn!("packs could not be merged");
            None
        }
    }
}

fn not_merged(error: &TrailError) {
    tracing::warn!(%error, "packs could not be merged");
}
