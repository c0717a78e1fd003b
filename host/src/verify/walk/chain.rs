//! First-parent history as a chain of commits, read from the tip down: each names the next, so nobody can help. Judges what
//! depends on their order alone; what each commit changes is judged later, in whichever order is fastest.

use super::objects::read_other;
use super::{Context, Place};
use crate::verify::Progress;
use crate::verify::findings::{Depth, Rule};
use crate::verify::rules::commit::Commit;
use crate::verify::rules::message::{self, Role};
use crate::verify::store::hash::{Id, Kind};
use crate::verify::store::reader::{Fault, Reader};

/// The first-parent commits of a tip.
#[derive(Default)]
pub(crate) struct Chain {
    /// Their names end to end, newest first.
    names: Vec<u8>,
    hash_len: usize,
    pub(crate) trail_id: Option<String>,
    /// Why the oldest commits were not seen, if they were not.
    pub(crate) cut: Option<String>,
    /// The commit below the oldest, where the walk was to end, if it came to it.
    pub(crate) until: Option<Id>,
    /// Second and further parents, and the commit that merges them.
    pub(super) merged: Vec<(Id, Place)>,
}

impl Chain {
    /// The number of commits.
    pub(crate) fn len(&self) -> Depth {
        match self.hash_len {
            0 => 0,
            hash_len => (self.names.len() / hash_len) as Depth,
        }
    }

    /// The commit so many steps below the tip.
    pub(crate) fn id(&self, depth: Depth) -> Id {
        let at = depth as usize * self.hash_len;
        Id::from_bytes_or_panic(&self.names[at..at + self.hash_len])
    }

    /// All commits, newest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        (0..self.len()).map(|depth| self.id(depth))
    }
}

/// How often progress is told, in commits.
const PROGRESS: u32 = 4096;

/// Rules about which nothing can be said where history is not seen.
const NEED_ALL: [Rule; 6] = [
    Rule::Objects,
    Rule::AppendOnly,
    Rule::OneEntry,
    Rule::Agreement,
    Rule::Once,
    Rule::Times,
];

/// Reads the chain of this tip.
pub(super) fn read(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tip: Id,
    shallow: &[Id],
    until: Option<Id>,
    progress: Option<&dyn Fn(Progress)>,
) -> Chain {
    let mut chain = Chain {
        hash_len: context.algorithm.len_in_bytes(),
        ..Chain::default()
    };
    let mut order = Order::default();
    let mut next = Some(tip);
    let mut cut = None;
    while let Some(id) = next {
        if until == Some(id) {
            chain.until = until;
            break;
        }
        let place = (chain.len(), id);
        let Ok(content) = read_other(context, reader, &id, Kind::Commit, place) else {
            let what = format!("the history before the commit {id}, which cannot be read");
            cut = Some((place, what));
            break;
        };
        let Some(commit) = Commit::parse(&content.data, context.algorithm.len_in_hex()) else {
            let findings = &context.findings;
            findings.broken(
                Rule::Objects,
                place,
                format!("the commit {id}: it is malformed"),
            );
            let what = format!("the history before the commit {id}, which is malformed");
            cut = Some((place, what));
            break;
        };
        chain.names.extend_from_slice(id.as_slice());
        order.follow(context, place, &commit);
        next = commit.parents.first().copied();
        let merged = commit.parents.iter().skip(1);
        chain.merged.extend(merged.map(|parent| (*parent, place)));
        if shallow.contains(&id)
            && let Some(parent) = next
            && let Err(Fault::Missing) = reader.fetch(&parent, Kind::Commit)
        {
            let what =
                format!("the history before the commit {id}, where this shallow clone is cut off");
            cut = Some((place, what));
            next = None;
        }
        if let Some(progress) = progress.filter(|_| chain.len().is_multiple_of(PROGRESS)) {
            progress(Progress {
                commits: u64::from(chain.len()),
                judged: None,
            });
        }
    }
    chain.trail_id = order.end(context);
    if let Some((place, what)) = &cut {
        for rule in NEED_ALL {
            context.findings.not_shown(rule, Some(*place), what.clone());
        }
    }
    chain.cut = cut.map(|(_, what)| what);
    chain
}

/// What depends on the commits above: the order of times, and of beginnings.
#[derive(Default)]
struct Order {
    /// The trail commit above, and its time.
    newer: Option<(i64, Place)>,
    /// The oldest genesis commit so far, and an entry that is older.
    genesis: Option<(Place, Option<Id>)>,
    trail_id: Option<String>,
}

impl Order {
    /// Takes in the next older commit.
    fn follow(&mut self, context: &Context<'_>, place: Place, commit: &Commit<'_>) {
        let role = message::role(commit.message);
        if role == Role::Person {
            return;
        }
        let findings = &context.findings;
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

    /// Judges the beginning, when there is no older commit. Returns the trail's identity.
    fn end(self, context: &Context<'_>) -> Option<String> {
        if let Some((place, Some(older))) = self.genesis {
            context.findings.broken(
                Rule::OneEntry,
                place,
                format!("the trail begins after its entries; look at {older}"),
            );
        }
        self.trail_id
    }
}
