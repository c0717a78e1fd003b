//! The claim that the trail extends every given checkpoint. The tree is rebuilt from the trail itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::given::{GivenCheckpoint, MAX_CLOCK_SKEW, claim_signed, parse_key};
use super::merkle::leaf;
use super::merkle::note::{Checkpoint, NoteKey, ORIGIN};
use super::merkle::seen::SeenLeaves;
use super::merkle::tree::GrowingTree;
use super::object::Id;
use super::quote::quote;
use super::report::{Claim, Verdict};
use super::rules::time;
use super::signature::show_time;
use super::sources::Sources;
use super::trust::{read, unreadable};
use super::visit::{TrailCommit, Visitor, Walk};
use super::{Options, VerifyError};

pub(crate) const TITLE: &str = "extends every checkpoint";

/// Makes the visitor for the claims about all given checkpoints.
///
/// # Errors
///
/// The key cannot be used.
pub(crate) fn visitor<'a>(
    options: &Options<'_>,
    sources: &'a Sources,
) -> Result<Box<dyn Visitor + 'a>, VerifyError> {
    let key = options.checkpoint_key.as_deref().map(parse_key);
    let key = key.transpose()?;
    let asked = options.require.checkpoint || key.is_some();
    Ok(Box::new(Checkpoints {
        sources,
        key,
        asked: asked && options.since.is_none(),
        seen: Mutex::default(),
    }))
}

/// Reads a file with one or more checkpoints.
pub(crate) fn load(path: &Path) -> Result<Vec<GivenCheckpoint>, VerifyError> {
    let found = Checkpoint::parse_all(&read(path)?).map_err(|why| unreadable(path, why))?;
    let given = found.into_iter().map(|checkpoint| GivenCheckpoint {
        path: path.to_owned(),
        kept_by: None,
        checkpoint,
    });
    Ok(given.collect())
}

struct Checkpoints<'a> {
    sources: &'a Sources,
    key: Option<NoteKey>,
    /// Whether a checkpoint is required.
    asked: bool,
    seen: Mutex<SeenEntries>,
}

/// What is kept of the entries: little more than a hash for each.
#[derive(Default)]
struct SeenEntries {
    leaves: SeenLeaves,
    /// The commits of entries that a claim may have to name.
    ids: BTreeMap<u64, Id>,
    /// The first entry dated before the checkpoint that precedes it, and how many there are.
    early: Option<WrongTime>,
    number_early: u64,
    /// The first entry dated after the checkpoint that follows it, and how many there are.
    late: Option<WrongTime>,
    number_late: u64,
}

/// The index of an entry, its commit, and what is wrong with its time.
type WrongTime = (u64, Id, String);

/// Keeps the entry with the lowest index, and counts all.
fn keep_first(first: &mut Option<WrongTime>, number: &mut u64, wrong_time: WrongTime) {
    *number += 1;
    if first
        .as_ref()
        .is_none_or(|(index, ..)| wrong_time.0 < *index)
    {
        *first = Some(wrong_time);
    }
}

impl Visitor for Checkpoints<'_> {
    fn begin(&self, walk: &Walk<'_>) {
        let first = || Some(format!("commit-{}", walk.chain.first_entry()?));
        // The start of the trail identifies it.
        let is_whole = walk.cut.is_none() && walk.until.is_none();
        let own = walk.trail_id.map(str::to_owned);
        let own = own.or_else(|| is_whole.then(first)?);
        self.sources.choose(own.as_deref());
        if self.given().is_empty() {
            return;
        }
        self.seen().leaves = SeenLeaves::with_len(walk.entries);
    }

    fn visit(&self, commit: &TrailCommit<'_>) {
        if commit.is_genesis || self.given().is_empty() {
            return;
        }
        let hash = commit
            .entry
            .map(|entry| leaf::hash(entry.path, entry.bytes, commit.raw));
        let index = commit.position;
        let seconds = commit.seconds.unwrap_or(i64::MIN);
        let recorded = commit.entry.and_then(|entry| entry.recorded);
        let early = self.backdated(index, seconds, recorded);
        let late = self.postdated(index, seconds);
        let mut seen = self.seen();
        let is_last = index + 1 == seen.leaves.len();
        if hash.is_none() || is_last || self.may_be_named(index) {
            seen.ids.insert(index, commit.id);
        }
        if let Some(hash) = hash {
            seen.leaves.set(index, hash);
        }
        let seen = &mut *seen;
        if let Some(what) = early {
            keep_first(
                &mut seen.early,
                &mut seen.number_early,
                (index, commit.id, what),
            );
        }
        if let Some(what) = late {
            keep_first(
                &mut seen.late,
                &mut seen.number_late,
                (index, commit.id, what),
            );
        }
    }

    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        if self.given().is_empty() {
            let verdict = self.verdict_on_nothing(walk);
            return vec![Claim::new("checkpoints", TITLE, verdict)];
        }
        let seen = std::mem::take(&mut *self.seen());
        let mut claims = vec![self.claim_extends(&seen, walk)];
        // Without the first entries no entry has a number.
        if walk.until.is_none() {
            claims.push(self.claim_times(seen));
        }
        claims.push(claim_signed(self.given(), self.key.as_ref()));
        claims
    }
}

impl Checkpoints<'_> {
    fn given(&self) -> &[GivenCheckpoint] {
        &self.sources.of_trail().given
    }

    /// The verdict if there is no checkpoint of the trail.
    fn verdict_on_nothing(&self, walk: &Walk<'_>) -> Verdict {
        let missing = self.sources.of_trail().missing.first().cloned();
        if missing.is_none() && !self.asked {
            return Verdict::NotAsked {
                why: "nothing here shows that no entry was removed from the end",
            };
        }
        let missing = missing.map(|missing| incomplete_reason(walk).unwrap_or(missing));
        let none = || "a checkpoint; `--against CHECKPOINT` gives one".to_owned();
        Verdict::NotShown {
            missing: missing.unwrap_or_else(none),
        }
    }

    fn seen(&self) -> MutexGuard<'_, SeenEntries> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a claim may name this entry's commit: the first entry, and the last one of each checkpoint.
    fn may_be_named(&self, index: u64) -> bool {
        let ends = |given: &GivenCheckpoint| given.checkpoint.size.cmp(&(index + 1));
        index == 0 || self.given().binary_search_by(ends).is_ok()
    }

    fn claim_extends(&self, seen: &SeenEntries, walk: &Walk<'_>) -> Claim {
        // The most checkpoints in the notes.
        const MOST: usize = 10;
        let mut claim = Claim::new("checkpoints", TITLE, Verdict::Holds);
        if let Some(missing) = incomplete_reason(walk) {
            claim.verdict = Verdict::NotShown { missing };
            return claim;
        }
        let mut tree = GrowingTree::default();
        let mut held = 0_usize;
        for given in self.given() {
            claim.verdict = compare(given, &mut tree, seen, walk);
            if claim.verdict != Verdict::Holds {
                break;
            }
            held += 1;
        }
        let shown = &self.given()[held.saturating_sub(MOST)..held];
        if shown.len() < held {
            let number = held - shown.len();
            claim.notes.push(format!("{number} smaller checkpoints"));
        }
        claim
            .notes
            .extend(shown.iter().map(GivenCheckpoint::summary));
        if let (true, Some(last)) = (held < self.given().len(), shown.last()) {
            let size = last.checkpoint.size;
            claim.notes.push(format!(
                "the first {size} entries are unchanged; the difference is after them"
            ));
        }
        if let (Verdict::Holds, Some(missing)) =
            (&claim.verdict, self.sources.of_trail().missing.first())
        {
            let missing = missing.clone();
            claim.verdict = Verdict::NotShown { missing };
        }
        claim
    }

    /// Describes an entry or commit that is dated before the checkpoint that precedes it.
    fn backdated(&self, index: u64, seconds: i64, recorded: Option<i64>) -> Option<String> {
        let after = self
            .given()
            .partition_point(|given| given.checkpoint.size <= index);
        let mut before = self.given()[..after].iter().rev();
        let (made, given) = before.find_map(|given| Some((given.checkpoint.seconds?, given)))?;
        is_backdated(seconds, recorded, made).map(|(what, said)| {
            format!(
                "{what} is backdated: it came after {} of {}, and says that it is of {}",
                given.name(),
                show_time(made),
                show_time(said)
            )
        })
    }

    /// Describes a commit that is dated after the checkpoint that follows it: the clock of one of the two machines was
    /// wrong. The checkpoint's root fixes the entries before it, so nothing was changed since.
    fn postdated(&self, index: u64, seconds: i64) -> Option<String> {
        let after = self
            .given()
            .partition_point(|given| given.checkpoint.size <= index);
        let given = self.given().get(after)?;
        let made = given.checkpoint.seconds?;
        (seconds > made.saturating_add(MAX_CLOCK_SKEW)).then(|| {
            format!(
                "postdated: it came before {} of {}, and says that it is of {}: the clock of the recorder was fast, \
                 or that of the checkpoint's maker slow",
                given.name(),
                show_time(made),
                show_time(seconds)
            )
        })
    }

    /// Claims that entries after a checkpoint are not dated before it. Entries before it that are dated later are
    /// noted.
    fn claim_times(&self, seen: SeenEntries) -> Claim {
        let title = "commit times are between those of the neighbouring checkpoints";
        let mut claim = Claim::new("checkpoint-times", title, Verdict::Holds);
        let is_untimed = |given: &GivenCheckpoint| given.checkpoint.seconds.is_none();
        if let Some((_, id, what)) = seen.early {
            claim.verdict = Verdict::Broken {
                commit: Some(id.to_string()),
                what,
                count: seen.number_early,
            };
        } else if self.given().iter().all(is_untimed) {
            let missing = "when a checkpoint was made; none of them says so".to_owned();
            claim.verdict = Verdict::NotShown { missing };
        }
        if let Some((_, id, what)) = seen.late {
            let more = match seen.number_late {
                1 => String::new(),
                number => format!(" (and {} more)", number - 1),
            };
            claim.notes.push(format!("commit {id} is {what}{more}"));
        }
        claim
    }
}

/// Returns which time of an entry after a checkpoint, its commit's or its own, is so far before the checkpoint that
/// clock differences cannot explain it.
pub(crate) fn is_backdated(
    seconds: i64,
    recorded: Option<i64>,
    made: i64,
) -> Option<(&'static str, i64)> {
    let earliest = made.saturating_sub(MAX_CLOCK_SKEW);
    if seconds < earliest {
        return Some(("it", seconds));
    }
    let recorded = recorded?;
    (recorded < earliest.saturating_sub(time::MAX_ENTRY_AGE)).then_some(("its entry", recorded))
}

/// The reason why the tree over all entries cannot be built.
fn incomplete_reason(walk: &Walk<'_>) -> Option<String> {
    let since = walk.until.map(
        |_| "what came before the checkpoint of `--since`, which was not read; leave that out",
    );
    walk.cut.or(since).map(str::to_owned)
}

/// Compares one checkpoint with the tree, which grows up to the checkpoint's size.
fn compare(
    given: &GivenCheckpoint,
    tree: &mut GrowingTree,
    seen: &SeenEntries,
    walk: &Walk<'_>,
) -> Verdict {
    let Checkpoint {
        size,
        origin,
        root,
        commit,
        ..
    } = &given.checkpoint;
    let name = |index: u64| seen.ids.get(&index).map(ToString::to_string);
    let broken = |commit: Option<String>, what: String| Verdict::Broken {
        commit,
        what,
        count: 1,
    };
    let own = walk.trail_id.map(|id| format!("{ORIGIN}{id}"));
    let own = own.or_else(|| Some(format!("{ORIGIN}commit-{}", name(0)?)));
    if own.as_ref().is_some_and(|own| own != origin) {
        let what = format!(
            "{} is of another trail: its origin is {}, and this trail's is `{}`",
            given.name(),
            quote(origin.as_bytes()),
            own.unwrap_or_default()
        );
        return broken(None, what);
    }
    let entries = seen.leaves.len();
    if *size > entries {
        let what = format!(
            "{} was made over {size} entries, and here are {entries}: the rest was cut off the end (rolled back), or \
             this copy is behind",
            given.name(),
        );
        return broken(entries.checked_sub(1).and_then(name), what);
    }
    if let Err(unseen) = seen.leaves.grow(tree, *size) {
        let what = "it adds no entry, so no tree over the entries can be built with it";
        return broken(name(unseen), what.to_owned());
    }
    let last = size.checked_sub(1).and_then(name);
    if tree.root() != *root {
        let what = format!(
            "the first {size} entries are not those of {}: history was rewritten at or before this commit, even if it \
             was signed again",
            given.name()
        );
        return broken(last, what);
    }
    if let Some(commit) = commit
        && last.as_ref() != Some(commit)
    {
        let what = format!(
            "{} names {} as its last entry's commit, and its root is of another",
            given.name(),
            quote(commit.as_bytes())
        );
        return broken(last, what);
    }
    Verdict::Holds
}
