//! The files in a tree, by their paths.

use std::collections::{HashMap, HashSet};

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::error::TrailError;
use crate::place::layout::{self, ROOT};
use crate::place::repository::Repository;

/// Whether the tree `after` has everything that `before` has below `.audit`, unchanged.
pub(crate) fn keeps_entries(
    repository: &Repository,
    before: ObjectId,
    after: ObjectId,
) -> Result<bool, TrailError> {
    let children = |id: ObjectId| -> Result<Vec<_>, TrailError> {
        let raw = repository.object(Kind::Tree, &id)?;
        Ok(TreeRefIter::from_bytes(&raw, repository.hash)
            .filter_map(Result::ok)
            .map(|entry| {
                (
                    entry.filename.to_owned(),
                    (entry.mode, entry.oid.to_owned()),
                )
            })
            .collect())
    };
    let mut differing = Vec::from([(before, after, true)]);
    while let Some((before, after, is_root)) = differing.pop() {
        let now: HashMap<_, _> = children(after)?.into_iter().collect();
        for (name, (mode, id)) in children(before)? {
            if is_root && name != ROOT[0] {
                continue;
            }
            match now.get(&name) {
                Some(same) if *same == (mode, id) => {}
                Some((now_mode, now_id)) if mode.is_tree() && now_mode.is_tree() => {
                    differing.push((id, *now_id, false));
                }
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// The one file that the tree `after` has and `before` lacks, by path and blob; `None` if they differ in anything else.
pub(crate) fn added_only(
    repository: &Repository,
    before: Option<ObjectId>,
    after: ObjectId,
) -> Result<Option<(String, ObjectId)>, TrailError> {
    let mut path = String::new();
    let (mut before, mut after) = (before, after);
    loop {
        let raw = repository.object(Kind::Tree, &after)?;
        let former = match before {
            Some(before) => repository.object(Kind::Tree, &before)?,
            None => Vec::new(),
        };
        let mut old = TreeRefIter::from_bytes(&former, repository.hash)
            .filter_map(Result::ok)
            .peekable();
        let mut different = None;
        for entry in TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok) {
            let same_name = old.peek().is_some_and(|old| old.filename == entry.filename);
            let was = same_name.then(|| old.next()).flatten();
            match was {
                Some(was) if was.mode == entry.mode && was.oid == entry.oid => {}
                was => {
                    if different.replace((entry, was)).is_some() {
                        return Ok(None);
                    }
                }
            }
        }
        // Something was removed, or the order is not git's.
        let Some((entry, was)) = different.filter(|_| old.peek().is_none()) else {
            return Ok(None);
        };
        path.push_str(&entry.filename.to_string());
        if entry.mode.is_tree() {
            if was.is_some_and(|was| !was.mode.is_tree()) {
                return Ok(None);
            }
            path.push('/');
            before = was.map(|was| was.oid.to_owned());
            after = entry.oid.to_owned();
            continue;
        }
        let is_added = was.is_none() && entry.mode.is_blob();
        return Ok(is_added.then(|| (path, entry.oid.to_owned())));
    }
}

/// Whether a tree has no other files than those with the given paths.
pub(crate) fn has_only(
    repository: &Repository,
    tree: ObjectId,
    paths: &HashSet<&str>,
) -> Result<bool, TrailError> {
    let parents: HashSet<&str> = paths
        .iter()
        .flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..=at]))
        .collect();
    let mut dirs = vec![(String::new(), tree)];
    while let Some((prefix, id)) = dirs.pop() {
        let raw = repository.object(Kind::Tree, &id)?;
        for entry in TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok) {
            let mut path = format!("{prefix}{}", entry.filename);
            if !entry.mode.is_tree() {
                if !paths.contains(path.as_str()) {
                    return Ok(false);
                }
                continue;
            }
            path.push('/');
            if !parents.contains(path.as_str()) {
                return Ok(false);
            }
            dirs.push((path, entry.oid.to_owned()));
        }
    }
    Ok(true)
}

/// Every file at an entry's path: its path and blob.
pub(crate) fn entries_of_tree(
    repository: &Repository,
    tree: ObjectId,
) -> Result<Vec<(String, ObjectId)>, TrailError> {
    let mut found = Vec::new();
    let mut dirs = vec![(String::new(), tree)];
    while let Some((prefix, id)) = dirs.pop() {
        let raw = repository.object(Kind::Tree, &id)?;
        let depth = prefix.matches('/').count();
        for entry in TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok) {
            let name = entry.filename.to_string();
            let wanted = match depth {
                0 | 1 => name == ROOT[depth],
                _ => depth < 6 && name.len() == 1,
            };
            if entry.mode.is_tree() && wanted {
                dirs.push((format!("{prefix}{name}/"), entry.oid.to_owned()));
            } else if entry.mode.is_blob() {
                let path = format!("{prefix}{name}");
                if layout::is_entry_path(&path) {
                    found.push((path, entry.oid.to_owned()));
                }
            }
        }
    }
    Ok(found)
}
