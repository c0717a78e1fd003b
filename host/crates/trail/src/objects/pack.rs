//! Packs: a group's objects in one file with its index, in git's formats (pack version 2, index version 2).
//!
//! Objects are appended as they are sequenced; trees are deltas of their predecessor in the same pack. Commits come
//! before all other objects, so that reading history reads only them. Knows bytes, not files.

use std::sync::atomic::{AtomicU64, Ordering};

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use crate::objects::delta::{self, Anchor};
use crate::objects::object::{self, Deflater};
use crate::objects::tree::{Edit, Node};
use crate::objects::tree_stream;

/// The longest chain of deltas: git's default for `pack.depth`.
pub(crate) const MAX_CHAIN: u8 = 50;

pub(crate) const TYPE_COMMIT: u8 = 1;
pub(crate) const TYPE_TREE: u8 = 2;
pub(crate) const TYPE_BLOB: u8 = 3;
pub(crate) const TYPE_OFS_DELTA: u8 = 6;
pub(crate) const TYPE_REF_DELTA: u8 = 7;

/// A commit's delta up to this length is stored: it consists of the digits of ids, and compression (a quarter of 120
/// bytes) would take as long as all other work for it.
pub(crate) const MAX_STORED_COMMIT: usize = 256;

/// A tree's delta up to this length is stored when packs are merged: it consists mostly of ids.
pub(crate) const MAX_STORED_TREE_DELTA: usize = 256;

/// A whole tree up to this length is stored at first. When packs are merged it becomes a delta, or is compressed.
/// Longer ones are rare.
const MAX_STORED_TREE: usize = 4 << 10;

/// A pack under construction.
pub(crate) struct PackBuilder {
    hash: HashKind,
    /// Distinguishes [`PackLocation`]s in this pack from those in others.
    serial: u64,
    commits: Section,
    rest: Section,
    /// The bases for entries and commits, which resemble each other. A chain of one delta costs a reader least.
    entries_anchor: Anchored,
    commits_anchor: Anchored,
    scratch: Vec<u8>,
}

/// A section of objects; offsets count from its start.
#[derive(Default)]
struct Section {
    bytes: Vec<u8>,
    entries: Vec<IndexEntry>,
    /// Deltas up to this length are stored without compression.
    stored_most: usize,
}

/// The location of a tree in a pack under construction. A later version of the tree may be a delta of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PackLocation {
    /// The serial of the pack; 0 for none.
    pack: u64,
    at: u64,
    chain: u8,
}

/// A text in the pack that later ones may be deltas of.
#[derive(Default)]
pub(crate) struct Anchored {
    anchor: Option<(Anchor, u64)>,
    /// How many deltas in a row saved too little.
    misses: u32,
}

/// After this many deltas that saved too little the next text becomes the anchor.
const MAX_MISSES: u32 = 4;

/// One line of an index.
#[derive(Clone, Copy)]
pub(crate) struct IndexEntry {
    pub(crate) id: ObjectId,
    pub(crate) crc: u32,
    pub(crate) offset: u64,
}

/// A finished pack.
pub(crate) struct Pack {
    pub(crate) pack: Vec<u8>,
    pub(crate) index: Vec<u8>,
    /// `pack-{checksum}`: the files' names without extension.
    pub(crate) name: String,
}

impl Section {
    fn add(&mut self, kind: u8, id: ObjectId, contents: &[u8], deflater: &mut Deflater) -> u64 {
        let start = self.bytes.len();
        object_header(kind, contents.len() as u64, &mut self.bytes);
        match kind {
            TYPE_TREE if contents.len() <= MAX_STORED_TREE => {
                object::store_into(contents, &mut self.bytes);
            }
            TYPE_TREE => tree_stream::deflate_into(contents, id.kind(), &mut self.bytes),
            _ => deflater.deflate_into(contents, &mut self.bytes),
        }
        self.entered(id, start)
    }

    fn add_deflated(&mut self, kind: u8, id: ObjectId, size: usize, deflated: &[u8]) -> u64 {
        let start = self.bytes.len();
        object_header(kind, size as u64, &mut self.bytes);
        self.bytes.extend_from_slice(deflated);
        self.entered(id, start)
    }

    fn add_delta(&mut self, id: ObjectId, delta: &[u8], base: u64, deflater: &mut Deflater) -> u64 {
        let start = self.bytes.len();
        object_header(TYPE_OFS_DELTA, delta.len() as u64, &mut self.bytes);
        offset_distance(start as u64 - base, &mut self.bytes);
        deflater.store_or_deflate_into(delta, self.stored_most, &mut self.bytes);
        self.entered(id, start)
    }

    /// Adds a text as a delta of its anchor, if that saves a third; returns whether it did.
    fn add_like(
        &mut self,
        anchored: &mut Anchored,
        id: ObjectId,
        contents: &[u8],
        scratch: &mut Vec<u8>,
        deflater: &mut Deflater,
    ) -> bool {
        let Some((anchor, at)) = &anchored.anchor else {
            return false;
        };
        scratch.clear();
        anchor.delta(contents, scratch);
        let serves = saves_enough(scratch, contents);
        if serves {
            self.add_delta(id, scratch, *at, deflater);
            anchored.misses = 0;
        } else {
            anchored.misses += 1;
        }
        serves
    }

    fn entered(&mut self, id: ObjectId, start: usize) -> u64 {
        let crc = crc32fast::hash(&self.bytes[start..]);
        let offset = start as u64;
        self.entries.push(IndexEntry { id, crc, offset });
        offset
    }

    /// Appends the section to the pack and the index.
    fn append_to(self, pack: &mut Vec<u8>, index: &mut Vec<IndexEntry>) {
        let moved = pack.len() as u64;
        pack.extend_from_slice(&self.bytes);
        index.extend(self.entries.into_iter().map(|entry| IndexEntry {
            offset: entry.offset + moved,
            ..entry
        }));
    }
}

impl PackBuilder {
    pub(crate) fn new(hash: HashKind) -> PackBuilder {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        PackBuilder {
            hash,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            commits: Section {
                stored_most: MAX_STORED_COMMIT,
                ..Section::default()
            },
            rest: Section::default(),
            entries_anchor: Anchored::default(),
            commits_anchor: Anchored::default(),
            scratch: Vec::new(),
        }
    }

    /// The current length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.commits.bytes.len() + self.rest.bytes.len()
    }

    /// Adds the blob of an entry; returns whether it became a delta. `deflated` is the stream of the whole blob, if it
    /// exists already.
    pub(crate) fn add_entry(
        &mut self,
        id: ObjectId,
        contents: &[u8],
        deflated: Option<&[u8]>,
        deflater: &mut Deflater,
    ) -> bool {
        let anchored = &mut self.entries_anchor;
        let served = self
            .rest
            .add_like(anchored, id, contents, &mut self.scratch, deflater);
        if !served {
            let at = match deflated {
                Some(deflated) => self
                    .rest
                    .add_deflated(TYPE_BLOB, id, contents.len(), deflated),
                None => self.rest.add(TYPE_BLOB, id, contents, deflater),
            };
            anchored.offer(contents, at);
        }
        served
    }

    /// Adds a commit.
    pub(crate) fn add_commit(&mut self, id: ObjectId, contents: &[u8], deflater: &mut Deflater) {
        let anchored = &mut self.commits_anchor;
        if !self
            .commits
            .add_like(anchored, id, contents, &mut self.scratch, deflater)
        {
            let at = self.commits.add(TYPE_COMMIT, id, contents, deflater);
            anchored.offer(contents, at);
        }
    }

    /// Adds a tree, as a delta if its predecessor is in this pack. `edit` is the difference from that.
    pub(crate) fn add_tree(
        &mut self,
        node: &mut Node,
        edit: Option<Edit>,
        deflater: &mut Deflater,
    ) {
        let before = node.place;
        let (at, chain) = match edit {
            Some(edit) if before.pack == self.serial && before.chain < MAX_CHAIN => {
                self.scratch.clear();
                delta::of_edit(edit, &node.raw, &mut self.scratch);
                let at = self
                    .rest
                    .add_delta(node.id, &self.scratch, before.at, deflater);
                (at, before.chain + 1)
            }
            _ => {
                let at = self.rest.add(TYPE_TREE, node.id, &node.raw, deflater);
                (at, 0)
            }
        };
        node.place = PackLocation {
            pack: self.serial,
            at,
            chain,
        };
    }

    /// Adds an object without delta compression.
    pub(crate) fn add(&mut self, kind: u8, id: ObjectId, contents: &[u8], deflater: &mut Deflater) {
        let section = match kind {
            TYPE_COMMIT => &mut self.commits,
            _ => &mut self.rest,
        };
        section.add(kind, id, contents, deflater);
    }

    /// Completes the pack and makes its index.
    pub(crate) fn finish(self) -> Pack {
        let count = self.commits.entries.len() + self.rest.entries.len();
        let mut pack = Vec::with_capacity(self.len() + 64);
        let mut entries = Vec::with_capacity(count);
        let count = u32::try_from(count).expect("a group has fewer than 2^32 objects");
        pack.extend_from_slice(&header(count));
        self.commits.append_to(&mut pack, &mut entries);
        self.rest.append_to(&mut pack, &mut entries);
        let checksum = object::digest(self.hash, &[&pack]);
        pack.extend_from_slice(checksum.as_slice());
        let index = index(self.hash, &entries, &checksum);
        Pack {
            pack,
            index,
            name: format!("pack-{checksum}"),
        }
    }
}

impl Anchored {
    /// Returns the delta of a text that will be at offset `at`, and the offset of its base; `None` to store the text
    /// whole.
    pub(crate) fn delta_or_offer(&mut self, contents: &[u8], at: u64) -> Option<(Vec<u8>, u64)> {
        if let Some((anchor, base)) = &self.anchor {
            let mut delta = Vec::new();
            anchor.delta(contents, &mut delta);
            if saves_enough(&delta, contents) {
                self.misses = 0;
                return Some((delta, *base));
            }
            self.misses += 1;
        }
        self.offer(contents, at);
        None
    }

    /// Makes a text that was added whole the anchor, if there is none or the current one saves too little.
    fn offer(&mut self, contents: &[u8], at: u64) {
        if self.anchor.is_none() || self.misses >= MAX_MISSES {
            *self = Anchored {
                anchor: Some((Anchor::new(contents), at)),
                misses: 0,
            };
        }
    }
}

/// A delta must save a third to be worth the chain.
fn saves_enough(delta: &[u8], contents: &[u8]) -> bool {
    delta.len() * 3 <= contents.len() * 2
}

/// The first twelve bytes of a pack.
pub(crate) fn header(count: u32) -> [u8; 12] {
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&count.to_be_bytes());
    header
}

/// Writes type and inflated size before an object: three bits of type, size in groups of 4, then 7 bits, least
/// significant first.
pub(crate) fn object_header(kind: u8, size: u64, out: &mut Vec<u8>) {
    let mut byte = (kind << 4) | (size & 15) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// Writes the distance back to a delta's base: groups of 7 bits, most significant first, each continued group minus
/// one.
pub(crate) fn offset_distance(distance: u64, out: &mut Vec<u8>) {
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

/// The first eight bytes of an id as a number. Ids usually differ in them, and numbers compare faster than slices.
pub(crate) fn beginning(id: &gix::oid) -> u64 {
    let (first, _) = id
        .as_bytes()
        .split_first_chunk::<8>()
        .expect("an id is longer than 8 bytes");
    u64::from_be_bytes(*first)
}

/// An index of version 2 over `entries`.
pub(crate) fn index(hash: HashKind, entries: &[IndexEntry], pack_checksum: &gix::oid) -> Vec<u8> {
    let mut order: Vec<(u64, u32)> = (0u32..)
        .zip(entries)
        .map(|(place, entry)| (beginning(&entry.id), place))
        .collect();
    order.sort_unstable_by(|left, right| {
        let id = |place: u32| &entries[place as usize].id;
        left.0
            .cmp(&right.0)
            .then_with(|| id(left.1).cmp(id(right.1)))
    });
    let sorted = || order.iter().map(|(_, place)| &entries[*place as usize]);
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
    sorted().for_each(|entry| out.extend_from_slice(entry.id.as_slice()));
    sorted().for_each(|entry| out.extend_from_slice(&entry.crc.to_be_bytes()));
    let mut large = Vec::new();
    for entry in sorted() {
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

/// Reads an index of version 2; `None` if it is incomplete.
pub(crate) fn read_index(hash: HashKind, bytes: &[u8]) -> Option<Vec<IndexEntry>> {
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

/// Reads the header of a packed object. Returns its type, its inflated size and the header's length.
pub(crate) fn read_object_header(raw: &[u8]) -> Option<(u8, u64, usize)> {
    let length = raw.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let more = raw[1..length]
        .iter()
        .rev()
        .fold(0u64, |size, byte| (size << 7) | u64::from(byte & 0x7f));
    Some((
        (raw[0] >> 4) & 7,
        (more << 4) | u64::from(raw[0] & 15),
        length,
    ))
}

/// Reads the distance to a delta's base. Returns it and its length in bytes.
pub(crate) fn read_offset_distance(raw: &[u8]) -> Option<(u64, usize)> {
    let mut value = u64::from(raw.first()? & 0x7f);
    let mut at = 0;
    while raw.get(at)? & 0x80 != 0 {
        at += 1;
        value = (value.checked_add(1)? << 7) | u64::from(raw.get(at)? & 0x7f);
    }
    Some((value, at + 1))
}
