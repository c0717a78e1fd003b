//! Keeping packs few: packs that we made are merged as they come, in tiers of size.
//!
//! Only packs registered as ours, never one that a person keeps (`.keep`) or that a multi-pack-index names. Objects
//! are copied as they are; what is merged is durable before what it replaces goes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use super::disk;
use super::error::{IoContext, TrailError};
use super::flush::Flusher;
use super::object;
use super::pack::{self, IndexEntry, Pack, TYPE_OFS_DELTA, TYPE_REF_DELTA};

/// So many packs of one tier become one of the next: seven a tier stay, and each object is copied once a tier.
const FAN_IN: usize = 8;
/// Packs up to this size are the lowest tier; each further one is [`FAN_IN`] times as large.
const LEAST_TIER: u64 = 64 << 10;
/// Packs beyond this are left alone: copying them holds up the writer, and a terabyte of them is still few.
const LARGEST: u64 = 1 << 30;

struct Owned {
    name: String,
    size: u64,
    modified: std::time::SystemTime,
}

impl Flusher<'_> {
    /// Merges packs of ours if there are too many of one tier. The caller holds the writer lock.
    pub(super) fn merge_if_due(&self) -> Result<(), TrailError> {
        while let Some(due) = self.due()? {
            let Some(merged) = self.merge(&due)? else {
                return Ok(());
            };
            self.replace(&due, &merged)?;
        }
        Ok(())
    }

    fn pack_path(&self, name: &str, extension: &str) -> PathBuf {
        self.repository
            .objects_dir()
            .join("pack")
            .join(format!("{name}.{extension}"))
    }

    /// The packs of the lowest tier that is full, oldest first, with all that is smaller.
    fn due(&self) -> Result<Option<Vec<Owned>>, TrailError> {
        let dir = self.state.packs_dir();
        let mut owned = Vec::new();
        for entry in fs::read_dir(&dir).doing("list", &dir)? {
            let entry = entry.doing("list", &dir)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let metadata = fs::metadata(self.pack_path(&name, "pack"));
            let visible = self.pack_path(&name, "idx").exists();
            match metadata {
                Ok(metadata) if visible => owned.push(Owned {
                    size: metadata.len(),
                    modified: metadata.modified().unwrap_or(std::time::UNIX_EPOCH),
                    name,
                }),
                Ok(_) => {
                    // Its index went first, in a merge that a crash cut short.
                    disk::remove_if_present(self.disk, &self.pack_path(&name, "pack"))
                        .doing("remove", &dir)?;
                    disk::remove_if_present(self.disk, &entry.path())
                        .doing("remove", &entry.path())?;
                }
                // Repacked by a person's git.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    disk::remove_if_present(self.disk, &entry.path())
                        .doing("remove", &entry.path())?;
                }
                Err(error) => return Err(error).doing("look at", &self.pack_path(&name, "pack")),
            }
        }
        let mut tiers: HashMap<u32, usize> = HashMap::new();
        owned
            .iter()
            .for_each(|pack| *tiers.entry(tier(pack.size)).or_default() += 1);
        let full = tiers
            .iter()
            .filter(|(_, count)| **count >= FAN_IN)
            .map(|(tier, _)| *tier)
            .min();
        let Some(full) = full else { return Ok(None) };
        let indexed = self.multi_pack_index()?;
        let free = |pack: &Owned| {
            let bound = ["keep", "bitmap", "promisor", "mtimes"];
            tier(pack.size) <= full
                && pack.size <= LARGEST
                && !bound
                    .iter()
                    .any(|extension| self.pack_path(&pack.name, extension).exists())
                && !indexed
                    .as_ref()
                    .is_some_and(|index| contains(index, pack.name.as_bytes()))
        };
        owned.retain(free);
        owned
            .sort_by(|left, right| (left.modified, &left.name).cmp(&(right.modified, &right.name)));
        Ok((owned.len() >= FAN_IN).then_some(owned))
    }

    /// The bytes of the multi-pack-index, which name the packs that must stay.
    fn multi_pack_index(&self) -> Result<Option<Vec<u8>>, TrailError> {
        let dir = self.repository.objects_dir().join("pack");
        let chain = dir.join("multi-pack-index.d");
        let mut files = vec![dir.join("multi-pack-index")];
        if let Ok(entries) = fs::read_dir(&chain) {
            files.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
        }
        let mut bytes = Vec::new();
        for path in files {
            match fs::read(&path) {
                Ok(index) => bytes.extend_from_slice(&index),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).doing("read", &path),
            }
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// One pack that holds what all of them hold; `None` if one has gone or is not as we make them.
    fn merge(&self, packs: &[Owned]) -> Result<Option<Pack>, TrailError> {
        let mut merger = Merger::new(self.repository.hash);
        for owned in packs {
            let read = |extension| fs::read(self.pack_path(&owned.name, extension));
            let (Ok(pack), Ok(index)) = (read("pack"), read("idx")) else {
                return Ok(None);
            };
            if merger.add(&pack, &index).is_none() {
                tracing::warn!(
                    pack = owned.name,
                    "a pack of ours is not as we made it: left alone"
                );
                return Ok(None);
            }
        }
        Ok(Some(merger.finish()))
    }

    /// Puts the merged pack in the place of the others.
    fn replace(&self, old: &[Owned], merged: &Pack) -> Result<(), TrailError> {
        let tmp = self.state.tmp_dir();
        let pack_dir = self.repository.objects_dir().join("pack");
        for (extension, contents) in [("pack", &merged.pack), ("idx", &merged.index)] {
            let path = tmp.join(format!("{}.{extension}", merged.name));
            disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
            disk::write_synced(self.disk, &path, contents).doing("write", &path)?;
        }
        let registered = self.state.packs_dir().join(&merged.name);
        disk::remove_if_present(self.disk, &registered).doing("remove", &registered)?;
        disk::write_unsynced(self.disk, &registered, b"").doing("write", &registered)?;
        for extension in ["pack", "idx"] {
            let visible = self.pack_path(&merged.name, extension);
            self.disk
                .rename(&tmp.join(format!("{}.{extension}", merged.name)), &visible)
                .doing("create", &visible)?;
        }
        self.disk.sync_dir(&pack_dir).doing("sync", &pack_dir)?;
        let old: Vec<&Owned> = old.iter().filter(|pack| pack.name != merged.name).collect();
        for pack in &old {
            let index = self.pack_path(&pack.name, "idx");
            disk::remove_if_present(self.disk, &index).doing("remove", &index)?;
        }
        // An index that came back after a power cut without its pack would promise objects that are not there.
        self.disk.sync_dir(&pack_dir).doing("sync", &pack_dir)?;
        for pack in &old {
            for path in [
                self.pack_path(&pack.name, "pack"),
                self.state.packs_dir().join(&pack.name),
            ] {
                disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
            }
        }
        Ok(())
    }
}

fn tier(size: u64) -> u32 {
    let mut tier = 0;
    let mut most = LEAST_TIER;
    while size > most {
        most = most.saturating_mul(FAN_IN as u64);
        tier += 1;
    }
    tier
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// A pack that grows by whole packs.
struct Merger {
    hash: HashKind,
    bytes: Vec<u8>,
    entries: Vec<IndexEntry>,
    places: HashMap<ObjectId, u64>,
}

impl Merger {
    fn new(hash: HashKind) -> Merger {
        Merger {
            hash,
            bytes: pack::header(0).to_vec(),
            entries: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Copies every object that is not there yet; `None` if pack and index are not what we write.
    fn add(&mut self, pack: &[u8], index: &[u8]) -> Option<()> {
        let mut objects = pack::read_index(self.hash, index)?;
        objects.sort_unstable_by_key(|object| object.offset);
        let end = pack.len().checked_sub(self.hash.len_in_bytes())? as u64;
        // Where each object of this pack has come to lie.
        let mut moved: HashMap<u64, u64> = HashMap::with_capacity(objects.len());
        for (at, object) in objects.iter().enumerate() {
            let next = objects.get(at + 1).map_or(end, |next| next.offset);
            let raw =
                pack.get(usize::try_from(object.offset).ok()?..usize::try_from(next).ok()?)?;
            if let Some(place) = self.places.get(&object.id) {
                moved.insert(object.offset, *place);
                continue;
            }
            let start = self.bytes.len();
            let (kind, header) = pack::read_object_header(raw)?;
            let crc = if kind == TYPE_OFS_DELTA {
                let (distance, length) = pack::read_offset_distance(raw.get(header..)?)?;
                let base = *moved.get(&object.offset.checked_sub(distance)?)?;
                self.bytes.extend_from_slice(&raw[..header]);
                pack::offset_distance(start as u64 - base, &mut self.bytes);
                self.bytes.extend_from_slice(raw.get(header + length..)?);
                crc32fast::hash(&self.bytes[start..])
            } else if kind == TYPE_REF_DELTA {
                return None;
            } else {
                if crc32fast::hash(raw) != object.crc {
                    return None;
                }
                self.bytes.extend_from_slice(raw);
                object.crc
            };
            moved.insert(object.offset, start as u64);
            self.places.insert(object.id, start as u64);
            self.entries.push(IndexEntry {
                id: object.id,
                crc,
                offset: start as u64,
            });
        }
        Some(())
    }

    fn finish(mut self) -> Pack {
        let count =
            u32::try_from(self.entries.len()).expect("merged packs hold fewer than 2^32 objects");
        self.bytes[..12].copy_from_slice(&pack::header(count));
        let checksum = object::digest(self.hash, &[&self.bytes]);
        self.bytes.extend_from_slice(checksum.as_slice());
        let index = pack::index(self.hash, &mut self.entries, &checksum);
        Pack {
            pack: self.bytes,
            index,
            name: format!("pack-{checksum}"),
        }
    }
}
