//! The first-parent lines of a history: the trail's own, and those that merges brought into it.

use std::collections::{HashSet, VecDeque};

use gix::ObjectId;

use crate::error::TrailError;
use crate::message;
use crate::place::repository::Repository;

/// The newest commit in the history of `tip` whose first-parent history has `wanted`; `None` if there is none, or if it
/// cannot be read.
pub(crate) fn line_with(
    repository: &Repository,
    tip: ObjectId,
    wanted: ObjectId,
) -> Option<ObjectId> {
    let mut seen = HashSet::new();
    let mut starts = VecDeque::from([tip]);
    while let Some(start) = starts.pop_front() {
        let mut next = Some(start);
        while let Some(id) = next {
            if id == wanted {
                return Some(start);
            }
            // The rest of this line was searched as part of another one.
            if !seen.insert(id) {
                break;
            }
            let Ok(commit) = repository.commit(&id) else {
                break;
            };
            starts.extend(commit.parents.iter().skip(1));
            next = repository.parent(&id, &commit);
        }
    }
    None
}

/// The newest trail commit in the first-parent history of `tip`, and its time in seconds. Commits by people do not count.
pub(crate) fn newest_trail_commit(
    repository: &Repository,
    tip: ObjectId,
) -> Result<Option<(ObjectId, i64)>, TrailError> {
    let mut next = Some(tip);
    while let Some(id) = next {
        let commit = repository.commit(&id)?;
        if message::is_of_trail(&commit.message) {
            return Ok(Some((id, commit.seconds)));
        }
        next = repository.parent(&id, &commit);
    }
    Ok(None)
}
