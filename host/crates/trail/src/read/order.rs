//! The numbers of the trail's entries: each entry has a number, which is the same in every copy of the trail.
//!
//! The number of an entry is its position in first-parent history, from 1; it is one more than the index of its leaf in
//! the Merkle tree. Only durable entries have a number. Numbers never change while history is only extended.

use gix::ObjectId;

use crate::caches::leaves::known_size;
use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::read::history::History;
use crate::{Trail, TrailInner, message};
use outcome::TaskId;

/// The end of a trail's durable history, and the number of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEnd {
    tip: Option<ObjectId>,
    /// The number of the last entry; 0 if there is none.
    pub entries: u64,
}

/// The number of an entry and the commit that added it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedCommit {
    /// The entry's number, from 1.
    pub number: u64,
    /// The commit's id.
    id: ObjectId,
}

impl NumberedCommit {
    /// The commit's id, in hexadecimal.
    pub fn commit(&self) -> String {
        self.id.to_string()
    }

    /// A commit that a caller names, with the number that the caller claims for it.
    pub fn claimed(number: u64, commit: &str) -> Option<NumberedCommit> {
        let id = ObjectId::from_hex(commit.as_bytes()).ok()?;
        Some(NumberedCommit { number, id })
    }
}

impl Trail {
    /// The durable end of the trail. Only history after `known`, an earlier end, is read.
    ///
    /// Returns `None` if history does not continue `known`, because the ref was moved by force.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn end_after(&self, known: &TrailEnd) -> Result<Option<TrailEnd>, TrailError> {
        let shared = self.shared();
        let tip = durable_tip(shared)?;
        if tip == known.tip {
            return Ok(Some(known.clone()));
        }
        let (entries, met) = count_down_to(&shared.repository, tip, known.tip)?;
        Ok(met.then(|| TrailEnd {
            tip,
            entries: known.entries + entries,
        }))
    }

    /// The durable end of the trail. Reads all of history only if the Merkle tree beside the trail is not up to date.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn end(&self) -> Result<TrailEnd, TrailError> {
        let shared = self.shared();
        let repository = &shared.repository;
        // The order matters: the ref moves before the tree is updated, and the tip is noted as durable after it.
        let tree = known_size(&shared.leaves);
        let newest = repository.read_ref(&shared.identity.reference)?;
        let tip = durable_tip(shared)?;
        if let Some((size, tree_tip)) = tree {
            let (behind, met) = count_down_to(repository, newest, Some(tree_tip))?;
            if met {
                let (ahead, met) = count_down_to(repository, newest, tip)?;
                if met {
                    let entries = (size + behind).saturating_sub(ahead);
                    return Ok(TrailEnd { tip, entries });
                }
            }
        }
        let (entries, _) = count_down_to(repository, tip, None)?;
        Ok(TrailEnd { tip, entries })
    }

    /// The commits of the entries with numbers greater than `after`, at most `limit`, the oldest first.
    ///
    /// Reads history from `from` down. Calls `visit` with each entry on the way, so that the caller can remember it for
    /// later calls.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn numbered(
        &self,
        from: &NumberedStart,
        after: u64,
        limit: usize,
        mut visit: impl FnMut(NumberedCommit),
    ) -> Result<Vec<NumberedCommit>, TrailError> {
        let (tip, mut number) = match from {
            NumberedStart::End(end) => (end.tip, end.entries),
            NumberedStart::Entry(entry) => (Some(entry.id), entry.number),
        };
        let last = after.saturating_add(limit as u64);
        let mut found = Vec::new();
        let mut history = History::from(&self.shared().repository, tip);
        while number > after
            && let Some((id, _, _)) = history.next_commit()?
        {
            let place = NumberedCommit { number, id };
            visit(place);
            if number <= last {
                found.push(place);
            }
            number -= 1;
        }
        found.reverse();
        Ok(found)
    }

    /// The number of the entry that a commit added, if the commit is in the history that ends at `end`.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn number_of(
        &self,
        end: &TrailEnd,
        commit: &str,
    ) -> Result<Option<NumberedCommit>, TrailError> {
        let mut number = end.entries;
        let mut history = History::from(&self.shared().repository, end.tip);
        // A text that is not an id names no commit.
        let commit = gix::ObjectId::from_hex(commit.as_bytes()).ok();
        while let Some((id, _, _)) = history.next_commit()? {
            if Some(id) == commit {
                return Ok(Some(NumberedCommit { number, id }));
            }
            number = number.saturating_sub(1);
        }
        Ok(None)
    }
}

/// Where [`Trail::numbered`] starts to read.
#[derive(Clone, Debug)]
pub enum NumberedStart {
    /// The end of the trail.
    End(TrailEnd),
    /// An entry whose number is known.
    Entry(NumberedCommit),
}

/// The newest commit known to be durable: the recorder notes it before it gives receipts.
fn durable_tip(shared: &TrailInner) -> Result<Option<ObjectId>, TrailError> {
    let state = &shared.state;
    match state.read_mark(&state.acknowledged_path()) {
        Some(mark) => Ok(Some(mark.tip)),
        // Nothing was recorded on this machine yet: the history came from a clone or fetch.
        None => shared.repository.read_ref(&shared.identity.reference),
    }
}

/// Counts the entries from `tip` down to `end`, without `end`. Also returns whether `end` was reached.
fn count_down_to(
    repository: &Repository,
    tip: Option<ObjectId>,
    end: Option<ObjectId>,
) -> Result<(u64, bool), TrailError> {
    let mut entries = 0;
    let mut next = tip;
    while let Some(id) = next {
        if Some(id) == end {
            return Ok((entries, true));
        }
        let commit = repository.commit(&id)?;
        let names_task = message::trailer(&commit.message, message::FORMAT)
            .and_then(|_| message::trailer(&commit.message, message::TASK))
            .is_some_and(|task| TaskId::parse(task).is_ok());
        entries += u64::from(names_task);
        next = repository.parent(&id, &commit);
    }
    Ok((entries, end.is_none()))
}
