//! The writer: one thread for each open trail. It holds the lock while there is work, sequences groups of entries, has
//! them made durable, and takes them back if that fails.
//!
//! While one group is flushed the next is sequenced on top of it. When a flush fails, all later entries are sequenced
//! again from the durable tip.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use gix::ObjectId;

use crate::TrailInner;
use crate::continuation::Borders;
use crate::error::TrailError;
use crate::objects::object::Deflater;
use crate::read::view::{PendingEntry, View};
use crate::write::flush::{FlushError, Flusher};
use crate::write::flush_thread::{FlushHandle, FlushResult, SequencedGroup};
use crate::write::lock::WriterLock;
use crate::write::sequence::{Chain, Item, Sequenced};

/// Beyond this many bytes, the trees in memory are dropped, and read again when needed.
const MAX_LOADED: usize = 192 << 20;
/// How often the ref may move under one group. Another process makes progress each time.
const MAX_MOVES: usize = 100;

pub(crate) struct Writer<'a> {
    pub(crate) shared: &'a TrailInner,
    pub(crate) flushing: FlushHandle,
    pub(crate) deflater: Deflater,
    /// Whether the leftovers of a crash or failure were removed.
    pub(crate) swept: bool,
    /// Whether the trail was written here before, so that work tree and index can be outdated.
    pub(crate) was_written_before: bool,
    /// How many times in a row the ref has moved under a group.
    moves: usize,
    /// The borders of the trail at a commit that has entries.
    borders: Option<(ObjectId, Borders)>,
}

impl Writer<'_> {
    /// Works until the trail is closed and its queue is empty.
    pub(crate) fn run(shared: &Arc<TrailInner>) {
        if let Some(committing) = shared.committing.get() {
            committing.lower_priority();
        }
        let mut writer = Writer {
            shared,
            flushing: FlushHandle::new(shared),
            deflater: Deflater::new(),
            swept: false,
            was_written_before: false,
            moves: 0,
            borders: None,
        };
        while shared.queue.wait_for_work() {
            // Callers must not wait for ever after a panic.
            let worked = catch_unwind(AssertUnwindSafe(|| writer.work()));
            let result = worked.unwrap_or(Err(TrailError::Internal));
            if let Err(error) = result {
                shared.take_waiting().fail(&error);
            }
        }
    }

    pub(crate) fn flusher(&self) -> Flusher<'_> {
        Flusher::of(self.shared)
    }

    /// Holds the lock while there is work and no other process waits.
    fn work(&mut self) -> Result<(), TrailError> {
        let shared = self.shared;
        self.flushing.ensure_running()?;
        shared.check_records()?;
        if shared.lender.is_none() {
            shared.repository.check_writable()?;
        }
        shared.state.create_root(shared.disk.as_ref())?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        if let Some(committing) = shared.committing.get() {
            committing.fence.check(&lock, &shared.state)?;
        }
        let publication = lock.publish(&shared.progress);
        let worked = catch_unwind(AssertUnwindSafe(|| self.work_locked(&lock)));
        let worked = worked.unwrap_or(Err(TrailError::Internal));
        // Nothing may be in flight when the lock is released.
        let rest = self.flushing.finish();
        let rested = self.handle_result(rest, None);
        if self.flushing.is_merging() {
            self.flushing.stop_merging();
        }
        if worked.is_err() {
            self.invalidate();
        }
        drop(publication);
        lock.release();
        worked.and(rested.map(drop))
    }

    fn work_locked(&mut self, lock: &WriterLock) -> Result<(), TrailError> {
        let shared = self.shared;
        'from_the_durable_tip: loop {
            // Before the first group, and after one that failed half-way.
            let asked = shared.queue.refreshes();
            self.refresh()?;
            shared.queue.settle_refreshes(asked);
            let mut chain = Chain::of(shared, self.borders.as_ref())?;
            loop {
                let group = self.sequence_group(lock, &mut chain).map(Box::new);
                let was_idle = group.is_none();
                if let (Some(_), Some(tip)) = (&group, chain.tip) {
                    self.borders = Some((tip, chain.borders.clone()));
                }
                let before = self.flushing.finish();
                match self.handle_result(before, group)? {
                    Next::Group(Some(group)) => {
                        self.flushing.start(group);
                        if chain.borders.ended.is_some() {
                            // The next entries are refused for good, so the end has to be durable before.
                            let flushed = self.flushing.finish();
                            if let Next::StartOver = self.handle_result(flushed, None)? {
                                if shared.queue.is_empty() {
                                    return Ok(());
                                }
                                continue 'from_the_durable_tip;
                            }
                        }
                    }
                    Next::Group(None) => {}
                    Next::StartOver if shared.queue.is_empty() => return Ok(()),
                    Next::StartOver => continue 'from_the_durable_tip,
                }
                let others_wait = lock.has_waiters();
                if others_wait
                    || shared.queue.wants_refresh()
                    || shared.repository.loaded.bytes() > MAX_LOADED
                {
                    let flushed = self.flushing.finish();
                    self.handle_result(flushed, None)?;
                    if shared.repository.loaded.bytes() > MAX_LOADED {
                        self.forget_trees();
                    }
                    if others_wait || shared.queue.is_empty() && !shared.queue.wants_refresh() {
                        self.flushing.finish_merging();
                        return Ok(());
                    }
                    continue 'from_the_durable_tip;
                }
                if was_idle && shared.queue.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    /// Handles the result of a flush. `after` is the group that was sequenced after it.
    fn handle_result(
        &mut self,
        flushed: Option<FlushResult>,
        after: Option<Box<SequencedGroup>>,
    ) -> Result<Next, TrailError> {
        let (error, sequenced) = match flushed {
            None => return Ok(Next::Group(after)),
            Some(FlushResult::Done) => {
                self.moves = 0;
                return Ok(Next::Group(after));
            }
            Some(FlushResult::Panicked) => {
                self.invalidate();
                return Err(TrailError::Internal);
            }
            Some(FlushResult::Failed(error, sequenced)) => (error, sequenced),
        };
        self.invalidate();
        let mut again: Vec<Item> = Vec::new();
        match error {
            FlushError::Behind(error) => {
                tracing::warn!(%error, "the commits are durable, but the work tree or the notes about them are not up \
                     to date");
                // Try again before a person can notice, and commit from an index that lacks the entries. If this fails
                // too, the receipts are due nevertheless, and the next group has to wait.
                if let Err(error) = self.refresh() {
                    tracing::warn!(%error, "the work tree or the notes about the commits could not be brought up to date");
                }
                self.shared.settle(&sequenced);
            }
            FlushError::Moved if self.moves < MAX_MOVES => {
                self.moves += 1;
                again = items(sequenced);
            }
            FlushError::Moved => {
                self.moves = 0;
                let reference = &self.shared.identity.reference;
                let error = TrailError::Moved {
                    reference: reference.clone(),
                };
                self.fail(items(sequenced), &error);
            }
            FlushError::Failed(error) => self.fail(items(sequenced), &error),
            FlushError::Uncertain(error) => {
                // The branch has moved: a person's index should be updated before they notice.
                if let Err(error) = self.refresh() {
                    tracing::warn!(%error, "the work tree could not be brought up to date with commits that may not \
                         be durable");
                }
                self.fail(items(sequenced), &error);
            }
        }
        again.extend(
            after
                .map(|group| items(group.sequenced))
                .unwrap_or_default(),
        );
        self.shared.queue.requeue(again);
        Ok(Next::StartOver)
    }

    /// Drops the trees that are in memory. Nothing may be in flight.
    fn forget_trees(&self) {
        let tip = self.shared.view().tip;
        if let Ok(root) = View::load_root(&self.shared.repository, tip) {
            let before = self.shared.view().root.replace(root);
            drop(before);
        }
    }

    /// Makes the next refresh check everything again: leftovers, the ref, the work tree.
    fn invalidate(&mut self) {
        self.shared.view().confirmed = false;
        self.shared.replication.expect_news();
        self.swept = false;
    }

    pub(crate) fn fail(&self, items: Vec<Item>, error: &TrailError) {
        let mut view = self.shared.view();
        for item in &items {
            view.pending.remove(&item.task_id.folded());
        }
        drop(view);
        for item in items {
            item.ticket.settle(Err(error.clone()));
        }
    }
}

/// All requests that waited for the writer at one moment.
pub(crate) struct WaitingRequests {
    entries: HashMap<String, PendingEntry>,
    refreshes: Vec<Sender<Result<(), TrailError>>>,
}

impl TrailInner {
    /// Fails if the trail was opened for reading.
    fn check_records(&self) -> Result<(), TrailError> {
        if !self.is_for_reading {
            return Ok(());
        }
        Err(TrailError::Invalid(format!(
            "{} was opened for reading",
            self.identity.reference
        )))
    }

    /// Takes everything that waits, queued or, after a panic, in flight.
    pub(crate) fn take_waiting(&self) -> WaitingRequests {
        let mut view = self.view();
        // Under the view's lock, like the insertion: later requests do not get an earlier error.
        self.queue.drain();
        WaitingRequests {
            entries: std::mem::take(&mut view.pending),
            refreshes: self.queue.take_refreshes(),
        }
    }
}

impl WaitingRequests {
    /// Reports the error to all of them.
    pub(crate) fn fail(self, error: &TrailError) {
        for waiting in self.entries.into_values() {
            waiting.ticket.settle(Err(error.clone()));
        }
        for sender in self.refreshes {
            // The caller may be gone.
            let _ = sender.send(Err(error.clone()));
        }
    }
}

/// The next step after a flush.
enum Next {
    /// Continue with the group that was sequenced meanwhile, if there is one.
    Group(Option<Box<SequencedGroup>>),
    /// Start over from the durable tip. Entries that were sequenced after it are in the queue again.
    StartOver,
}

fn items(sequenced: Vec<Sequenced>) -> Vec<Item> {
    sequenced
        .into_iter()
        .map(|sequenced| sequenced.item)
        .collect()
}
