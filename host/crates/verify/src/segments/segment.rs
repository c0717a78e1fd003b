//! What an audit of one trail keeps for the links: its ends, its tree, and its tasks.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::continuation::{Ends, may_be_end};
use crate::merkle::leaf::{self, Hash};
use crate::merkle::note::ORIGIN;
use crate::merkle::tree::GrowingTree;
use crate::object::Id;
use crate::report::Report;
use crate::rules::path;
use crate::visit::{TrailCommit, Visitor, Walk};

/// A short hash that stands for a task. The keys are secret, so that an attacker cannot prepare a collision; by chance
/// two of a thousand million tasks meet once in 10^20 audits.
type TaskKey = u128;

/// The hash for an entry that was not seen.
const NONE: Hash = [0; 32];

/// The tasks of the trails that were audited, and those that are in two of them.
#[derive(Default)]
pub(super) struct Known {
    keys: (RandomState, RandomState),
    tasks: HashMap<TaskKey, u32>,
    twice: Vec<Twice>,
}

/// A task that is in two trails.
#[derive(Clone, Debug)]
pub(super) struct Twice {
    pub(super) task: String,
    /// The numbers of the trails, in the order in which they were named.
    pub(super) first: usize,
    pub(super) second: usize,
    /// The commit in the second trail.
    pub(super) commit: Id,
    position: u64,
}

impl Known {
    /// Adds the tasks of a trail, and those of its tasks that were known.
    pub(super) fn add(&mut self, number: usize, tasks: Vec<TaskKey>, again: Vec<Twice>) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.tasks.reserve(tasks.len());
        for task in tasks {
            self.tasks.entry(task).or_insert(number);
        }
        self.twice.extend(again);
    }

    /// The first task that is in two trails.
    pub(super) fn first_twice(&self) -> Option<&Twice> {
        self.twice
            .iter()
            .min_by_key(|twice| (twice.second, twice.position))
    }

    /// The number of tasks that are in two trails.
    pub(super) fn number_twice(&self) -> u64 {
        self.twice.len() as u64
    }

    fn key(&self, task: &str) -> TaskKey {
        let folded = task.to_ascii_lowercase();
        let (high, low) = (&self.keys.0, &self.keys.1);
        u128::from(high.hash_one(&folded)) << 64 | u128::from(low.hash_one(&folded))
    }
}

/// One trail of several, after its audit.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The last part of its origin; `None` if the beginning cannot be read.
    pub(super) id: Option<String>,
    pub(super) tip: Option<String>,
    pub(super) ends: Ends,
    /// The reason why the oldest entries were not seen, if there is one.
    pub(super) cut: Option<String>,
    /// The commit of the last entry.
    pub(super) last: Option<Id>,
    /// The number of entries.
    pub(super) size: u64,
    hashes: Vec<Hash>,
}

impl Segment {
    /// The same, with what the report says about it.
    pub(super) fn named(self, report: &Report) -> Segment {
        Segment {
            id: report.trail_id.clone().or(self.id),
            tip: report.tip.clone(),
            ..self
        }
    }

    /// The origin of the trail, or where it was.
    pub(super) fn origin(&self) -> String {
        match &self.id {
            Some(id) => format!("{ORIGIN}{id}"),
            None => self.path.display().to_string(),
        }
    }

    /// The root over the first `size` entries in base64; `None` if there are fewer, or one of them could not be read.
    pub(super) fn root_at(&self, size: u64) -> Option<String> {
        let hashes = self.hashes.get(..usize::try_from(size).ok()?)?;
        let mut tree = GrowingTree::default();
        for hash in hashes {
            if *hash == NONE {
                return None;
            }
            tree.push(*hash);
        }
        Some(STANDARD.encode(tree.root()))
    }
}

/// The visitor of one trail.
pub(super) struct Seen<'a> {
    number: usize,
    known: &'a Known,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    ends: Ends,
    hashes: Vec<Hash>,
    tasks: Vec<TaskKey>,
    again: Vec<Twice>,
    cut: Option<String>,
    id: Option<String>,
    last: Option<(u64, Id)>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(number: usize, known: &'a Known) -> Seen<'a> {
        Seen {
            number,
            known,
            parts: Mutex::default(),
        }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept, the tasks, and those of them that other trails have.
    pub(super) fn into_parts(self, path: &Path) -> (Segment, Vec<TaskKey>, Vec<Twice>) {
        let parts = self
            .parts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let segment = Segment {
            path: path.to_owned(),
            id: parts.id,
            tip: None,
            ends: parts.ends,
            cut: parts.cut,
            last: parts.last.map(|(_, id)| id),
            size: parts.hashes.len() as u64,
            hashes: parts.hashes,
        };
        (segment, parts.tasks, parts.again)
    }
}

impl Visitor for Seen<'_> {
    fn begin(&self, walk: &Walk<'_>) {
        let entries = usize::try_from(walk.entries).unwrap_or(usize::MAX);
        let mut parts = self.parts();
        parts.hashes = vec![NONE; entries];
        parts.tasks.reserve(entries);
        parts.cut = walk.cut.map(str::to_owned);
        parts.id = walk.chain.origin_id();
    }

    fn visit(&self, commit: &TrailCommit<'_>) {
        let Some(entry) = commit.entry.filter(|_| !commit.is_genesis) else {
            return;
        };
        let hash = leaf::hash(entry.path, entry.bytes, commit.raw);
        let task = path::task_at(entry.path)
            .ok()
            .filter(|_| !may_be_end(commit));
        let key = task.map(|task| self.known.key(task));
        let first = key.and_then(|key| self.known.tasks.get(&key)).copied();
        let mut parts = self.parts();
        if may_be_end(commit) {
            parts.ends.note(commit);
        }
        let place = usize::try_from(commit.position).unwrap_or(usize::MAX);
        if let Some(slot) = parts.hashes.get_mut(place) {
            *slot = hash;
        }
        parts.tasks.extend(key);
        let is_last = parts
            .last
            .is_none_or(|(position, _)| position < commit.position);
        if is_last {
            parts.last = Some((commit.position, commit.id));
        }
        if let (Some(task), Some(first)) = (task, first) {
            parts.again.push(Twice {
                task: task.to_owned(),
                first: first as usize,
                second: self.number,
                commit: commit.id,
                position: commit.position,
            });
        }
    }
}
