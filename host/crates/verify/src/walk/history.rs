//! Judges a chain of commits on all threads, in the order of their objects in the packs: the base of each delta was
//! then read just before.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use super::chain::{Chain, ChainReader, ReadCommit};
use super::judge::{self, CommitCase, ParentTree};
use super::side::{self, Side};
use super::{Context, Place, Tally};
use crate::Progress;
use crate::findings::Depth;
use crate::object::{Id, Kind};
use crate::rules::commit::Commit;
use crate::rules::message::{self, Role};
use crate::store::cache::Content;
use crate::store::reader::Reader;

/// The results of a walk besides offences.
#[derive(Default)]
pub(crate) struct WalkResult {
    pub(crate) chain: Chain,
    pub(crate) tally: Tally,
}

/// Options of a walk.
pub(crate) struct WalkOptions<'a> {
    /// The commits where history may be cut off.
    pub(crate) shallow: &'a HashSet<Id>,
    pub(crate) threads: usize,
    /// The commit before the first one to judge; `None` to judge all.
    pub(crate) until: Option<Id>,
    /// Whether a visitor needs the whole chain before the first commit is judged.
    pub(crate) ahead: bool,
}

/// The oldest commits of a chain, kept after reading and hashing because they are judged first.
#[derive(Default)]
pub(super) struct KeptCommits {
    first: Depth,
    contents: VecDeque<Arc<Content>>,
    bytes: usize,
}

/// The limit for all kept commits, in bytes. It adds to the cache of objects: both stay far below the memory that `verify`
/// may use.
const MAX_KEPT: usize = 40 << 20;

/// The memory for each commit besides its bytes.
const KEPT_OVERHEAD: usize = 128;

impl KeptCommits {
    fn push(&mut self, content: Arc<Content>) {
        self.bytes += content.data.len() + KEPT_OVERHEAD;
        self.contents.push_back(content);
        while self.bytes > MAX_KEPT
            && let Some(newest) = self.contents.pop_front()
        {
            self.bytes -= newest.data.len() + KEPT_OVERHEAD;
            self.first += 1;
        }
    }

    fn get(&self, depth: Depth) -> Option<Arc<Content>> {
        let place = depth.checked_sub(self.first)?;
        self.contents.get(place as usize).cloned()
    }
}

/// A job for any thread.
pub(super) enum Job<'c> {
    /// Judge the commits of a chain at these depths.
    Judge(&'c Chain, &'c KeptCommits, Range<Depth>),
    /// Judge commits that were just read.
    Read(Vec<Step>),
    Side(Vec<Side>),
}

/// A commit that was just read, and its parent's tree.
pub(super) struct Step {
    place: Place,
    found: ReadCommit,
    before: ParentTree,
}

/// The commits in a job: enough to make the handover cheap, few enough that all threads end together and share
/// recently read objects.
const BATCH: Depth = 1024;

/// The limit of a job in bytes, since a forged commit may be as long as a thousand honest ones.
const BATCH_BYTES: usize = 2 << 20;

/// The number of neighbouring pairs that are checked for their order.
const SAMPLES: Depth = 64;

/// The number of commits that are read before that check.
const PROBE: usize = 256;

/// Walks the whole history of `tip`.
pub(crate) fn walk(
    context: &Context<'_>,
    tip: Id,
    how: &WalkOptions<'_>,
    progress: Option<&dyn Fn(Progress)>,
) -> WalkResult {
    let mut reader = Reader::new(context.current);
    let mut reading = ChainReader::begin(context, tip, how, progress);
    let mut first = Vec::new();
    let mut bytes = 0;
    while first.len() < PROBE
        && bytes < BATCH_BYTES
        && let Some(found) = reading.read_next(&mut reader)
    {
        bytes += found.content.data.len();
        first.push(found);
    }
    // If newer commits come first in the pack, as git writes them, each is judged as soon as it is read.
    if !how.ahead && how.threads > 1 && !is_oldest_first(&reader, &reading.chain) {
        return stream(context, how, reader, reading, first);
    }
    let mut kept = KeptCommits::default();
    let mut first = first.into_iter();
    while let Some(found) = first.next().or_else(|| reading.read_next(&mut reader)) {
        kept.push(found.content);
    }
    let mut chain = reading.finish(&mut reader);
    let outline = chain.outline();
    context
        .visitors
        .iter()
        .for_each(|visitor| visitor.begin(&outline));
    let merged = std::mem::take(&mut chain.merged);
    reader.forward = is_oldest_first(&reader, &chain);
    let tally = share_out(context, how, reader, |walker| {
        for number in 0..chain.len().div_ceil(BATCH) {
            let first = number * BATCH;
            let last = chain.len().min(first + BATCH);
            let depths = match walker.reader.forward {
                true => chain.len() - last..chain.len() - first,
                false => first..last,
            };
            walker.hand_out(Job::Judge(&chain, &kept, depths));
            if let Some(progress) = progress {
                progress(Progress {
                    commits: u64::from(chain.len()),
                    judged: Some(u64::from(last)),
                });
            }
        }
        side::walk(walker, &chain, merged, how.shallow);
    });
    WalkResult { chain, tally }
}

/// Judges commits while the chain is still being read.
fn stream(
    context: &Context<'_>,
    how: &WalkOptions<'_>,
    reader: Reader<'_>,
    mut reading: ChainReader<'_>,
    first: Vec<ReadCommit>,
) -> WalkResult {
    let mut chain = Chain::default();
    let tally = share_out(context, how, reader, |walker| {
        let mut steps: Vec<Step> = Vec::new();
        let mut bytes = 0;
        let mut first = first.into_iter();
        let mut depth = 0;
        while let Some(found) = first
            .next()
            .or_else(|| reading.read_next(&mut walker.reader))
        {
            let place = (depth, reading.chain.id(depth));
            if let Some(newer) = steps.last_mut() {
                newer.before = ParentTree::Tree(found.tree);
            }
            // The newest commit waits for its parent.
            if steps.len() > BATCH as usize || bytes > BATCH_BYTES {
                let newest = steps.pop();
                walker.hand_out(Job::Read(std::mem::take(&mut steps)));
                steps.extend(newest);
                bytes = 0;
            }
            bytes += found.content.data.len();
            steps.push(Step {
                place,
                found,
                before: ParentTree::Unknown,
            });
            depth += 1;
        }
        chain = reading.finish(&mut walker.reader);
        if let Some(oldest) = steps.last_mut() {
            let none = KeptCommits::default();
            let end = chain.len();
            oldest.before = before(context, (&chain, &none), &mut walker.reader, end).1;
        }
        walker.hand_out(Job::Read(steps));
        let merged = std::mem::take(&mut chain.merged);
        side::walk(walker, &chain, merged, how.shallow);
    });
    WalkResult { chain, tally }
}

/// Distributes work from this thread to all threads, and adds up the results.
fn share_out<'c>(
    context: &Context<'_>,
    how: &WalkOptions<'_>,
    reader: Reader<'_>,
    hand_out: impl FnOnce(&mut Walker<'_, '_, 'c>),
) -> Tally {
    let (sender, receiver) = mpsc::sync_channel(how.threads);
    let receiver = Mutex::new(receiver);
    let forward = reader.forward;
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..how.threads)
            .map(|_| scope.spawn(|| run_worker(context, &receiver, forward)))
            .collect();
        let mut walker = Walker {
            context,
            reader,
            tally: Tally::default(),
            sender,
        };
        hand_out(&mut walker);
        let Walker {
            sender,
            mut reader,
            mut tally,
            ..
        } = walker;
        drop(sender);
        while let Some(job) = next(&receiver) {
            work(context, &mut reader, &mut tally, job);
        }
        for helper in helpers {
            if let Ok(theirs) = helper.join() {
                tally.add(theirs);
            }
        }
        tally
    })
}

/// Walks the history of `tip` on this thread, oldest commits first: those after a commit, or all. `None` if that commit
/// is not in the history. Skips merged commits, which are not part of the trail.
pub(crate) fn walk_in_order(
    context: &Context<'_>,
    tip: Id,
    how: &WalkOptions<'_>,
    after: Option<Id>,
    progress: Option<&dyn Fn(Progress)>,
) -> Option<WalkResult> {
    let mut reader = Reader::new(context.current);
    reader.forward = true;
    let chain = ChainReader::begin(context, tip, how, progress).finish(&mut reader);
    let mut end = match after {
        Some(after) => chain.depth_of(&after)?,
        None => chain.len(),
    };
    let outline = chain.outline();
    let visitors = &context.visitors;
    visitors.iter().for_each(|visitor| visitor.begin(&outline));
    let mut tally = Tally::default();
    let kept = KeptCommits::default();
    while end > 0 && !visitors.iter().any(|visitor| visitor.is_done()) {
        let begin = end.saturating_sub(BATCH);
        judge_all(
            context,
            (&chain, &kept),
            &mut reader,
            &mut tally,
            begin..end,
        );
        end = begin;
        if let Some(progress) = progress {
            progress(Progress {
                commits: u64::from(chain.len()),
                judged: Some(u64::from(chain.len() - end)),
            });
        }
    }
    Some(WalkResult { chain, tally })
}

/// Whether older commits come before newer ones in the packs, as the host and `git fast-import` write them; `git
/// repack` reverses the order.
fn is_oldest_first(reader: &Reader<'_>, chain: &Chain) -> bool {
    let step = (chain.len() / SAMPLES).max(1);
    let mut balance = 0;
    for depth in (1..chain.len()).step_by(step as usize) {
        let places = [depth, depth - 1].map(|depth| reader.likely_position(&chain.id(depth)));
        if let [Some(older), Some(newer)] = places {
            balance += if older < newer { 1 } else { -1 };
        }
    }
    balance > 0
}

fn run_worker(context: &Context<'_>, receiver: &Mutex<Receiver<Job<'_>>>, forward: bool) -> Tally {
    let mut reader = Reader::new(context.current);
    reader.forward = forward;
    let mut tally = Tally::default();
    while let Some(job) = next(receiver) {
        work(context, &mut reader, &mut tally, job);
    }
    tally
}

fn next<'c>(receiver: &Mutex<Receiver<Job<'c>>>) -> Option<Job<'c>> {
    receiver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

fn work(context: &Context<'_>, reader: &mut Reader<'_>, tally: &mut Tally, job: Job<'_>) {
    match job {
        Job::Judge(chain, kept, depths) => {
            judge_all(context, (chain, kept), reader, tally, depths);
        }
        Job::Read(steps) => {
            for step in steps {
                // The number is not known yet, and not needed.
                let place = (step.place, 0);
                let ReadCommit { content, role, .. } = step.found;
                let known = (Some(content), Some(role));
                judge_one(context, reader, tally, place, known, step.before);
            }
        }
        Job::Side(sides) => {
            for item in sides {
                tally.objects += side::check(context, reader, &item);
            }
        }
    }
}

/// Judges consecutive commits, in the order of the packs.
fn judge_all(
    context: &Context<'_>,
    (chain, kept): (&Chain, &KeptCommits),
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    depths: Range<Depth>,
) {
    if reader.forward {
        let mut position = chain.entries_from(depths.end);
        let mut before = before(context, (chain, kept), reader, depths.end).1;
        for depth in depths.rev() {
            let (content, tree) = self::before(context, (chain, kept), reader, depth);
            let place = ((depth, chain.id(depth)), position);
            judge_one(context, reader, tally, place, (content, None), before);
            position += u64::from(chain.adds(depth));
            before = tree;
        }
    } else {
        let mut position = chain.entries_from(depths.start);
        let (mut content, _) = before(context, (chain, kept), reader, depths.start);
        for depth in depths {
            let (older, before) = before(context, (chain, kept), reader, depth + 1);
            position -= u64::from(chain.adds(depth));
            let place = ((depth, chain.id(depth)), position);
            judge_one(context, reader, tally, place, (content, None), before);
            content = older;
        }
    }
}

fn judge_one(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    (place, position): (Place, u64),
    (content, role): (Option<Arc<Content>>, Option<Role>),
    before: ParentTree,
) {
    let Some(content) = content else { return };
    let Some(commit) = Commit::parse(&content.data, context.algorithm.len_in_hex()) else {
        return;
    };
    let case = CommitCase {
        place,
        position,
        raw: &content.data,
        role: role.unwrap_or_else(|| message::role(commit.message)),
        commit,
        before,
    };
    judge::judge(context, reader, tally, &case);
}

/// The commit at this depth, as the parent of the one above it.
fn before(
    context: &Context<'_>,
    (chain, kept): (&Chain, &KeptCommits),
    reader: &mut Reader<'_>,
    depth: Depth,
) -> (Option<Arc<Content>>, ParentTree) {
    let content = match chain.until {
        // It is not judged, but the first commit that is judged is compared with it.
        Some(until) if depth >= chain.len() => reader.fetch(&until, Kind::Commit).ok(),
        _ if depth < chain.len() => kept
            .get(depth)
            .or_else(|| read(context, chain, reader, depth)),
        _ => {
            return match chain.cut {
                Some(_) => (None, ParentTree::Unknown),
                None => (None, ParentTree::Nothing),
            };
        }
    };
    let before = tree_of(context, content.as_deref());
    (content, before)
}

/// The tree of a commit, as the parent of the one above it.
fn tree_of(context: &Context<'_>, content: Option<&Content>) -> ParentTree {
    let hex_len = context.algorithm.len_in_hex();
    let commit = content.and_then(|content| Commit::parse(&content.data, hex_len));
    commit.map_or(ParentTree::Unknown, |commit| ParentTree::Tree(commit.tree))
}

/// Reads a commit of the chain again.
fn read(
    context: &Context<'_>,
    chain: &Chain,
    reader: &mut Reader<'_>,
    depth: Depth,
) -> Option<Arc<Content>> {
    let id = chain.id(depth);
    let content = reader.fetch(&id, Kind::Commit);
    // These were reported when the chain was read.
    reader.bad_copies.clear();
    content
        .map_err(|fault| context.record_fault(&id, "commit", &fault, (depth, id)))
        .ok()
}

/// The thread that distributes work.
pub(super) struct Walker<'a, 'b, 'c> {
    pub(super) context: &'a Context<'b>,
    pub(super) reader: Reader<'a>,
    tally: Tally,
    sender: SyncSender<Job<'c>>,
}

impl<'c> Walker<'_, '_, 'c> {
    /// Gives a job to another thread, or does it here if all of them are busy.
    pub(super) fn hand_out(&mut self, job: Job<'c>) {
        match self.sender.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                work(self.context, &mut self.reader, &mut self.tally, job);
            }
        }
    }
}
