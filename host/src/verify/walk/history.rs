//! Judges a chain of commits on all threads, in the order in which the packs hold their objects: then what an object is a
//! delta of was read just before.

use std::ops::Range;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use super::chain::{self, Chain};
use super::judge::{self, Before, Case};
use super::side::{self, Side};
use super::{Context, Tally};
use crate::verify::Progress;
use crate::verify::findings::Depth;
use crate::verify::rules::commit::Commit;
use crate::verify::rules::message;
use crate::verify::store::cache::Content;
use crate::verify::store::hash::{Id, Kind};
use crate::verify::store::reader::Reader;

/// What a walk found beside offences.
#[derive(Default)]
pub(crate) struct Walked {
    pub(crate) chain: Chain,
    pub(crate) tally: Tally,
}

/// How to walk.
pub(crate) struct How<'a> {
    /// Where history may be cut off.
    pub(crate) shallow: &'a [Id],
    pub(crate) threads: usize,
    /// The commit before the first that is judged, if not all are.
    pub(crate) until: Option<Id>,
}

/// Work for any thread.
pub(super) enum Job {
    /// The commits at these depths.
    Judge(Range<Depth>),
    Side(Vec<Side>),
}

/// Commits in a job: enough that handing over costs nothing, few enough that all threads end together, and that what one
/// thread needs another has just read.
const BATCH: Depth = 1024;

/// Pairs of neighbours that are asked in which order they lie.
const SAMPLES: Depth = 64;

/// Walks the whole history of `tip`.
pub(crate) fn walk(
    context: &Context<'_>,
    tip: Id,
    how: &How<'_>,
    progress: Option<&dyn Fn(Progress)>,
) -> Walked {
    let mut reader = Reader::new(context.current);
    let &How {
        shallow,
        threads,
        until,
    } = how;
    let mut chain = chain::read(context, &mut reader, tip, shallow, until, progress);
    let merged = std::mem::take(&mut chain.merged);
    let oldest_first = is_oldest_first(&reader, &chain);
    reader.forward = oldest_first;
    let (sender, receiver) = mpsc::sync_channel(threads);
    let receiver = Mutex::new(receiver);
    let tally = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            .map(|_| scope.spawn(|| help(context, &chain, &receiver, oldest_first)))
            .collect();
        let mut walker = Walker {
            context,
            chain: &chain,
            reader,
            tally: Tally::default(),
            sender,
        };
        for number in 0..chain.len().div_ceil(BATCH) {
            let first = number * BATCH;
            let last = chain.len().min(first + BATCH);
            walker.hand_out(Job::Judge(if oldest_first {
                chain.len() - last..chain.len() - first
            } else {
                first..last
            }));
            if let Some(progress) = progress {
                progress(Progress {
                    commits: u64::from(chain.len()),
                    judged: Some(u64::from(last)),
                });
            }
        }
        side::walk(&mut walker, merged, shallow);
        let Walker {
            sender,
            mut reader,
            mut tally,
            ..
        } = walker;
        drop(sender);
        while let Some(job) = next(&receiver) {
            work(context, &chain, &mut reader, &mut tally, job);
        }
        for helper in helpers {
            if let Ok(theirs) = helper.join() {
                tally.add(theirs);
            }
        }
        tally
    });
    Walked { chain, tally }
}

/// Whether older commits lie before newer ones, as the trail's host and `git fast-import` write them; `git repack` turns
/// that round.
fn is_oldest_first(reader: &Reader<'_>, chain: &Chain) -> bool {
    let step = (chain.len() / SAMPLES).max(1);
    let mut balance = 0;
    for depth in (1..chain.len()).step_by(step as usize) {
        let places = [depth, depth - 1].map(|depth| reader.whereabouts(&chain.id(depth)));
        if let [Some(older), Some(newer)] = places {
            balance += if older < newer { 1 } else { -1 };
        }
    }
    balance > 0
}

fn help(
    context: &Context<'_>,
    chain: &Chain,
    receiver: &Mutex<Receiver<Job>>,
    forward: bool,
) -> Tally {
    let mut reader = Reader::new(context.current);
    reader.forward = forward;
    let mut tally = Tally::default();
    while let Some(job) = next(receiver) {
        work(context, chain, &mut reader, &mut tally, job);
    }
    tally
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

fn work(
    context: &Context<'_>,
    chain: &Chain,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    job: Job,
) {
    match job {
        Job::Judge(depths) => judge_all(context, chain, reader, tally, depths),
        Job::Side(sides) => {
            for item in sides {
                tally.objects += side::check(context, reader, &item);
            }
        }
    }
}

/// Judges neighbouring commits, in the order in which they lie.
fn judge_all(
    context: &Context<'_>,
    chain: &Chain,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    depths: Range<Depth>,
) {
    if reader.forward {
        let mut before = before(context, chain, reader, depths.end).1;
        for depth in depths.rev() {
            let (content, tree) = self::before(context, chain, reader, depth);
            judge_one(context, chain, reader, tally, depth, content, before);
            before = tree;
        }
    } else {
        let (mut content, _) = before(context, chain, reader, depths.start);
        for depth in depths {
            let (older, before) = before(context, chain, reader, depth + 1);
            judge_one(context, chain, reader, tally, depth, content, before);
            content = older;
        }
    }
}

fn judge_one(
    context: &Context<'_>,
    chain: &Chain,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    depth: Depth,
    content: Option<Arc<Content>>,
    before: Before,
) {
    let Some(content) = content else { return };
    let Some(commit) = Commit::parse(&content.data, context.algorithm.len_in_hex()) else {
        return;
    };
    let case = Case {
        place: (depth, chain.id(depth)),
        raw: &content.data,
        role: message::role(commit.message),
        commit,
        before,
    };
    judge::judge(context, reader, tally, &case);
}

/// The commit so many steps below the tip, and what it is to the one above.
fn before(
    context: &Context<'_>,
    chain: &Chain,
    reader: &mut Reader<'_>,
    depth: Depth,
) -> (Option<Arc<Content>>, Before) {
    let content = match chain.until {
        // Not judged itself, but the first that is judged changes what it left.
        Some(until) if depth >= chain.len() => reader.fetch(&until, Kind::Commit).ok(),
        _ if depth < chain.len() => read(context, chain, reader, depth),
        _ => {
            return match chain.cut {
                Some(_) => (None, Before::Unknown),
                None => (None, Before::Nothing),
            };
        }
    };
    let hex_len = context.algorithm.len_in_hex();
    let commit = content
        .as_ref()
        .and_then(|content| Commit::parse(&content.data, hex_len));
    let before = commit.map_or(Before::Unknown, |commit| Before::Tree(commit.tree));
    (content, before)
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
    // Said when the chain was read.
    reader.bad_copies.clear();
    content
        .map_err(|fault| context.fault(&id, "commit", &fault, (depth, id)))
        .ok()
}

/// The thread that hands out work.
pub(super) struct Walker<'a, 'b> {
    pub(super) context: &'a Context<'b>,
    pub(super) chain: &'a Chain,
    pub(super) reader: Reader<'a>,
    tally: Tally,
    sender: SyncSender<Job>,
}

impl Walker<'_, '_> {
    /// Gives a job to another thread, or does it if all have enough.
    pub(super) fn hand_out(&mut self, job: Job) {
        match self.sender.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                work(
                    self.context,
                    self.chain,
                    &mut self.reader,
                    &mut self.tally,
                    job,
                );
            }
        }
    }
}
