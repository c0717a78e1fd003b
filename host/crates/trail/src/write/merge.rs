//! Merging packs: several become one smaller pack with the same objects.
//!
//! Commits come first, as in every pack of this program, so that reading history reads one stretch of the file. Deltas
//! are copied unchanged. An object that was stored whole, because its pack had no similar one, becomes a delta here if
//! a similar one came before: a tree of an earlier version of the same directory, or an entry or commit that resembles
//! their anchor. Sources are read and the result is written in one pass each; the index and one version of each
//! directory are in memory.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::hashtable::HashMap;

use crate::disk::DiskFile;
use crate::objects::delta;
use crate::objects::object::{Deflater, RunningDigest};
use crate::objects::pack::{
    self, Anchored, IndexEntry, MAX_CHAIN, TYPE_BLOB, TYPE_COMMIT, TYPE_OFS_DELTA, TYPE_REF_DELTA,
    TYPE_TREE,
};
use crate::objects::tree_object;
use crate::objects::tree_stream;

/// A pack and its index, open for merging.
pub(crate) struct Source {
    reader: BufReader<File>,
    /// The objects, by offset.
    objects: Vec<IndexEntry>,
    end: u64,
    /// How many of them were read.
    read: usize,
    /// The bytes of the object that was read last.
    raw: Vec<u8>,
    /// Whether that object is returned again.
    again: bool,
    /// The offset of each object in the result, beside its offset here.
    moved: Vec<(u64, u64)>,
}

impl Source {
    /// Opens a pack of this program; `None` if pack and index are not in its format.
    pub(crate) fn open(hash: HashKind, pack: &Path, index: &Path) -> io::Result<Option<Source>> {
        let Some(mut objects) = pack::read_index(hash, &std::fs::read(index)?) else {
            return Ok(None);
        };
        objects.sort_unstable_by_key(|object| object.offset);
        let file = File::open(pack)?;
        let length = file.metadata()?.len();
        let end = length.saturating_sub(hash.len_in_bytes() as u64);
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut header = [0u8; 12];
        reader.read_exact(&mut header)?;
        let whole = objects.first().is_none_or(|first| first.offset == 12)
            && header == pack::header(u32::try_from(objects.len()).unwrap_or(u32::MAX))
            && objects.last().is_none_or(|last| last.offset < end);
        Ok(whole.then_some(Source {
            moved: Vec::with_capacity(objects.len()),
            reader,
            objects,
            end,
            read: 0,
            raw: Vec::new(),
            again: false,
        }))
    }

    /// Reads the next object; its bytes are in `raw`.
    fn next(&mut self) -> Result<Option<IndexEntry>, CopyError> {
        let at = self.read;
        let Some(object) = self.objects.get(at).copied() else {
            return Ok(None);
        };
        self.read += 1;
        if std::mem::take(&mut self.again) {
            return Ok(Some(object));
        }
        let next = self.objects.get(at + 1);
        let next = next.map_or(self.end, |next| next.offset);
        let length = next.checked_sub(object.offset).ok_or(CopyError::Foreign)?;
        let length = usize::try_from(length).map_err(|_| CopyError::Foreign)?;
        self.raw.resize(length, 0);
        self.reader.read_exact(&mut self.raw)?;
        if crc32fast::hash(&self.raw) != object.crc {
            return Err(CopyError::Foreign);
        }
        Ok(Some(object))
    }

    /// Frees the memory that is only needed while the pack is read.
    fn forget(&mut self) {
        self.objects = Vec::new();
        self.moved = Vec::new();
    }

    /// Makes the next call of `next` return the last object again.
    fn back(&mut self) {
        self.read -= 1;
        self.again = true;
    }
}

/// Why one object was not copied.
enum CopyError {
    Foreign,
    Stopped,
    Io(io::Error),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Io(error)
    }
}

/// Why packs were not merged.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// The pack with this number is not in the program's format.
    Foreign(usize),
    /// The merge was cancelled.
    Stopped,
    Io(io::Error),
}

/// Counts the objects of the merged pack. Also returns whether any object is in more than one source.
fn count(sources: &[Source]) -> (usize, bool) {
    let objects = || sources.iter().flat_map(|source| &source.objects);
    // Whole ids are compared only if their prefixes are equal: numbers sort faster.
    let mut beginnings: Vec<u64> = objects()
        .map(|object| pack::beginning(&object.id))
        .collect();
    beginnings.sort_unstable();
    if beginnings.windows(2).all(|pair| pair[0] != pair[1]) {
        return (beginnings.len(), false);
    }
    let mut ids: Vec<ObjectId> = objects().map(|object| object.id).collect();
    ids.sort_unstable();
    ids.dedup();
    (ids.len(), ids.len() < beginnings.len())
}

/// The part of the merged pack that is written.
pub(crate) struct Merger<'a> {
    hash: HashKind,
    out: &'a mut dyn DiskFile,
    stop: &'a AtomicBool,
    digest: RunningDigest,
    /// Written to `out` and hashed in pieces.
    buffer: Vec<u8>,
    /// The offset of `buffer` in the file.
    flushed: u64,
    entries: Vec<IndexEntry>,
    /// The offset of each object; only kept if sources share objects.
    places: Option<HashMap<ObjectId, u64>>,
    directories: Directories,
    blobs: Anchored,
    commits: Anchored,
    deflater: Deflater,
    inflater: libdeflater::Decompressor,
}

const BUFFER: usize = 1 << 20;

impl<'a> Merger<'a> {
    /// Writes the objects of all sources to `out` and makes it durable. Returns the index, and the name of both files.
    pub(crate) fn merge(
        hash: HashKind,
        mut sources: Vec<Source>,
        out: &'a mut dyn DiskFile,
        stop: &'a AtomicBool,
    ) -> Result<(Vec<u8>, String), MergeError> {
        let (count, shared) = count(&sources);
        let header =
            pack::header(u32::try_from(count).expect("merged packs hold fewer than 2^32 objects"));
        let mut merger = Merger {
            hash,
            out,
            stop,
            digest: RunningDigest::new(hash),
            buffer: header.to_vec(),
            flushed: 0,
            entries: Vec::with_capacity(count),
            places: shared.then(HashMap::default),
            directories: Directories::default(),
            blobs: Anchored::default(),
            commits: Anchored::default(),
            deflater: Deflater::new(),
            inflater: libdeflater::Decompressor::new(),
        };
        for only_commits in [true, false] {
            for (number, source) in sources.iter_mut().enumerate() {
                match merger.add(source, only_commits) {
                    // The offset map is no longer needed, and is large for millions of objects.
                    Ok(()) if !only_commits => source.forget(),
                    Ok(()) => {}
                    Err(CopyError::Foreign) => return Err(MergeError::Foreign(number)),
                    Err(CopyError::Stopped) => return Err(MergeError::Stopped),
                    Err(CopyError::Io(error)) => return Err(MergeError::Io(error)),
                }
            }
        }
        merger.finish().map_err(MergeError::Io)
    }

    fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Copies every object that is not in the result yet: the commits at the start of a source, or the rest of it.
    fn add(&mut self, source: &mut Source, only_commits: bool) -> Result<(), CopyError> {
        while let Some(object) = source.next()? {
            if only_commits && !may_be_commit(&source.raw) {
                source.back();
                return Ok(());
            }
            if let Some(place) = self
                .places
                .as_ref()
                .and_then(|places| places.get(&object.id))
            {
                source.moved.push((object.offset, *place));
                continue;
            }
            let place = self.position();
            self.copy(&object, &source.raw, &source.moved)?;
            source.moved.push((object.offset, place));
            if let Some(places) = &mut self.places {
                places.insert(object.id, place);
            }
            if self.buffer.len() >= BUFFER {
                self.flush()?;
                if self.stop.load(Ordering::Relaxed) {
                    return Err(CopyError::Stopped);
                }
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        object: &IndexEntry,
        raw: &[u8],
        moved: &[(u64, u64)],
    ) -> Result<(), CopyError> {
        let (kind, size, header) = pack::read_object_header(raw).ok_or(CopyError::Foreign)?;
        let start = self.position();
        let mark = self.buffer.len();
        match kind {
            TYPE_OFS_DELTA => {
                let (distance, length) =
                    pack::read_offset_distance(&raw[header..]).ok_or(CopyError::Foreign)?;
                let base = object
                    .offset
                    .checked_sub(distance)
                    .ok_or(CopyError::Foreign)?;
                let base = moved
                    .binary_search_by_key(&base, |(old, _)| *old)
                    .map_err(|_| CopyError::Foreign)?;
                self.buffer.extend_from_slice(&raw[..header]);
                pack::offset_distance(start - moved[base].1, &mut self.buffer);
                self.buffer.extend_from_slice(&raw[header + length..]);
            }
            TYPE_REF_DELTA => return Err(CopyError::Foreign),
            _ => {
                let mut contents =
                    vec![0u8; usize::try_from(size).map_err(|_| CopyError::Foreign)?];
                let inflated = self.inflater.zlib_decompress(&raw[header..], &mut contents);
                if inflated.ok() != Some(contents.len()) {
                    return Err(CopyError::Foreign);
                }
                let is_stored = raw.len() - header > contents.len();
                let delta = match kind {
                    TYPE_TREE => {
                        let (delta, whole) = self.directories.delta(contents, start, self.hash);
                        if delta.is_none() && is_stored {
                            self.buffer.extend_from_slice(&raw[..header]);
                            tree_stream::deflate_into(whole, self.hash, &mut self.buffer);
                            self.entered(object.id, mark);
                            return Ok(());
                        }
                        delta
                    }
                    TYPE_BLOB => self.blobs.delta_or_offer(&contents, start),
                    TYPE_COMMIT => self.commits.delta_or_offer(&contents, start),
                    _ => None,
                };
                match delta {
                    Some((delta, base)) => {
                        pack::object_header(TYPE_OFS_DELTA, delta.len() as u64, &mut self.buffer);
                        pack::offset_distance(start - base, &mut self.buffer);
                        let stored_most = match kind {
                            TYPE_COMMIT => pack::MAX_STORED_COMMIT,
                            TYPE_TREE => pack::MAX_STORED_TREE_DELTA,
                            _ => 0,
                        };
                        self.deflater
                            .store_or_deflate_into(&delta, stored_most, &mut self.buffer);
                    }
                    None => self.buffer.extend_from_slice(raw),
                }
            }
        }
        self.entered(object.id, mark);
        Ok(())
    }

    /// Notes the object that starts at this offset of the buffer.
    fn entered(&mut self, id: ObjectId, mark: usize) {
        self.entries.push(IndexEntry {
            id,
            crc: crc32fast::hash(&self.buffer[mark..]),
            offset: self.flushed + mark as u64,
        });
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write(&self.buffer)?;
        self.digest.update(&self.buffer);
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<(Vec<u8>, String)> {
        self.flush()?;
        let checksum = self.digest.clone().finish();
        self.out.write(checksum.as_slice())?;
        self.out.sync()?;
        Ok((
            pack::index(self.hash, &self.entries, &checksum),
            format!("pack-{checksum}"),
        ))
    }
}

/// Whether an object is a commit or, at the start of a pack of this program, a delta of one.
fn may_be_commit(raw: &[u8]) -> bool {
    pack::read_object_header(raw)
        .is_some_and(|(kind, ..)| kind == TYPE_COMMIT || kind == TYPE_OFS_DELTA)
}

/// The limit for all versions in bytes. Beyond it they are dropped: the memory of a merge must not grow with the trail.
const MAX_VERSIONS_BYTES: usize = 32 << 20;

/// The last whole version of each directory, found by its entries.
#[derive(Default)]
struct Directories {
    versions: Vec<Option<Version>>,
    /// The version for the ids of some entries: the next version has most of them too.
    by_child: HashMap<ObjectId, usize>,
    /// The size of all versions in bytes.
    versions_bytes: usize,
    /// A reusable buffer for the offsets of ids.
    starts: Vec<usize>,
}

struct Version {
    raw: Vec<u8>,
    place: u64,
    chain: u8,
}

impl Directories {
    /// Makes the delta from an earlier version to `raw`, which will be at `place`. Returns it with the offset of that
    /// version, or `raw` itself.
    fn delta(
        &mut self,
        raw: Vec<u8>,
        place: u64,
        hash: HashKind,
    ) -> (Option<(Vec<u8>, u64)>, &[u8]) {
        if self.versions_bytes > MAX_VERSIONS_BYTES {
            *self = Directories::default();
        }
        let children = some_children(&raw, hash, &mut self.starts);
        let known = children
            .iter()
            .flatten()
            .find_map(|child| self.by_child.get(child).copied());
        let mut made = None;
        let mut chain = 0;
        let before = known.and_then(|known| self.versions[known].take());
        self.versions_bytes -= before.as_ref().map_or(0, |version| version.raw.len());
        self.versions_bytes += raw.len();
        if let Some(version) = before
            && version.chain < MAX_CHAIN
        {
            let mut delta = Vec::new();
            delta::of_trees(&version.raw, &raw, hash.len_in_bytes(), &mut delta);
            if delta.len() * 3 <= raw.len() * 2 {
                chain = version.chain + 1;
                made = Some((delta, version.place));
            }
        }
        let version = Some(Version { raw, place, chain });
        let slot = match known {
            Some(known) => {
                self.versions[known] = version;
                known
            }
            None => {
                self.versions.push(version);
                self.versions.len() - 1
            }
        };
        for child in children.into_iter().flatten() {
            self.by_child.insert(child, slot);
        }
        let whole = self.versions[slot].as_ref();
        (made, whole.map_or(&[][..], |version| &version.raw))
    }
}

/// The ids of up to four entries of a tree: the first, the last, and two between. `starts` is a buffer for the offsets
/// of ids.
fn some_children(raw: &[u8], hash: HashKind, starts: &mut Vec<usize>) -> [Option<ObjectId>; 4] {
    starts.clear();
    starts.extend(tree_object::id_starts(raw, hash));
    let count = starts.len();
    let last = count.saturating_sub(1);
    let places = [0, count / 3, count * 2 / 3, last];
    std::array::from_fn(|number| {
        let place = places[number];
        let is_new = number == 0 || place != places[number - 1];
        let start = *starts.get(place).filter(|_| is_new)?;
        Some(ObjectId::from_bytes_or_panic(
            &raw[start..start + hash.len_in_bytes()],
        ))
    })
}
