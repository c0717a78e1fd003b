//! The relations between the branches of a repository. Each is followed through its first parents, newest commits
//! first, until it meets another one or ends. Reading stops where two branches meet, unless they have nothing in
//! common.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::Candidate;
use crate::object::{Id, Kind};
use crate::rules::commit::Commit;
use crate::rules::message::{self, Role};
use crate::rules::tree::{self, Mode, Nodes};
use crate::store::reader::{Fault, Reader};
use crate::walk::Context;

/// A position on a branch: the number of its line, and the depth below its tip.
pub(super) type LinePosition = (usize, u32);

/// The first-parent commits of a tip, until they meet another line.
pub(super) struct Line {
    pub(super) tip: Id,
    /// The refs at the tip.
    pub(super) refs: Vec<Candidate>,
    /// The commits that were read and are on no other line, newest first.
    pub(super) commits: Vec<Id>,
    /// The depths of trail commits among them.
    pub(super) recorded: Vec<u32>,
    /// Whether the tip has entries.
    pub(super) has_entries: bool,
    /// Whether the line could not be followed to its end, for no known reason.
    pub(super) unreadable: bool,
    /// Where it meets another line.
    pub(super) joins: Option<LinePosition>,
    next: Option<Id>,
}

impl Line {
    /// Whether there is any sign of a trail on it.
    pub(super) fn shows_trail(&self) -> bool {
        self.has_entries || self.unreadable || !self.recorded.is_empty()
    }
}

/// All lines of a repository.
pub(super) struct Survey<'a, 'b> {
    context: &'a Context<'b>,
    pub(super) reader: Reader<'a>,
    shallow: &'a HashSet<Id>,
    pub(super) lines: Vec<Line>,
    /// The position of each commit that was read.
    spots: HashMap<u64, LinePosition>,
    /// The lines to be followed, newest commit first: those without a sign of a trail, and those with one.
    waiting: [BinaryHeap<(i64, usize)>; 2],
    /// For each line, another one that it is connected to.
    root: Vec<usize>,
    /// Whether a line has ended, met another, or shown a trail since [`Survey::is_decided`] checked all of them.
    changed: bool,
}

impl<'a, 'b> Survey<'a, 'b> {
    /// Starts a line at each of these tips.
    pub(super) fn begin(
        context: &'a Context<'b>,
        shallow: &'a HashSet<Id>,
        tips: Vec<(Id, Vec<Candidate>)>,
    ) -> Survey<'a, 'b> {
        let mut survey = Survey {
            context,
            reader: Reader::new(context.current),
            shallow,
            lines: Vec::with_capacity(tips.len()),
            spots: HashMap::new(),
            waiting: [BinaryHeap::new(), BinaryHeap::new()],
            root: (0..tips.len()).collect(),
            changed: true,
        };
        for (tip, refs) in tips {
            let place = survey.lines.len();
            survey.lines.push(Line {
                tip,
                refs,
                commits: Vec::new(),
                recorded: Vec::new(),
                has_entries: false,
                unreadable: false,
                joins: None,
                next: Some(tip),
            });
            survey.lines[place].has_entries =
                survey.audit_tree(&tip).is_some_and(|(_, tasks)| tasks);
            survey.step(place);
        }
        survey
    }

    /// Follows all lines until the relations of those with a trail are known. `head` is the line of `HEAD`, if it has
    /// one.
    pub(super) fn follow(&mut self, head: Option<usize>) {
        while !self.is_decided(head) {
            let [without, with] = &mut self.waiting;
            let Some((_, place)) = without.pop().or_else(|| with.pop()) else {
                return;
            };
            self.step(place);
        }
    }

    fn is_decided(&mut self, head: Option<usize>) -> bool {
        let [without, with] = &self.waiting;
        let (last, shows) = match (without.len(), with.len()) {
            (0, 0) => return true,
            (1, 0) => (without.peek(), false),
            (0, 1) => (with.peek(), true),
            _ => return false,
        };
        let last = last.map_or(0, |(_, place)| *place);
        // While only the last line continues, nothing changes.
        if !std::mem::take(&mut self.changed) {
            return false;
        }
        // The rest of the line does not matter if all others with a trail are connected to it.
        let last = self.root_of(last);
        let others = (0..self.lines.len()).filter(|place| self.lines[*place].shows_trail());
        let others: Vec<usize> = others.collect();
        let head_is_there = shows || head.is_none_or(|head| self.root_of(head) == last);
        head_is_there && others.into_iter().all(|place| self.root_of(place) == last)
    }

    /// Follows a line by one commit.
    fn step(&mut self, place: usize) {
        let Some(id) = self.lines[place].next.take() else {
            return;
        };
        let shown = self.lines[place].shows_trail();
        self.take(place, id);
        let line = &self.lines[place];
        self.changed |= line.next.is_none() || line.shows_trail() != shown;
    }

    fn take(&mut self, place: usize, id: Id) {
        let key = self.context.key(id.as_slice());
        if let Some(spot) = self.spots.get(&key).copied() {
            self.lines[place].joins = Some(spot);
            let (one, other) = (self.root_of(place), self.root_of(spot.0));
            self.root[one] = other;
            return;
        }
        let content = match self.reader.fetch(&id, Kind::Commit) {
            Ok(content) => content,
            Err(fault) => {
                let newest = self.lines[place].commits.last();
                let is_cut = newest.is_some_and(|newest| self.shallow.contains(newest));
                let explained =
                    matches!(fault, Fault::Missing) && (is_cut || self.context.elsewhere.is_some());
                self.lines[place].unreadable = !explained;
                return;
            }
        };
        let commit = Commit::parse(&content.data, self.context.algorithm.len_in_hex());
        let line = &mut self.lines[place];
        let Some(commit) = commit else {
            line.unreadable = true;
            return;
        };
        let depth = line.commits.len() as u32;
        self.spots.insert(key, (place, depth));
        line.commits.push(id);
        if message::role(commit.message) != Role::Person {
            line.recorded.push(depth);
        }
        line.next = commit.parents.first().copied();
        if line.next.is_some() {
            let heap = &mut self.waiting[usize::from(line.shows_trail())];
            heap.push((commit.time().unwrap_or(0), place));
        }
    }

    /// The line that represents all lines connected to this one.
    pub(super) fn root_of(&mut self, mut place: usize) -> usize {
        while self.root[place] != place {
            self.root[place] = self.root[self.root[place]];
            place = self.root[place];
        }
        place
    }

    /// The tree of `.audit` at a commit, and whether it has tasks; `None` if it does not exist or cannot be read.
    pub(super) fn audit_tree(&mut self, commit: &Id) -> Option<(Id, bool)> {
        let content = self.reader.fetch(commit, Kind::Commit).ok()?;
        let tree = Commit::parse(&content.data, self.context.algorithm.len_in_hex())?.tree;
        let audit = self.child(&tree, b".audit")?;
        let tasks = self.child(&audit, b"tasks").is_some();
        Some((audit, tasks))
    }

    fn child(&mut self, tree: &Id, name: &[u8]) -> Option<Id> {
        let content = self.reader.fetch(tree, Kind::Tree).ok()?;
        let mut nodes = Nodes::new(&content.data, self.context.algorithm.len_in_bytes());
        nodes.find(|node| node.name == name).map(|node| node.id())
    }

    /// Whether one commit is an ancestor of another, through any parents.
    pub(super) fn is_merged(&mut self, tip: Id, ancestor: Id) -> bool {
        let hex_len = self.context.algorithm.len_in_hex();
        let mut seen = HashSet::from([self.context.key(tip.as_slice())]);
        let mut next = vec![tip];
        while let Some(id) = next.pop() {
            if id == ancestor {
                return true;
            }
            let Ok(content) = self.reader.fetch(&id, Kind::Commit) else {
                continue;
            };
            let parents = Commit::parse(&content.data, hex_len).map(|commit| commit.parents);
            for parent in parents.unwrap_or_default() {
                if seen.insert(self.context.key(parent.as_slice())) {
                    next.push(parent);
                }
            }
        }
        false
    }

    /// Whether all entries at one commit are unchanged at another.
    pub(super) fn holds_all(&mut self, commit: &Id, part: &Id) -> bool {
        let (Some((whole, _)), Some((part, _))) = (self.audit_tree(commit), self.audit_tree(part))
        else {
            return false;
        };
        let hash_len = self.context.algorithm.len_in_bytes();
        let mut pairs = vec![(whole, part)];
        while let Some((whole, part)) = pairs.pop() {
            let trees = [whole, part].map(|tree| self.reader.fetch(&tree, Kind::Tree));
            let [Ok(whole), Ok(part)] = trees else {
                return false;
            };
            let mut there = Nodes::new(&whole.data, hash_len).peekable();
            for node in Nodes::new(&part.data, hash_len) {
                while there
                    .next_if(|there| tree::order(there, &node).is_lt())
                    .is_some()
                {}
                match there.next_if(|there| there.name == node.name) {
                    Some(same) if same.is_same(&node) => {}
                    Some(other) if other.mode == Mode::Tree && node.mode == Mode::Tree => {
                        pairs.push((other.id(), node.id()));
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    /// The trail of a line: its uuid, or else its first record. Reads as much of the line as needed.
    pub(super) fn trail_of(&mut self, place: usize) -> Option<String> {
        let mut next = Some(self.lines[place].tip);
        let mut first = None;
        let hex_len = self.context.algorithm.len_in_hex();
        while let Some(id) = next {
            let Ok(content) = self.reader.fetch(&id, Kind::Commit) else {
                break;
            };
            let commit = Commit::parse(&content.data, hex_len)?;
            match message::role(commit.message) {
                Role::Person => {}
                Role::Entry => first = Some(format!("commit-{id}")),
                Role::Genesis => {
                    let trailers = message::check(commit.message, Role::Genesis).ok();
                    let uuid = trailers.and_then(|trailers| trailers.trail.map(str::to_owned));
                    return uuid.or(first);
                }
            }
            next = commit.parents.first().copied();
        }
        first
    }
}
