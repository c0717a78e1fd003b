//! Reads parts of a chain before it is known that they belong to it, on the threads that would wait for the chain. What they read is
//! hashed as always, and used only where a commit of the chain names it as its parent; who guesses wrong has only wasted time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use super::Context;
use crate::rules::commit::Commit;
use crate::store::cache::Content;
use crate::store::hash::{Id, Kind};
use crate::store::reader::Reader;

/// The bytes of packs between two places where a part begins: a thousand commits. A host writes all commits of a pack side by side.
const STRIDE: u64 = 512 << 10;

/// What the commits of one part may take. Each thread has two parts in memory at most.
const PART_BYTES: usize = 4 << 20;

/// Fewer places are not worth a thread.
const FEWEST: usize = 4;

/// Commits that were read, each the first parent of the one before.
type Part = VecDeque<(Id, Arc<Content>)>;

/// Where parts begin, the newest first: all threads take turns, the one that follows the chain among them.
#[derive(Default)]
pub(super) struct Marks {
    begins: Vec<Id>,
    places: HashMap<Id, usize>,
}

impl Marks {
    /// Looks for such places.
    pub(super) fn find(context: &Context<'_>, reader: &mut Reader<'_>) -> Marks {
        let hex_len = context.algorithm.len_in_hex();
        let mut found: Vec<(i64, Id)> = Vec::new();
        for (id, content) in reader.marks(STRIDE) {
            let commit = Commit::parse(&content.data, hex_len);
            found.extend(
                commit
                    .and_then(|commit| commit.time())
                    .map(|time| (time, id)),
            );
        }
        if found.len() < FEWEST {
            return Marks::default();
        }
        found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let begins: Vec<Id> = found.into_iter().map(|(_, id)| id).collect();
        let places = begins.iter().enumerate();
        let places = places.map(|(place, id)| (*id, place)).collect();
        Marks { begins, places }
    }
}

/// The threads that read ahead, seen from the one that follows the chain.
pub(super) struct Ahead<'a> {
    marks: &'a Marks,
    helpers: Vec<Helper>,
    /// The part that the chain has come to.
    part: Part,
    done: &'a AtomicBool,
}

struct Helper {
    parts: Receiver<(usize, Part)>,
    /// One that came and is for later.
    next: Option<(usize, Part)>,
}

impl<'a> Ahead<'a> {
    /// Sets so many threads to work beside this one.
    pub(super) fn begin<'scope>(
        scope: &'scope Scope<'scope, '_>,
        context: &'scope Context<'_>,
        marks: &'scope Marks,
        done: &'scope AtomicBool,
        threads: usize,
    ) -> Ahead<'a>
    where
        'scope: 'a,
    {
        let count = match marks.begins.is_empty() {
            true => 0,
            false => threads - 1,
        };
        let helpers = (1..=count).map(|turn| {
            // One part waits while the next is read.
            let (sender, parts) = sync_channel(0);
            scope.spawn(move || help(context, marks, done, (turn, threads), &sender));
            Helper { parts, next: None }
        });
        Ahead {
            marks,
            helpers: helpers.collect(),
            part: Part::new(),
            done,
        }
    }

    /// This commit, if it was read ahead.
    pub(super) fn take(&mut self, id: &Id) -> Option<Arc<Content>> {
        if self.helpers.is_empty() {
            return None;
        }
        if let Some(place) = self.marks.places.get(id)
            && let Some(turn) = (place % (self.helpers.len() + 1)).checked_sub(1)
        {
            self.part = self.helpers[turn].part(*place).unwrap_or_default();
        }
        let (name, content) = self.part.pop_front()?;
        if name == *id {
            return Some(content);
        }
        self.part.clear();
        None
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Helper {
    /// The part that begins at this place, if this thread is there or will come there.
    fn part(&mut self, wanted: usize) -> Option<Part> {
        loop {
            let (place, part) = match self.next.take() {
                Some(next) => next,
                None => self.parts.recv().ok()?,
            };
            if place == wanted {
                return Some(part);
            }
            if place > wanted {
                self.next = Some((place, part));
                return None;
            }
        }
    }
}

/// Reads every part whose turn it is.
fn help(
    context: &Context<'_>,
    marks: &Marks,
    done: &AtomicBool,
    (turn, threads): (usize, usize),
    parts: &SyncSender<(usize, Part)>,
) {
    let mut reader = Reader::new(context.current);
    for place in (turn..marks.begins.len()).step_by(threads) {
        let part = read(context, &mut reader, marks, marks.begins[place], done);
        if done.load(Ordering::Relaxed) || parts.send((place, part)).is_err() {
            return;
        }
    }
}

/// Reads the part that begins here, up to where another begins, or to what is for the other thread to judge.
fn read(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    marks: &Marks,
    begin: Id,
    done: &AtomicBool,
) -> Part {
    let (mut part, mut bytes) = (Part::new(), 0);
    let mut next = Some(begin);
    while let Some(id) = next
        && bytes < PART_BYTES
        && !done.load(Ordering::Relaxed)
        && (part.is_empty() || !marks.places.contains_key(&id))
        && let Ok(content) = reader.fetch_new(&id, Kind::Commit)
        && reader.bad_copies.is_empty()
    {
        let commit = Commit::parse(&content.data, context.algorithm.len_in_hex());
        next = commit.and_then(|commit| commit.parents.first().copied());
        bytes += content.data.len();
        part.push_back((id, content));
    }
    reader.bad_copies.clear();
    part
}
