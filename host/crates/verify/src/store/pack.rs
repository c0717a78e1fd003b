//! Pack files: few are open at a time, and they are read in blocks, never mapped (a mapping counts as memory, and fails
//! if the file is cut).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::index::Index;
use crate::object::{Id, Kind};

/// A pack with a matching index.
pub(crate) struct Pack {
    pub(crate) path: PathBuf,
    pub(crate) index: Index,
    /// The position of the pack's first byte among all packs.
    pub(crate) base: u64,
    /// The length without the checksum at the end.
    pub(crate) len: u64,
}

impl Pack {
    /// Opens the pack of an index.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be used and the reason; git could not use it either.
    pub(crate) fn open(index_path: &Path, hash_len: usize, base: u64) -> Result<Pack, String> {
        let path = super::listing::pack_of(index_path);
        let named = |path: &Path, why: String| {
            format!(
                "{} {why}",
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .escape_debug()
            )
        };
        let index = Index::open(index_path, hash_len).map_err(|why| named(index_path, why))?;
        let len = check(&path, &index, hash_len).map_err(|why| named(&path, why))?;
        Ok(Pack {
            path,
            index,
            base,
            len,
        })
    }

    /// The file name of its index.
    pub(crate) fn index_name(&self) -> Option<&std::ffi::OsStr> {
        self.index.path.file_name()
    }

    /// The pack's file name, for messages.
    pub(crate) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .escape_debug()
            .to_string()
    }
}

/// Checks the start and the end of a pack. Returns its length without the checksum.
fn check(path: &Path, index: &Index, hash_len: usize) -> Result<u64, String> {
    let file = super::open_file(path)?;
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let len = file.metadata().map_err(unreadable)?.len();
    let Some(body) = len.checked_sub(hash_len as u64).filter(|body| *body >= 12) else {
        return Err("is too short for a pack".to_owned());
    };
    let mut head = [0; 12];
    file.read_exact_at(&mut head, 0).map_err(unreadable)?;
    if &head[..4] != b"PACK" || !matches!(head[4..8], [0, 0, 0, 2 | 3]) {
        return Err("is not a pack of version 2 or 3".to_owned());
    }
    if head[8..12] != index.count.to_be_bytes() {
        return Err("holds another number of objects than its index".to_owned());
    }
    let mut tail = vec![0; hash_len];
    file.read_exact_at(&mut tail, body).map_err(unreadable)?;
    if tail != index.pack_checksum {
        return Err(
            "does not end in the checksum that its index names (cut short, or not its own)"
                .to_owned(),
        );
    }
    Ok(body)
}

/// The open pack files. They are few, so that the process has descriptors left.
#[derive(Default)]
pub(crate) struct Files(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// The number of uses so far.
    clock: u64,
    /// The open files by pack, with their last use.
    files: HashMap<usize, (u64, Arc<File>)>,
}

/// A quarter of the usual limit of 1024 descriptors.
const MAX_OPEN: usize = 256;

impl Files {
    fn get(&self, place: usize, path: &Path) -> Result<Arc<File>, String> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { clock, files: open } = &mut *guard;
        *clock += 1;
        if let Some((used, file)) = open.get_mut(&place) {
            *used = *clock;
            return Ok(Arc::clone(file));
        }
        if open.len() >= MAX_OPEN
            && let Some(oldest) = open
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(place, _)| *place)
        {
            open.remove(&oldest);
        }
        let file = Arc::new(super::open_file(path)?);
        open.insert(place, (*clock, Arc::clone(&file)));
        Ok(file)
    }
}

/// The blocks that one reader has read last.
pub(crate) struct Window {
    blocks: Vec<Block>,
    joined: Vec<u8>,
    /// The pack that was read last.
    file: Option<(usize, Arc<File>)>,
}

struct Block {
    /// The pack and the block within it.
    key: (usize, u64),
    bytes: Vec<u8>,
}

/// The length of a block in bytes. Objects of a trail have some hundred bytes, and neighbours are often needed
/// together.
const BLOCK: u64 = 4 << 10;

/// The number of blocks for each reader, 4 MiB in all.
const BLOCKS: usize = 1024;

impl Window {
    pub(crate) fn new() -> Window {
        let blocks = (0..BLOCKS)
            .map(|_| Block {
                key: (usize::MAX, 0),
                bytes: Vec::new(),
            })
            .collect();
        Window {
            blocks,
            joined: Vec::new(),
            file: None,
        }
    }

    /// The bytes of the pack from `offset`: `len` of them, or fewer if its checksum comes first.
    pub(crate) fn bytes(
        &mut self,
        files: &Files,
        packs: &[Pack],
        place: usize,
        offset: u64,
        len: u64,
    ) -> Result<&[u8], String> {
        let pack = &packs[place];
        let end = pack.len.min(offset.saturating_add(len));
        if offset >= end {
            return Ok(&[]);
        }
        let (first, last) = (offset / BLOCK, (end - 1) / BLOCK);
        if first == last {
            let block = self.block(files, pack, place, first)?;
            return Ok(&block[(offset % BLOCK) as usize..((end - 1) % BLOCK + 1) as usize]);
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        // The buffer for a large object is not kept longer than the object.
        joined.shrink_to(1 << 20);
        if last - first >= 8 {
            joined.resize((end - offset) as usize, 0);
            let file = self.file(files, pack, place)?;
            file.read_exact_at(&mut joined, offset)
                .map_err(|error| format!("{} cannot be read: {error}", pack.name()))?;
        } else {
            for number in first..=last {
                let block = self.block(files, pack, place, number)?;
                let from = if number == first {
                    (offset % BLOCK) as usize
                } else {
                    0
                };
                let to = if number == last {
                    ((end - 1) % BLOCK + 1) as usize
                } else {
                    block.len()
                };
                joined.extend_from_slice(&block[from..to]);
            }
        }
        self.joined = joined;
        Ok(&self.joined)
    }

    fn block(
        &mut self,
        files: &Files,
        pack: &Pack,
        place: usize,
        number: u64,
    ) -> Result<&[u8], String> {
        let key = (place, number);
        let mixed = (number ^ (place as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (mixed >> 40) as usize % BLOCKS;
        if self.blocks[at].key != key {
            let file = self.file(files, pack, place)?;
            let block = &mut self.blocks[at];
            block.key = (usize::MAX, 0);
            let begin = number * BLOCK;
            block.bytes.resize(BLOCK.min(pack.len - begin) as usize, 0);
            file.read_exact_at(&mut block.bytes, begin)
                .map_err(|error| format!("{} cannot be read: {error}", pack.name()))?;
            block.key = key;
        }
        Ok(&self.blocks[at].bytes)
    }

    fn file(&mut self, files: &Files, pack: &Pack, place: usize) -> Result<Arc<File>, String> {
        if let Some((last, file)) = &self.file
            && *last == place
        {
            return Ok(Arc::clone(file));
        }
        let file = files.get(place, &pack.path)?;
        self.file = Some((place, Arc::clone(&file)));
        Ok(file)
    }
}

/// How an entry of a pack is stored.
pub(crate) enum EntryType {
    Whole(Kind),
    /// A delta of the entry at this offset of the same pack.
    Onto(u64),
    /// A delta of the object with this id.
    OntoNamed(Id),
}

/// The header of a pack's entry.
pub(crate) struct Head {
    pub(crate) make: EntryType,
    /// The inflated size of the object, or of the delta.
    pub(crate) size: u64,
    /// The length of the header in bytes.
    pub(crate) len: usize,
}

/// The longest header: ten bytes for the size, and the id or offset of a base.
pub(crate) const MAX_HEAD: u64 = 10 + 32;

/// Reads the header of the entry at `offset`.
///
/// # Errors
///
/// Describes what is wrong with it.
pub(crate) fn head(bytes: &[u8], offset: u64, hash_len: usize) -> Result<Head, &'static str> {
    let early = "its header ends early";
    let first = *bytes.first().ok_or("it is beyond the end of the pack")?;
    let mut at = 1;
    let mut size = u64::from(first & 0x0f);
    let mut shift = 4;
    let mut more = first & 0x80 != 0;
    while more {
        let byte = *bytes.get(at).ok_or(early)?;
        if shift > 57 {
            return Err("its size is too large");
        }
        size |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        at += 1;
        more = byte & 0x80 != 0;
    }
    let make = match first >> 4 & 7 {
        1 => EntryType::Whole(Kind::Commit),
        2 => EntryType::Whole(Kind::Tree),
        3 => EntryType::Whole(Kind::Blob),
        4 => EntryType::Whole(Kind::Tag),
        6 => {
            let mut byte = *bytes.get(at).ok_or(early)?;
            at += 1;
            let mut back = u64::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = *bytes.get(at).ok_or(early)?;
                at += 1;
                if back >> 56 != 0 {
                    return Err("its base is before the start of the pack");
                }
                back = (back + 1) << 7 | u64::from(byte & 0x7f);
            }
            let base = offset
                .checked_sub(back)
                .filter(|base| back > 0 && *base >= 12);
            EntryType::Onto(base.ok_or("its base is before the start of the pack")?)
        }
        7 => {
            let name = bytes.get(at..at + hash_len).ok_or(early)?;
            at += hash_len;
            EntryType::OntoNamed(Id::from_bytes_or_panic(name))
        }
        _ => return Err("it is of no known type"),
    };
    Ok(Head {
        make,
        size,
        len: at,
    })
}
