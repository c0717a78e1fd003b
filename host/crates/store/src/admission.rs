//! Limits how much may wait for the database, and so the memory of a host whose database does not answer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{StoreError, Submission};

/// The most bytes of submissions that wait for the database or are being sent to it.
const MAX_BYTES: usize = 48 << 20;

/// The size at which a small submission is counted: the memory that is kept besides its text.
const LEAST: usize = 1 << 10;

/// The remaining capacity for submissions that wait.
pub(super) struct WaitingLimit(Arc<Semaphore>);

/// The capacity that one submission occupies; returned on drop.
pub(super) struct WaitingPermit {
    _permit: OwnedSemaphorePermit,
}

impl Default for WaitingLimit {
    fn default() -> WaitingLimit {
        WaitingLimit(Arc::new(Semaphore::new(MAX_BYTES)))
    }
}

impl WaitingLimit {
    /// Reserves capacity for a submission. One that is larger than the whole capacity reserves all of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if too much is waiting already.
    pub(super) fn enter(&self, submission: &Submission) -> Result<WaitingPermit, StoreError> {
        let document = submission.document.as_ref().map_or(0, String::len);
        let bytes = (submission.text.len() + document).clamp(LEAST, MAX_BYTES);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.0.clone().try_acquire_many_owned(permits) {
            Ok(permit) => Ok(WaitingPermit { _permit: permit }),
            Err(_) => Err(StoreError::Unavailable(
                "too many bytes wait for the store".into(),
            )),
        }
    }
}
