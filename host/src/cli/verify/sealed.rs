//! Counts sealed entries and erased keys during an audit. Needs no key, and judges nothing: what is sealed verifies like
//! everything else.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::outcome::{ERASURE, ErasureEntry, counted};
use crate::verify::{TrailCommit, Visitor};

/// What an entry with a sealed member contains, as the host writes it.
const MARK: &[u8] = b"{\"$sealed\":{";

/// The counts of one audit.
#[derive(Debug, Default)]
pub(super) struct SealedCount {
    entries: AtomicU64,
    erasures: AtomicU64,
    keys: AtomicU64,
}

/// The counts as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sealed {
    /// Entries with sealed members.
    entries: u64,
    /// Entries that record an erasure.
    erasures: u64,
    /// Keys that these entries name.
    erased_keys: u64,
}

impl SealedCount {
    /// The counts; `None` if nothing is sealed or erased.
    pub(super) fn counts(&self) -> Option<Sealed> {
        let counts = Sealed {
            entries: self.entries.load(Ordering::Relaxed),
            erasures: self.erasures.load(Ordering::Relaxed),
            erased_keys: self.keys.load(Ordering::Relaxed),
        };
        (counts.entries > 0 || counts.erasures > 0).then_some(counts)
    }
}

impl Sealed {
    /// The counts for people.
    pub(super) fn sentence(self) -> String {
        format!(
            "{} with sealed members, {} erased by {}",
            counted(self.entries, "entry", "entries"),
            counted(self.erased_keys, "key", "keys"),
            counted(self.erasures, "erasure", "erasures")
        )
    }
}

impl Visitor for SealedCount {
    fn visit(&self, commit: &TrailCommit<'_>) {
        let Some(entry) = commit.entry.filter(|_| !commit.is_genesis) else {
            return;
        };
        if memchr::memmem::find(entry.bytes, MARK).is_some() {
            self.entries.fetch_add(1, Ordering::Relaxed);
        }
        let file = entry.path.rsplit(|byte| *byte == b'/').next();
        if file.is_some_and(|file| file.starts_with(ERASURE.as_bytes()))
            && let Some(erasure) = ErasureEntry::parse(entry.bytes)
        {
            self.erasures.fetch_add(1, Ordering::Relaxed);
            let keys = erasure.keys.len() as u64;
            self.keys.fetch_add(keys, Ordering::Relaxed);
        }
    }
}
