//! Compares a trail with another copy of it: equal, one the beginning of the other, or where they part. Reads the other as
//! hostile as the first, and nothing of it but its first-parent commits.

use std::path::Path;

use super::findings::quote;
use super::report::{Claim, Verdict};
use super::repository::Repository;
use super::rules::commit::Commit;
use super::store::hash::{Id, Kind};
use super::store::reader::{Fault, Reader};
use super::store::{Current, Store};
use super::walk::Context;
use super::walk::chain::Chain;
use super::{VerifyError, claims, elsewhere, reference};

/// The trail that is audited.
pub(crate) struct Audited<'a> {
    pub(crate) reference: &'a str,
    pub(crate) chain: &'a Chain,
}

/// Claims that the audited trail and the one in the repository at `path` are one history.
///
/// # Errors
///
/// Says why the other repository cannot be read at all.
pub(crate) fn compare(
    path: &Path,
    context: &Context<'_>,
    audited: &Audited<'_>,
) -> Result<Claim, VerifyError> {
    let title = format!("is one history with {}", quote_path(path));
    let repository = Repository::discover(path)?;
    if repository.algorithm != context.algorithm {
        let what = "the two do not even name objects in the same way (SHA-1 and SHA-256)";
        return Ok(Claim::new("against", title, broken(None, what.to_owned())));
    }
    let store = Store::open(&repository.common_dir.join("objects"), repository.algorithm);
    let store = store.map_err(|why| VerifyError::Unreadable {
        what: format!("the object database of {}", quote_path(path)),
        why,
    })?;
    let current = Current::new(store);
    let alternates = repository.alternates()?;
    let other = Context::new(
        &current,
        repository.algorithm,
        elsewhere(&repository, &alternates),
    );
    // A copy has the trail under the same name, unless it is a plain clone, where it is a remote's or the default branch.
    let same = reference::choose(&repository, &other, Some(audited.reference));
    let (_, tip) = match same {
        Ok((name, Some(tip))) => (name, Some(tip)),
        _ => reference::choose(&repository, &other, None)?,
    };
    let (verdict, note) = match tip {
        None => (
            Verdict::NotShown {
                missing: "any commit in the other; there is nothing to compare with".to_owned(),
            },
            None,
        ),
        Some(tip) => relate(context, &mut Reader::new(&current), tip, audited),
    };
    let mut claim = Claim::new("against", title, verdict);
    claim.notes.extend(note);
    Ok(claim)
}

/// Walks the other from its tip down to the first commit that is in the audited one.
fn relate(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tip: Id,
    audited: &Audited<'_>,
) -> (Verdict, Option<String>) {
    let keys = audited.chain.ids().map(|id| context.key(id.as_slice()));
    let mut known: Vec<(u64, u32)> = keys.zip(0..).collect();
    known.sort_unstable();
    let hex_len = context.algorithm.len_in_hex();
    let mut next = Some(tip);
    let mut above: Option<Id> = None;
    let mut theirs = 0_u64;
    while let Some(id) = next {
        let key = context.key(id.as_slice());
        if let Ok(at) = known.binary_search_by_key(&key, |(key, _)| *key) {
            return meet(known[at].1, theirs, id, above);
        }
        let commit = reader.fetch(&id, Kind::Commit);
        let parents = match &commit {
            Ok(content) => Commit::parse(&content.data, hex_len).map(|commit| commit.parents),
            Err(_) => None,
        };
        let Some(parents) = parents else {
            let why = match commit {
                Err(Fault::Missing) => "is not there",
                _ => "cannot be read",
            };
            let missing = format!("where the two meet: in the other the commit {id} {why}");
            return (Verdict::NotShown { missing }, None);
        };
        theirs += 1;
        above = Some(id);
        next = parents.first().copied();
    }
    if let Some(cut) = &audited.chain.cut {
        let missing = format!("where the two meet; {cut}");
        return (Verdict::NotShown { missing }, None);
    }
    if audited.chain.len() == 0 {
        let missing = claims::NOTHING.to_owned();
        return (Verdict::NotShown { missing }, None);
    }
    let what = "the two have no commit in common".to_owned();
    (broken(None, what), None)
}

/// The verdict where the newest common commit is known, by how far each goes on from there.
fn meet(ours: u32, theirs: u64, common: Id, above: Option<Id>) -> (Verdict, Option<String>) {
    let commits = |number: u64| match number {
        1 => "1 commit".to_owned(),
        _ => format!("{number} commits"),
    };
    match (u64::from(ours), theirs, above) {
        (0, 0, _) => (
            Verdict::Holds,
            Some("both end at the same commit".to_owned()),
        ),
        (ours, 0, _) => {
            let note = format!(
                "the other is its beginning: this goes on by {}",
                commits(ours)
            );
            (Verdict::Holds, Some(note))
        }
        (0, theirs, _) => {
            let missing = format!(
                "the last {} of the other: this ends at {common}, so it is behind or was rolled back",
                commits(theirs)
            );
            (Verdict::NotShown { missing }, None)
        }
        (ours, theirs, above) => {
            let first = above.map(|id| id.to_string()).unwrap_or_default();
            let what = format!(
                "they part after {common}: the other goes on with {first} and {} in all, this with {}",
                commits(theirs),
                commits(ours)
            );
            (broken(Some(common), what), None)
        }
    }
}

fn broken(commit: Option<Id>, what: String) -> Verdict {
    Verdict::Broken {
        commit: commit.map(|id| id.to_string()),
        what,
        count: 1,
    }
}

fn quote_path(path: &Path) -> String {
    quote(path.as_os_str().as_encoded_bytes())
}
