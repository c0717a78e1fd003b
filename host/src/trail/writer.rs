//! The writer: gives each entry its place, and makes groups of them durable. One thread for each open trail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gix::ObjectId;

use super::checkout::Appearing;
use super::error::TrailError;
use super::flush::{FlushError, Flusher, Group};
use super::leaves::{self, TreeHash};
use super::lock::WriterLock;
use super::object::Deflater;
use super::pack::PackBuilder;
use super::signing::{self, Extent, Sealed};
use super::state::Mark;
use super::ticket::{Placed, Ticket};
use super::tree::{LOADED, Made, Node};
use super::view::{self, Presence, View};
use super::{Shared, layout};
use crate::outcome::TaskId;

/// An entry on its way into a commit.
pub(super) struct Item {
    pub(super) task_id: TaskId,
    pub(super) entry: Arc<[u8]>,
    pub(super) blob: ObjectId,
    /// The entry's zlib stream, if the caller's thread has made it.
    pub(super) deflated: Option<Vec<u8>>,
    pub(super) subject: String,
    pub(super) message: String,
    /// The entry's time, microseconds since the epoch.
    pub(super) microseconds: i64,
    pub(super) ticket: Ticket,
}

/// A group is flushed at this many entries: memory, and what a caller waits for, stay bounded.
const GROUP_ENTRIES: usize = 4096;
/// … or at this many bytes of pack.
const GROUP_BYTES: usize = 32 << 20;
/// … or when its first entry is this old, though nobody is blocked on it: receipts should not lag.
const GROUP_AGE: Duration = Duration::from_millis(50);
/// Trees in memory beyond this are dropped and read again when needed.
const LOADED_MOST: usize = 192 << 20;
/// How often the ref may move under one group. Each time somebody else has made progress.
const MOVES_MOST: usize = 100;

pub(super) struct Writer<'a> {
    pub(super) shared: &'a Shared,
    deflater: Deflater,
    /// Nothing of a crash or failure is left over.
    pub(super) swept: bool,
    /// The trail was written here before, so that work tree and index can be behind.
    pub(super) begun_before: bool,
}

/// One sequenced entry.
struct Sequenced {
    item: Item,
    commit: ObjectId,
    placed: Placed,
}

/// What those hear whose entries were under way when the writer met a defect of its own.
const STOPPED: &str = "the trail's writer has failed";

impl Writer<'_> {
    /// Works until the trail is closed and its queue empty.
    pub(super) fn run(shared: &Arc<Shared>) {
        let mut writer = Writer {
            shared,
            deflater: Deflater::new(),
            swept: false,
            begun_before: false,
        };
        while shared.queue.wait_for_work() {
            // A panic must not leave anybody waiting for ever.
            let worked = catch_unwind(AssertUnwindSafe(|| writer.work()));
            let result = worked.unwrap_or_else(|_| {
                writer.forget_sequenced();
                Err(TrailError::Busy(STOPPED.into()))
            });
            if let Err(error) = result {
                writer.fail_all(&error);
            }
        }
    }

    pub(super) fn flusher(&self) -> Flusher<'_> {
        let shared = self.shared;
        Flusher {
            disk: shared.disk.as_ref(),
            state: &shared.state,
            repository: &shared.repository,
            reference: &shared.identity.reference,
            placement: shared.identity.placement,
            lock_wait: shared.lock_wait,
        }
    }

    /// Holds the lock while there is work and nobody else waits.
    fn work(&mut self) -> Result<(), TrailError> {
        let shared = self.shared;
        shared.repository.check_writable()?;
        shared.state.create_root(shared.disk.as_ref())?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let result = self.work_locked(&lock);
        lock.release();
        result
    }

    fn work_locked(&mut self, lock: &WriterLock) -> Result<(), TrailError> {
        // Before each group: the one before it may have failed half-way.
        self.refresh()?;
        self.shared.queue.settle_refreshes();
        while !self.shared.queue.is_empty() {
            self.group(lock)?;
            // The receipts are given already; what fails here is tried again after the next group.
            if let Err(error) = self.flusher().merge_if_due() {
                tracing::warn!(%error, "packs could not be merged");
            }
            if self.shared.queue.is_empty() || lock.others_wait() {
                break;
            }
            self.refresh()?;
            self.shared.queue.settle_refreshes();
        }
        Ok(())
    }

    /// Sequences what is queued and flushes it.
    fn group(&mut self, lock: &WriterLock) -> Result<(), TrailError> {
        let mut carried = Vec::new();
        for _ in 0..MOVES_MOST {
            let (sequenced, result) = self.attempt(lock, std::mem::take(&mut carried));
            match result {
                Ok(()) => {
                    self.settle(sequenced);
                    return Ok(());
                }
                Err(FlushError::Behind(error)) => {
                    tracing::warn!(%error, "the commits are durable, but what goes with them is not in step");
                    self.distrust();
                    // Once more, before a person can hear of it and commit from an index that lacks the entries. If
                    // this fails too, the receipts are due nevertheless, and the next group has to wait.
                    if let Err(error) = self.refresh() {
                        tracing::warn!(%error, "they could not be brought in step");
                    }
                    self.settle(sequenced);
                    return Ok(());
                }
                Err(FlushError::Moved) => {
                    carried = sequenced
                        .into_iter()
                        .map(|sequenced| sequenced.item)
                        .collect();
                    self.forget_sequenced();
                    if let Err(error) = self.refresh() {
                        self.fail(carried, &error);
                        return Err(error);
                    }
                }
                Err(FlushError::Failed(error)) => {
                    self.forget_sequenced();
                    self.fail(
                        sequenced
                            .into_iter()
                            .map(|sequenced| sequenced.item)
                            .collect(),
                        &error,
                    );
                    return Ok(());
                }
                Err(FlushError::Uncertain(error)) => {
                    self.forget_sequenced();
                    // The branch has moved: before a person hears of it, their index should have what it has.
                    if let Err(error) = self.refresh() {
                        tracing::warn!(%error, "what is not durable yet could not be brought in step");
                    }
                    self.fail(
                        sequenced
                            .into_iter()
                            .map(|sequenced| sequenced.item)
                            .collect(),
                        &error,
                    );
                    return Ok(());
                }
            }
        }
        let error = TrailError::Busy(format!("{} keeps moving", self.shared.identity.reference));
        self.fail(carried, &error);
        Ok(())
    }

    fn attempt(
        &mut self,
        lock: &WriterLock,
        carried: Vec<Item>,
    ) -> (Vec<Sequenced>, Result<(), FlushError>) {
        let shared = self.shared;
        let (mut root, expected) = {
            let view = shared.view();
            (
                view.root.clone().expect("a refresh has loaded it"),
                view.tip,
            )
        };
        let nothing_before = root
            .descend(&layout::ROOT, &shared.repository)
            .is_ok_and(|tasks| tasks.is_none());
        let mut tip = expected;
        let mut builder = PackBuilder::new(shared.repository.hash);
        let mut sequenced: Vec<Sequenced> = Vec::new();
        let mut microseconds = shared.view().floor;
        // Whether the newest commit is the group's last is known when nothing comes after it.
        let mut newest: Option<Sealed> = None;
        let mut leaves = Vec::new();
        let began = Instant::now();
        let mut carried = carried.into_iter();
        loop {
            let full = sequenced.len() >= GROUP_ENTRIES || builder.len() >= GROUP_BYTES;
            let next = carried.next().or_else(|| {
                let patience = || {
                    let eager = shared.waiting.any() || lock.others_wait();
                    if eager {
                        Duration::ZERO
                    } else {
                        GROUP_AGE.saturating_sub(began.elapsed())
                    }
                };
                if full {
                    None
                } else {
                    shared.queue.next(patience)
                }
            });
            let Some(item) = next else { break };
            match self.sequence(&mut builder, &root, tip, &item, microseconds) {
                Ok((new_root, (commit, contents), path)) => {
                    root = new_root;
                    if let (Some(before), Some(of)) =
                        (newest.replace((commit, contents)), sequenced.last())
                    {
                        leaves.push(self.store(&mut builder, &before, of));
                    }
                    tip = Some(commit);
                    microseconds = microseconds.max(item.microseconds);
                    shared.view().root = Some(root.clone());
                    sequenced.push(Sequenced {
                        item,
                        commit,
                        placed: Placed {
                            commit: commit.to_string(),
                            path,
                        },
                    });
                }
                Err(error) => self.fail(vec![item], &error),
            }
        }
        if let Some((commit, contents)) = newest {
            let covers = sequenced.len();
            let sealed = match &shared.signing {
                Some(signing) if signing.extent == Extent::Group => {
                    signing::seal(Some(signing), contents, shared.repository.hash, covers)
                }
                _ => Ok((commit, contents)),
            };
            let sealed = match sealed {
                Ok(sealed) => sealed,
                Err(error) => return (sequenced, Err(FlushError::Failed(error))),
            };
            tip = Some(sealed.0);
            if let Some(last) = sequenced.last_mut() {
                last.commit = sealed.0;
                last.placed.commit = sealed.0.to_string();
                leaves.push(self.store(&mut builder, &sealed, last));
            }
        }
        let Some(last) = sequenced.last() else {
            return (sequenced, Ok(()));
        };
        let appearing: Vec<Appearing> = sequenced
            .iter()
            .map(|Sequenced { item, placed, .. }| Appearing {
                path: placed.path.clone(),
                blob: item.blob,
                contents: item.entry.clone(),
            })
            .collect();
        let mark = Mark {
            tip: tip.expect("an entry was sequenced"),
            boot: shared.boot.clone(),
            microseconds,
        };
        let group = Group {
            pack: builder.finish(),
            expected,
            mark,
            appearing: &appearing,
            committer: &shared.author,
            subject: &last.item.subject,
            is_trail: true,
        };
        let result = self.flusher().flush(&group);
        if matches!(result, Ok(()) | Err(FlushError::Behind(_))) {
            let additions: Vec<(&TaskId, ObjectId)> = sequenced
                .iter()
                .map(|entry| (&entry.item.task_id, entry.commit))
                .collect();
            shared
                .catalogue
                .note(expected, nothing_before, &additions, group.mark.tip);
            let repository = &shared.repository;
            shared
                .leaves
                .note(repository, expected, nothing_before, &leaves);
            let mut view = shared.view();
            view.tip = tip;
            view.durable_root = Some(root);
            view.floor = microseconds;
        }
        (sequenced, result)
    }

    /// Makes the objects of one commit, and stores all but the commit itself.
    fn sequence(
        &mut self,
        builder: &mut PackBuilder,
        root: &Arc<Node>,
        parent: Option<ObjectId>,
        item: &Item,
        floor: i64,
    ) -> Result<(Arc<Node>, Sealed, String), TrailError> {
        let shared = self.shared;
        // The tree may have been replaced since the policy looked.
        match view::presence(root, &item.task_id, &shared.repository)? {
            Presence::Absent => {}
            Presence::Present { .. } => return Err(TrailError::Changed),
            Presence::Collides(with) => return Err(TrailError::CaseCollision(with)),
        }
        let below = shared.layout.components(&item.task_id);
        let mut path: Vec<&str> = layout::ROOT.to_vec();
        path.extend(below.iter().map(String::as_str));
        let mut made: Vec<Made> = Vec::with_capacity(8);
        let new_root = root.with_file(&path, &item.blob, &shared.repository, &mut made)?;
        let seconds = floor.max(item.microseconds).div_euclid(1_000_000);
        let commit = commit_bytes(new_root.id, parent, &shared.author, seconds, &item.message);
        let each = shared.signing.as_ref();
        let each = each.filter(|signing| signing.extent == Extent::Commit);
        let commit = signing::seal(each, commit, shared.repository.hash, 1)?;
        let served = builder.add_entry(
            item.blob,
            &item.entry,
            item.deflated.as_deref(),
            &mut self.deflater,
        );
        shared
            .deltas_serve
            .store(served, std::sync::atomic::Ordering::Relaxed);
        for tree in made {
            builder.add_tree(&tree.node, tree.before, &mut self.deflater);
        }
        Ok((new_root, commit, path.join("/")))
    }

    /// Stores a commit; its name, and its leaf in the tree over the entries.
    fn store(
        &mut self,
        builder: &mut PackBuilder,
        (id, contents): &Sealed,
        of: &Sequenced,
    ) -> (ObjectId, TreeHash) {
        builder.add_commit(*id, contents, &mut self.deflater);
        let leaf = leaves::leaf(&of.placed.path, &of.item.entry, contents);
        (*id, leaf)
    }

    fn settle(&self, sequenced: Vec<Sequenced>) {
        let mut view = self.shared.view();
        for entry in &sequenced {
            view.pending.remove(&entry.item.task_id.folded());
        }
        if LOADED.load(std::sync::atomic::Ordering::Relaxed) > LOADED_MOST
            && let Ok(root) = View::load_root(&self.shared.repository, view.tip)
        {
            view.root = Some(root.clone());
            view.durable_root = Some(root);
        }
        drop(view);
        for entry in sequenced {
            entry.item.ticket.settle(Ok(entry.placed));
        }
    }

    /// After a failed flush: what was sequenced has no place any more.
    fn forget_sequenced(&mut self) {
        {
            let mut view = self.shared.view();
            view.root = view.durable_root.clone();
        }
        self.distrust();
    }

    /// Lets the next refresh look at everything again: leftovers, the ref, the work tree.
    fn distrust(&mut self) {
        self.shared.view().confirmed = false;
        self.swept = false;
    }

    fn fail(&self, items: Vec<Item>, error: &TrailError) {
        let mut view = self.shared.view();
        for item in &items {
            view.pending.remove(&item.task_id.folded());
        }
        drop(view);
        for item in items {
            item.ticket.settle(Err(error.clone()));
        }
    }

    /// Settles everything that waits, whether queued or, after a panic, under way.
    fn fail_all(&mut self, error: &TrailError) {
        let waiting = {
            let mut view = self.shared.view();
            // Under the view's lock, as they are put there: what comes now is not failed by what was before.
            self.shared.queue.drain();
            std::mem::take(&mut view.pending)
        };
        for waiting in waiting.into_values() {
            waiting.ticket.settle(Err(error.clone()));
        }
        self.shared.queue.fail_refreshes(error);
    }
}

/// A commit object's contents.
pub(super) fn commit_bytes(
    tree: ObjectId,
    parent: Option<ObjectId>,
    author: &str,
    seconds: i64,
    message: &str,
) -> Vec<u8> {
    let parent = parent
        .map(|parent| format!("parent {parent}\n"))
        .unwrap_or_default();
    format!("tree {tree}\n{parent}author {author} {seconds} +0000\ncommitter {author} {seconds} +0000\n\n{message}")
        .into_bytes()
}
