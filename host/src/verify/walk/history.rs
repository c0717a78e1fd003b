//! First-parent history, from the tip to the beginning. The calling thread reads commits (each names the next, so nobody
//! can help) and hands them out in batches; all threads judge.

use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use super::judge::{self, Before, Case};
use super::objects::read_other;
use super::side::{self, Side};
use super::{Context, Place, Tally};
use crate::verify::Progress;
use crate::verify::findings::Rule;
use crate::verify::rules::commit::Commit;
use crate::verify::rules::message::{self, Role};
use crate::verify::store::cache::Content;
use crate::verify::store::hash::{Id, Kind};
use crate::verify::store::reader::{Fault, Reader};

/// What a walk found beside offences.
#[derive(Default)]
pub(crate) struct Walked {
    pub(crate) trail_id: Option<String>,
    pub(crate) tally: Tally,
    /// Every first-parent commit, by keyed hash, newest first.
    pub(crate) mainline: Vec<u64>,
    /// Why the oldest commits were not seen, if they were not.
    pub(crate) cut: Option<String>,
}

/// A commit that waits to be judged.
pub(super) struct Item {
    place: Place,
    content: Arc<Content>,
    role: Role,
    before: Before,
}

/// Work for any thread.
pub(super) enum Job {
    Judge(Vec<Item>),
    Side(Vec<Side>),
}

/// Commits in a batch: enough that handing over costs nothing, few enough that all threads end together.
const BATCH: usize = 256;

/// A batch that is longer than this is full: forged commits may be long.
const BATCH_BYTES: usize = 2 << 20;

/// How often progress is told, in commits.
const PROGRESS: u64 = 4096;

/// Walks the whole history of `tip`.
pub(crate) fn walk(
    context: &Context<'_>,
    tip: Id,
    shallow: &[Id],
    threads: usize,
    progress: Option<&dyn Fn(Progress)>,
) -> Walked {
    let (sender, receiver) = mpsc::sync_channel(threads * 2);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            .map(|_| scope.spawn(|| help(context, &receiver)))
            .collect();
        let mut walker = Walker {
            context,
            reader: Reader::new(context.current),
            tally: Tally::default(),
            sender,
            batch: Vec::with_capacity(BATCH),
            bytes: 0,
            waiting: None,
            newer: None,
            genesis: None,
            trail_id: None,
            merged: Vec::new(),
            mainline: Vec::new(),
        };
        let cut = walker.run(tip, shallow, progress);
        side::walk(&mut walker, shallow);
        let Walker {
            sender,
            mut reader,
            mut tally,
            trail_id,
            mainline,
            ..
        } = walker;
        drop(sender);
        while let Some(job) = next(&receiver) {
            work(context, &mut reader, &mut tally, job);
        }
        for helper in helpers {
            if let Ok(theirs) = helper.join() {
                tally.objects += theirs.objects;
                tally.entries += theirs.entries;
                tally.tasks.extend(theirs.tasks);
            }
        }
        Walked {
            trail_id,
            tally,
            mainline,
            cut,
        }
    })
}

fn help(context: &Context<'_>, receiver: &Mutex<Receiver<Job>>) -> Tally {
    let mut reader = Reader::new(context.current);
    let mut tally = Tally::default();
    while let Some(job) = next(receiver) {
        work(context, &mut reader, &mut tally, job);
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

fn work(context: &Context<'_>, reader: &mut Reader<'_>, tally: &mut Tally, job: Job) {
    match job {
        Job::Judge(items) => {
            for item in items {
                let Some(commit) =
                    Commit::parse(&item.content.data, context.algorithm.len_in_hex())
                else {
                    continue;
                };
                judge::judge(
                    context,
                    reader,
                    tally,
                    &Case {
                        place: item.place,
                        raw: &item.content.data,
                        commit,
                        role: item.role,
                        before: item.before,
                    },
                );
            }
        }
        Job::Side(sides) => {
            for item in sides {
                tally.objects += side::check(context, reader, &item);
            }
        }
    }
}

/// The state of the thread that reads commits.
pub(super) struct Walker<'a, 'b> {
    pub(super) context: &'a Context<'b>,
    pub(super) reader: Reader<'a>,
    pub(super) tally: Tally,
    sender: SyncSender<Job>,
    batch: Vec<Item>,
    /// The length of the batch's commits.
    bytes: usize,
    /// The commit whose first parent comes next.
    waiting: Option<Item>,
    /// The trail commit above, and its time.
    newer: Option<(i64, Place)>,
    /// The oldest genesis commit so far, and an entry that is older.
    genesis: Option<(Place, Option<Id>)>,
    trail_id: Option<String>,
    /// Second and further parents, and the commit that merges them.
    pub(super) merged: Vec<(Id, Place)>,
    /// Every first-parent commit, by keyed hash.
    pub(super) mainline: Vec<u64>,
}

impl Walker<'_, '_> {
    /// Reads first-parent commits until there is no more. Returns why the oldest could not be read, if so.
    fn run(
        &mut self,
        tip: Id,
        shallow: &[Id],
        progress: Option<&dyn Fn(Progress)>,
    ) -> Option<String> {
        let mut next = Some(tip);
        let mut cut = None;
        while let Some(id) = next {
            let place = (self.mainline.len() as u32, id);
            let Ok(content) = read_other(self.context, &mut self.reader, &id, Kind::Commit, place)
            else {
                cut = Some((
                    place,
                    format!("the history before the commit {id}, which cannot be read"),
                ));
                break;
            };
            let Some(commit) = Commit::parse(&content.data, self.context.algorithm.len_in_hex())
            else {
                self.context.findings.broken(
                    Rule::Objects,
                    place,
                    format!("the commit {id}: it is malformed"),
                );
                cut = Some((
                    place,
                    format!("the history before the commit {id}, which is malformed"),
                ));
                break;
            };
            self.mainline.push(self.context.key(id.as_slice()));
            let role = message::role(commit.message);
            self.follow(place, &commit, role);
            self.pass_on(Before::Tree(commit.tree));
            next = commit.parents.first().copied();
            if shallow.contains(&id)
                && let Some(parent) = next
                && let Err(Fault::Missing) = self.reader.fetch(&parent, Kind::Commit)
            {
                cut = Some((
                    place,
                    format!(
                        "the history before the commit {id}, where this shallow clone is cut off"
                    ),
                ));
                next = None;
            }
            self.merged
                .extend(commit.parents.iter().skip(1).map(|parent| (*parent, place)));
            self.waiting = Some(Item {
                place,
                content,
                role,
                before: Before::Nothing,
            });
            let commits = self.mainline.len() as u64;
            if let Some(progress) = progress.filter(|_| commits.is_multiple_of(PROGRESS)) {
                progress(Progress { commits });
            }
        }
        self.pass_on(if cut.is_some() {
            Before::Unknown
        } else {
            Before::Nothing
        });
        self.flush();
        if let Some((place, Some(older))) = self.genesis {
            self.context.findings.broken(
                Rule::OneEntry,
                place,
                format!("the trail begins after its entries; look at {older}"),
            );
        }
        if let Some((place, what)) = &cut {
            for rule in [
                Rule::Objects,
                Rule::AppendOnly,
                Rule::OneEntry,
                Rule::Agreement,
                Rule::Once,
                Rule::Times,
            ] {
                self.context
                    .findings
                    .not_shown(rule, Some(*place), what.clone());
            }
        }
        cut.map(|(_, what)| what)
    }

    /// Judges what depends on the commits above: the order of times, and of beginnings.
    fn follow(&mut self, place: Place, commit: &Commit<'_>, role: Role) {
        if role == Role::Person {
            return;
        }
        let findings = &self.context.findings;
        if let Some(time) = commit.time() {
            if let Some((newer, above)) = self.newer.filter(|(newer, _)| *newer < time) {
                let what = format!(
                    "its commit time {newer} is before {time}, that of the trail commit {} before it",
                    place.1
                );
                findings.broken(Rule::Times, above, what);
            }
            self.newer = Some((time, place));
        }
        if role == Role::Genesis {
            if let Some((above, _)) = self.genesis {
                findings.broken(
                    Rule::OneEntry,
                    above,
                    format!("the trail begins a second time; it began at {}", place.1),
                );
            }
            self.genesis = Some((place, None));
            self.trail_id = message::check(commit.message, role)
                .ok()
                .and_then(|trailers| trailers.trail.map(str::to_owned));
        } else if let Some((_, older)) = &mut self.genesis {
            *older = Some(place.1);
        }
    }

    /// Hands on the commit that waited for its parent.
    fn pass_on(&mut self, before: Before) {
        if let Some(item) = self.waiting.take() {
            self.bytes += item.content.data.len();
            self.batch.push(Item { before, ..item });
            if self.batch.len() == BATCH || self.bytes > BATCH_BYTES {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.hand_out(Job::Judge(batch));
    }

    /// Gives a job to another thread, or does it if all have enough.
    pub(super) fn hand_out(&mut self, job: Job) {
        match self.sender.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                work(self.context, &mut self.reader, &mut self.tally, job);
            }
        }
    }
}
