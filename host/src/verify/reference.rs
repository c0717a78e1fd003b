//! Chooses the ref to audit. Believes no state of ours: what a trail is shows in its commits.

use super::VerifyError;
use super::findings::quote;
use super::refs::{self, Resolved};
use super::repository::Repository;
use super::rules::commit::Commit;
use super::rules::message::{self, Role};
use super::rules::tree::Nodes;
use super::store::hash::{Id, Kind};
use super::store::reader::{Fault, Reader};
use super::walk::Context;

/// Tags that tag tags end somewhere.
const MAX_TAGS: usize = 16;

/// As many names as an error message tells.
const MAX_NAMES: usize = 5;

/// The ref to audit and its commit, if it has one.
pub(crate) fn choose(
    repository: &Repository,
    context: &Context<'_>,
    wanted: Option<&str>,
) -> Result<(String, Option<Id>), VerifyError> {
    if let Some(name) = wanted {
        if let Some(id) = repository.id(name) {
            return Ok((name.to_owned(), Some(id)));
        }
        let resolved = refs::resolve_short(repository, name)?
            .ok_or_else(|| VerifyError::NoReference(quote(name.as_bytes())))?;
        let id = resolved
            .id
            .map(|id| peel(context, &resolved.name, id))
            .transpose()?;
        return Ok((resolved.name, id));
    }
    if let Some((name, id)) = trail(repository, context)? {
        return Ok((name, Some(id)));
    }
    let head = head(repository)?;
    Ok((head.name, head.id))
}

fn head(repository: &Repository) -> Result<Resolved, VerifyError> {
    Ok(refs::resolve(repository, "HEAD")?.unwrap_or(Resolved {
        name: "HEAD".to_owned(),
        id: None,
    }))
}

/// The trail that a repository holds: that of `HEAD`, or else the only one.
pub(crate) fn trail(
    repository: &Repository,
    context: &Context<'_>,
) -> Result<Option<(String, Id)>, VerifyError> {
    let mut reader = Reader::new(context.current);
    let shallow = repository.shallow()?;
    let head = head(repository)?;
    // All of its history, and where that cannot be read the benefit of the doubt: neither a commit that removes the trail nor
    // one that is lost may lead the audit to another branch.
    if let Some(id) = head.id
        && has_trail(context, &mut reader, id, u32::MAX, &shallow) != Some(false)
    {
        return Ok(Some((head.name, id)));
    }
    for namespace in ["refs/heads/", "refs/remotes/"] {
        let mut found = find(repository, context, &mut reader, namespace)?;
        if found.len() > 1 {
            let names: Vec<_> = found
                .iter()
                .map(|(name, _)| quote(name.as_bytes()))
                .collect();
            return Err(VerifyError::Ambiguous(names.join(", ")));
        }
        if let Some(found) = found.pop() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The refs below this namespace whose tip belongs to a trail, up to the number that can be told.
fn find(
    repository: &Repository,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    namespace: &str,
) -> Result<Vec<(String, Id)>, VerifyError> {
    let mut found: Vec<(String, Id)> = Vec::new();
    let mut failed = None;
    let mut last = None;
    refs::each(repository, namespace, |name, id| {
        // A remote's own HEAD repeats one of its branches.
        if name.ends_with("/HEAD") {
            return true;
        }
        let id = match id {
            Some(id) => Some(id),
            None => refs::resolve(repository, name)
                .unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                })
                .and_then(|resolved| resolved.id),
        };
        // Thousands of refs often name one commit.
        if let Some(id) = id.filter(|id| last != Some(*id)) {
            if has_trail(context, reader, id, 1, &[]) == Some(true) {
                found.push((name.to_owned(), id));
            } else {
                last = Some(id);
            }
        }
        found.len() < MAX_NAMES
    })?;
    match failed {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Whether one of the first commits is a trail's, or the tip holds a trail's directory; none if that cannot be read.
fn has_trail(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tip: Id,
    commits: u32,
    shallow: &[Id],
) -> Option<bool> {
    let mut next = Some(tip);
    let mut is_cut = false;
    for _ in 0..commits {
        let Some(id) = next else { return Some(false) };
        let content = match reader.fetch(&id, Kind::Commit) {
            Err(Fault::Missing) if is_cut => return Some(false),
            content => content.ok()?,
        };
        is_cut = shallow.contains(&id);
        let commit = Commit::parse(&content.data, context.algorithm.len_in_hex())?;
        if message::role(commit.message) != Role::Person {
            return Some(true);
        }
        let is_tip = id == tip;
        if is_tip && let Ok(tree) = reader.fetch(&commit.tree, Kind::Tree) {
            let mut nodes = Nodes::new(&tree.data, context.algorithm.len_in_bytes());
            if nodes.any(|node| node.name == b".audit") {
                return Some(true);
            }
        }
        next = commit.parents.first().copied();
    }
    Some(false)
}

/// The commit that a tag is about.
pub(crate) fn peel(context: &Context<'_>, name: &str, mut id: Id) -> Result<Id, VerifyError> {
    let mut reader = Reader::new(context.current);
    let broken = |why: &str| VerifyError::BadReference {
        name: quote(name.as_bytes()),
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
            .and_then(|hex| Id::from_hex(hex).ok())
            .ok_or_else(|| broken("its tag names no object"))?;
    }
    Err(broken("too many tags lead on from it"))
}
