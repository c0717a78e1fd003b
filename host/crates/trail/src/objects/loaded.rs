//! How much memory the trees of one trail hold. Knows bytes only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes of one trail's trees that are in memory. The writer starts over from the root when they grow too large.
/// Clones count together.
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
