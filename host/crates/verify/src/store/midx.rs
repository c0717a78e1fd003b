//! Git's index over many packs (`multi-pack-index`, whole or in layers). It is compared with the packs' own indexes,
//! because git trusts it instead of them. Any difference is reported.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Store;
use super::index::{be32, read};
use crate::object::Id;

/// How many objects are read at a time.
const STRIDE: usize = 4096;

/// The most packs, and the most chunks.
const MAX_PACKS: u32 = 1 << 20;

/// One file of the multi-pack-index.
pub(super) struct Midx {
    path: PathBuf,
    hash_len: usize,
    count: u32,
    fanout: Vec<u32>,
    /// The offsets of ids, positions and large offsets.
    names_at: u64,
    places_at: u64,
    large: Option<(u64, u64)>,
    /// The names of the packs, in the order of the file.
    packs: Vec<Vec<u8>>,
}

/// Opens all files of it that git may read.
///
/// # Errors
///
/// Names a file that git could not read, and the reason.
pub(super) fn open_all(objects: &Path, hash_len: usize) -> Result<Vec<Midx>, String> {
    let directory = objects.join("pack");
    let mut paths = Vec::new();
    let single = directory.join("multi-pack-index");
    if single.symlink_metadata().is_ok() {
        paths.push(single);
    }
    let layers = directory.join("multi-pack-index.d");
    let chain = layers.join("multi-pack-index-chain");
    if chain.symlink_metadata().is_ok() {
        let named = |why: String| format!("multi-pack-index-chain {why}");
        let lines = crate::repository::small_file(&chain).map_err(named)?;
        let lines = String::from_utf8(lines.unwrap_or_default()).unwrap_or_default();
        for line in lines.lines() {
            if line.len() != 2 * hash_len || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(named("holds a line that names no file".to_owned()));
            }
            paths.push(layers.join(format!("multi-pack-index-{line}.midx")));
        }
    }
    let opened = paths.into_iter().map(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .escape_debug()
            .to_string();
        Midx::open(path, hash_len).map_err(|why| format!("{name} {why}"))
    });
    opened.collect()
}

impl Midx {
    fn open(path: PathBuf, hash_len: usize) -> Result<Midx, String> {
        let file = super::open_file(&path)?;
        let mut head = [0; 12];
        read(&file, &mut head, 0)?;
        let hash_version = if hash_len == 20 { 1 } else { 2 };
        if &head[..4] != b"MIDX" || head[4] != 1 || head[5] != hash_version {
            return Err("is not of version 1 for this object format".to_owned());
        }
        let number = be32(&head[8..]);
        let mut table = vec![0; (usize::from(head[6]) + 1) * 12];
        read(&file, &mut table, 12)?;
        let rows: Vec<(&[u8], u64)> = table
            .chunks_exact(12)
            .map(|row| (&row[..4], be64(&row[4..])))
            .collect();
        let chunk = |name: &[u8]| {
            let place = rows.iter().position(|(found, _)| *found == name)?;
            let (begin, end) = (rows[place].1, rows.get(place + 1)?.1);
            Some((begin, end.checked_sub(begin)?))
        };
        let twice = rows
            .iter()
            .enumerate()
            .any(|(at, (name, _))| rows[..at].iter().any(|(other, _)| other == name));
        let missing = || "lacks a part, or has one twice".to_owned();
        let [names, places, fanout, packs] =
            [b"OIDL", b"OOFF", b"OIDF", b"PNAM"].map(|name| chunk(name));
        let (Some(names), Some(places), Some(fanout), Some(packs)) = (names, places, fanout, packs)
        else {
            return Err(missing());
        };
        if twice || number > MAX_PACKS || fanout.1 != 1024 || packs.1 > 64 << 20 {
            return Err(missing());
        }
        let mut steps = vec![0; 1024];
        read(&file, &mut steps, fanout.0)?;
        let fanout: Vec<u32> = steps.chunks_exact(4).map(be32).collect();
        let count = fanout[255];
        if names.1 != u64::from(count) * hash_len as u64 || places.1 != u64::from(count) * 8 {
            return Err("has the wrong length for the number of its objects".to_owned());
        }
        let mut text = vec![0; packs.1 as usize];
        read(&file, &mut text, packs.0)?;
        let packs: Vec<Vec<u8>> = text
            .split(|byte| *byte == 0)
            .take(number as usize)
            .map(<[u8]>::to_vec)
            .collect();
        if packs.len() != number as usize || packs.iter().any(Vec::is_empty) {
            return Err("does not name its packs".to_owned());
        }
        Ok(Midx {
            path,
            hash_len,
            count,
            fanout,
            names_at: names.0,
            places_at: places.0,
            large: chunk(b"LOFF"),
            packs,
        })
    }

    /// The position of each of its packs among those of the store.
    fn places_of_packs(&self, store: &Store) -> Result<Vec<usize>, String> {
        let names = store
            .packs
            .iter()
            .map(|pack| pack.index_name().map(OsStr::as_bytes));
        let known: HashMap<&[u8], usize> = names
            .zip(0..)
            .filter_map(|(name, place)| Some((name?, place)))
            .collect();
        let places = self.packs.iter().map(|name| {
            known.get(name.as_slice()).copied().ok_or_else(|| {
                format!(
                    "it names the pack {}, which is not there",
                    name.escape_ascii()
                )
            })
        });
        places.collect()
    }

    /// Calls `visit` with each id, the position of its pack in this file, and its offset.
    fn scan(
        &self,
        mut visit: impl FnMut(&[u8], u32, u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let file = super::open_file(&self.path)?;
        let mut names = vec![0; STRIDE * self.hash_len];
        let mut places = vec![0; STRIDE * 8];
        let mut first = 0;
        while first < self.count {
            let stride = STRIDE.min((self.count - first) as usize);
            let names = &mut names[..stride * self.hash_len];
            let places = &mut places[..stride * 8];
            read(
                &file,
                names,
                self.names_at + u64::from(first) * self.hash_len as u64,
            )?;
            read(&file, places, self.places_at + u64::from(first) * 8)?;
            for (name, place) in names
                .chunks_exact(self.hash_len)
                .zip(places.chunks_exact(8))
            {
                visit(name, be32(place), self.offset(&file, be32(&place[4..]))?)?;
            }
            first += stride as u32;
        }
        Ok(())
    }

    fn offset(&self, file: &File, offset: u32) -> Result<u64, String> {
        // Without a table of large offsets all 32 bits are the offset.
        let Some((begin, length)) = self.large else {
            return Ok(u64::from(offset));
        };
        if offset & 0x8000_0000 == 0 {
            return Ok(u64::from(offset));
        }
        let at = u64::from(offset & 0x7fff_ffff) * 8;
        if at + 8 > length {
            return Ok(u64::MAX);
        }
        let mut wide = [0; 8];
        read(file, &mut wide, begin + at)?;
        Ok(u64::from_be_bytes(wide))
    }
}

/// Checks that these files have the same objects as the packs' own indexes.
///
/// # Errors
///
/// Describes the difference.
pub(super) fn check(all: &[Midx], store: &Store) -> Result<(), String> {
    let mut covered = vec![false; store.packs.len()];
    let mut of_files = Vec::new();
    for midx in all {
        let places = midx.places_of_packs(store)?;
        places.iter().for_each(|place| covered[*place] = true);
        of_files.push(places);
    }
    let copies = |name: &[u8]| {
        let candidates = store.table.candidates(name);
        candidates
            .filter(|position| covered[store.pack_at(*position)])
            .take(2)
            .collect::<Vec<_>>()
    };
    // Equal entries cancel out. The key keeps an attacker from preparing others that do.
    let keys = RandomState::new();
    let mut balance = 0_u64;
    // Objects in several packs, any of which is correct, and whether one was named.
    let mut twins: HashMap<Id, (Vec<u64>, bool)> = HashMap::new();
    for (pack, _) in store
        .packs
        .iter()
        .zip(&covered)
        .filter(|(_, covered)| **covered)
    {
        pack.index.scan(|name, offset| {
            let position = pack.base.saturating_add(offset);
            match copies(name).len() {
                0 | 1 => balance = balance.wrapping_add(keys.hash_one((name, position))),
                _ => twins
                    .entry(Id::from_bytes_or_panic(name))
                    .or_default()
                    .0
                    .push(position),
            }
        })?;
    }
    for (midx, places) in all.iter().zip(&of_files) {
        let mut order = super::index::Order::begin(&midx.fanout);
        midx.scan(|name, pack, offset| {
            order.next(name)?;
            let place = places
                .get(pack as usize)
                .ok_or("it names a pack that it does not list")?;
            let position = store.packs[*place].base.saturating_add(offset);
            let is_right =
                match copies(name)[..] {
                    [] => false,
                    [only] => {
                        balance = balance.wrapping_sub(keys.hash_one((name, position)));
                        only == position
                    }
                    _ => twins.get_mut(&Id::from_bytes_or_panic(name)).is_some_and(
                        |(places, named)| {
                            *named = true;
                            places.contains(&position)
                        },
                    ),
                };
            match is_right {
                true => Ok(()),
                false => Err(format!(
                    "it has another offset for {} than the pack's own index",
                    hex(name)
                )),
            }
        })?;
        order.end()?;
    }
    match balance == 0 && twins.values().all(|(_, named)| *named) {
        true => Ok(()),
        false => Err("it does not name all objects of its packs, and no others".to_owned()),
    }
}

fn hex(name: &[u8]) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn be64(bytes: &[u8]) -> u64 {
    (u64::from(be32(bytes)) << 32) | u64::from(be32(&bytes[4..]))
}
