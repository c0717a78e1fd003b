//! What a policy may read while it decides.

use std::sync::Arc;

/// What a policy may read, from one snapshot.
pub(super) struct EntrySnapshot(pub(super) Option<Arc<[u8]>>);

impl policy::Snapshot for EntrySnapshot {
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.as_deref().map(<[u8]>::to_vec))
    }
}
