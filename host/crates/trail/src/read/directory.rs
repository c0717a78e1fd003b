//! A large directory of entries, followed back through history without being read again for each commit.
//!
//! A directory of n entries is a tree of some fifty bytes times n, and every commit has another one: reading them all takes the square
//! of the trail. Here the newest is read, and on the way down each commit's entry is taken out of it. Whether that was right is seen at
//! the end of a stretch, where what is left must have the name of the tree that is there. Then no commit of the stretch did anything
//! but add its entry, unless it altered one that the stretch itself added, under trailers that are forged: `verify` reads every tree.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use crate::objects::object;
use crate::objects::tree_object::{Entry, MODE_FILE};

/// A smaller directory is read as fast as it is followed: some hundred entries.
pub(crate) const LARGE: usize = 16 << 10;

/// A directory's entries: their bytes in the tree, by their names as git sorts them.
pub(crate) struct Directory {
    entries: BTreeMap<Vec<u8>, Box<[u8]>>,
    hash: HashKind,
    size: usize,
}

impl Directory {
    /// Of a tree's bytes. What cannot be read is left out, and seen at the end of the stretch.
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

    /// Takes out a file: what is left is the directory before that was added. None if there is no such file.
    pub(crate) fn take(&mut self, name: &str) -> Option<ObjectId> {
        let raw = self.entries.remove(name.as_bytes())?;
        self.size -= raw.len();
        let entry = Entry::first(&raw, self.hash)?;
        (entry.mode == MODE_FILE).then(|| entry.id.to_owned())
    }

    /// The name of the tree that it is.
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
        // Neither a directory nor a program is an entry.
        assert_eq!(directory.take("a"), None);
        assert_eq!(directory.take("b.json"), None);
    }
}
