//! Which commit added a task's entry: a hash table in a file beside the trail.
//!
//! A cache and nothing more. What it says is checked against the commit itself; what it does not say is looked for in
//! history; where it is missing, behind or wrong it is made again. Nothing is synced. One writer at a time: whoever holds the
//! writer lock, or whoever makes it anew under another name.
//!
//! The file: a header of 64 bytes (magic, length of an id, log2 of the slots, count, the tip that it is complete up
//! to), then slots of 8 bytes of SHA-256 of the task id and the commit's id. An empty slot has the key 0.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use sha2::{Digest, Sha256};

use crate::outcome::TaskId;

const MAGIC: &[u8; 8] = b"CHIFCAT1";
const HEADER: usize = 64;
/// A table starts with so many slots (2^10) and doubles when it is half full.
const LEAST_LOG2: u8 = 10;

/// The table of one trail.
pub(super) struct Catalogue {
    path: PathBuf,
    hash: HashKind,
    open: Mutex<Option<Table>>,
}

struct Table {
    file: File,
    log2: u8,
    count: u64,
    tip: ObjectId,
}

/// What was added, oldest first.
pub(super) type Additions<'a> = &'a [(&'a TaskId, ObjectId)];

impl Catalogue {
    pub(super) fn new(path: PathBuf, hash: HashKind) -> Catalogue {
        Catalogue {
            path,
            hash,
            open: Mutex::new(None),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Table>) -> T) -> T {
        work(
            &mut self
                .open
                .lock()
                .expect("nothing panics while it holds the catalogue"),
        )
    }

    /// The tip up to which the table is complete.
    #[cfg(test)]
    pub(super) fn tip(&self) -> Option<ObjectId> {
        self.with(|open| self.reopen(open).map(|table| table.tip))
    }

    /// Commits that may have added the task's entry; the caller checks.
    pub(super) fn candidates(&self, task_id: &TaskId) -> Vec<ObjectId> {
        self.with(|open| {
            let Some(table) = self.reopen(open) else {
                return Vec::new();
            };
            let mut found = Vec::new();
            // A table that cannot be read knows nothing.
            let _ = table.probe(key(task_id), self.hash, |id| {
                found.push(id);
                false
            });
            found
        })
    }

    /// Notes what a flush has added on top of `parent`. The caller holds the writer lock.
    ///
    /// `nothing_before` says that the trail had no entry at `parent`. If the table is not complete up to there, what is
    /// added is noted and the gap stays.
    pub(super) fn note(
        &self,
        parent: Option<ObjectId>,
        nothing_before: bool,
        additions: Additions<'_>,
        tip: ObjectId,
    ) {
        let result = self.with(|open| {
            let complete = match self.reopen(open) {
                Some(table) => nothing_before || Some(table.tip) == parent,
                None if nothing_before => {
                    *open = Some(self.create(&self.path, LEAST_LOG2)?);
                    true
                }
                None => return Ok(()),
            };
            let table = open.as_mut().expect("it was opened or created");
            for (task_id, id) in additions {
                if (table.count + 1) * 2 > 1 << table.log2 {
                    *table = self.grown(table)?;
                }
                table.insert(key(task_id), *id, self.hash)?;
            }
            if complete {
                table.tip = tip;
            }
            table.write_header(self.hash)
        });
        if let Err(error) = result {
            tracing::debug!(%error, "the catalogue could not be kept up; it will be made again");
            self.discard();
        }
    }

    /// Makes the table anew from the whole of history, in any order.
    pub(super) fn rebuild(&self, entries: &[(TaskId, ObjectId)], tip: ObjectId) -> io::Result<()> {
        let log2 = (entries.len() * 2 + 1).next_power_of_two().trailing_zeros() as u8;
        let temporary = self
            .path
            .with_extension(format!("new-{}", std::process::id()));
        let made = self
            .create(&temporary, log2.max(LEAST_LOG2))
            .and_then(|mut table| {
                let pairs = entries.iter().map(|(task_id, id)| (key(task_id), *id));
                table.fill(pairs, self.hash)?;
                table.tip = tip;
                table.write_header(self.hash)?;
                std::fs::rename(&temporary, &self.path)?;
                Ok(table)
            });
        match made {
            Ok(table) => {
                self.with(|open| *open = Some(table));
                Ok(())
            }
            Err(error) => {
                let _ = std::fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    /// Forgets everything.
    pub(super) fn discard(&self) {
        self.with(|open| {
            *open = None;
            let _ = std::fs::remove_file(&self.path);
        });
    }

    /// The table as it is now: other processes write it too, and replace it when it grows.
    fn reopen<'a>(&self, open: &'a mut Option<Table>) -> Option<&'a mut Table> {
        use std::os::unix::fs::MetadataExt;
        let now = std::fs::metadata(&self.path).ok();
        let same = match (&open, &now) {
            (Some(table), Some(now)) => table
                .file
                .metadata()
                .is_ok_and(|then| then.ino() == now.ino() && then.dev() == now.dev()),
            _ => false,
        };
        let file = match open.take() {
            Some(table) if same => Some(table.file),
            // A trail that may only be read is read.
            _ => OpenOptions::new()
                .read(true)
                .write(true)
                .open(&self.path)
                .or_else(|_| File::open(&self.path))
                .ok(),
        };
        // Read again even so: another process may have added to it.
        *open = file.and_then(|file| Table::open(file, self.hash));
        open.as_mut()
    }

    fn create(&self, path: &Path, log2: u8) -> io::Result<Table> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.set_len(HEADER as u64 + ((slot_length(self.hash) as u64) << log2))?;
        let mut table = Table {
            file,
            log2,
            count: 0,
            tip: ObjectId::null(self.hash),
        };
        table.write_header(self.hash)?;
        Ok(table)
    }

    fn grown(&self, old: &Table) -> io::Result<Table> {
        let temporary = self.path.with_extension("grown");
        let mut table = self.create(&temporary, old.log2 + 1)?;
        table.fill(old.read_all(self.hash)?.into_iter(), self.hash)?;
        table.tip = old.tip;
        table.write_header(self.hash)?;
        std::fs::rename(&temporary, &self.path)?;
        Ok(table)
    }
}

fn key(task_id: &TaskId) -> u64 {
    let digest = Sha256::digest(task_id.as_str().as_bytes());
    let (first, _) = digest
        .split_first_chunk::<8>()
        .expect("a digest has 32 bytes");
    u64::from_be_bytes(*first).max(1)
}

fn slot_length(hash: HashKind) -> usize {
    8 + hash.len_in_bytes()
}

impl Table {
    fn open(file: File, hash: HashKind) -> Option<Table> {
        let mut header = [0u8; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let log2 = header[9];
        let length = hash.len_in_bytes();
        let whole = HEADER as u64 + ((slot_length(hash) as u64) << log2.min(40));
        let good = header[..8] == MAGIC[..]
            && usize::from(header[8]) == length
            && file.metadata().ok()?.len() == whole;
        let (count, _) = header[16..].split_first_chunk::<8>()?;
        good.then(|| Table {
            log2,
            count: u64::from_be_bytes(*count),
            tip: ObjectId::from_bytes_or_panic(&header[24..24 + length]),
            file,
        })
    }

    fn write_header(&mut self, hash: HashKind) -> io::Result<()> {
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8] = hash.len_in_bytes() as u8;
        header[9] = self.log2;
        header[16..24].copy_from_slice(&self.count.to_be_bytes());
        header[24..24 + hash.len_in_bytes()].copy_from_slice(self.tip.as_slice());
        self.file.write_all_at(&header, 0)
    }

    /// Walks the slots of a key; `visit` says whether that was enough. The first empty slot, if it came to one.
    fn probe(
        &self,
        key: u64,
        hash: HashKind,
        mut visit: impl FnMut(ObjectId) -> bool,
    ) -> io::Result<Option<u64>> {
        let length = slot_length(hash);
        let mask = (1u64 << self.log2) - 1;
        let mut slot = key & mask;
        let mut bytes = vec![0u8; length];
        for _ in 0..=mask {
            self.file
                .read_exact_at(&mut bytes, HEADER as u64 + slot * length as u64)?;
            let (found, id) = bytes
                .split_first_chunk::<8>()
                .expect("a slot begins with a key");
            match u64::from_be_bytes(*found) {
                0 => return Ok(Some(slot)),
                found if found == key && visit(ObjectId::from_bytes_or_panic(id)) => {
                    return Ok(None);
                }
                _ => slot = (slot + 1) & mask,
            }
        }
        Err(io::Error::other("the catalogue is full"))
    }

    fn insert(&mut self, key: u64, id: ObjectId, hash: HashKind) -> io::Result<()> {
        if let Some(slot) = self.probe(key, hash, |there| there == id)? {
            let mut bytes = key.to_be_bytes().to_vec();
            bytes.extend_from_slice(id.as_slice());
            self.file
                .write_all_at(&bytes, HEADER as u64 + slot * slot_length(hash) as u64)?;
            self.count += 1;
        }
        Ok(())
    }

    /// Fills an empty table in memory and writes it in one piece.
    fn fill(
        &mut self,
        pairs: impl Iterator<Item = (u64, ObjectId)>,
        hash: HashKind,
    ) -> io::Result<()> {
        let length = slot_length(hash);
        let mask = (1usize << self.log2) - 1;
        let mut slots = vec![0u8; length << self.log2];
        for (key, id) in pairs {
            let mut slot = key as usize & mask;
            while slots[slot * length..slot * length + 8] != [0; 8] {
                slot = (slot + 1) & mask;
            }
            slots[slot * length..slot * length + 8].copy_from_slice(&key.to_be_bytes());
            slots[slot * length + 8..(slot + 1) * length].copy_from_slice(id.as_slice());
            self.count += 1;
        }
        let mut file = &self.file;
        io::Seek::seek(&mut file, io::SeekFrom::Start(HEADER as u64))?;
        file.write_all(&slots)
    }

    fn read_all(&self, hash: HashKind) -> io::Result<Vec<(u64, ObjectId)>> {
        let length = slot_length(hash);
        let mut slots = vec![0u8; length << self.log2];
        self.file.read_exact_at(&mut slots, HEADER as u64)?;
        Ok(slots
            .chunks_exact(length)
            .filter_map(|slot| {
                let (key, id) = slot.split_first_chunk::<8>()?;
                let key = u64::from_be_bytes(*key);
                (key != 0).then(|| (key, ObjectId::from_bytes_or_panic(id)))
            })
            .collect())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::object;
    use super::*;

    fn id(n: usize) -> ObjectId {
        object::digest(HashKind::Sha1, &[&n.to_be_bytes()])
    }

    fn task(n: usize) -> TaskId {
        TaskId::parse(&format!("t{n}")).unwrap()
    }

    #[test]
    fn what_was_noted_is_found_also_after_growing_and_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue");
        let ours = Catalogue::new(path.clone(), HashKind::Sha1);
        let other = Catalogue::new(path, HashKind::Sha1);
        let mut parent = None;
        for n in 0..3000 {
            ours.note(parent, n == 0, &[(&task(n), id(n))], id(n));
            parent = Some(id(n));
            if n % 500 == 0 {
                assert_eq!(other.candidates(&task(n)), [id(n)]);
            }
        }
        assert_eq!(other.tip(), Some(id(2999)));
        assert!((0..3000).all(|n| other.candidates(&task(n)) == [id(n)]));
        assert!(other.candidates(&task(3000)).is_empty());
    }

    #[test]
    fn a_table_that_is_behind_keeps_its_tip() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(dir.path().join("catalogue"), HashKind::Sha1);
        catalogue.note(None, true, &[(&task(0), id(0))], id(0));
        catalogue.note(Some(id(7)), false, &[(&task(8), id(8))], id(8));
        assert_eq!(catalogue.tip(), Some(id(0)));
        assert_eq!(catalogue.candidates(&task(8)), [id(8)]);
        catalogue
            .rebuild(&[(task(0), id(0)), (task(8), id(8))], id(8))
            .unwrap();
        assert_eq!(
            (catalogue.tip(), catalogue.candidates(&task(0))),
            (Some(id(8)), vec![id(0)])
        );
    }

    #[test]
    fn garbage_is_no_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue");
        std::fs::write(&path, [7u8; 200]).unwrap();
        let catalogue = Catalogue::new(path, HashKind::Sha1);
        assert!(catalogue.candidates(&task(1)).is_empty() && catalogue.tip().is_none());
    }
}
