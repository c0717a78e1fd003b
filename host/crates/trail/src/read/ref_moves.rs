//! Moves of the ref by other processes, noted for callers that keep data about the trail's entries.

use std::sync::{Mutex, PoisonError};

use gix::ObjectId;

use crate::Trail;

/// A move of the ref by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefMove {
    pub(crate) from: Option<ObjectId>,
    pub(crate) to: ObjectId,
}

/// The most moves that are noted separately; then the last one is extended.
const MAX_NOTED: usize = 64;

#[derive(Default)]
pub(crate) struct RefMoves(Mutex<Vec<RefMove>>);

impl RefMoves {
    pub(crate) fn note(&self, from: Option<ObjectId>, to: ObjectId) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = noted.len() == MAX_NOTED;
        // Each move starts where the one before ended, or later.
        match noted.last_mut() {
            Some(last) if is_full || Some(last.to) == from => last.to = to,
            _ => noted.push(RefMove { from, to }),
        }
    }
}

impl Trail {
    /// Returns the moves of the ref by other processes since the last call, the oldest first. Does not include moves
    /// before this handle first read the ref.
    pub fn take_ref_moves(&self) -> Vec<RefMove> {
        let noted = self.shared().moved.0.lock();
        std::mem::take(&mut *noted.unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use gix::ObjectId;

    use super::{MAX_NOTED, RefMove, RefMoves};

    fn id(number: usize) -> ObjectId {
        ObjectId::from_hex(format!("{number:040x}").as_bytes()).expect("an id")
    }

    #[test]
    fn consecutive_moves_are_merged_and_their_number_is_bounded() {
        let noted = RefMoves::default();
        noted.note(None, id(1));
        noted.note(Some(id(1)), id(2));
        noted.note(Some(id(5)), id(6));
        let of = |noted: &RefMoves| {
            noted
                .0
                .lock()
                .expect("no thread panicked with the lock")
                .clone()
        };
        let first = RefMove {
            from: None,
            to: id(2),
        };
        assert_eq!(of(&noted)[0], first);
        assert_eq!(of(&noted).len(), 2);
        for number in 10..10 + 2 * MAX_NOTED {
            noted.note(Some(id(2 * number)), id(2 * number + 1));
        }
        assert_eq!(of(&noted).len(), MAX_NOTED);
    }
}
