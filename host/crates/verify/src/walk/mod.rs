//! The walk through a trail's history: one thread reads commits from the tip down, then all threads judge them. Reads
//! objects by id and applies the rules for their bytes.

pub(crate) mod chain;
mod changes;
pub(crate) mod duplicates;
mod earlier;
pub(crate) mod history;
mod judge;
mod objects;
mod record;
mod side;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use super::findings::{Depth, Findings, Rule};
use super::graph::Graph;
use super::object::{Algorithm, Id, Kind};
use super::rules::commit::Commit;
use super::store::CurrentStore;
use super::store::reader::{Fault, Reader};
use super::visit::Visitor;

/// The data that all threads share.
pub(crate) struct Context<'a> {
    pub(crate) current: &'a CurrentStore,
    pub(crate) algorithm: Algorithm,
    pub(crate) findings: Findings,
    /// The reason why objects may be in another place, if there is one.
    pub(crate) elsewhere: Option<String>,
    /// The commit-graph, which git trusts instead of the commits.
    pub(crate) graph: Option<Graph>,
    /// The visitors of the walk.
    pub(crate) visitors: Vec<&'a dyn Visitor>,
    /// The key of the hashes that stand for ids and names, so that an attacker cannot prepare a collision.
    keys: RandomState,
    /// The objects that were entered, by keyed hash.
    seen: Mutex<HashSet<u64>>,
}

/// A commit and its depth.
pub(crate) type Place = (Depth, Id);

impl<'a> Context<'a> {
    pub(crate) fn new(
        current: &'a CurrentStore,
        algorithm: Algorithm,
        elsewhere: Option<String>,
    ) -> Context<'a> {
        Context {
            current,
            algorithm,
            findings: Findings::default(),
            elsewhere,
            graph: None,
            visitors: Vec::new(),
            keys: RandomState::new(),
            seen: Mutex::default(),
        }
    }

    fn hash_len(&self) -> usize {
        self.algorithm.len_in_bytes()
    }

    /// A short hash that stands for an id or a name.
    pub(crate) fn key(&self, bytes: &[u8]) -> u64 {
        self.keys.hash_one(bytes)
    }

    /// A hash that stands for a task, the same for all ids that differ only by case.
    fn task_key(&self, task: &str) -> u64 {
        self.key(task.to_ascii_lowercase().as_bytes())
    }

    /// Notes that an object is entered as one of this kind; returns false if it was entered before.
    fn enter(&self, id: &Id, kind: Kind) -> bool {
        let key = self.keys.hash_one((id.as_slice(), kind.name()));
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key)
    }

    /// Records an object that is not available.
    fn record_fault(&self, id: &Id, name: &str, fault: &Fault, place: Place) {
        let what = |why: &str| format!("the {name} {id}: {why}");
        match (fault, &self.elsewhere) {
            (Fault::Missing, Some(why)) => self.findings.not_shown(
                Rule::Objects,
                Some(place),
                what(&format!("is not here; {why}")),
            ),
            (Fault::Missing, None) => {
                let unusable = self.current.get().unusable.first().cloned();
                let hint = unusable.map(|why| format!(" ({why})")).unwrap_or_default();
                self.findings
                    .broken(Rule::Objects, place, what(&format!("is missing{hint}")));
            }
            (Fault::Corrupt(why), _) => self.findings.broken(Rule::Objects, place, what(why)),
            (Fault::Beyond(why), _) => {
                self.findings
                    .not_shown(Rule::Objects, Some(place), what(why))
            }
        }
    }

    /// Records the differences between git's commit-graph and a commit.
    fn check_graph(&self, id: &Id, commit: &Commit<'_>, place: Place) {
        let differs = self
            .graph
            .as_ref()
            .and_then(|graph| graph.differs(id, commit));
        if let Some(why) = differs {
            let what = format!("git shows the commit {id} differently than it is: {why}");
            self.findings.broken(Rule::Hidden, place, what);
        }
    }

    /// Records the bad copies that a reader has found.
    fn record_bad_copies(&self, reader: &mut Reader<'_>, place: Place) {
        for (id, why) in reader.bad_copies.drain(..) {
            self.findings.broken(
                Rule::Objects,
                place,
                format!("one of several copies of {id}: {why}"),
            );
        }
    }
}

/// The results of one thread, to be added up.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) objects: u64,
    pub(crate) entries: u64,
    /// The tasks, by keyed hash of the folded id, with the depth of their commits.
    pub(crate) tasks: Vec<(u64, Depth)>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.objects += other.objects;
        self.entries += other.entries;
        self.tasks.extend(other.tasks);
    }
}
