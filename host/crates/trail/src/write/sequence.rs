//! Sequencing: each entry gets its place in the chain of commits, in memory. The flush thread makes the groups durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gix::ObjectId;

use crate::TrailInner;
use crate::caches::leaves::{self, TreeHash};
use crate::continuation::Borders;
use crate::error::TrailError;
use crate::objects::commit::Commit;
use crate::objects::pack::PackBuilder;
use crate::objects::tree::Node;
use crate::place::layout;
use crate::read::view::{self, Presence};
use crate::signing::{self, Extent, FinishedCommit};
use crate::write::flush_thread::SequencedGroup;
use crate::write::lock::WriterLock;
use crate::write::queue::Call;
use crate::write::ticket::Ticket;
use crate::write::writer::Writer;
use outcome::TaskId;

/// An entry that waits for its commit.
pub(crate) struct Item {
    pub(crate) task_id: TaskId,
    pub(crate) entry: Arc<[u8]>,
    pub(crate) blob: ObjectId,
    /// The zlib stream of the entry, if the caller's thread has made it.
    pub(crate) deflated: Option<Vec<u8>>,
    pub(crate) subject: String,
    pub(crate) message: String,
    /// The time of the entry, in microseconds since the epoch.
    pub(crate) microseconds: i64,
    /// Whether the predecessors were asked for the task.
    pub(crate) predecessors_asked: bool,
    /// The directory of the entry in a sharded layout, if the caller's thread has found it.
    pub(crate) directory: Option<Arc<Node>>,
    pub(crate) ticket: Ticket,
}

/// An entry with its commit.
pub(crate) struct Sequenced {
    pub(crate) item: Item,
    pub(crate) commit: ObjectId,
    pub(crate) path: String,
    /// Whether the entry could not be signed, as its commit or the last one of its group says.
    pub(crate) unsigned: bool,
}

/// The most entries of a group: limits memory, and how long a caller waits.
const GROUP_ENTRIES: usize = 4096;
/// The most bytes in the pack of a group.
const GROUP_BYTES: usize = 32 << 20;
/// The greatest age of a group's first entry, even if no caller is blocked: receipts should not lag.
const GROUP_AGE: Duration = Duration::from_millis(50);
/// How long an entry's time may be before its commit's, in microseconds. The auditor allows no more.
const MAX_WAITED: i64 = 60_000_000;
/// Longer than any flush or merge takes. The queue wakes when one ends.
const UNTIL_WOKEN: Duration = Duration::from_secs(60);

/// The end of the sequenced commits, which the next entry follows. It is ahead of the ref by the group in flight.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) root: Arc<Node>,
    pub(crate) tip: Option<ObjectId>,
    pub(crate) microseconds: i64,
    pub(crate) borders: Borders,
}

impl Chain {
    /// The end of the durable commits. `known` are the borders at a commit, which need not be read again there.
    ///
    /// # Errors
    ///
    /// The tree cannot be read.
    pub(crate) fn of(
        shared: &TrailInner,
        known: Option<&(ObjectId, Borders)>,
    ) -> Result<Chain, TrailError> {
        let (root, tip, microseconds) = {
            let view = shared.view();
            let root = view.root.clone().expect("a refresh has loaded it");
            (root, view.tip, view.floor)
        };
        let borders = match known {
            Some((at, borders)) if tip == Some(*at) => borders.clone(),
            _ => shared.borders(&root)?,
        };
        Ok(Chain {
            borders,
            root,
            tip,
            microseconds,
        })
    }
}

/// The result of sequencing one entry.
enum SequenceResult {
    /// The entry has a place. The commit's contents are not stored yet.
    At(Box<Sequenced>, Vec<u8>),
    /// The entry has no place, and nothing has changed.
    Nowhere(Item, TrailError),
    /// The entry has no place, and the chain cannot be used any more.
    Broken(Item, TrailError),
}

impl Writer<'_> {
    /// Sequences queued entries until the group is full, or waiting for more does not help; `None` if there was none.
    pub(crate) fn sequence_group(
        &mut self,
        lock: &WriterLock,
        chain: &mut Chain,
    ) -> Option<SequencedGroup> {
        let base = chain.clone();
        let nothing_before = base
            .root
            .descend(&layout::ROOT, &self.shared.repository, None)
            .is_ok_and(|tasks| tasks.is_none());
        let mut builder = PackBuilder::new(self.shared.repository.hash);
        let mut sequenced: Vec<Sequenced> = Vec::new();
        // Whether the newest commit is the last one of its group is only known later.
        let mut newest: Option<FinishedCommit> = None;
        let mut leaves = Vec::new();
        let mut began = None;
        // An end is the last of its group: what follows is refused only once the end is durable.
        while sequenced.len() < GROUP_ENTRIES
            && builder.len() < GROUP_BYTES
            && chain.borders.ended == base.borders.ended
        {
            let patience = |call| self.max_wait(lock, began, call);
            let Some(item) = self.shared.queue.next(patience) else {
                break;
            };
            match self.place(&mut builder, chain, item) {
                SequenceResult::At(placed, contents) => {
                    began.get_or_insert_with(Instant::now);
                    let before = newest.replace((placed.commit, contents));
                    if let (Some(before), Some(of)) = (before, sequenced.last()) {
                        leaves.push(self.store(&mut builder, &before, of));
                    }
                    sequenced.push(*placed);
                }
                SequenceResult::Nowhere(item, error) => self.fail(vec![item], &error),
                SequenceResult::Broken(item, error) => {
                    self.fail(vec![item], &error);
                    // The other entries are placed again.
                    *chain = base;
                    let items = sequenced.into_iter().map(|sequenced| sequenced.item);
                    self.shared.queue.requeue(items.collect());
                    return None;
                }
            }
        }
        let sealed = match self.sign_last(newest?, sequenced.len()) {
            Ok(sealed) => sealed,
            Err(error) => {
                *chain = base;
                let items = sequenced.into_iter().map(|sequenced| sequenced.item);
                self.fail(items.collect(), &error);
                return None;
            }
        };
        if signing::is_unavailable(&sealed.1) {
            self.mark_unsigned(&mut sequenced);
        }
        if let Some(last) = sequenced.last_mut() {
            last.commit = sealed.0;
            leaves.push(self.store(&mut builder, &sealed, last));
        }
        chain.tip = Some(sealed.0);
        Some(SequencedGroup {
            builder,
            expected: base.tip,
            nothing_before,
            root: chain.root.clone(),
            microseconds: chain.microseconds,
            sequenced,
            leaves,
        })
    }

    /// Stores a commit. Returns its id, and its leaf in the Merkle tree.
    fn store(
        &mut self,
        builder: &mut PackBuilder,
        (id, contents): &FinishedCommit,
        of: &Sequenced,
    ) -> (ObjectId, TreeHash) {
        builder.add_commit(*id, contents, &mut self.deflater);
        (*id, leaves::leaf(&of.path, &of.item.entry, contents))
    }

    /// Signs the last commit of a group if groups are signed; the signature covers `covers` commits.
    fn sign_last(
        &self,
        newest: FinishedCommit,
        covers: usize,
    ) -> Result<FinishedCommit, TrailError> {
        match &self.shared.signing {
            Some(signing) if signing.extent == Extent::Group => {
                let hash = self.shared.repository.hash;
                signing::finish_commit(Some(signing), newest.1, hash, covers)
            }
            _ => Ok(newest),
        }
    }

    /// Marks all entries of a group as unsigned if its one signature is missing.
    fn mark_unsigned(&self, group: &mut [Sequenced]) {
        let signing = self.shared.signing.as_ref();
        if signing.is_some_and(|signing| signing.extent == Extent::Group) {
            group.iter_mut().for_each(|entry| entry.unsigned = true);
        }
    }

    /// How long to wait for another entry. `began` is when the group got its first one.
    fn max_wait(&self, lock: &WriterLock, began: Option<Instant>, call: Call) -> Duration {
        if self.flushing.is_flushing() {
            // A smaller group would not help: it could not be flushed yet.
            return UNTIL_WOKEN;
        }
        let Some(began) = began else {
            // With nothing else to do, the lock is kept until the merge has ended.
            return if self.flushing.is_merging() && call != Call::Refresh {
                UNTIL_WOKEN
            } else {
                Duration::ZERO
            };
        };
        if call != Call::None || self.shared.waiting.any() || lock.has_waiters() {
            Duration::ZERO
        } else {
            GROUP_AGE.saturating_sub(began.elapsed())
        }
    }

    /// Makes the objects of one commit, and stores all of them except the commit itself.
    fn place(
        &mut self,
        builder: &mut PackBuilder,
        chain: &mut Chain,
        mut item: Item,
    ) -> SequenceResult {
        let shared = self.shared;
        let repository = &shared.repository;
        // The tree may have been replaced since the policy read it.
        let directory = item.directory.take();
        let there = view::presence(&chain.root, &item.task_id, repository, directory.as_ref());
        match there {
            Ok((Presence::Absent, _)) => {}
            Ok((Presence::Present { .. }, _)) => {
                return SequenceResult::Nowhere(item, TrailError::Changed);
            }
            Ok((Presence::Collides(with), _)) => {
                return SequenceResult::Nowhere(item, TrailError::CaseCollision(with));
            }
            Err(error) => return SequenceResult::Nowhere(item, error),
        }
        let may_follow = chain.check_borders(shared, &item.task_id, item.predecessors_asked);
        if let Err(error) = may_follow {
            return SequenceResult::Nowhere(item, error);
        }
        if let Err(error) = shared
            .remotes
            .check_not_recorded_at_remote(shared, &item.task_id)
        {
            return SequenceResult::Nowhere(item, error);
        }
        drop(directory);
        // The entry would be dated long before its commit. The policy must decide again, at the current time.
        let microseconds = chain.microseconds.max(item.microseconds);
        if microseconds.saturating_sub(item.microseconds) > MAX_WAITED {
            return SequenceResult::Nowhere(item, TrailError::Changed);
        }
        let layout = match shared.layout.after(&chain.root, repository) {
            Ok(layout) => layout,
            Err(error) => return SequenceResult::Nowhere(item, error),
        };
        let below = layout.components(&item.task_id);
        let mut path: Vec<&str> = layout::ROOT.to_vec();
        path.extend(below.iter().map(String::as_str));
        let deflater = &mut self.deflater;
        let served = builder.add_entry(item.blob, &item.entry, item.deflated.as_deref(), deflater);
        // If entries do not resemble each other, the caller's thread compresses the next one.
        shared.deltas_serve.store(served, Ordering::Relaxed);
        item.deflated = None;
        let made = Node::add_file(
            &mut chain.root,
            &path,
            &item.blob,
            repository,
            &mut |tree, edit| builder.add_tree(tree, edit, deflater),
        );
        let made = made.and_then(|()| {
            let commit = Commit {
                tree: chain.root.id,
                parent: chain.tip,
                author: &shared.author,
                seconds: microseconds.div_euclid(1_000_000),
                message: &item.message,
            };
            let each = shared.signing.as_ref();
            let each = each.filter(|signing| signing.extent == Extent::Commit);
            commit.make(repository.hash, each)
        });
        // A signature may take as long as its time limit.
        shared.progress.advance();
        let (commit, contents) = match made {
            Ok(made) => made,
            Err(error) => return SequenceResult::Broken(item, error),
        };
        chain.tip = Some(commit);
        chain.microseconds = microseconds;
        chain.note_border(&item.task_id, &item.entry, item.blob);
        let sequenced = Sequenced {
            item,
            commit,
            path: path.join("/"),
            unsigned: signing::is_unavailable(&contents),
        };
        SequenceResult::At(Box::new(sequenced), contents)
    }
}
