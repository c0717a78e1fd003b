//! A large directory of entries, followed back through history without reading it again for each commit.
//!
//! A directory of n entries is a tree of about fifty bytes times n, and every commit has another one: reading them all
//! would cost the square of the trail's length. Instead the newest one is read, and each commit's entry is removed from
//! it on the way down. The check comes at the end of a stretch, where the rest must have the id of the tree that is
//! there. If it has, each commit of the stretch only added its entry, unless one altered an entry that the stretch
//! itself added, under forged trailers. `verify` reads every tree and finds those.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use crate::objects::object;
use crate::objects::tree_object::{Entry, MODE_FILE};

/// The size in bytes from which directories are followed. Smaller ones, of some hundred entries, are as fast to read.
pub(crate) const LARGE: usize = 16 << 10;

/// The entries of a directory: their bytes in the tree, by name in git's order.
pub(crate) struct Directory {
    entries: BTreeMap<Vec<u8>, Box<[u8]>>,
    hash: HashKind,
    size: usize,
}

impl Directory {
    /// Parses a tree's bytes. Skips what cannot be read; the check at the end of the stretch then fails.
    pub(crate) fn parse(raw: &[u8], hash: HashKind) -> Directory {
        let mut entries = BTreeMap::new();
        let mut rest = raw;
        while let Some(entry) = Entry::first(rest, hash) {
            let mut key = entry.name.to_vec();
            if entry.is_tree() {
                key.push(b'/');
            }
            let length = entry.length;
            entries.insert(key, rest[..length].into());
            rest = &rest[length..];
        }
        Directory {
            entries,
            hash,
            size: raw.len(),
        }
    }

    /// Removes a file and returns its blob. The rest is the directory before the file was added. `None` if there is no
    /// such file.
    pub(crate) fn take(&mut self, name: &str) -> Option<ObjectId> {
        let raw = self.entries.remove(name.as_bytes())?;
        self.size -= raw.len();
        let entry = Entry::first(&raw, self.hash)?;
        (entry.mode == MODE_FILE).then(|| entry.id.to_owned())
    }

    /// The id of the tree.
    pub(crate) fn id(&self) -> ObjectId {
        let mut raw = Vec::with_capacity(self.size);
        self.entries
            .values()
            .for_each(|entry| raw.extend_from_slice(entry));
        object::name_own_tree(self.hash, &raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut raw = Vec::new();
        for (mode, name) in entries {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            raw.extend_from_slice(object::digest(HashKind::Sha1, &[name.as_bytes()]).as_slice());
        }
        raw
    }

    #[test]
    fn what_is_left_is_the_tree_without_the_entry() {
        let entries = [
            ("100644", "a"),
            ("100644", "a.json"),
            ("40000", "a"),
            ("100755", "b.json"),
            ("100644", "c.json"),
        ];
        let raw = tree(&entries[1..]);
        let mut directory = Directory::parse(&raw, HashKind::Sha1);
        assert_eq!(directory.id(), object::name_own_tree(HashKind::Sha1, &raw));
        let blob = object::digest(HashKind::Sha1, &[b"c.json"]);
        assert_eq!(directory.take("c.json"), Some(blob));
        let left = tree(&entries[1..4]);
        assert_eq!(directory.id(), object::name_own_tree(HashKind::Sha1, &left));
        assert_eq!(directory.take("c.json"), None);
        // A directory or an executable file is no entry.
        assert_eq!(directory.take("a"), None);
        assert_eq!(directory.take("b.json"), None);
    }
}
