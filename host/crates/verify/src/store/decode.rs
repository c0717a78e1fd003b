//! Rebuilds objects from packs and loose files, within limits. Computes no id and trusts no length.

use std::sync::{Arc, PoisonError};

use super::cache::Content;
use super::delta::{self, DeltaError, MAX_IN_MEMORY};
use super::inflate::Inflater;
use super::pack::{self, EntryType, Window};
use super::reader::Fault;
use super::{Store, loose};
use crate::object::{Id, Kind, ObjectHasher};

/// The longest chain that git writes (`pack-objects` and `fast-import` both refuse longer ones).
const MAX_DEPTH: u32 = 4095;

/// The limit for all pieces of one chain in inflated bytes, which stops chains of decompression bombs.
const MAX_CHAIN_BYTES: u64 = 4 << 30;

/// Larger objects are rebuilt one at a time.
const LARGE: u64 = 8 << 20;

/// Blobs of at least this size that are not deltas are hashed as a stream.
pub(super) const STREAMED: u64 = 1 << 20;

/// One in this many objects of a chain of deltas is cached.
const KEPT: u32 = 8;

/// An object: its content, or only its kind and id if the content is not needed or too large.
pub(super) enum ObjectCopy {
    Whole(Arc<Content>),
    Streamed(Kind, Option<Id>),
}

impl ObjectCopy {
    pub(super) fn id(&self, store: &Store) -> Option<Id> {
        match self {
            ObjectCopy::Whole(content) => content.id(store.algorithm),
            ObjectCopy::Streamed(_, id) => *id,
        }
    }
}

/// What the caller knows about an object.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// Whether a large blob need only be hashed.
    pub(super) streamed: bool,
    /// Whether the object was not read before, so that it cannot be in the cache.
    pub(super) is_new: bool,
    /// Whether objects are read in the order in which they were made.
    pub(super) forward: bool,
}

/// Rebuilds objects with reusable buffers.
pub(super) struct Decoder {
    window: Window,
    inflater: Inflater,
    /// The offset, start and size of the deltas in the current chain.
    chain: Vec<(u64, u64, u64)>,
    scratch: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder {
            window: Window::new(),
            inflater: Inflater::new(),
            chain: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Rebuilds the entry of a pack at this position. Follows a chain of deltas in a loop, without recursion.
    pub(super) fn decode(
        &mut self,
        store: &Store,
        place: usize,
        position: u64,
        wanted: Wanted,
    ) -> Result<ObjectCopy, Fault> {
        let pack = &store.packs[place];
        let hash_len = store.algorithm.len_in_bytes();
        let mut chain = std::mem::take(&mut self.chain);
        chain.clear();
        let mut at = position - pack.base;
        let mut bytes = 0;
        let mut large = None;
        let mut content = loop {
            let is_kept = !(wanted.is_new && chain.is_empty());
            if is_kept && let Some(content) = store.cache.get(pack.base + at) {
                break content;
            }
            let head_bytes = self
                .window
                .bytes(&store.files, &store.packs, place, at, pack::MAX_HEAD)
                .map_err(Fault::Corrupt)?;
            let head = pack::head(head_bytes, at, hash_len)
                .map_err(|why| Fault::Corrupt(why.to_owned()))?;
            let begin = at + head.len as u64;
            if let (EntryType::Whole(Kind::Blob), true, true) = (
                &head.make,
                wanted.streamed && chain.is_empty(),
                head.size >= STREAMED,
            ) {
                let name = self.stream(store, place, begin, head.size)?;
                return Ok(ObjectCopy::Streamed(Kind::Blob, name));
            }
            bytes = head.size.saturating_add(bytes);
            if head.size > MAX_IN_MEMORY || bytes > MAX_CHAIN_BYTES {
                return Err(too_large(head.size));
            }
            if head.size > LARGE && large.is_none() {
                large = Some(store.large.lock().unwrap_or_else(PoisonError::into_inner));
            }
            match head.make {
                EntryType::Whole(kind) => {
                    let mut data = vec![0; head.size as usize].into_boxed_slice();
                    self.inflate(store, place, begin, &mut data)?;
                    let content = Arc::new(Content::new(kind, 0, data));
                    if kind == Kind::Tree || !chain.is_empty() {
                        store.cache.put(pack.base + at, &content);
                    }
                    break content;
                }
                EntryType::Onto(base) => {
                    chain.push((at, begin, head.size));
                    at = base;
                }
                EntryType::OntoNamed(base) => {
                    chain.push((at, begin, head.size));
                    at = base_by_name(store, place, &base)?;
                }
            }
            if chain.len() as u32 > MAX_DEPTH {
                return Err(too_deep());
            }
        };
        let mut made_at = pack.base + at;
        while let Some((at, begin, size)) = chain.pop() {
            let depth = content.depth + 1;
            if depth > MAX_DEPTH {
                return Err(too_deep());
            }
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.resize(size as usize, 0);
            self.inflate(store, place, begin, &mut scratch)?;
            let data = delta::apply(&content.data, &scratch).map_err(|error| match error {
                DeltaError::Corrupt(why) => Fault::Corrupt(why.to_owned()),
                DeltaError::TooLarge(size) => too_large(size),
            })?;
            if scratch.len() <= LARGE as usize {
                self.scratch = scratch;
            }
            content = Arc::new(Content::new(content.kind, depth, data));
            let base = std::mem::replace(&mut made_at, pack.base + at);
            // The tree itself and its base are needed next. Of the rest of a long chain every eighth is cached: more
            // would evict other trees, fewer would be rebuilt from the start.
            let is_kept = if chain.is_empty() {
                content.kind == Kind::Tree
            } else {
                chain.len() == 1 || depth % KEPT == 0
            };
            if is_kept && wanted.forward && content.kind == Kind::Tree {
                store.cache.replace(base, made_at, &content);
            } else if is_kept {
                store.cache.put(made_at, &content);
            }
        }
        self.chain = chain;
        Ok(ObjectCopy::Whole(content))
    }

    /// Inflates the data at `begin` into exactly `out`.
    fn inflate(
        &mut self,
        store: &Store,
        place: usize,
        begin: u64,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let size = out.len() as u64;
        // No compressor makes a longer stream than the first bound. A stream padded with empty blocks is read again
        // with the second one.
        for bound in [size + size / 512 + 64, size + (16 << 20)] {
            let input = self
                .window
                .bytes(&store.files, &store.packs, place, begin, bound)
                .map_err(Fault::Corrupt)?;
            if self.inflater.fill(input, out) {
                return Ok(());
            }
        }
        Err(Fault::Corrupt("its compressed data is corrupt".to_owned()))
    }

    /// Hashes a large blob of a pack without holding it in memory.
    fn stream(
        &mut self,
        store: &Store,
        place: usize,
        begin: u64,
        size: u64,
    ) -> Result<Option<Id>, Fault> {
        let mut hasher = ObjectHasher::begin(store.algorithm, Kind::Blob, size);
        let mut left = size;
        let mut at = begin;
        let window = &mut self.window;
        let source = |buffer: &mut [u8]| {
            let bytes = window.bytes(&store.files, &store.packs, place, at, buffer.len() as u64)?;
            buffer[..bytes.len()].copy_from_slice(bytes);
            at += bytes.len() as u64;
            Ok(bytes.len())
        };
        let sink = |piece: &[u8]| {
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or("it is longer than its header says")?;
            hasher.update(piece);
            Ok(())
        };
        self.inflater.stream(source, sink).map_err(Fault::Corrupt)?;
        match left {
            0 => Ok(hasher.finish()),
            _ => Err(Fault::Corrupt(
                "it is shorter than its header says".to_owned(),
            )),
        }
    }

    pub(super) fn decode_loose(
        &mut self,
        store: &Store,
        id: &Id,
        streamed: bool,
    ) -> Result<Option<ObjectCopy>, Fault> {
        enum State {
            Held(Kind, Vec<u8>),
            Hashed(Kind, ObjectHasher),
        }
        let Some(file) = loose::open(&store.objects, id).map_err(Fault::Corrupt)? else {
            return Ok(None);
        };
        let mut beyond = None;
        let state = loose::stream(
            file,
            &mut self.inflater,
            |kind, size| match (
                streamed && kind == Kind::Blob && size >= STREAMED,
                size > MAX_IN_MEMORY,
            ) {
                (true, _) => Ok(State::Hashed(
                    kind,
                    ObjectHasher::begin(store.algorithm, kind, size),
                )),
                (false, false) => Ok(State::Held(kind, Vec::new())),
                (false, true) => {
                    beyond = Some(size);
                    Err(String::new())
                }
            },
            |state, piece| {
                match state {
                    State::Held(_, data) => data.extend_from_slice(piece),
                    State::Hashed(_, hasher) => hasher.update(piece),
                }
                Ok(())
            },
        );
        match state {
            Ok(State::Held(kind, data)) => Ok(Some(ObjectCopy::Whole(Arc::new(Content::new(
                kind,
                0,
                data.into_boxed_slice(),
            ))))),
            Ok(State::Hashed(kind, hasher)) => {
                Ok(Some(ObjectCopy::Streamed(kind, hasher.finish())))
            }
            Err(why) => Err(beyond.map_or(Fault::Corrupt(why), too_large)),
        }
    }
}

/// Finds the base of a delta by its id. It is in the same pack, or the pack is broken.
fn base_by_name(store: &Store, place: usize, base: &Id) -> Result<u64, Fault> {
    let pack = &store.packs[place];
    let mut places = store
        .table
        .candidates(base.as_slice())
        .filter(|position| store.pack_at(*position) == place)
        .map(|position| position - pack.base);
    let found = match (places.next(), places.next()) {
        (only, None) => only,
        // The table does not distinguish these ids; the index does.
        _ => pack.index.find(base).filter(|offset| *offset < pack.len),
    };
    found.ok_or_else(|| Fault::Corrupt(format!("the base of its delta, {base}, is missing")))
}

fn too_large(size: u64) -> Fault {
    Fault::Beyond(format!(
        "it takes {size} bytes to rebuild, more than the {MAX_IN_MEMORY} that are allowed"
    ))
}

fn too_deep() -> Fault {
    Fault::Beyond(format!(
        "it depends on more than {MAX_DEPTH} deltas, which git never writes"
    ))
}
