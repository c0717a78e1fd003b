//! The claim that the trail extends every checkpoint that was given: the tree is built again from the trail itself.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::findings::quote;
use super::merkle::leaf::{self, Hash};
use super::merkle::note::{Checkpoint, NoteKey, ORIGIN};
use super::merkle::tree::Growing;
use super::report::{Claim, Verdict};
use super::signature::show_time;
use super::signatures::{read, unreadable};
use super::store::hash::Id;
use super::visit::{TrailCommit, Visitor, Walk};
use super::{Options, VerifyError};

pub(crate) const TITLE: &str = "extends every checkpoint";

/// Who looks along to make the claim: `options.against` names checkpoints where it names files.
///
/// # Errors
///
/// Says why a checkpoint cannot be used.
pub(crate) fn visitor(options: &Options<'_>) -> Result<Box<dyn Visitor>, VerifyError> {
    let mut given = Vec::new();
    for path in options.against.iter().filter(|path| !path.is_dir()) {
        given.extend(load(path)?);
    }
    let key = options.checkpoint_key.as_deref().map(parse_key);
    let key = key.transpose()?;
    if given.is_empty() {
        let asked = options.require.checkpoint || options.checkpoint_key.is_some();
        return Ok(Box::new(Nothing {
            asked: asked && options.since.is_none(),
        }));
    }
    given.sort_by_key(|given| given.checkpoint.size);
    Ok(Box::new(Checkpoints {
        given,
        key,
        leaves: Mutex::default(),
    }))
}

/// Reads a key that checks checkpoints.
///
/// # Errors
///
/// Says what is wrong with it.
pub(crate) fn parse_key(text: &str) -> Result<NoteKey, VerifyError> {
    NoteKey::parse(text).map_err(|why| VerifyError::Unreadable {
        what: "the checkpoint key:".to_owned(),
        why,
    })
}

/// Reads a file of checkpoints, one or more.
pub(crate) fn load(path: &Path) -> Result<Vec<Given>, VerifyError> {
    let found = Checkpoint::parse_all(&read(path)?).map_err(|why| unreadable(path, why))?;
    let given = found.into_iter().map(|checkpoint| Given {
        path: path.to_owned(),
        checkpoint,
    });
    Ok(given.collect())
}

/// Makes the claim where there is no checkpoint.
struct Nothing {
    asked: bool,
}

impl Visitor for Nothing {
    fn visit(&self, _: &TrailCommit<'_>) {}

    fn finish(&self, _: &Walk<'_>) -> Vec<Claim> {
        let verdict = match self.asked {
            false => Verdict::NotAsked {
                why: "nothing here shows that nothing was cut off the end",
            },
            true => Verdict::NotShown {
                missing: "a checkpoint; `--against CHECKPOINT` gives one".to_owned(),
            },
        };
        vec![Claim::new("checkpoints", TITLE, verdict)]
    }
}

/// A checkpoint and where it came from.
pub(crate) struct Given {
    pub(crate) path: PathBuf,
    pub(crate) checkpoint: Checkpoint,
}

/// A checkpoint's maker and the recorder may be two machines; a recorder waits out no more than this of a clock that is wrong.
pub(crate) const CLOCKS_APART: i64 = 300;

struct Checkpoints {
    /// The smallest first.
    given: Vec<Given>,
    key: Option<NoteKey>,
    leaves: Mutex<Vec<Leaf>>,
}

/// What one commit of the trail is in the tree.
struct Leaf {
    depth: u32,
    id: Id,
    seconds: i64,
    /// None where the commit adds no entry that can be read.
    hash: Option<Hash>,
}

impl Visitor for Checkpoints {
    fn visit(&self, commit: &TrailCommit<'_>) {
        if commit.is_genesis {
            return;
        }
        let hash = commit
            .entry
            .map(|entry| leaf::hash(entry.path, entry.bytes, commit.raw));
        let leaf = Leaf {
            depth: commit.depth,
            id: commit.id,
            seconds: commit.seconds.unwrap_or(i64::MIN),
            hash,
        };
        self.leaves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(leaf);
    }

    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let mut leaves = std::mem::take(&mut *leaves);
        leaves.sort_unstable_by_key(|leaf| std::cmp::Reverse(leaf.depth));
        let mut claims = vec![self.claim_extends(&leaves, walk)];
        // Without the first entries none has its number.
        if walk.until.is_none() {
            claims.push(self.claim_times(&leaves));
        }
        claims.push(claim_signed(&self.given, self.key.as_ref()));
        claims
    }
}

impl Checkpoints {
    fn claim_extends(&self, leaves: &[Leaf], walk: &Walk<'_>) -> Claim {
        let mut claim = Claim::new("checkpoints", TITLE, Verdict::Holds);
        let since = walk.until.map(
            |_| "what came before the checkpoint of `--since`, which was not read; leave that out",
        );
        if let Some(cut) = walk.cut.or(since) {
            let missing = cut.to_owned();
            claim.verdict = Verdict::NotShown { missing };
            return claim;
        }
        let mut tree = Growing::default();
        let mut rest = leaves.iter();
        let mut held: Option<&Given> = None;
        for given in &self.given {
            let verdict = self.compare(given, &mut tree, &mut rest, leaves, walk);
            if verdict == Verdict::Holds {
                held = Some(given);
                claim.notes.push(given.tell());
                continue;
            }
            claim.verdict = verdict;
            if let Some(held) = held {
                let size = held.checkpoint.size;
                claim.notes.push(format!(
                    "the first {size} entries are as they were; what is wrong lies after them"
                ));
            }
            break;
        }
        claim
    }

    /// Compares one checkpoint with the tree, which grows up to its size.
    fn compare<'a>(
        &self,
        given: &Given,
        tree: &mut Growing,
        rest: &mut std::slice::Iter<'a, Leaf>,
        leaves: &'a [Leaf],
        walk: &Walk<'_>,
    ) -> Verdict {
        let Checkpoint {
            size,
            origin,
            root,
            commit,
            ..
        } = &given.checkpoint;
        let broken = |commit: Option<&Leaf>, what: String| Verdict::Broken {
            commit: commit.map(|leaf| leaf.id.to_string()),
            what,
            count: 1,
        };
        let own = walk.trail_id.map(|id| format!("{ORIGIN}{id}"));
        let own = own.or_else(|| Some(format!("{ORIGIN}commit-{}", leaves.first()?.id)));
        if own.as_ref().is_some_and(|own| own != origin) {
            let what = format!(
                "{} is of another trail: its origin is {}, and this trail's is `{}`",
                given.name(),
                quote(origin.as_bytes()),
                own.unwrap_or_default()
            );
            return broken(None, what);
        }
        if *size > leaves.len() as u64 {
            let what = format!(
                "{} was made over {size} entries, and here are {}: the rest was cut off the end (rolled back), or this copy is behind",
                given.name(),
                leaves.len()
            );
            return broken(leaves.last(), what);
        }
        while tree.size() < *size {
            let next = rest.next().map(|leaf| (leaf, leaf.hash));
            match next {
                Some((_, Some(hash))) => tree.push(hash),
                Some((leaf, None)) => {
                    let what = "it adds no entry, so no tree over the entries can be built with it";
                    return broken(Some(leaf), what.to_owned());
                }
                None => break,
            }
        }
        let last = usize::try_from(*size)
            .ok()
            .and_then(|size| leaves.get(size.checked_sub(1)?));
        if tree.root() != *root {
            let what = format!(
                "the first {size} entries are not those of {}: history was rewritten at or before this commit, whoever signed it since",
                given.name()
            );
            return broken(last, what);
        }
        let named = last.map(|leaf| leaf.id.to_string());
        if let Some(commit) = commit
            && named.as_ref() != Some(commit)
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

    /// Claims that entries before a checkpoint are not younger than it, and entries after it not older.
    fn claim_times(&self, leaves: &[Leaf]) -> Claim {
        let title = "commit times lie between those of the neighbouring checkpoints";
        let mut claim = Claim::new("checkpoint-times", title, Verdict::Holds);
        let mut timed = self.given.iter().peekable();
        let mut after: Option<(i64, &Given)> = None;
        let mut offence: Option<(&Leaf, String)> = None;
        let mut count = 0;
        for (index, leaf) in (0_u64..).zip(leaves) {
            while let Some(given) = timed.next_if(|given| given.checkpoint.size <= index) {
                let seconds = given.checkpoint.seconds;
                after = seconds.map(|seconds| (seconds, given)).or(after);
            }
            let before = timed.peek().copied();
            let early = after.filter(|(seconds, _)| leaf.seconds < seconds - CLOCKS_APART);
            let late = before.and_then(|given| Some((given.checkpoint.seconds?, given)));
            let late = late.filter(|(seconds, _)| leaf.seconds > seconds + CLOCKS_APART);
            let (relation, (seconds, given)) = match (early, late) {
                (Some(early), _) => ("backdated: it came after", early),
                (None, Some(late)) => ("postdated: it came before", late),
                (None, None) => continue,
            };
            count += 1;
            if offence.is_none() {
                let what = format!(
                    "it is {relation} {} of {}, and says that it is of {}",
                    given.name(),
                    show_time(seconds),
                    show_time(leaf.seconds)
                );
                offence = Some((leaf, what));
            }
        }
        if let Some((leaf, what)) = offence {
            claim.verdict = Verdict::Broken {
                commit: Some(leaf.id.to_string()),
                what,
                count,
            };
        } else if self
            .given
            .iter()
            .all(|given| given.checkpoint.seconds.is_none())
        {
            let missing = "when a checkpoint was made; none of them says so".to_owned();
            claim.verdict = Verdict::NotShown { missing };
        }
        claim
    }
}

/// Claims that the checkpoints are signed by the key that the auditor trusts.
pub(crate) fn claim_signed(given: &[Given], key: Option<&NoteKey>) -> Claim {
    let title = "each checkpoint is signed by the checkpoint key";
    let Some(key) = key else {
        let why = "a checkpoint is as good as the place that it was kept in; `--checkpoint-key` shows whose it is";
        return Claim::new("checkpoint-key", title, Verdict::NotAsked { why });
    };
    let mut bad = given.iter().filter_map(|given| {
        let why = given.checkpoint.check(key).err()?;
        Some(format!("{}: {why}", given.name()))
    });
    let verdict = match bad.next() {
        None => Verdict::Holds,
        Some(what) => Verdict::Broken {
            commit: None,
            what,
            count: 1 + bad.count() as u64,
        },
    };
    Claim::new("checkpoint-key", title, verdict)
}

impl Given {
    /// What to call it.
    pub(crate) fn name(&self) -> String {
        let path = quote(self.path.as_os_str().as_encoded_bytes());
        format!("the checkpoint {path}")
    }

    /// How it is told when it holds.
    fn tell(&self) -> String {
        let of = self.checkpoint.seconds.map(show_time);
        let of = of.map(|time| format!(", of {time}")).unwrap_or_default();
        let size = self.checkpoint.size;
        let entries = if size == 1 { "entry" } else { "entries" };
        format!("{}: {size} {entries}{of}", self.name())
    }
}
