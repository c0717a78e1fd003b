//! Merging packs beside the writing: a thread makes the merged pack, and it takes its place between two flushes.
//!
//! No receipt waits for a merge. What is made is durable before it is visible, and nothing rests on it until it has
//! replaced what it merged; so a merge can be given up at any time. The writer lock is held until it has ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use super::Shared;
use super::error::TrailError;
use super::flush::Flusher;
use super::flushing::{Busy, Order};
use super::packs::{Merged, Owned};

/// The merge under way, if there is one. Belongs to the thread that flushes.
pub(super) struct Merging {
    shared: Arc<Shared>,
    orders: Sender<Order>,
    busy: Arc<Busy>,
    running: Option<Running>,
    /// How many there have been.
    count: u64,
}

struct Running {
    number: u64,
    packs: Arc<Vec<Owned>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Option<Merged>, TrailError>>,
}

impl Merging {
    pub(super) fn new(shared: Arc<Shared>, orders: Sender<Order>, busy: Arc<Busy>) -> Merging {
        Merging {
            shared,
            orders,
            busy,
            running: None,
            count: 0,
        }
    }

    /// Begins a merge if there are too many packs of one size and none is under way.
    pub(super) fn start_if_due(&mut self) {
        if self.running.is_some() {
            return;
        }
        if !self.shared.merge_beside {
            self.merge_in_turn();
            return;
        }
        match Flusher::of(&self.shared).due() {
            Ok(None) => {}
            Ok(Some(packs)) => self.start(packs),
            Err(error) => not_merged(&error),
        }
    }

    fn start(&mut self, packs: Vec<Owned>) {
        let packs = Arc::new(packs);
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, orders) = (self.shared.clone(), self.orders.clone());
        let (sources, stopped) = (packs.clone(), stop.clone());
        self.count += 1;
        let number = self.count;
        self.busy.merging.store(true, Ordering::SeqCst);
        let thread = std::thread::spawn(move || {
            let work = || Flusher::of(&shared).merge(&sources, &stopped);
            let merged = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(TrailError::Busy("merging has failed".into())));
            let _ = orders.send(Order::Merged(number));
            merged
        });
        self.running = Some(Running {
            number,
            packs,
            stop,
            thread,
        });
    }

    /// Takes over what the merge of that number has made, unless that was done or given up.
    pub(super) fn take_over(&mut self, number: u64) {
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.number == number)
        {
            self.finish_one();
        }
    }

    /// Waits until no more packs are to be merged.
    pub(super) fn finish(&mut self) {
        while self.running.is_some() {
            self.finish_one();
        }
    }

    /// Puts what was merged in the place of its sources, and begins the next merge if that is due now.
    fn finish_one(&mut self) {
        let Some(Running { packs, thread, .. }) = self.running.take() else {
            return;
        };
        let merged = thread
            .join()
            .unwrap_or_else(|_| Err(TrailError::Busy("merging has failed".into())));
        let replaced = catch_unwind(AssertUnwindSafe(|| match merged? {
            Some(merged) => Flusher::of(&self.shared).replace(&packs, &merged),
            None => Ok(()),
        }));
        match replaced {
            Ok(Ok(())) => self.start_if_due(),
            Ok(Err(error)) => not_merged(&error),
            Err(_) => tracing::warn!("packs could not be merged"),
        }
        self.rest();
    }

    /// Gives up the merge under way.
    pub(super) fn stop(&mut self) {
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

    /// Merges at once: the order of operations is then always the same.
    fn merge_in_turn(&self) {
        let flusher = Flusher::of(&self.shared);
        let work = || -> Result<(), TrailError> {
            while let Some(due) = flusher.due()? {
                let Some(merged) = flusher.merge(&due, &AtomicBool::new(false))? else {
                    break;
                };
                flusher.replace(&due, &merged)?;
            }
            Ok(())
        };
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => not_merged(&error),
            Err(_) => tracing::warn!("packs could not be merged"),
        }
    }
}

/// The receipts are given already; what fails here is tried again after the next group.
fn not_merged(error: &TrailError) {
    tracing::warn!(%error, "packs could not be merged");
}
