//! Reads objects by name and hashes every copy of them that there is. One reader for each thread.

use std::sync::{Arc, PoisonError};

use super::cache::Content;
use super::delta::{self, DeltaError, MAX_IN_MEMORY};
use super::hash::{Id, Kind, Naming};
use super::inflate::Inflater;
use super::pack::{self, Make, Window};
use super::{Current, Store, loose};

/// Why an object cannot be had.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// There is no object of that name.
    Missing,
    /// There is something, but it is not what its name says.
    Corrupt(String),
    /// There is something that is beyond the bounds of what can be read.
    Beyond(String),
}

/// Stock git writes no longer chain (`pack-objects` and `fast-import` both refuse).
const MAX_DEPTH: u32 = 4095;

/// What the pieces of one chain may take in all, inflated; a chain of bombs ends here.
const MAX_CHAIN_BYTES: u64 = 4 << 30;

/// An object larger than this is rebuilt alone.
const LARGE: u64 = 8 << 20;

/// A blob at least this large that is no delta is hashed as a stream.
const STREAMED: u64 = 1 << 20;

/// More copies than this of one object are a forged index.
const MAX_COPIES: usize = 1024;

/// A reader of objects.
pub(crate) struct Reader<'a> {
    current: &'a Current,
    store: Arc<Store>,
    window: Window,
    inflater: Inflater,
    chain: Vec<(u64, u64, u64)>,
    scratch: Vec<u8>,
    /// Copies that are not what their name says, of objects of which there is a good copy.
    pub(crate) bad_copies: Vec<(Id, String)>,
}

/// What an object turned out to be, when its content is not wanted or too large to keep.
enum Copy {
    Whole(Arc<Content>),
    Streamed(Kind, Option<Id>),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(current: &'a Current) -> Reader<'a> {
        Reader {
            current,
            store: current.get(),
            window: Window::new(),
            inflater: Inflater::new(),
            chain: Vec::new(),
            scratch: Vec::new(),
            bad_copies: Vec::new(),
        }
    }

    /// The object of this name, its content hashed.
    ///
    /// # Errors
    ///
    /// Says why there is none; an object of another kind is one that is not what its name says.
    pub(crate) fn fetch(&mut self, id: &Id, kind: Kind) -> Result<Arc<Content>, Fault> {
        match self.find(id, false)? {
            Copy::Whole(content) if content.kind == kind => Ok(content),
            Copy::Whole(content) => Err(wrong_kind(content.kind, kind)),
            Copy::Streamed(..) => Err(Fault::Beyond("it is too large to be read".to_owned())),
        }
    }

    /// The object of this name, whatever kind it is.
    pub(crate) fn fetch_any(&mut self, id: &Id) -> Result<Arc<Content>, Fault> {
        match self.find(id, false)? {
            Copy::Whole(content) => Ok(content),
            Copy::Streamed(..) => Err(Fault::Beyond("it is too large to be read".to_owned())),
        }
    }

    /// Hashes a blob without keeping it; says whether it was large.
    pub(crate) fn check_blob(&mut self, id: &Id) -> Result<bool, Fault> {
        match self.find(id, true)? {
            Copy::Whole(content) if content.kind == Kind::Blob => Ok(content.data.len() as u64 >= STREAMED / 16),
            Copy::Streamed(Kind::Blob, _) => Ok(true),
            Copy::Whole(content) => Err(wrong_kind(content.kind, Kind::Blob)),
            Copy::Streamed(kind, _) => Err(wrong_kind(kind, Kind::Blob)),
        }
    }

    fn find(&mut self, id: &Id, streamed: bool) -> Result<Copy, Fault> {
        let found = self.find_now(id, streamed);
        if found.is_err()
            && let Some(store) = self.current.newer(&self.store)
        {
            self.store = store;
            self.window = Window::new();
            return self.find_now(id, streamed);
        }
        found
    }

    fn find_now(&mut self, id: &Id, streamed: bool) -> Result<Copy, Fault> {
        let store = Arc::clone(&self.store);
        let mut good = None;
        let mut bad = None;
        for (number, position) in store.table.candidates(id.as_slice()).enumerate() {
            if number > MAX_COPIES {
                return Err(Fault::Corrupt("its index names too many places for it".to_owned()));
            }
            let place = store.pack_at(position);
            match self.decode(&store, place, position, streamed) {
                Ok(copy) if copy.name(&store) == Some(*id) => good = good.or(Some(copy)),
                // The table knows only the first bytes of names: another object may live here.
                _ if store.packs[place].index.find(id) != Some(position - store.packs[place].base) => {}
                Ok(copy) => bad = Some(Fault::Corrupt(format!("{} ({})", misnamed(copy.name(&store)), store.packs[place].name()))),
                Err(fault) => bad = Some(fault.within(&store.packs[place].name())),
            }
        }
        if store.loose.may_hold(id) {
            match self.decode_loose(&store, id, streamed) {
                Ok(Some(copy)) if copy.name(&store) == Some(*id) => good = good.or(Some(copy)),
                Ok(Some(copy)) => bad = Some(Fault::Corrupt(format!("{} (loose)", misnamed(copy.name(&store))))),
                Ok(None) => {}
                Err(fault) => bad = Some(fault.within("loose")),
            }
        }
        match (good, bad) {
            (Some(good), Some(Fault::Corrupt(what) | Fault::Beyond(what))) => {
                self.bad_copies.push((*id, what));
                Ok(good)
            }
            (Some(good), _) => Ok(good),
            (None, Some(fault)) => Err(fault),
            (None, None) => Err(Fault::Missing),
        }
    }

    /// Rebuilds the entry of a pack at this position. A chain of deltas is followed step by step, never by recursion.
    fn decode(&mut self, store: &Store, place: usize, position: u64, streamed: bool) -> Result<Copy, Fault> {
        let pack = &store.packs[place];
        let hash_len = store.algorithm.len_in_bytes();
        let mut chain = std::mem::take(&mut self.chain);
        chain.clear();
        let mut at = position - pack.base;
        let mut bytes = 0;
        let mut large = None;
        let mut content = loop {
            if let Some(content) = store.cache.get(pack.base + at) {
                break content;
            }
            let head_bytes = self.window.bytes(&store.files, &store.packs, place, at, pack::MAX_HEAD).map_err(Fault::Corrupt)?;
            let head = pack::head(head_bytes, at, hash_len).map_err(|why| Fault::Corrupt(why.to_owned()))?;
            let begin = at + head.len as u64;
            if let (Make::Whole(Kind::Blob), true, true) = (&head.make, streamed && chain.is_empty(), head.size >= STREAMED) {
                let name = self.stream(store, place, begin, head.size)?;
                return Ok(Copy::Streamed(Kind::Blob, name));
            }
            bytes += head.size;
            if head.size > MAX_IN_MEMORY || bytes > MAX_CHAIN_BYTES {
                return Err(too_large(head.size));
            }
            if head.size > LARGE && large.is_none() {
                large = Some(store.large.lock().unwrap_or_else(PoisonError::into_inner));
            }
            match head.make {
                Make::Whole(kind) => {
                    let mut data = vec![0; head.size as usize].into_boxed_slice();
                    self.inflate(store, place, begin, &mut data)?;
                    let content = Arc::new(Content::new(kind, 0, data));
                    if kind == Kind::Tree || !chain.is_empty() {
                        store.cache.put(pack.base + at, &content);
                    }
                    break content;
                }
                Make::Onto(base) => {
                    chain.push((at, begin, head.size));
                    at = base;
                }
                Make::OntoNamed(base) => {
                    chain.push((at, begin, head.size));
                    at = base_by_name(store, place, &base)?;
                }
            }
            if chain.len() as u32 > MAX_DEPTH {
                return Err(too_deep());
            }
        };
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
            if content.kind == Kind::Tree || !chain.is_empty() {
                store.cache.put(pack.base + at, &content);
            }
        }
        self.chain = chain;
        Ok(Copy::Whole(content))
    }

    /// Inflates what begins at `begin` into exactly `out`.
    fn inflate(&mut self, store: &Store, place: usize, begin: u64, out: &mut [u8]) -> Result<(), Fault> {
        let size = out.len() as u64;
        // No compressor makes more of it than this; a stream padded with empty blocks is read again without a bound.
        for bound in [size + size / 512 + 64, size + (16 << 20)] {
            let input = self.window.bytes(&store.files, &store.packs, place, begin, bound).map_err(Fault::Corrupt)?;
            if self.inflater.fill(input, out) {
                return Ok(());
            }
        }
        Err(Fault::Corrupt("its compressed data is corrupt".to_owned()))
    }

    /// Hashes a large blob of a pack without holding it.
    fn stream(&mut self, store: &Store, place: usize, begin: u64, size: u64) -> Result<Option<Id>, Fault> {
        let mut naming = Naming::begin(store.algorithm, Kind::Blob, size);
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
            left = left.checked_sub(piece.len() as u64).ok_or("it is longer than its head says")?;
            naming.update(piece);
            Ok(())
        };
        self.inflater.stream(source, sink).map_err(Fault::Corrupt)?;
        match left {
            0 => Ok(naming.finish()),
            _ => Err(Fault::Corrupt("it is shorter than its head says".to_owned())),
        }
    }

    fn decode_loose(&mut self, store: &Store, id: &Id, streamed: bool) -> Result<Option<Copy>, Fault> {
        enum State {
            Held(Kind, Vec<u8>),
            Hashed(Kind, Naming),
        }
        let Some(file) = loose::open(&store.objects, id).map_err(Fault::Corrupt)? else { return Ok(None) };
        let mut beyond = None;
        let state = loose::stream(
            file,
            &mut self.inflater,
            |kind, size| match (streamed && kind == Kind::Blob && size >= STREAMED, size > MAX_IN_MEMORY) {
                (true, _) => Ok(State::Hashed(kind, Naming::begin(store.algorithm, kind, size))),
                (false, false) => Ok(State::Held(kind, Vec::new())),
                (false, true) => {
                    beyond = Some(size);
                    Err(String::new())
                }
            },
            |state, piece| {
                match state {
                    State::Held(_, data) => data.extend_from_slice(piece),
                    State::Hashed(_, naming) => naming.update(piece),
                }
                Ok(())
            },
        );
        match state {
            Ok(State::Held(kind, data)) => Ok(Some(Copy::Whole(Arc::new(Content::new(kind, 0, data.into_boxed_slice()))))),
            Ok(State::Hashed(kind, naming)) => Ok(Some(Copy::Streamed(kind, naming.finish()))),
            Err(why) => Err(beyond.map_or(Fault::Corrupt(why), too_large)),
        }
    }
}

impl Copy {
    fn name(&self, store: &Store) -> Option<Id> {
        match self {
            Copy::Whole(content) => content.name(store.algorithm),
            Copy::Streamed(_, name) => *name,
        }
    }
}

impl Fault {
    fn within(self, place: &str) -> Fault {
        match self {
            Fault::Missing => Fault::Missing,
            Fault::Corrupt(what) => Fault::Corrupt(format!("{what} ({place})")),
            Fault::Beyond(what) => Fault::Beyond(format!("{what} ({place})")),
        }
    }
}

/// Finds the base of a delta that names it. It lies in the same pack, or the pack is broken.
fn base_by_name(store: &Store, place: usize, base: &Id) -> Result<u64, Fault> {
    let pack = &store.packs[place];
    let mut places = store
        .table
        .candidates(base.as_slice())
        .filter(|position| store.pack_at(*position) == place)
        .map(|position| position - pack.base);
    let found = match (places.next(), places.next()) {
        (only, None) => only,
        // Names that look alike in the table: the index tells them apart.
        _ => pack.index.find(base).filter(|offset| *offset < pack.len),
    };
    found.ok_or_else(|| Fault::Corrupt(format!("the base of its delta, {base}, is missing")))
}

fn misnamed(name: Option<Id>) -> String {
    match name {
        Some(name) => format!("its content is that of {name}"),
        None => "its content carries the marks of a SHA-1 collision attack".to_owned(),
    }
}

fn wrong_kind(is: Kind, wanted: Kind) -> Fault {
    Fault::Corrupt(format!("it is a {} where a {} is named", is.name(), wanted.name()))
}

fn too_large(size: u64) -> Fault {
    Fault::Beyond(format!("it takes {size} bytes to rebuild, more than the {MAX_IN_MEMORY} that are allowed"))
}

fn too_deep() -> Fault {
    Fault::Beyond(format!("it rests on more than {MAX_DEPTH} deltas, which no git writes"))
}
