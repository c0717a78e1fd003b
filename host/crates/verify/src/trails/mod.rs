//! Chooses the ref to audit. Reads no state of the writer: the commits show what a trail is. Two branches with one
//! trail are distinguished by what they add; if that is not enough, the caller must choose.

mod choice;
mod survey;

use std::collections::HashMap;

use super::VerifyError;
use super::object::{Id, Kind};
use super::quote::quote;
use super::refs::{Refs, Resolved};
use super::repository::Repository;
use super::store::reader::Reader;
use super::walk::Context;
pub(crate) use choice::Trail;

/// The most tags in a chain of tags.
const MAX_TAGS: usize = 16;

/// The ref to audit.
pub(crate) struct AuditedRef {
    /// The full name of the ref, or a commit id.
    pub(crate) name: String,
    /// The symbolic refs that were passed on the way to it.
    pub(crate) passed: Vec<Vec<u8>>,
    /// The commit, if the ref has one.
    pub(crate) tip: Option<Id>,
    /// Notes about the choice.
    pub(crate) notes: Vec<String>,
}

/// A ref that may hold a trail. Among equal ones the least is preferred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) of: RefKind,
    pub(crate) name: Vec<u8>,
}

/// The kind of a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RefKind {
    Head,
    Branch,
    Remote,
}

/// Finds the ref to audit: the requested one, the one that holds the trail, or `HEAD`'s.
///
/// # Errors
///
/// There is no such ref, or there are several.
pub(crate) fn choose(
    repository: &Repository,
    refs: &Refs<'_>,
    context: &Context<'_>,
    wanted: Option<&str>,
) -> Result<AuditedRef, VerifyError> {
    if let Some(name) = wanted {
        return named(repository, refs, context, name);
    }
    let head = head(refs)?;
    let mut trails = trails(repository, refs, context)?;
    if trails.len() > 1 || trails.first().is_some_and(|trail| !trail.beside.is_empty()) {
        let names = trails.iter().flat_map(Trail::names).collect::<Vec<_>>();
        return Err(VerifyError::Ambiguous(names.join(", ")));
    }
    let Some(trail) = trails.pop() else {
        return Ok(AuditedRef {
            name: text(&head.name),
            passed: head.passed,
            tip: head.id,
            notes: Vec::new(),
        });
    };
    let notes = trail.further.iter().map(|further| {
        format!(
            "{} continues {}, which HEAD names and which is audited",
            quote(&further.name),
            quote(&trail.candidate.name)
        )
    });
    let notes = notes.collect();
    Ok(AuditedRef {
        name: text(&trail.candidate.name),
        passed: Vec::new(),
        tip: Some(trail.tip),
        notes,
    })
}

/// The ref with this name: a branch, a full name, or a commit id.
fn named(
    repository: &Repository,
    refs: &Refs<'_>,
    context: &Context<'_>,
    name: &str,
) -> Result<AuditedRef, VerifyError> {
    if let Some(id) = repository.id(name) {
        return Ok(AuditedRef {
            name: name.to_owned(),
            passed: Vec::new(),
            tip: Some(id),
            notes: Vec::new(),
        });
    }
    let full = match name == "HEAD" || name.starts_with("refs/") {
        true => name.to_owned(),
        false => format!("refs/heads/{name}"),
    };
    let none = || VerifyError::NoReference(quote(full.as_bytes()));
    if full.split('/').any(|part| matches!(part, "." | ".." | "")) {
        return Err(none());
    }
    let resolved = refs.resolve(full.as_bytes())?.ok_or_else(none)?;
    let tip = resolved
        .id
        .map(|id| peel(context, &resolved.name, id))
        .transpose()?;
    let mut notes = Vec::new();
    if resolved.name != full.as_bytes() && full != "HEAD" {
        let (from, to) = (quote(full.as_bytes()), quote(&resolved.name));
        notes.push(format!("{from} is a symbolic ref: {to} is audited"));
    }
    Ok(AuditedRef {
        name: text(&resolved.name),
        passed: resolved.passed,
        tip,
        notes,
    })
}

fn head(refs: &Refs<'_>) -> Result<Resolved, VerifyError> {
    Ok(refs.resolve(b"HEAD")?.unwrap_or(Resolved {
        name: b"HEAD".to_vec(),
        passed: Vec::new(),
        id: None,
    }))
}

/// All trails on the branches of a repository, its remote-tracking branches, and `HEAD`.
///
/// # Errors
///
/// No ref leads to a trail, and one cannot be read.
pub(crate) fn trails(
    repository: &Repository,
    refs: &Refs<'_>,
    context: &Context<'_>,
) -> Result<Vec<Trail>, VerifyError> {
    let head = head(refs)?;
    let mut tips: HashMap<Id, Vec<Candidate>> = HashMap::new();
    let mut failed = None;
    if let Some(id) = head.id {
        let of = RefKind::Head;
        let name = head.name.clone();
        tips.entry(id).or_default().push(Candidate { of, name });
    }
    for branch in refs.branches() {
        let of = match branch.name.starts_with(b"refs/heads/") {
            true => RefKind::Branch,
            false => RefKind::Remote,
        };
        match branch.id {
            Ok(Some(id)) if branch.name != head.name => {
                let name = branch.name;
                tips.entry(id).or_default().push(Candidate { of, name });
            }
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    }
    let mut tips: Vec<(Id, Vec<Candidate>)> = tips.into_iter().collect();
    for (_, candidates) in &mut tips {
        candidates.sort_unstable();
    }
    tips.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    let trails = choice::find(context, &repository.shallow()?, tips, head.id);
    match failed {
        Some(error) if trails.is_empty() => Err(error),
        _ => Ok(trails),
    }
}

/// The commit that a tag points to.
pub(crate) fn peel(context: &Context<'_>, name: &[u8], mut id: Id) -> Result<Id, VerifyError> {
    let mut reader = Reader::new(context.current);
    let broken = |why: &str| VerifyError::BadReference {
        name: quote(name),
        why: why.to_owned(),
    };
    for _ in 0..MAX_TAGS {
        // An object that cannot be read is a finding, not a broken ref.
        let Ok(content) = reader.fetch_any(&id) else {
            return Ok(id);
        };
        if content.kind != Kind::Tag {
            return Ok(id);
        }
        let line = content
            .data
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let target = line
            .strip_prefix(b"object ")
            .filter(|hex| hex.len() == context.algorithm.len_in_hex());
        id = target
            .and_then(Id::from_hex)
            .ok_or_else(|| broken("its tag names no object"))?;
    }
    Err(broken("it leads through too many tags"))
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
