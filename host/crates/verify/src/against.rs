//! Compares a trail with another copy of it: they are equal, one is a prefix of the other, or they diverge. Treats the
//! other repository as hostile too, and reads only the first-parent commits of its branches and remote-tracking refs.

mod tips;

use std::collections::HashMap;
use std::path::Path;

use super::audit::external_objects_reason;
use super::object::Id;
use super::quote::quote;
use super::refs::Refs;
use super::report::{Claim, Verdict};
use super::repository::Repository;
use super::store::{CurrentStore, Store};
use super::walk::Context;
use super::walk::chain::Chain;
use super::{VerifyError, claims};
use tips::{End, Tip};

/// The trail under audit.
pub(crate) struct Audited<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) reference: &'a str,
    pub(crate) chain: &'a Chain,
}

/// The most names in a message.
const MAX_NAMES: usize = 5;

/// Claims that the audited trail and the one in the repository at `path`, which the report calls `name`, are one history.
///
/// # Errors
///
/// The other repository cannot be read.
pub(crate) fn compare(
    path: &Path,
    name: &str,
    context: &Context<'_>,
    audited: &Audited<'_>,
) -> Result<Claim, VerifyError> {
    let title = format!("is one history with {name}");
    let repository = Repository::discover(path)?;
    if repository.is_same(audited.repository) {
        let missing = "another copy: this is the audited repository itself".to_owned();
        return Ok(Claim::new("against", title, Verdict::NotShown { missing }));
    }
    if repository.algorithm != context.algorithm {
        let what = "the two use different object formats (SHA-1 and SHA-256)";
        return Ok(Claim::new("against", title, broken(None, what.to_owned())));
    }
    let store = Store::open(&repository.common_dir.join("objects"), repository.algorithm);
    let store = store.map_err(|why| VerifyError::Unreadable {
        what: format!("the object database of {name}"),
        why,
    })?;
    let current = CurrentStore::new(store);
    let alternates = repository.alternates()?;
    let other = Context::new(
        &current,
        repository.algorithm,
        external_objects_reason(&repository, &alternates),
    );
    let refs = Refs::load(&repository)?;
    let keys = audited.chain.ids().map(|id| other.key(id.as_slice()));
    let mut known: HashMap<u64, u32> = keys.zip(0..).collect();
    if let Some(until) = audited.chain.until {
        known.insert(other.key(until.as_slice()), audited.chain.len());
    }
    let found = tips::follow(&other, &refs, &known);
    let (mut verdict, note) = judge(audited, &found);
    // Git may read these refs differently, and links may lead back to the audited repository.
    if let (Verdict::Holds, Some(odd)) = (&verdict, refs.odd.first()) {
        let missing = format!("what the refs of the other repository say: {odd}");
        verdict = Verdict::NotShown { missing };
    }
    let mut claim = Claim::new("against", title, verdict);
    claim.notes.extend(note);
    Ok(claim)
}

/// The worst verdict on the other repository's branches.
fn judge(audited: &Audited<'_>, found: &[Tip]) -> (Verdict, Option<String>) {
    let not_shown = |missing: String| (Verdict::NotShown { missing }, None);
    if found.is_empty() {
        return not_shown(
            "any commit in the other repository; there is nothing to compare with".to_owned(),
        );
    }
    if id_of(audited.chain).is_none() {
        return not_shown(claims::NOTHING.to_owned());
    }
    let met = found.iter().filter_map(|tip| compare_tip(audited, tip));
    if let Some((_, verdict, note)) = met.max_by_key(|(badness, ..)| *badness) {
        return (verdict, note);
    }
    if let Some(cut) = &audited.chain.cut {
        return not_shown(format!("where the two meet; {cut}"));
    }
    if audited.chain.until.is_some() {
        let missing = "where the two meet: not after the checkpoint that this audit begins at";
        return not_shown(missing.to_owned());
    }
    let others: Vec<String> = found
        .iter()
        .filter(|tip| tip.recorded > 0)
        .take(MAX_NAMES)
        .map(name_with_trail)
        .collect();
    match others.is_empty() {
        true => not_shown(
            "this trail in the other repository: none of its branches holds it".to_owned(),
        ),
        false => {
            let meets = found.iter().any(|tip| matches!(tip.end, End::Known(..)));
            let begin = match meets {
                true => "the other holds no part of this trail",
                false => "the two have no commit in common",
            };
            let what = format!("{begin}; it holds {}", others.join(", "));
            (broken(None, what), None)
        }
    }
}

/// The verdict on one branch of the other repository; a greater number is worse. `None` if the branch is unrelated.
fn compare_tip(audited: &Audited<'_>, tip: &Tip) -> Option<((u8, u64), Verdict, Option<String>)> {
    let chain = audited.chain;
    let is_namesake = tip
        .names
        .iter()
        .any(|name| is_namesake(audited.reference, name));
    let is_same_trail = tip.trail.is_some() && tip.trail == id_of(chain);
    let (ours, common) = match &tip.end {
        End::Known(depth, id) if is_recorded(chain, *depth) => (*depth, *id),
        End::Known(_, id) if is_same_trail => {
            let what = format!("the two diverge after {id}, before their first entries");
            return Some(((4, tip.commits), broken(Some(*id), what), None));
        }
        End::First if is_same_trail => {
            let what = "the two have no commit in common, although they have the same trail id";
            return Some(((4, tip.commits), broken(None, what.to_owned()), None));
        }
        End::Lost(why) if is_namesake || tip.recorded > 0 => {
            let missing = format!("where the two meet: in the other {why}");
            return Some(((2, 0), Verdict::NotShown { missing }, None));
        }
        _ => return None,
    };
    // A branch with people's own work continues from the trail, but is not a copy of it.
    let theirs = match is_namesake || tip.recorded > 0 {
        true => tip.commits,
        false => 0,
    };
    let name = tip
        .names
        .first()
        .map_or_else(String::new, |name| quote(name));
    Some(relate_histories(
        u64::from(ours),
        theirs,
        common,
        tip.oldest,
        &name,
    ))
}

/// The verdict from the newest common commit, by how many commits each history has after it.
fn relate_histories(
    ours: u64,
    theirs: u64,
    common: Id,
    oldest: Option<Id>,
    name: &str,
) -> ((u8, u64), Verdict, Option<String>) {
    let commits = |number: u64| match number {
        1 => "1 commit".to_owned(),
        _ => format!("{number} commits"),
    };
    match (ours, theirs) {
        (0, 0) => {
            let note = "both end at the same commit".to_owned();
            ((1, 0), Verdict::Holds, Some(note))
        }
        (ours, 0) => {
            let note = format!(
                "the other is a prefix of it: this has {} more",
                commits(ours)
            );
            // The branch with the most commits counts.
            ((0, u64::MAX - ours), Verdict::Holds, Some(note))
        }
        (0, theirs) => {
            let missing = format!(
                "the last {} of {name} in the other: this ends at {common}, so it is behind or was rolled back",
                commits(theirs)
            );
            ((3, theirs), Verdict::NotShown { missing }, None)
        }
        (ours, theirs) => {
            let first = oldest.map(|id| id.to_string()).unwrap_or_default();
            let what = format!(
                "they diverge after {common}: {name} of the other continues with {first} and {} in all, this with {}",
                commits(theirs),
                commits(ours)
            );
            ((4, theirs), broken(Some(common), what), None)
        }
    }
}

/// Whether a trail commit is at this depth or below.
fn is_recorded(chain: &Chain, depth: u32) -> bool {
    chain.until.is_some()
        || chain.entries_from(depth) > 0
        || chain.genesis.is_some_and(|genesis| genesis >= depth)
}

/// The id of the audited trail: its uuid, or its first record.
fn id_of(chain: &Chain) -> Option<String> {
    let first = || chain.first_entry().map(|id| format!("commit-{id}"));
    let until = || chain.until.map(|id| format!("commit-{id}"));
    chain.trail_id.clone().or_else(first).or_else(until)
}

/// Whether a ref of the other repository corresponds to `reference` here: the same branch, there or of one of its
/// remotes.
fn is_namesake(reference: &str, name: &[u8]) -> bool {
    let branch = |name: &[u8]| -> Option<Vec<u8>> {
        if let Some(branch) = name.strip_prefix(b"refs/heads/") {
            return Some(branch.to_vec());
        }
        let rest = name.strip_prefix(b"refs/remotes/")?;
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        Some(rest[slash + 1..].to_vec())
    };
    let wanted = branch(reference.as_bytes());
    wanted.is_some() && branch(name) == wanted
}

fn name_with_trail(tip: &Tip) -> String {
    let name = tip
        .names
        .first()
        .map_or_else(String::new, |name| quote(name));
    match &tip.trail {
        Some(trail) => format!("{name} (trail {trail})"),
        None => name,
    }
}

fn broken(commit: Option<Id>, what: String) -> Verdict {
    Verdict::Broken {
        commit: commit.map(|id| id.to_string()),
        what,
        count: 1,
    }
}

pub(crate) fn quote_path(path: &Path) -> String {
    quote(path.as_os_str().as_encoded_bytes())
}
