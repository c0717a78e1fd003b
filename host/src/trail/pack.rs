//! Packs: a group's objects in one file with its index, in git's formats (pack version 2, index version 2).
//!
//! Objects are appended as they are sequenced; trees as deltas against their predecessor in the same pack. Knows
//! bytes, not files.

use std::collections::HashMap;
use std::sync::Arc;

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use super::delta::{self, Anchor};
use super::object::{self, Deflater};
use super::tree::{Edit, Node};

/// How many deltas may follow each other: git's own default for `pack.depth`.
const MAX_CHAIN: u8 = 50;

pub(super) const TYPE_COMMIT: u8 = 1;
pub(super) const TYPE_TREE: u8 = 2;
pub(super) const TYPE_BLOB: u8 = 3;
pub(super) const TYPE_OFS_DELTA: u8 = 6;
pub(super) const TYPE_REF_DELTA: u8 = 7;

/// A pack under construction.
pub(super) struct PackBuilder {
    hash: HashKind,
    bytes: Vec<u8>,
    entries: Vec<IndexEntry>,
    /// Trees that a later one may be a delta of: where each is and how long its chain is.
    bases: HashMap<ObjectId, (u64, u8)>,
    /// What entries, and what commits, are deltas of: they resemble each other, and a chain of one costs a reader least.
    entries_anchor: Anchored,
    commits_anchor: Anchored,
    scratch: Vec<u8>,
}

/// A text in the pack that later ones may be a delta of.
#[derive(Default)]
struct Anchored {
    anchor: Option<(Anchor, u64)>,
    /// How many deltas in a row saved too little.
    misses: u32,
}

/// After so many deltas that saved too little the next text becomes the anchor.
const MISSES_MOST: u32 = 4;

/// One line of an index.
#[derive(Clone, Copy)]
pub(super) struct IndexEntry {
    pub(super) id: ObjectId,
    pub(super) crc: u32,
    pub(super) offset: u64,
}

/// A finished pack.
pub(super) struct Pack {
    pub(super) pack: Vec<u8>,
    pub(super) index: Vec<u8>,
    /// `pack-{checksum}`: the files' names without extension.
    pub(super) name: String,
}

impl PackBuilder {
    pub(super) fn new(hash: HashKind) -> PackBuilder {
        let mut bytes = Vec::with_capacity(64 * 1024);
        bytes.extend_from_slice(&header(0));
        PackBuilder {
            hash,
            bytes,
            entries: Vec::new(),
            bases: HashMap::new(),
            entries_anchor: Anchored::default(),
            commits_anchor: Anchored::default(),
            scratch: Vec::new(),
        }
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds an object that is deflated already.
    pub(super) fn add_deflated(&mut self, kind: u8, id: ObjectId, size: usize, deflated: &[u8]) {
        let start = self.bytes.len();
        object_header(kind, size as u64, &mut self.bytes);
        self.bytes.extend_from_slice(deflated);
        self.entered(id, start);
    }

    /// Adds an object.
    pub(super) fn add(&mut self, kind: u8, id: ObjectId, contents: &[u8], deflater: &mut Deflater) {
        let start = self.bytes.len();
        object_header(kind, contents.len() as u64, &mut self.bytes);
        deflater.deflate_into(contents, &mut self.bytes);
        self.entered(id, start);
    }

    /// Adds an entry's blob; says whether a delta served. `deflated` is the whole blob's stream, if it is there already.
    pub(super) fn add_entry(
        &mut self,
        id: ObjectId,
        contents: &[u8],
        deflated: Option<&[u8]>,
        deflater: &mut Deflater,
    ) -> bool {
        let mut anchored = std::mem::take(&mut self.entries_anchor);
        let served = self.add_delta(&mut anchored, id, contents, deflater);
        if !served {
            let start = self.bytes.len() as u64;
            match deflated {
                Some(deflated) => self.add_deflated(TYPE_BLOB, id, contents.len(), deflated),
                None => self.add(TYPE_BLOB, id, contents, deflater),
            }
            anchored.offer(contents, start);
        }
        self.entries_anchor = anchored;
        served
    }

    /// Adds a commit.
    pub(super) fn add_commit(&mut self, id: ObjectId, contents: &[u8], deflater: &mut Deflater) {
        let mut anchored = std::mem::take(&mut self.commits_anchor);
        if !self.add_delta(&mut anchored, id, contents, deflater) {
            let start = self.bytes.len() as u64;
            self.add(TYPE_COMMIT, id, contents, deflater);
            anchored.offer(contents, start);
        }
        self.commits_anchor = anchored;
    }

    /// Adds a text as a delta of its anchor, if that saves a third.
    fn add_delta(
        &mut self,
        anchored: &mut Anchored,
        id: ObjectId,
        contents: &[u8],
        deflater: &mut Deflater,
    ) -> bool {
        let Some((anchor, at)) = &anchored.anchor else {
            return false;
        };
        let mut delta = std::mem::take(&mut self.scratch);
        delta.clear();
        anchor.delta(contents, &mut delta);
        let serves = delta.len() * 3 <= contents.len() * 2;
        if serves {
            let start = self.bytes.len();
            object_header(TYPE_OFS_DELTA, delta.len() as u64, &mut self.bytes);
            offset_distance(start as u64 - at, &mut self.bytes);
            deflater.deflate_into(&delta, &mut self.bytes);
            self.entered(id, start);
            anchored.misses = 0;
        } else {
            anchored.misses += 1;
        }
        self.scratch = delta;
        serves
    }

    /// Adds a tree, as a delta if its predecessor is in this pack.
    pub(super) fn add_tree(
        &mut self,
        node: &Arc<Node>,
        before: Option<(ObjectId, Edit)>,
        deflater: &mut Deflater,
    ) {
        let base = before
            .and_then(|(id, edit)| self.bases.remove(&id).map(|(at, chain)| (at, chain, edit)));
        let start = self.bytes.len() as u64;
        match base {
            Some((at, chain, edit)) if chain < MAX_CHAIN => {
                let mut delta = std::mem::take(&mut self.scratch);
                delta.clear();
                delta::of_edit(edit, &node.raw, &mut delta);
                object_header(TYPE_OFS_DELTA, delta.len() as u64, &mut self.bytes);
                offset_distance(start - at, &mut self.bytes);
                deflater.deflate_into(&delta, &mut self.bytes);
                self.scratch = delta;
                self.entered(node.id, start as usize);
                self.bases.insert(node.id, (start, chain + 1));
            }
            _ => {
                self.add(TYPE_TREE, node.id, &node.raw, deflater);
                self.bases.insert(node.id, (start, 0));
            }
        }
    }

    fn entered(&mut self, id: ObjectId, start: usize) {
        let crc = crc32fast::hash(&self.bytes[start..]);
        self.entries.push(IndexEntry {
            id,
            crc,
            offset: start as u64,
        });
    }

    /// Completes the pack and makes its index.
    pub(super) fn finish(mut self) -> Pack {
        let count = u32::try_from(self.entries.len()).expect("a group has fewer than 2^32 objects");
        self.bytes[..12].copy_from_slice(&header(count));
        let checksum = object::digest(self.hash, &[&self.bytes]);
        self.bytes.extend_from_slice(checksum.as_slice());
        let index = index(self.hash, &mut self.entries, &checksum);
        Pack {
            pack: self.bytes,
            index,
            name: format!("pack-{checksum}"),
        }
    }
}

impl Anchored {
    /// Takes a text that was added whole for the anchor, if there is none or it has served too badly.
    fn offer(&mut self, contents: &[u8], at: u64) {
        if self.anchor.is_none() || self.misses >= MISSES_MOST {
            *self = Anchored {
                anchor: Some((Anchor::new(contents), at)),
                misses: 0,
            };
        }
    }
}

/// The first twelve bytes of a pack.
pub(super) fn header(count: u32) -> [u8; 12] {
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&count.to_be_bytes());
    header
}

/// Type and inflated size before an object: three bits of type, size in groups of 4, then 7 bits, least first.
pub(super) fn object_header(kind: u8, size: u64, out: &mut Vec<u8>) {
    let mut byte = (kind << 4) | (size & 15) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// The distance back to a delta's base: groups of 7 bits, most first, each continued group one less.
pub(super) fn offset_distance(distance: u64, out: &mut Vec<u8>) {
    let mut bytes = [0u8; 10];
    let mut at = bytes.len() - 1;
    bytes[at] = (distance & 0x7f) as u8;
    let mut rest = distance >> 7;
    while rest > 0 {
        rest -= 1;
        at -= 1;
        bytes[at] = 0x80 | (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.extend_from_slice(&bytes[at..]);
}

/// An index of version 2 over `entries`, which are sorted here.
pub(super) fn index(
    hash: HashKind,
    entries: &mut [IndexEntry],
    pack_checksum: &gix::oid,
) -> Vec<u8> {
    entries.sort_unstable_by_key(|entry| entry.id);
    let mut out = Vec::with_capacity(8 + 1024 + entries.len() * (hash.len_in_bytes() + 8) + 64);
    out.extend_from_slice(b"\xfftOc\0\0\0\x02");
    let mut fan = [0u32; 256];
    entries
        .iter()
        .for_each(|entry| fan[usize::from(entry.id.first_byte())] += 1);
    let mut total = 0u32;
    for count in fan {
        total += count;
        out.extend_from_slice(&total.to_be_bytes());
    }
    entries
        .iter()
        .for_each(|entry| out.extend_from_slice(entry.id.as_slice()));
    entries
        .iter()
        .for_each(|entry| out.extend_from_slice(&entry.crc.to_be_bytes()));
    let mut large = Vec::new();
    for entry in entries.iter() {
        let word = match u32::try_from(entry.offset) {
            Ok(offset) if offset < 0x8000_0000 => offset,
            _ => {
                large.push(entry.offset);
                0x8000_0000 | (large.len() - 1) as u32
            }
        };
        out.extend_from_slice(&word.to_be_bytes());
    }
    large
        .iter()
        .for_each(|offset| out.extend_from_slice(&offset.to_be_bytes()));
    out.extend_from_slice(pack_checksum.as_bytes());
    let checksum = object::digest(hash, &[&out]);
    out.extend_from_slice(checksum.as_slice());
    out
}

/// Reads an index of version 2; `None` if it is not whole.
pub(super) fn read_index(hash: HashKind, bytes: &[u8]) -> Option<Vec<IndexEntry>> {
    let length = hash.len_in_bytes();
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|word| u32::from_be_bytes(word.try_into().expect("four bytes")))
    };
    if bytes.get(..8)? != b"\xfftOc\0\0\0\x02" {
        return None;
    }
    let count = word(8 + 255 * 4)? as usize;
    let ids = 8 + 1024;
    let crcs = ids + count.checked_mul(length)?;
    let offsets = crcs + count * 4;
    let large = offsets + count * 4;
    let checked = bytes.len().checked_sub(length)?;
    if object::digest(hash, &[&bytes[..checked]]).as_slice() != &bytes[checked..] {
        return None;
    }
    (0..count)
        .map(|at| {
            let id = ObjectId::from_bytes_or_panic(
                bytes.get(ids + at * length..ids + (at + 1) * length)?,
            );
            let offset = match word(offsets + at * 4)? {
                small if small < 0x8000_0000 => u64::from(small),
                marked => {
                    let at = large + (marked & 0x7fff_ffff) as usize * 8;
                    u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().expect("eight bytes"))
                }
            };
            Some(IndexEntry {
                id,
                crc: word(crcs + at * 4)?,
                offset,
            })
        })
        .collect()
}

/// Reads the header of a packed object: its type and the header's length.
pub(super) fn read_object_header(raw: &[u8]) -> Option<(u8, usize)> {
    let length = raw.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    Some(((raw[0] >> 4) & 7, length))
}

/// Reads the distance to a delta's base: it and its length.
pub(super) fn read_offset_distance(raw: &[u8]) -> Option<(u64, usize)> {
    let mut value = u64::from(raw.first()? & 0x7f);
    let mut at = 0;
    while raw.get(at)? & 0x80 != 0 {
        at += 1;
        value = (value.checked_add(1)? << 7) | u64::from(raw.get(at)? & 0x7f);
    }
    Some((value, at + 1))
}
