//! Keeping the number of packs small: packs of this program are merged in tiers of size.
//!
//! Only registered packs are merged, never one with a person's `.keep` or in a multi-pack-index. The merged pack is
//! durable before its sources are removed. Packs that are not merged share one [index](crate::caches::multi_index).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::write::flush::Flusher;
use crate::write::merge::{MergeError, Merger, Source};

/// The tiers: the greatest size of a pack in bytes, and how many packs become one.
///
/// Each object is copied once per tier, and copying costs more than all other work for an entry. There are therefore
/// few tiers: in a wide one more packs wait, and the groups of a stream (4 MiB and more, once there are many
/// directories) are copied once.
///
/// Packs beyond the last tier are left alone: merging them would delay the writer for many seconds, with an index of
/// hundreds of megabytes in memory.
const TIERS: [(u64, usize); 4] = [(64 << 10, 8), (512 << 10, 8), (4 << 20, 8), (LARGE, 16)];

/// Packs of more bytes are large, and are not merged.
pub(crate) const LARGE: u64 = 96 << 20;

/// The next task for the packs of the trail.
pub(crate) enum PackTask {
    Merge(Vec<OwnPack>),
    /// Write one index over the packs with these names.
    Index(Vec<String>),
}

/// A pack of this program.
pub(crate) struct OwnPack {
    name: String,
    size: u64,
    modified: std::time::SystemTime,
}

/// The lowest tier with enough packs for one of the next tier.
fn lowest_full_tier(packs: &[OwnPack]) -> Option<usize> {
    let mut tiers: HashMap<usize, usize> = HashMap::new();
    // Packs that cannot be merged do not fill a tier. Otherwise all smaller packs would be merged again and again.
    for tier in packs.iter().filter_map(|pack| tier(pack.size)) {
        *tiers.entry(tier).or_default() += 1;
    }
    let full = tiers
        .into_iter()
        .filter(|(tier, count)| *count >= TIERS[*tier].1);
    full.map(|(tier, _)| tier).min()
}

/// The packs of the lowest full tier and all smaller ones, oldest first.
fn lowest_full(mut packs: Vec<OwnPack>) -> Option<Vec<OwnPack>> {
    let full = lowest_full_tier(&packs)?;
    packs.retain(|pack| tier(pack.size).is_some_and(|tier| tier <= full));
    packs.sort_by(|left, right| (left.modified, &left.name).cmp(&(right.modified, &right.name)));
    Some(packs)
}

impl Flusher<'_> {
    pub(crate) fn pack_dir(&self) -> PathBuf {
        self.repository.objects_dir().join("pack")
    }

    pub(crate) fn pack_path(&self, name: &str, extension: &str) -> PathBuf {
        self.pack_dir().join(format!("{name}.{extension}"))
    }

    /// The next task for the existing packs: merging those of the lowest full tier and all smaller ones, or indexing
    /// the large ones.
    pub(crate) fn next_task(&self) -> Result<Option<PackTask>, TrailError> {
        let owned = self.own_packs()?;
        let (large, mut owned): (Vec<OwnPack>, Vec<OwnPack>) =
            owned.into_iter().partition(|pack| pack.size > self.large);
        if lowest_full_tier(&owned).is_some() {
            let indexed = self.indexed_names()?;
            owned.retain(|pack| !self.is_bound(pack, indexed.as_deref()));
            if let Some(full) = lowest_full(owned) {
                return Ok(Some(PackTask::Merge(full)));
            }
        }
        let mut large: Vec<String> = large.into_iter().map(|pack| pack.name).collect();
        large.sort_unstable();
        Ok(self.index_due(large)?.map(PackTask::Index))
    }

    /// The packs of this program.
    fn own_packs(&self) -> Result<Vec<OwnPack>, TrailError> {
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
                Ok(metadata) if visible => owned.push(OwnPack {
                    size: metadata.len(),
                    modified: metadata.modified().unwrap_or(std::time::UNIX_EPOCH),
                    name,
                }),
                Ok(_) => {
                    // A merge that a crash cut short had removed its index first.
                    disk::remove_if_present(self.disk, &self.pack_path(&name, "pack"))
                        .doing("remove", &dir)?;
                    disk::remove_if_present(self.disk, &entry.path())
                        .doing("remove", &entry.path())?;
                }
                // A person's git has repacked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    disk::remove_if_present(self.disk, &entry.path())
                        .doing("remove", &entry.path())?;
                }
                Err(error) => return Err(error).doing("look at", &self.pack_path(&name, "pack")),
            }
        }
        Ok(owned)
    }

    /// Whether another file relies on this pack.
    fn is_bound(&self, pack: &OwnPack, indexed: Option<&[u8]>) -> bool {
        ["keep", "bitmap", "promisor", "mtimes"]
            .iter()
            .any(|extension| self.pack_path(&pack.name, extension).exists())
            || indexed.is_some_and(|index| contains(index, pack.name.as_bytes()))
    }

    /// Writes one durable pack, not visible yet, with the objects of all packs. `None` if one of them was removed or is
    /// not in the program's format, or the merge was cancelled.
    pub(crate) fn merge(
        &self,
        packs: &[OwnPack],
        stop: &AtomicBool,
    ) -> Result<Option<MergedPack>, TrailError> {
        let hash = self.repository.hash;
        let mut sources = Vec::with_capacity(packs.len());
        for owned in packs {
            match Source::open(
                hash,
                &self.pack_path(&owned.name, "pack"),
                &self.pack_path(&owned.name, "idx"),
            ) {
                Ok(Some(source)) => sources.push(source),
                Ok(None) => return self.left_alone(owned),
                Err(_) => return Ok(None),
            }
        }
        let pack = self.state.tmp_dir().join("merged.pack");
        disk::remove_if_present(self.disk, &pack).doing("remove", &pack)?;
        let mut file = self.disk.create(&pack).doing("create", &pack)?;
        let merged = Merger::merge(hash, sources, file.as_mut(), stop);
        let (bytes, name) = match merged {
            Ok(merged) => merged,
            Err(MergeError::Foreign(number)) => return self.left_alone(&packs[number]),
            Err(MergeError::Stopped) => return Ok(None),
            Err(MergeError::Io(error)) => return Err(error).doing("write", &pack),
        };
        let index = self.state.tmp_dir().join("merged.idx");
        disk::remove_if_present(self.disk, &index).doing("remove", &index)?;
        disk::write_synced(self.disk, &index, &bytes).doing("write", &index)?;
        Ok(Some(MergedPack { pack, index, name }))
    }

    fn left_alone(&self, owned: &OwnPack) -> Result<Option<MergedPack>, TrailError> {
        tracing::warn!(
            pack = owned.name,
            "a pack of this program was changed, and is no longer merged"
        );
        let registered = self.state.packs_dir().join(&owned.name);
        disk::remove_if_present(self.disk, &registered).doing("remove", &registered)?;
        Ok(None)
    }

    /// Installs the merged pack, and removes the others.
    pub(crate) fn replace(&self, old: &[OwnPack], merged: &MergedPack) -> Result<(), TrailError> {
        let pack_dir = self.pack_dir();
        let registered = self.state.packs_dir().join(&merged.name);
        disk::remove_if_present(self.disk, &registered).doing("remove", &registered)?;
        disk::write_unsynced(self.disk, &registered, b"").doing("write", &registered)?;
        for (from, extension) in [(&merged.pack, "pack"), (&merged.index, "idx")] {
            let visible = self.pack_path(&merged.name, extension);
            self.disk.rename(from, &visible).doing("create", &visible)?;
        }
        self.disk.sync_dir(&pack_dir).doing("sync", &pack_dir)?;
        // If a file has come to rely on a pack during the merge, that pack stays.
        let indexed = self.indexed_names()?;
        let replaced = old
            .iter()
            .filter(|pack| pack.name != merged.name && !self.is_bound(pack, indexed.as_deref()));
        // Index before pack: git and gix ignore an index that reappears after a power cut without its pack.
        for pack in replaced {
            let registered = self.state.packs_dir().join(&pack.name);
            for path in [
                self.pack_path(&pack.name, "idx"),
                self.pack_path(&pack.name, "pack"),
                registered,
            ] {
                disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
            }
        }
        Ok(())
    }
}

/// A merged pack that is durable and not visible yet.
pub(crate) struct MergedPack {
    pack: PathBuf,
    index: PathBuf,
    name: String,
}

/// The tier of packs of this size; `None` if they are left alone.
fn tier(size: u64) -> Option<usize> {
    TIERS.iter().position(|(most, _)| size <= *most)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packs to merge, for packs of these sizes, which are named by their position.
    fn next_task(sizes: &[u64]) -> Vec<usize> {
        let pack = |(place, size): (usize, &u64)| OwnPack {
            name: place.to_string(),
            size: *size,
            modified: std::time::UNIX_EPOCH + std::time::Duration::from_secs(place as u64),
        };
        let packs = sizes.iter().enumerate().map(pack).collect();
        let due = lowest_full(packs).unwrap_or_default();
        due.iter()
            .filter_map(|pack| pack.name.parse().ok())
            .collect()
    }

    #[test]
    fn eight_of_a_tier_are_merged_with_all_that_is_smaller() {
        const MIB: u64 = 1 << 20;
        assert_eq!(next_task(&[1; 7]), [0; 0]);
        assert_eq!(next_task(&[1; 8]), [0, 1, 2, 3, 4, 5, 6, 7]);
        let two_tiers = [&[3 * MIB; 8][..], &[1; 3]].concat();
        assert_eq!(next_task(&two_tiers).len(), 11);
        let both_full = [&[3 * MIB; 8][..], &[1; 8]].concat();
        assert_eq!(next_task(&both_full), [8, 9, 10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn the_groups_of_a_stream_are_merged_when_sixteen_have_come() {
        const MIB: u64 = 1 << 20;
        assert_eq!(next_task(&[8 * MIB; 15]), [0; 0]);
        assert_eq!(next_task(&[8 * MIB; 16]).len(), 16);
    }

    #[test]
    fn packs_too_large_to_be_merged_keep_no_tier_full() {
        let (largest, _) = TIERS[TIERS.len() - 1];
        let large = [largest + 1; 20];
        assert_eq!(next_task(&large), [0; 0]);
        // A defect once merged all smaller packs after each flush here.
        assert_eq!(next_task(&[&large[..], &[1; 7]].concat()), [0; 0]);
    }
}
