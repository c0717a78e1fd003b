//! Finding a name in a large directory without reading all of it. In the flat layout one directory has every entry.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash as _, Hasher};

use gix::hash::Kind as HashKind;

use crate::objects::tree_object::Entry;

/// Smaller directories are scanned, which is faster than building this index.
const MIN_INDEXED_BYTES: usize = 4 << 10;

/// The offsets of a tree object's entries, and their names without case.
#[derive(Clone, Debug)]
pub(crate) struct NameIndex {
    /// The offsets, ascending.
    starts: Vec<u32>,
    /// Hashes of the names in lower case. A name whose hash is missing is not in the directory; one whose hash is there
    /// may be.
    folded: HashSet<u64, BuildHasherDefault<IdentityHasher>>,
}

impl NameIndex {
    /// The index of a directory; `None` if the directory is small, or malformed.
    pub(crate) fn of(raw: &[u8], hash: HashKind) -> Option<NameIndex> {
        if raw.len() < MIN_INDEXED_BYTES {
            return None;
        }
        let mut names = NameIndex {
            starts: Vec::new(),
            folded: HashSet::default(),
        };
        let mut at = 0;
        while at < raw.len() {
            let entry = Entry::first(&raw[at..], hash)?;
            names.starts.push(u32::try_from(at).ok()?);
            names.folded.insert(fold(entry.name));
            at += entry.length;
        }
        Some(names)
    }

    /// The offset of the last entry for which `before` holds, which holds for all entries before it; 0 if it holds for
    /// none.
    pub(crate) fn last_not_after(&self, before: impl Fn(usize) -> bool) -> usize {
        let count = self.starts.partition_point(|start| before(*start as usize));
        let last = count.checked_sub(1).and_then(|last| self.starts.get(last));
        last.map_or(0, |start| *start as usize)
    }

    /// Whether the directory may have a name that equals this one except for case.
    pub(crate) fn may_contain(&self, name: &[u8]) -> bool {
        self.folded.contains(&fold(name))
    }

    /// Adds an entry of `length` bytes that was inserted at `at`.
    pub(crate) fn insert(&mut self, at: usize, length: usize, name: &[u8]) {
        let place = self.starts.partition_point(|start| (*start as usize) < at);
        let moved = u32::try_from(length).expect("an entry is short");
        self.starts[place..]
            .iter_mut()
            .for_each(|start| *start += moved);
        let start = u32::try_from(at).expect("a tree object is smaller than 4 GiB");
        self.starts.insert(place, start);
        self.folded.insert(fold(name));
    }
}

fn fold(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for byte in name {
        byte.to_ascii_lowercase().hash(&mut hasher);
    }
    hasher.finish()
}

/// A hasher for numbers that are hashes already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
