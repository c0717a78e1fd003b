//! The format of the file: it is written in one pass over sorted lists, and read up to the names of packs.
//!
//! Format: git's `gitformat-pack`, "multi-pack-index (MIDX) files".

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::odb::pack::index;

use crate::disk::DiskFile;
use crate::objects::object::RunningDigest;

/// Writes the index of these packs, durably. Returns whether it is complete and correct: it was not stopped, every list
/// is sorted, every offset fits.
pub(super) fn write(
    hash: HashKind,
    packs: &[String],
    sources: &[index::File],
    file: &mut dyn DiskFile,
    stop: &AtomicBool,
) -> io::Result<bool> {
    match PackOrder::of(sources, stop) {
        Some(order) => IndexWriter::new(hash, file, stop).write(packs, sources, &order),
        None => Ok(false),
    }
}

/// The pack of each object in the order of the ids, the only result of merging the sorted lists.
struct PackOrder {
    /// The number of each object's pack, or [`AGAIN`] if a pack before it has the object too.
    packs: Vec<u16>,
    /// The number of different objects for each first byte.
    fan: [u32; 256],
}

/// No pack has this number.
const AGAIN: u16 = 1 << 15;

impl PackOrder {
    /// Returns `None` if a list is not sorted, there are more objects than the format allows, or it was stopped.
    fn of(sources: &[index::File], stop: &AtomicBool) -> Option<PackOrder> {
        if sources.len() >= usize::from(AGAIN) {
            return None;
        }
        let count = sources.iter().map(|source| source.num_objects() as usize);
        let count: usize = count.sum();
        u32::try_from(count).ok()?;
        let mut packs = Vec::with_capacity(count);
        let mut fan = [0u32; 256];
        let mut at = vec![0u32; sources.len()];
        let id = |pack: u16, at: u32| -> Option<ObjectId> {
            let source = &sources[usize::from(pack)];
            (at < source.num_objects()).then(|| source.oid_at_index(at).to_owned())
        };
        let numbers = 0..sources.len() as u16;
        let mut heads: BinaryHeap<Reverse<(ObjectId, u16)>> = numbers
            .filter_map(|pack| Some(Reverse((id(pack, 0)?, pack))))
            .collect();
        let mut last: Option<ObjectId> = None;
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((next, pack)) = *head;
            if packs.len() % (1 << 16) == 0 && stop.load(Ordering::Relaxed) {
                return None;
            }
            match last {
                Some(last) if last == next => packs.push(pack | AGAIN),
                Some(last) if last > next => return None,
                _ => {
                    packs.push(pack);
                    fan[usize::from(next.first_byte())] += 1;
                }
            }
            last = Some(next);
            let place = &mut at[usize::from(pack)];
            *place += 1;
            match id(pack, *place) {
                Some(following) => *head = Reverse((following, pack)),
                None => {
                    PeekMut::pop(head);
                }
            }
        }
        Some(PackOrder { packs, fan })
    }

    /// Calls `each` for every different object with its pack's number and its index there.
    fn walk(
        &self,
        sources: usize,
        mut each: impl FnMut(u16, u32) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let mut at = vec![0u32; sources];
        for marked in &self.packs {
            let pack = marked & !AGAIN;
            let place = at[usize::from(pack)];
            at[usize::from(pack)] += 1;
            if pack == *marked && !each(pack, place)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The part of the file that is written.
struct IndexWriter<'a> {
    hash: HashKind,
    file: &'a mut dyn DiskFile,
    stop: &'a AtomicBool,
    digest: RunningDigest,
    buffer: Vec<u8>,
}

const BUFFER: usize = 1 << 20;

/// The chunks: the names of packs, how many ids start with at most each byte, the ids, and the pack and offset of each.
const CHUNKS: [&[u8; 4]; 4] = [b"PNAM", b"OIDF", b"OIDL", b"OOFF"];

impl<'a> IndexWriter<'a> {
    fn new(hash: HashKind, file: &'a mut dyn DiskFile, stop: &'a AtomicBool) -> IndexWriter<'a> {
        IndexWriter {
            hash,
            file,
            stop,
            digest: RunningDigest::new(hash),
            buffer: Vec::with_capacity(BUFFER + 64),
        }
    }

    /// Writes the whole file, durably. Returns whether it was not stopped and every offset fits.
    fn write(
        &mut self,
        packs: &[String],
        sources: &[index::File],
        order: &PackOrder,
    ) -> io::Result<bool> {
        let mut names: Vec<u8> = Vec::new();
        for name in packs {
            names.extend_from_slice(name.as_bytes());
            names.extend_from_slice(b".idx\0");
        }
        names.resize(names.len().next_multiple_of(4), 0);
        let count: u64 = order.fan.iter().map(|count| u64::from(*count)).sum();
        let length = self.hash.len_in_bytes() as u64;
        let sizes = [names.len() as u64, 4 * 256, count * length, count * 8];
        let version = match self.hash {
            HashKind::Sha1 => 1,
            _ => 2,
        };
        self.buffer.extend_from_slice(b"MIDX");
        self.buffer
            .extend_from_slice(&[1, version, CHUNKS.len() as u8, 0]);
        self.buffer
            .extend_from_slice(&(packs.len() as u32).to_be_bytes());
        let mut offset = 12 + 12 * (CHUNKS.len() as u64 + 1);
        for (id, size) in CHUNKS.into_iter().zip(sizes) {
            self.buffer.extend_from_slice(id);
            self.buffer.extend_from_slice(&offset.to_be_bytes());
            offset += size;
        }
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&offset.to_be_bytes());
        self.buffer.extend_from_slice(&names);
        let mut total = 0u32;
        for count in order.fan {
            total += count;
            self.buffer.extend_from_slice(&total.to_be_bytes());
        }
        let whole = order.walk(sources.len(), |pack, at| {
            let id = sources[usize::from(pack)].oid_at_index(at);
            self.buffer.extend_from_slice(id.as_bytes());
            self.flush_if_full()
        })? && order.walk(sources.len(), |pack, at| {
            let offset = sources[usize::from(pack)].pack_offset_at_index(at);
            // Packs of this program have less than 2 GiB.
            let Some(offset) = u32::try_from(offset).ok().filter(|at| *at < 1 << 31) else {
                return Ok(false);
            };
            self.buffer
                .extend_from_slice(&u32::from(pack).to_be_bytes());
            self.buffer.extend_from_slice(&offset.to_be_bytes());
            self.flush_if_full()
        })?;
        if !whole {
            return Ok(false);
        }
        self.flush()?;
        let checksum = self.digest.clone().finish();
        self.file.write(checksum.as_slice())?;
        self.file.sync()?;
        Ok(true)
    }

    /// Returns whether to continue.
    fn flush_if_full(&mut self) -> io::Result<bool> {
        if self.buffer.len() < BUFFER {
            return Ok(true);
        }
        self.flush()?;
        Ok(!self.stop.load(Ordering::Relaxed))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write(&self.buffer)?;
        self.digest.update(&self.buffer);
        self.buffer.clear();
        Ok(())
    }
}

/// The part of a multi-pack-index with the names of packs.
pub(super) struct Names {
    pub(super) bytes: Vec<u8>,
    /// Whether the file has only the chunks that this program writes. It has more if it was made with a bitmap.
    pub(super) is_plain: bool,
}

impl Names {
    /// The names of the packs, without extension.
    pub(super) fn packs(&self) -> Vec<String> {
        let names = self.bytes.split(|byte| *byte == 0);
        names
            .filter(|name| !name.is_empty())
            .map(|name| {
                let name = String::from_utf8_lossy(name);
                name.strip_suffix(".idx").unwrap_or(&name).to_owned()
            })
            .collect()
    }
}

/// Reads the names of the packs; `None` if the file is not a multi-pack-index.
pub(super) fn names(file: &File) -> io::Result<Option<Names>> {
    /// Enough for the names of a million packs.
    const MAX_BYTES: u64 = 64 << 20;
    let mut header = [0; 12];
    if !read_at(file, &mut header, 0)? || &header[..4] != b"MIDX" {
        return Ok(None);
    }
    let mut table = vec![0; 12 * (usize::from(header[6]) + 1)];
    if !read_at(file, &mut table, 12)? {
        return Ok(None);
    }
    let chunks: Vec<(&[u8], u64)> = table
        .chunks_exact(12)
        .map(|row| {
            let offset = u64::from_be_bytes(row[4..].try_into().expect("eight bytes"));
            (&row[..4], offset)
        })
        .collect();
    let Some(pair) = chunks.windows(2).find(|pair| pair[0].0 == b"PNAM") else {
        return Ok(None);
    };
    let length = pair[1].1.checked_sub(pair[0].1);
    let Some(length) = length.filter(|length| *length <= MAX_BYTES) else {
        return Ok(None);
    };
    let mut bytes = vec![0; length as usize];
    let whole = read_at(file, &mut bytes, pair[0].1)?;
    Ok(whole.then_some(Names {
        bytes,
        is_plain: chunks.len() - 1 == CHUNKS.len(),
    }))
}

/// Reads bytes at an offset; returns whether they were all there.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(true),
        // The file may name any offset, even one that no file can have.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
