//! The memory of one trail's trees. Knows only bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes of one trail's trees in memory. The writer starts again from the root when they are too large.
/// Clones share one count.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadedBytes(Arc<AtomicUsize>);

impl LoadedBytes {
    /// The bytes in memory now.
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}
