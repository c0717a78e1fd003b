//! The bytes of a tree object: its entries, and git's order of them.

use std::cmp::Ordering;

use gix::hash::Kind as HashKind;

pub(crate) const MODE_TREE: &[u8] = b"40000";
pub(crate) const MODE_FILE: &[u8] = b"100644";

pub(crate) fn id_length(hash: HashKind) -> usize {
    hash.len_in_bytes()
}

/// Git compares directory names as if they ended in `/`.
pub(crate) fn git_order(
    left: &[u8],
    left_is_tree: bool,
    right: &[u8],
    right_is_tree: bool,
) -> Ordering {
    let common = left.len().min(right.len());
    left[..common].cmp(&right[..common]).then_with(|| {
        let end = |name: &[u8], is_tree: bool| {
            name.get(common)
                .copied()
                .unwrap_or(if is_tree { b'/' } else { 0 })
        };
        end(left, left_is_tree).cmp(&end(right, right_is_tree))
    })
}

/// One entry of a tree object.
pub(crate) struct Entry<'a> {
    pub(crate) at: usize,
    pub(crate) length: usize,
    pub(crate) mode: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) id: &'a gix::oid,
}

impl<'a> Entry<'a> {
    pub(crate) fn first(raw: &'a [u8], hash: HashKind) -> Option<Entry<'a>> {
        let space = raw.iter().take(7).position(|byte| *byte == b' ')?;
        let name_end = space + 1 + memchr(0, &raw[space + 1..])?;
        let id = raw.get(name_end + 1..name_end + 1 + id_length(hash))?;
        Some(Entry {
            at: 0,
            length: name_end + 1 + id_length(hash),
            mode: &raw[..space],
            name: &raw[space + 1..name_end],
            id: gix::oid::try_from_bytes(id).ok()?,
        })
    }

    pub(crate) fn is_tree(&self) -> bool {
        self.mode == MODE_TREE
    }
}

/// The offsets of the ids of a tree's entries, up to the first malformed one.
pub(crate) fn id_starts(raw: &[u8], hash: HashKind) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let entry = Entry::first(&raw[at..], hash)?;
        at += entry.length;
        Some(at - id_length(hash))
    })
}

fn memchr(needle: u8, haystack: &[u8]) -> Option<usize> {
    haystack.iter().position(|byte| *byte == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_sort_as_if_they_ended_in_a_slash() {
        assert_eq!(git_order(b"a", true, b"a.json", false), Ordering::Greater);
        assert_eq!(git_order(b"a", false, b"a.json", false), Ordering::Less);
        assert_eq!(git_order(b"a", true, b"a", true), Ordering::Equal);
    }
}
