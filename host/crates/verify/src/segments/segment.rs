//! What an audit of one trail keeps for the links: its end and beginning, its tree, and its tasks.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::continuation::{Ends, may_be_end};
use crate::findings::Depth;
use crate::merkle::leaf::{self, Hash};
use crate::merkle::note::ORIGIN;
use crate::merkle::seen::SeenLeaves;
use crate::merkle::tree::GrowingTree;
use crate::object::Id;
use crate::report::{Claim, Report};
use crate::visit::{TrailCommit, Visitor, Walk};

/// A hash of 128 bits that stands for a task. The keys are secret, so that an attacker cannot prepare a collision; by
/// chance two of a thousand million tasks meet once in 10^20 audits. Two words, because a slot of the map is smaller then.
type TaskKey = [u64; 2];

/// The tasks of the trails that were audited, and those that are in two of them.
#[derive(Default)]
pub(super) struct TaskIndex {
    keys: [RandomState; 2],
    tasks: HashMap<TaskKey, u32>,
    duplicates: Duplicates,
}

/// Tasks that are in two trails: the first of them, and their number.
#[derive(Clone, Debug, Default)]
pub(super) struct Duplicates {
    pub(super) first: Option<DuplicateTask>,
    pub(super) number: u64,
}

/// A task that is in two trails.
#[derive(Clone, Debug)]
pub(super) struct DuplicateTask {
    pub(super) task: String,
    /// The numbers of the trails, in the order in which they were named.
    pub(super) first: usize,
    pub(super) second: usize,
    /// The commit in the second trail.
    pub(super) commit: Id,
    depth: Depth,
}

impl TaskIndex {
    /// Adds the tasks of a trail, and those of its tasks that were known.
    pub(super) fn add(&mut self, number: usize, tasks: Vec<TaskKey>, duplicates: Duplicates) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.tasks.reserve(tasks.len());
        for task in tasks {
            self.tasks.entry(task).or_insert(number);
        }
        // The trails are added in order, so an earlier one has the first.
        self.duplicates.number += duplicates.number;
        self.duplicates.first = self.duplicates.first.take().or(duplicates.first);
    }

    pub(super) fn duplicates(&self) -> &Duplicates {
        &self.duplicates
    }

    fn key(&self, task: &str) -> TaskKey {
        let folded = match task.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(task.to_ascii_lowercase()),
            false => Cow::Borrowed(task),
        };
        self.keys.each_ref().map(|key| key.hash_one(&*folded))
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
    leaves: SeenLeaves,
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

    /// The number of entries.
    pub(super) fn size(&self) -> u64 {
        self.leaves.len()
    }

    /// The root over the first `size` entries in base64; `None` if there are fewer, or one of them could not be read.
    pub(super) fn root_at(&self, size: u64) -> Option<String> {
        let mut tree = GrowingTree::default();
        self.leaves.grow(&mut tree, size).ok()?;
        Some(STANDARD.encode(tree.root()))
    }
}

/// The visitor of one trail.
pub(super) struct SegmentVisitor<'a> {
    number: usize,
    /// Whether a later trail is compared with this one.
    is_last: bool,
    index: &'a TaskIndex,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    ends: Ends,
    /// The entries that were seen. Their numbers are only known at the end of the walk.
    seen: Vec<(Depth, Hash)>,
    leaves: SeenLeaves,
    tasks: Vec<TaskKey>,
    duplicates: Duplicates,
    cut: Option<String>,
    id: Option<String>,
    last: Option<(Depth, Id)>,
}

impl Parts {
    fn note_duplicate(&mut self, found: DuplicateTask) {
        self.duplicates.number += 1;
        let first = self.duplicates.first.as_ref();
        if first.is_none_or(|first| found.depth > first.depth) {
            self.duplicates.first = Some(found);
        }
    }
}

impl<'a> SegmentVisitor<'a> {
    /// `is_last` says that no later trail is compared with this one.
    pub(super) fn new(number: usize, is_last: bool, index: &'a TaskIndex) -> SegmentVisitor<'a> {
        SegmentVisitor {
            number,
            is_last,
            index,
            parts: Mutex::default(),
        }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept, the tasks, and those of them that earlier trails have.
    pub(super) fn into_parts(self, path: &Path) -> (Segment, Vec<TaskKey>, Duplicates) {
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
            leaves: parts.leaves,
        };
        (segment, parts.tasks, parts.duplicates)
    }
}

impl Visitor for SegmentVisitor<'_> {
    /// The depths suffice, so that commits are judged while the chain is still being read.
    fn needs_position(&self) -> bool {
        false
    }

    fn visit(&self, commit: &TrailCommit<'_>) {
        let Some(entry) = commit.entry.filter(|_| !commit.is_genesis) else {
            return;
        };
        let hash = leaf::hash(entry.path, entry.bytes, commit.raw);
        let is_end = may_be_end(commit);
        let task = entry.task.filter(|_| !is_end);
        let key = task.map(|task| self.index.key(task));
        let first = key.and_then(|key| self.index.tasks.get(&key)).copied();
        let (depth, id) = (commit.depth, commit.id);
        let mut parts = self.parts();
        if is_end {
            parts.ends.note(commit);
        }
        parts.seen.push((depth, hash));
        if !self.is_last {
            parts.tasks.extend(key);
        }
        if parts.last.is_none_or(|(last, _)| depth < last) {
            parts.last = Some((depth, id));
        }
        if let (Some(task), Some(first)) = (task, first) {
            parts.note_duplicate(DuplicateTask {
                task: task.to_owned(),
                first: first as usize,
                second: self.number,
                commit: id,
                depth,
            });
        }
    }

    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let mut parts = self.parts();
        let mut seen = std::mem::take(&mut parts.seen);
        seen.sort_unstable_by_key(|(depth, _)| Reverse(*depth));
        let mut leaves = SeenLeaves::with_len(walk.chain.entries_from(0));
        let mut seen = seen.into_iter().peekable();
        for (index, depth) in (0..).zip(walk.chain.entry_depths()) {
            if let Some((_, hash)) = seen.next_if(|(of, _)| *of == depth) {
                leaves.set(index, hash);
            }
        }
        parts.leaves = leaves;
        parts.cut = walk.cut.map(str::to_owned);
        parts.id = walk.chain.origin_id();
        Vec::new()
    }
}
