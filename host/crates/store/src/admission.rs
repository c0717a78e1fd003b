//! How much may wait for the database: bounds the memory of a host whose database does not answer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{StoreError, Submission};

/// The most bytes of submissions that wait for the database, or are on their way to it.
const BYTES_MOST: usize = 48 << 20;

/// What the smallest counts for: what is kept beside its text.
const LEAST: usize = 1 << 10;

/// The room for what waits.
pub(super) struct WaitingLimit(Arc<Semaphore>);

/// The part of the room that one submission takes. Dropping it makes room.
pub(super) struct WaitingPermit {
    _permit: OwnedSemaphorePermit,
}

impl Default for WaitingLimit {
    fn default() -> WaitingLimit {
        WaitingLimit(Arc::new(Semaphore::new(BYTES_MOST)))
    }
}

impl WaitingLimit {
    /// Takes room for a submission, however large: one that alone is more than all takes all.
    pub(super) fn enter(&self, submission: &Submission) -> Result<WaitingPermit, StoreError> {
        let document = submission.document.as_ref().map_or(0, String::len);
        let bytes = (submission.text.len() + document).clamp(LEAST, BYTES_MOST);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.0.clone().try_acquire_many_owned(permits) {
            Ok(permit) => Ok(WaitingPermit { _permit: permit }),
            Err(_) => Err(StoreError::Unavailable(
                "too many bytes wait for the store".into(),
            )),
        }
    }
}
