//! Erasures and the trail: each one becomes an entry, and a store of keys follows the entries of its trail.
//!
//! The order is the guarantee. The keys are destroyed first, whatever the state of git. Then the entry is recorded, and
//! last the store of keys notes its number. Each step can be repeated, and the next command completes what was begun. A
//! store of keys that was restored from a backup destroys again what the trail says, before anything is opened.

use std::sync::Arc;

use outcome::ErasureEntry;
use outcome::clock::{Clock, Timestamp};
use policy::{Engine, LoadError};
use sealing::{Erasure, KeyId, KeyStore, KeyStoreError};
use trail::{Trail, TrailError};

use super::AnswerKind;
use super::continuation::{ContinuationError, record_own};

/// Why an erasure was not recorded or not applied.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// The trail cannot be read or written.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The store of keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The built-in policy cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An entry with the id of an erasure is not one, so nothing may be opened.
    #[error("the entry {0} is not an erasure that this version can read")]
    Unreadable(String),
    /// The entry was not recorded.
    #[error("the erasure was not recorded: {0}")]
    NotRecorded(String),
}

impl From<ContinuationError> for ErasureError {
    fn from(error: ContinuationError) -> ErasureError {
        match error {
            ContinuationError::Trail(error) => ErasureError::Trail(error),
            ContinuationError::Load(error) => ErasureError::Load(error),
            other => ErasureError::NotRecorded(other.to_string()),
        }
    }
}

/// An erasure that the trail holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedErasure {
    /// What its entry says.
    pub erasure: ErasureEntry,
    /// The commit that added the entry, in hexadecimal, if it is in this clone.
    pub commit: Option<String>,
}

/// The erasure with this number; `None` if the trail has no such entry.
///
/// # Errors
///
/// The trail cannot be read, or the entry is no erasure.
pub fn find(trail: &Trail, number: u32) -> Result<Option<ErasureEntry>, ErasureError> {
    let task_id = ErasureEntry::task_id(number);
    match trail.snapshot(&task_id)?.entry {
        None => Ok(None),
        Some(entry) => match ErasureEntry::parse(&entry) {
            Some(erasure) => Ok(Some(erasure)),
            None => Err(ErasureError::Unreadable(task_id.to_string())),
        },
    }
}

/// All erasures of a trail, oldest first.
///
/// # Errors
///
/// As [`find`].
pub fn list(trail: &Trail) -> Result<Vec<RecordedErasure>, ErasureError> {
    let mut erasures = Vec::new();
    while let Some(erasure) = find(trail, number(erasures.len()))? {
        let located = trail.locate(&ErasureEntry::task_id(erasure.number))?;
        let commit = located.and_then(|(_, commit)| commit);
        erasures.push(RecordedErasure { erasure, commit });
    }
    Ok(erasures)
}

fn number(before: usize) -> u32 {
    u32::try_from(before).unwrap_or(u32::MAX - 1) + 1
}

/// Destroys the keys that the trail says are destroyed. Returns how many still were live, which means that the store of
/// keys is older than the trail. Must be called before anything is opened.
///
/// # Errors
///
/// As [`find`]; the store of keys cannot be used.
pub fn replay(trail: &Trail, keys: &KeyStore) -> Result<usize, ErasureError> {
    let mut destroyed = 0;
    let mut next = keys.replayed()? + 1;
    while let Some(erasure) = find(trail, next)? {
        destroyed += apply(keys, &erasure)?;
        next += 1;
    }
    Ok(destroyed)
}

fn apply(keys: &KeyStore, erasure: &ErasureEntry) -> Result<usize, ErasureError> {
    let ids = erasure.keys.iter().map(|id| {
        KeyId::parse(id).ok_or_else(|| {
            ErasureError::Unreadable(ErasureEntry::task_id(erasure.number).to_string())
        })
    });
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let at = erasure.erased_at.microseconds();
    Ok(keys.replay(erasure.number, &ids, &erasure.reason, at)?)
}

/// Records the erasures that have no entry yet. Returns those that this call recorded.
///
/// # Errors
///
/// [`ErasureError::NotRecorded`] if git cannot be written now: the keys are destroyed already, and a later call records
/// the entry.
pub fn record_pending(
    trail: &Trail,
    keys: &KeyStore,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<RecordedErasure>, ErasureError> {
    let mut recorded = Vec::new();
    replay(trail, keys)?;
    let pending = keys.erasures()?.into_iter();
    for erasure in pending.filter(|erasure| erasure.number.is_none()) {
        recorded.extend(record(trail, keys, &erasure, engine, clock)?);
    }
    Ok(recorded)
}

fn record(
    trail: &Trail,
    keys: &KeyStore,
    erasure: &Erasure,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
) -> Result<Option<RecordedErasure>, ErasureError> {
    loop {
        // Another process may have recorded it meanwhile.
        if keys.number_of(erasure.id)?.is_some() {
            return Ok(None);
        }
        let entry = ErasureEntry {
            number: keys.replayed()? + 1,
            reason: erasure.reason.clone(),
            erased_at: Timestamp::from_microseconds(erasure.erased_at),
            keys: erasure.keys.iter().map(ToString::to_string).collect(),
        };
        let answer = record_own(trail, &entry.document(), engine, clock)?;
        match answer.result {
            AnswerKind::Committed | AnswerKind::AlreadyRecorded => {
                // The commit point was the entry. From here on every store of keys of this trail follows it.
                apply(keys, &entry)?;
                return Ok(Some(RecordedErasure {
                    erasure: entry,
                    commit: answer.commit,
                }));
            }
            // Another process has recorded another erasure with this number: apply it, and take the next one.
            AnswerKind::Conflicting if replay(trail, keys).is_ok() => {}
            _ => {
                let reason = answer
                    .reason
                    .unwrap_or_else(|| "the trail refused it".into());
                return Err(ErasureError::NotRecorded(reason));
            }
        }
    }
}
