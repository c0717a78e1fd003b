//! First-parent history as a chain of commits, read from the tip down by one thread, because each commit names the
//! next. Judges the rules about their order; the changes of each commit are judged later, in the fastest order.

use std::sync::Arc;

use super::history::WalkOptions;
use super::objects::read_other;
use super::{Context, Place};
use crate::Progress;
use crate::findings::{Depth, Rule};
use crate::object::{Id, Kind};
use crate::rules::commit::Commit;
use crate::rules::message::{self, Role};
use crate::store::cache::Content;
use crate::store::reader::{Fault, Reader};
use crate::visit::Walk;

/// The first-parent commits of a tip.
#[derive(Default)]
pub(crate) struct Chain {
    /// The concatenated ids of the commits, newest first.
    id_bytes: Vec<u8>,
    hash_len: usize,
    /// One bit for each commit: whether it claims to add an entry.
    adding: Vec<u64>,
    pub(crate) trail_id: Option<String>,
    /// The depth of the genesis commit, if there is one.
    pub(crate) genesis: Option<Depth>,
    /// On a separate ref: the oldest foreign commit after the genesis commit, and the number of such commits.
    pub(crate) foreign: Option<(Place, u64)>,
    /// The commit where the walk was to end.
    pub(crate) border: Option<Arc<Content>>,
    /// The first-parent commits from there down that were read.
    pub(super) below: Vec<Id>,
    /// The reason why the oldest commits were not seen, if there is one.
    pub(crate) cut: Option<String>,
    /// The newest trail commit and its time.
    pub(crate) newest: Option<(i64, Place)>,
    /// The commit where the walk was to end, if it was reached.
    pub(crate) until: Option<Id>,
    /// Second and further parents, with the commit that merges them.
    pub(super) merged: Vec<(Id, Place)>,
    /// Whether a commit has merged other history.
    pub(crate) has_merges: bool,
}

impl Chain {
    /// The number of commits.
    pub(crate) fn len(&self) -> Depth {
        match self.hash_len {
            0 => 0,
            hash_len => (self.id_bytes.len() / hash_len) as Depth,
        }
    }

    /// The commit at this depth below the tip.
    pub(crate) fn id(&self, depth: Depth) -> Id {
        let at = depth as usize * self.hash_len;
        Id::from_bytes_or_panic(&self.id_bytes[at..at + self.hash_len])
    }

    /// Whether the commit claims to add an entry.
    pub(super) fn adds(&self, depth: Depth) -> bool {
        let word = self.adding.get(depth as usize / 64);
        word.is_some_and(|word| word >> (depth % 64) & 1 == 1)
    }

    /// How many commits at this depth and below claim to add an entry.
    pub(crate) fn entries_from(&self, depth: Depth) -> u64 {
        let (word, bit) = (depth as usize / 64, depth % 64);
        let Some(first) = self.adding.get(word) else {
            return 0;
        };
        let rest = self.adding[word + 1..]
            .iter()
            .map(|word| u64::from(word.count_ones()));
        u64::from((first >> bit).count_ones()) + rest.sum::<u64>()
    }

    /// The depths of the commits that claim to add an entry, the oldest first.
    pub(crate) fn entry_depths(&self) -> impl Iterator<Item = Depth> + '_ {
        (0..self.len()).rev().filter(|depth| self.adds(*depth))
    }

    /// The oldest commit above this depth that claims to add an entry, and how many do; `None` if none does.
    pub(crate) fn entries_above(&self, depth: Depth) -> Option<(Depth, u64)> {
        let oldest = (0..depth).rev().find(|above| self.adds(*above))?;
        let count = self.entries_from(0) - self.entries_from(depth);
        Some((oldest, count))
    }

    /// The oldest commit that claims to add an entry.
    pub(crate) fn first_entry(&self) -> Option<Id> {
        let word = self.adding.iter().rposition(|word| *word != 0)?;
        let bit = 63 - self.adding[word].leading_zeros();
        Some(self.id(word as Depth * 64 + bit))
    }

    /// The last part of the trail's origin: its uuid, or else the commit of its first entry; `None` if neither was
    /// seen.
    pub(crate) fn origin_id(&self) -> Option<String> {
        if self.trail_id.is_some() || self.cut.is_some() || self.until.is_some() {
            return self.trail_id.clone();
        }
        self.first_entry().map(|id| format!("commit-{id}"))
    }

    /// The depth of this commit.
    pub(crate) fn depth_of(&self, id: &Id) -> Option<Depth> {
        let mut ids = self.id_bytes.chunks_exact(self.hash_len.max(1));
        let place = ids.position(|other| other == id.as_slice())?;
        Some(place as Depth)
    }

    /// The facts that are known before commits are judged.
    pub(crate) fn outline(&self) -> Walk<'_> {
        Walk {
            commits: u64::from(self.len()),
            entries: self.entries_from(0),
            trail_id: self.trail_id.as_deref(),
            cut: self.cut.as_deref(),
            until: self.until,
            chain: self,
        }
    }

    /// All commits, newest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        (0..self.len()).map(|depth| self.id(depth))
    }
}

/// The number of commits between two progress reports.
const PROGRESS: u32 = 4096;

/// The rules that cannot be shown without the whole history.
const NEED_ALL: [Rule; 6] = [
    Rule::Objects,
    Rule::AppendOnly,
    Rule::OneEntry,
    Rule::Agreement,
    Rule::Once,
    Rule::Times,
];

/// A commit that was just read.
pub(super) struct ReadCommit {
    pub(super) content: Arc<Content>,
    pub(super) tree: Id,
    pub(super) role: Role,
}

/// Reads a chain from the tip down.
pub(super) struct ChainReader<'a> {
    pub(super) chain: Chain,
    context: &'a Context<'a>,
    how: &'a WalkOptions<'a>,
    progress: Option<&'a dyn Fn(Progress)>,
    order: OrderCheck,
    next: Option<Id>,
    cut: Option<(Place, String)>,
}

impl<'a> ChainReader<'a> {
    /// Starts at this tip.
    pub(super) fn begin(
        context: &'a Context<'a>,
        tip: Id,
        how: &'a WalkOptions<'a>,
        progress: Option<&'a dyn Fn(Progress)>,
    ) -> ChainReader<'a> {
        ChainReader {
            chain: Chain {
                hash_len: context.algorithm.len_in_bytes(),
                ..Chain::default()
            },
            context,
            how,
            progress,
            order: OrderCheck::default(),
            next: Some(tip),
            cut: None,
        }
    }

    /// Reads the next older commit; `None` if history ends, or cannot be read further.
    pub(super) fn read_next(&mut self, reader: &mut Reader<'_>) -> Option<ReadCommit> {
        let id = self.next.take()?;
        if self.how.until == Some(id) {
            self.chain.until = self.how.until;
            self.read_border(reader, id);
            return None;
        }
        let context = self.context;
        let chain = &mut self.chain;
        let place = (chain.len(), id);
        let Ok(content) = read_other(context, reader, &id, Kind::Commit, place) else {
            let what = format!("the history before the commit {id}, which cannot be read");
            self.cut = Some((place, what));
            return None;
        };
        let Some(commit) = Commit::parse(&content.data, context.algorithm.len_in_hex()) else {
            let findings = &context.findings;
            findings.broken(
                Rule::Objects,
                place,
                format!("the commit {id}: it is malformed"),
            );
            let what = format!("the history before the commit {id}, which is malformed");
            self.cut = Some((place, what));
            return None;
        };
        context.check_graph(&id, &commit, place);
        chain.id_bytes.extend_from_slice(id.as_slice());
        let role = message::role(commit.message);
        if place.0 % 64 == 0 {
            chain.adding.push(0);
        }
        if let Some(word) = chain.adding.last_mut().filter(|_| role == Role::Entry) {
            *word |= 1 << (place.0 % 64);
        }
        if role == Role::Genesis {
            chain.genesis = Some(place.0);
        }
        self.order.follow(context, place, &commit, role);
        let tree = commit.tree;
        self.next = commit.parents.first().copied();
        chain.has_merges |= commit.parents.len() > 1;
        let merged = commit.parents.iter().skip(1);
        chain.merged.extend(merged.map(|parent| (*parent, place)));
        if self.how.shallow.contains(&id)
            && let Some(parent) = self.next
            && let Err(Fault::Missing) = reader.fetch(&parent, Kind::Commit)
        {
            let what =
                format!("the history before the commit {id}, where this shallow clone is cut off");
            self.cut = Some((place, what));
            self.next = None;
        }
        if let Some(progress) = self
            .progress
            .filter(|_| chain.len().is_multiple_of(PROGRESS))
        {
            progress(Progress {
                commits: u64::from(chain.len()),
                judged: None,
            });
        }
        Some(ReadCommit {
            content,
            tree,
            role,
        })
    }

    /// Reads the commit where the walk ends, which later commits are compared with.
    fn read_border(&mut self, reader: &mut Reader<'_>, id: Id) {
        let (context, place) = (self.context, (self.chain.len(), id));
        let Ok(content) = read_other(context, reader, &id, Kind::Commit, place) else {
            return;
        };
        let commit = Commit::parse(&content.data, context.algorithm.len_in_hex());
        let role = commit.as_ref().map(|commit| message::role(commit.message));
        match (&commit, role) {
            (Some(commit), Some(Role::Entry)) => {
                self.order.follow(context, place, commit, Role::Entry);
                self.chain.border = Some(Arc::clone(&content));
            }
            _ => context.findings.broken(
                Rule::OneEntry,
                place,
                "it is the commit of the checkpoint's last entry, and not a record of a task"
                    .to_owned(),
            ),
        }
    }

    /// Reads on from the border to the genesis commit, if commits by people or merges come after it. The genesis commit
    /// says whether they are allowed, and merged commits lead to existing ones.
    fn read_below(&mut self, reader: &mut Reader<'_>) {
        let hex_len = self.context.algorithm.len_in_hex();
        let mut next = self.chain.until.filter(|_| self.order.people.is_some());
        let mut genesis = None;
        while let Some(id) = next {
            // It was there before the checkpoint, and is not judged again.
            let Ok(content) = reader.fetch(&id, Kind::Commit) else {
                break;
            };
            let Some(commit) = Commit::parse(&content.data, hex_len) else {
                break;
            };
            self.chain.below.push(id);
            if message::role(commit.message) == Role::Genesis {
                genesis = Some(is_on_ref(&commit));
            }
            next = commit.parents.first().copied();
        }
        reader.bad_copies.clear();
        if genesis == Some(true) {
            self.order.foreign = self.order.people;
        }
    }

    /// Reads the rest, and judges the start of the trail.
    pub(super) fn finish(mut self, reader: &mut Reader<'_>) -> Chain {
        while self.read_next(reader).is_some() {}
        self.read_below(reader);
        let mut chain = self.chain;
        chain.foreign = self.order.foreign;
        chain.newest = self.order.newest;
        chain.trail_id = self.order.end(self.context);
        if chain.until.is_some() {
            // The genesis commit is farther down; one after it does not count.
            chain.trail_id = None;
            chain.genesis = None;
        }
        if let Some((place, what)) = &self.cut {
            for rule in NEED_ALL {
                self.context
                    .findings
                    .not_shown(rule, Some(*place), what.clone());
            }
        }
        chain.cut = self.cut.map(|(_, what)| what);
        chain
    }
}

/// The checks that depend on newer commits: the order of times, and of genesis commits.
#[derive(Default)]
struct OrderCheck {
    /// The newest trail commit, and its time.
    newest: Option<(i64, Place)>,
    /// The next newer trail commit, and its time.
    newer: Option<(i64, Place)>,
    /// The oldest genesis commit so far, and an entry that is older.
    genesis: Option<(Place, Option<Id>)>,
    trail_id: Option<String>,
    /// The oldest foreign commit so far, and the number of such commits.
    people: Option<(Place, u64)>,
    /// The foreign commits after the oldest genesis commit so far, if it does not allow them.
    foreign: Option<(Place, u64)>,
}

/// How far ahead of another clock a commit may be without a note, in seconds: clocks differ, and time zones are set
/// wrongly.
const MAX_AHEAD: i64 = 24 * 60 * 60;

/// Notes a trail whose newest commit is dated after `now`: times never decrease, so a host waits until then, or every
/// later record has that time, too.
pub(crate) fn note_ahead(context: &Context<'_>, chain: &Chain, now: i64) {
    let newest = chain.newest;
    if let Some((time, (_, id))) = newest.filter(|(time, _)| time.saturating_sub(now) > MAX_AHEAD) {
        let time = crate::signature::show_time(time);
        let what = format!("commit {id} is dated ahead of this machine's clock: {time}");
        context.findings.note(Rule::Times, what);
    }
}

/// Whether a genesis commit says that the trail has a separate ref.
fn is_on_ref(genesis: &Commit<'_>) -> bool {
    message::check(genesis.message, Role::Genesis)
        .is_ok_and(|trailers| trailers.placement == Some("ref"))
}

impl OrderCheck {
    /// Checks the next older commit.
    fn follow(&mut self, context: &Context<'_>, place: Place, commit: &Commit<'_>, role: Role) {
        if role == Role::Person {
            let before = self.people.map_or(0, |(_, number)| number);
            self.people = Some((place, before + 1));
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
            self.newest = self.newest.or(self.newer);
        }
        if role == Role::Genesis {
            if let Some((above, _)) = self.genesis {
                findings.broken(
                    Rule::OneEntry,
                    above,
                    format!("the trail starts a second time; it started at {}", place.1),
                );
            }
            self.genesis = Some((place, None));
            self.foreign = self.people.filter(|_| is_on_ref(commit));
            self.trail_id = message::check(commit.message, role)
                .ok()
                .and_then(|trailers| trailers.trail.map(str::to_owned));
        } else if let Some((_, older)) = &mut self.genesis {
            *older = Some(place.1);
        }
    }

    /// Judges the start of the trail after the oldest commit. Returns the trail's uuid.
    fn end(self, context: &Context<'_>) -> Option<String> {
        if let Some((place, Some(older))) = self.genesis {
            context.findings.broken(
                Rule::OneEntry,
                place,
                format!("the trail starts after its entries; look at {older}"),
            );
        }
        self.trail_id
    }
}
