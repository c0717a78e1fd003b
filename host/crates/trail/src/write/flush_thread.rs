//! The flush thread: makes one group durable while the writer sequences the next.
//!
//! While a group is in flight only this thread changes the repository; the writer does so only while this thread is
//! idle. This thread gives the receipts of a durable group, and returns one that failed to the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use gix::ObjectId;

use crate::TrailInner;
use crate::caches::catalogue::AddedEntries;
use crate::caches::leaves::TreeHash;
use crate::error::TrailError;
use crate::objects::pack::PackBuilder;
use crate::objects::tree::Node;
use crate::place::placement::Placement;
use crate::place::state::Mark;
use crate::work_tree::checkout::CheckoutFile;
use crate::write::flush::{self, FlushError, Flusher};
use crate::write::maintenance::PackMaintenance;
use crate::write::sequence::Sequenced;
use crate::write::ticket::CommittedEntry;
use outcome::TaskId;

/// A group of entries that have their place in the trail.
pub(crate) struct SequencedGroup {
    pub(crate) builder: PackBuilder,
    /// The tip that the group continues.
    pub(crate) expected: Option<ObjectId>,
    /// Whether the trail had no entry before this group.
    pub(crate) nothing_before: bool,
    /// The tree of the last commit.
    pub(crate) root: Arc<Node>,
    /// The time of the last commit, in microseconds since the epoch.
    pub(crate) microseconds: i64,
    /// The entries, at least one.
    pub(crate) sequenced: Vec<Sequenced>,
    /// The commits of the entries, and their leaves in the Merkle tree.
    pub(crate) leaves: Vec<(ObjectId, TreeHash)>,
}

/// The result of flushing a group.
pub(crate) enum FlushResult {
    /// The group is durable, and its receipts are given.
    Done,
    /// The flush failed, and no receipts were given.
    Failed(FlushError, Vec<Sequenced>),
    /// The thread panicked.
    Panicked,
}

pub(crate) enum Command {
    Flush(Box<SequencedGroup>),
    /// Merge packs that were applied from a log, if it is due.
    Maintain,
    /// The merge with this number is ready to replace its sources.
    Merged(u64),
    FinishMerging(Sender<()>),
    StopMerging(Sender<()>),
    End,
}

/// The writer's handle of the flush thread.
pub(crate) struct FlushHandle {
    shared: Arc<TrailInner>,
    busy: Arc<Activity>,
    /// Whether a group was given to the thread and its result not taken yet.
    in_flight: bool,
    running: Option<Running>,
}

struct Running {
    orders: Sender<Command>,
    results: Receiver<FlushResult>,
    /// Whether the thread takes no more commands.
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the flush thread is doing.
#[derive(Default)]
pub(crate) struct Activity {
    pub(crate) flushing: AtomicBool,
    pub(crate) merging: AtomicBool,
}

impl FlushHandle {
    pub(crate) fn new(shared: &Arc<TrailInner>) -> FlushHandle {
        FlushHandle {
            shared: shared.clone(),
            busy: Arc::default(),
            in_flight: false,
            running: None,
        }
    }

    /// Starts the thread if there is none. No group may be in flight.
    pub(crate) fn ensure_running(&mut self) -> Result<(), TrailError> {
        const NAME: &str = "trail-flush";
        let running = self.running.as_ref();
        if running.is_some_and(|running| !running.ended.load(Ordering::SeqCst)) {
            return Ok(());
        }
        if let Some(ended) = self.running.take() {
            let _ = ended.thread.join();
        }
        let ended = Arc::new(AtomicBool::new(false));
        let (orders, receiver) = channel();
        let (sender, results) = channel();
        let (shared, busy) = (&self.shared, &self.busy);
        let idle_on_drop = IdleOnDrop {
            shared: shared.clone(),
            busy: busy.clone(),
            ended: ended.clone(),
        };
        let merging = PackMaintenance::new(shared.clone(), orders.clone(), busy.clone());
        let work = Box::new(move || {
            // Dropped last, after the channels: once this thread is idle, it takes no more commands.
            let idle_on_drop = idle_on_drop;
            let (orders, results) = (receiver, sender);
            let mut thread = FlushThread {
                merging,
                shared: &idle_on_drop.shared,
                busy: &idle_on_drop.busy,
            };
            thread.run(&orders, &results);
        });
        let thread = shared
            .disk
            .start_thread(NAME, work)
            .map_err(|error| TrailError::no_thread(NAME, &error))?;
        self.running = Some(Running {
            orders,
            results,
            ended,
            thread,
        });
        Ok(())
    }

    /// Starts to make a group durable. The previous one MUST be finished.
    pub(crate) fn start(&mut self, group: Box<SequencedGroup>) {
        self.busy.flushing.store(true, Ordering::SeqCst);
        self.in_flight = true;
        if !self.order(Command::Flush(group)) {
            self.busy.flushing.store(false, Ordering::SeqCst);
        }
    }

    /// Merges packs if it is due, and waits for it. No group may be in flight.
    pub(crate) fn maintain(&self) {
        let (sender, finished) = channel();
        self.order(Command::Maintain);
        self.order(Command::FinishMerging(sender));
        let _ = finished.recv();
    }

    /// Waits for the group in flight; `None` if there is none.
    pub(crate) fn finish(&mut self) -> Option<FlushResult> {
        if !std::mem::take(&mut self.in_flight) {
            return None;
        }
        let result = self
            .running
            .as_ref()
            .and_then(|running| running.results.recv().ok());
        Some(result.unwrap_or(FlushResult::Panicked))
    }

    /// Whether a group is in flight. The queue wakes when it is done.
    pub(crate) fn is_flushing(&self) -> bool {
        self.busy.flushing.load(Ordering::SeqCst)
    }

    /// Whether packs are being merged. The queue wakes when that is done.
    pub(crate) fn is_merging(&self) -> bool {
        self.busy.merging.load(Ordering::SeqCst)
    }

    /// Cancels the current merge, if there is one. Nothing of it is visible.
    pub(crate) fn stop_merging(&self) {
        let (sender, stopped) = channel();
        self.order(Command::StopMerging(sender));
        let _ = stopped.recv();
    }

    /// Waits until no merge is running or due.
    pub(crate) fn finish_merging(&self) {
        if self.is_merging() {
            let (sender, finished) = channel();
            self.order(Command::FinishMerging(sender));
            let _ = finished.recv();
        }
    }

    /// Sends a command; returns whether it was accepted. A thread that has ended closes the results.
    fn order(&self, order: Command) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.orders.send(order).is_ok())
    }
}

impl Drop for FlushHandle {
    fn drop(&mut self) {
        self.order(Command::End);
        if let Some(running) = self.running.take() {
            let _ = running.thread.join();
        }
    }
}

/// The state of the thread itself.
struct FlushThread<'a> {
    merging: PackMaintenance,
    shared: &'a TrailInner,
    busy: &'a Activity,
}

/// Marks the thread as idle when it ends, for any reason.
struct IdleOnDrop {
    shared: Arc<TrailInner>,
    busy: Arc<Activity>,
    ended: Arc<AtomicBool>,
}

impl Drop for IdleOnDrop {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        self.busy.flushing.store(false, Ordering::SeqCst);
        self.busy.merging.store(false, Ordering::SeqCst);
        self.shared.queue.wake();
    }
}

impl FlushThread<'_> {
    fn run(&mut self, orders: &Receiver<Command>, results: &Sender<FlushResult>) {
        while let Ok(order) = orders.recv() {
            match order {
                Command::Flush(group) => {
                    // Callers must not wait for ever after a panic.
                    let flushed = catch_unwind(AssertUnwindSafe(|| self.flush(*group)));
                    let flushed = flushed.unwrap_or(FlushResult::Panicked);
                    if matches!(flushed, FlushResult::Done) {
                        self.merging.start_if_due();
                    }
                    self.busy.flushing.store(false, Ordering::SeqCst);
                    let _ = results.send(flushed);
                    self.shared.queue.wake();
                }
                Command::Maintain => self.merging.start_if_due(),
                Command::Merged(number) => self.merging.take_over(number),
                Command::FinishMerging(finished) => {
                    self.merging.finish();
                    let _ = finished.send(());
                }
                Command::StopMerging(stopped) => {
                    self.merging.stop();
                    let _ = stopped.send(());
                }
                Command::End => break,
            }
        }
        self.merging.stop();
    }

    fn flush(&self, sealed: SequencedGroup) -> FlushResult {
        let shared = self.shared;
        let SequencedGroup {
            builder,
            expected,
            nothing_before,
            root,
            microseconds,
            sequenced,
            leaves,
        } = sealed;
        let last = sequenced.last().expect("a group has an entry");
        let tip = last.commit;
        let checkout_files: Vec<CheckoutFile> = match shared.identity.placement {
            Placement::Ref => Vec::new(),
            Placement::Checkout => sequenced.iter().map(checkout_file).collect(),
        };
        let group = flush::FlushGroup {
            pack: builder.finish(),
            expected,
            mark: Mark {
                tip,
                boot: shared.boot.clone(),
                microseconds,
            },
            checkout_files: &checkout_files,
            committer: &shared.author,
            subject: &last.item.subject,
            is_trail: true,
            before_ref: flush::BeforeRef::Append(sequenced.len()),
        };
        let result = Flusher::of(shared).flush(&group);
        if !matches!(result, Ok(()) | Err(FlushError::Behind(_))) {
            return FlushResult::of(result, sequenced);
        }
        let before = {
            let mut view = shared.view();
            view.tip = Some(tip);
            view.floor = microseconds;
            view.root.replace(root)
        };
        // Outside of the lock: this may free a large tree.
        drop(before);
        if result.is_ok() {
            shared.settle(&sequenced);
        }
        // No caller waits for the caches: missing entries are read from history.
        let entries: Vec<(&TaskId, ObjectId)> = sequenced
            .iter()
            .map(|entry| (&entry.item.task_id, entry.commit))
            .collect();
        shared.note(
            &AddedEntries {
                parent: expected,
                nothing_before,
                entries: &entries,
                tip,
            },
            &leaves,
        );
        FlushResult::of(result, sequenced)
    }
}

impl FlushResult {
    fn of(result: Result<(), FlushError>, sequenced: Vec<Sequenced>) -> FlushResult {
        match result {
            Ok(()) => FlushResult::Done,
            Err(error) => FlushResult::Failed(error, sequenced),
        }
    }
}

impl TrailInner {
    /// Gives the receipts of durable entries.
    pub(crate) fn settle(&self, sequenced: &[Sequenced]) {
        {
            let mut view = self.view();
            for entry in sequenced {
                view.pending.remove(&entry.item.task_id.folded());
            }
        }
        for Sequenced {
            item,
            commit,
            path,
            unsigned,
        } in sequenced
        {
            item.ticket.settle(Ok(CommittedEntry {
                commit: commit.to_string(),
                path: path.clone(),
                unsigned: *unsigned,
            }));
        }
    }

    /// Adds durable entries to the caches.
    fn note(&self, added: &AddedEntries<'_>, leaves: &[(ObjectId, TreeHash)]) {
        let noted = catch_unwind(AssertUnwindSafe(|| {
            self.catalogue.note(&self.repository, added);
            self.leaves
                .note(&self.repository, added.parent, added.nothing_before, leaves);
        }));
        if noted.is_err() {
            tracing::warn!("new entries are not in the caches, which will be rebuilt");
            self.catalogue.discard();
        }
    }
}

fn checkout_file(sequenced: &Sequenced) -> CheckoutFile {
    CheckoutFile {
        path: sequenced.path.clone(),
        blob: sequenced.item.blob,
        contents: sequenced.item.entry.clone(),
    }
}
