//! The first-parent lines of a history: the trail's own, and those that merges brought into it.

use std::collections::{HashSet, VecDeque};

use gix::ObjectId;

use crate::place::repository::Repository;

/// The newest commit below `tip` whose first-parent history contains `wanted`; `None` if no history that can be read
/// does.
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
