//! One index over all packs that are no longer merged: git's multi-pack-index.
//!
//! For each object that git reads, and for each id that it abbreviates, it looks in the index of every pack. With this file it
//! looks once for all large ones. Only a person's git reads it, and does without it; the trail itself and `verify` never do.
//! What it names is never removed by us: it is a cache that a crash or a power cut cannot make wrong.
//! Format: git's `gitformat-pack`, "multi-pack-index (MIDX) files".

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::odb::pack::index;

use super::disk::{self, DiskFile};
use super::error::{IoContext, TrailError};
use super::flush::Flusher;
use super::lock::{GitLock, remove_leftover, same_file};
use super::object::RunningDigest;

/// So many large packs outside of the index, and a third of those inside, are worth writing it anew: each object is then
/// written some three times, 28 bytes of it.
const OUTSIDE_LEAST: usize = 3;

/// What the file that is there says.
enum Present {
    Nothing,
    /// It names these packs, all of them ours and large.
    Ours(Vec<String>),
    /// One that we wrote names packs that are gone: git's own repacking overlooked that it was written meanwhile.
    Stale,
    /// Somebody else cares for it.
    Theirs,
}

/// An index that is durable and not visible yet.
pub(super) struct Indexed {
    path: PathBuf,
    packs: Vec<String>,
}

/// Whether the large packs want a new index, if it names so many of them now.
fn is_due(large: usize, inside: usize) -> bool {
    large.saturating_sub(inside) >= OUTSIDE_LEAST.max(inside.div_ceil(3))
}

impl Flusher<'_> {
    fn multi_index_path(&self) -> PathBuf {
        self.pack_dir().join("multi-pack-index")
    }

    /// Of these packs, which are all that are large, those to be indexed: all of them, in the same order, if now is the time.
    pub(super) fn index_due(&self, large: Vec<String>) -> Result<Option<Vec<String>>, TrailError> {
        let inside = match self.present(&large)? {
            Present::Nothing => 0,
            Present::Ours(named) => named.len(),
            Present::Stale => {
                self.remove_stale(&large)?;
                0
            }
            Present::Theirs => return Ok(None),
        };
        let due = is_due(large.len(), inside) && !self.others_are_at_it();
        Ok(due.then_some(large))
    }

    /// Writes the index over these packs, given in the order of their names, durably but not visibly; `None` if a pack has gone or
    /// is not as we make them, or it was stopped.
    pub(super) fn make_index(
        &self,
        packs: Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Option<Indexed>, TrailError> {
        let hash = self.repository.hash;
        let mut sources = Vec::with_capacity(packs.len());
        for name in &packs {
            match index::File::at(self.pack_path(name, "idx"), hash) {
                Ok(source) => sources.push(source),
                Err(_) => return Ok(None),
            }
        }
        let Some(order) = Order::of(&sources, stop) else {
            return Ok(None);
        };
        let path = self.state.tmp_dir().join("multi-pack-index");
        disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
        let mut file = self.disk.create(&path).doing("create", &path)?;
        let mut out = Out::new(hash, file.as_mut(), stop);
        match out.write(&packs, &sources, &order) {
            Ok(true) => Ok(Some(Indexed { path, packs })),
            Ok(false) => {
                disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
                Ok(None)
            }
            Err(error) => Err(error).doing("write", &path),
        }
    }

    /// Lets the index appear, unless somebody else has come to care for it or for the packs.
    pub(super) fn install(&self, indexed: &Indexed) -> Result<(), TrailError> {
        let target = self.multi_index_path();
        let Some(lock) = self.lock_index()? else {
            return Ok(());
        };
        let all_there = || self.are_all_there(&indexed.packs);
        let may = !matches!(self.present(&indexed.packs)?, Present::Theirs);
        if may && !self.gc_runs() && all_there() {
            self.disk
                .rename(&indexed.path, &target)
                .doing("create", &target)?;
            // A `git repack` that has begun before does not know of it.
            if !all_there() {
                disk::remove_if_present(self.disk, &target).doing("remove", &target)?;
            }
        }
        lock.release()
    }

    /// Removes what a crash left of our changing it.
    pub(super) fn sweep_index(&self) -> Result<(), TrailError> {
        remove_leftover(self.disk, self.state, &self.multi_index_path())
    }

    fn remove_stale(&self, large: &[String]) -> Result<(), TrailError> {
        let Some(lock) = self.lock_index()? else {
            return Ok(());
        };
        // Under the lock nobody puts a right one in its place meanwhile.
        if matches!(self.present(large)?, Present::Stale) {
            let path = self.multi_index_path();
            disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
        }
        lock.release()
    }

    /// The right to change the index, which git's own commands ask for too; `None` if somebody has it.
    fn lock_index(&self) -> Result<Option<GitLock<'_>>, TrailError> {
        match GitLock::acquire(
            self.disk,
            self.state,
            &self.multi_index_path(),
            Duration::ZERO,
        ) {
            Ok(lock) => Ok(Some(lock)),
            Err(TrailError::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn present(&self, large: &[String]) -> Result<Present, TrailError> {
        let path = self.multi_index_path();
        if self.pack_dir().join("multi-pack-index.d").exists() {
            return Ok(Present::Theirs);
        }
        let named = match File::open(&path) {
            Ok(file) => names(&file).doing("read", &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Present::Nothing),
            Err(error) => return Err(error).doing("open", &path),
        };
        let Some(named) = named.filter(|named| named.chunks == CHUNKS.len()) else {
            return Ok(Present::Theirs);
        };
        let named = without_extensions(&named.bytes);
        let is_there = |name: &String| self.pack_path(name, "idx").exists();
        if named
            .iter()
            .any(|name| !large.contains(name) && is_there(name))
        {
            return Ok(Present::Theirs);
        }
        Ok(if self.are_all_there(&named) {
            Present::Ours(named)
        } else {
            Present::Stale
        })
    }

    fn are_all_there(&self, packs: &[String]) -> bool {
        packs.iter().all(|name| {
            self.pack_path(name, "idx").exists() && self.pack_path(name, "pack").exists()
        })
    }

    /// Whether it would be for nothing: the packs are about to go, or somebody else writes the index.
    fn others_are_at_it(&self) -> bool {
        let mut lock = self.multi_index_path().into_os_string();
        lock.push(".lock");
        let lock = Path::new(&lock);
        self.gc_runs() || lock.exists() && !same_file(lock, &self.state.token_path())
    }

    /// Whether a `git gc` says that it is under way. One that was killed is believed as long as git itself believes it.
    fn gc_runs(&self) -> bool {
        const BELIEVED: Duration = Duration::from_secs(12 * 60 * 60);
        let begun = fs::metadata(self.repository.common_dir.join("gc.pid"))
            .and_then(|metadata| metadata.modified());
        begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age <= BELIEVED))
    }
}

/// Which pack each object comes from, in the order of the ids: all that is remembered of a merge of sorted lists.
struct Order {
    /// A pack's number, and [`AGAIN`] where a pack before it has the object too.
    packs: Vec<u16>,
    /// How many different objects begin with each byte.
    fan: [u32; 256],
}

/// No pack has this number.
const AGAIN: u16 = 1 << 15;

impl Order {
    /// `None` if one of the lists is not sorted, there are more than the format can tell, or it was stopped.
    fn of(sources: &[index::File], stop: &AtomicBool) -> Option<Order> {
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
        Some(Order { packs, fan })
    }

    /// Calls `each` for every different object with its pack's number and its place there.
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

/// The file, as far as it is written.
struct Out<'a> {
    hash: HashKind,
    file: &'a mut dyn DiskFile,
    stop: &'a AtomicBool,
    digest: RunningDigest,
    buffer: Vec<u8>,
}

const BUFFER: usize = 1 << 20;

/// The names of packs, how many ids begin with at most each byte, the ids, and the pack and offset of each.
const CHUNKS: [&[u8; 4]; 4] = [b"PNAM", b"OIDF", b"OIDL", b"OOFF"];

impl<'a> Out<'a> {
    fn new(hash: HashKind, file: &'a mut dyn DiskFile, stop: &'a AtomicBool) -> Out<'a> {
        Out {
            hash,
            file,
            stop,
            digest: RunningDigest::new(hash),
            buffer: Vec::with_capacity(BUFFER + 64),
        }
    }

    /// Writes all of it, durably; says whether it was not stopped and every offset has room.
    fn write(
        &mut self,
        packs: &[String],
        sources: &[index::File],
        order: &Order,
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
            // Packs that we make have less than 2 GiB.
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

    /// Says whether to go on.
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

/// The part of a multi-pack-index that names packs.
pub(super) struct Names {
    pub(super) bytes: Vec<u8>,
    /// Of how many chunks the index is made: more than ours if somebody had a bitmap made with it.
    chunks: usize,
}

/// Reads the names of the packs; `None` if it is no multi-pack-index.
pub(super) fn names(file: &File) -> io::Result<Option<Names>> {
    /// Names of a million packs.
    const MOST: u64 = 64 << 20;
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
    let Some(length) = length.filter(|length| *length <= MOST) else {
        return Ok(None);
    };
    let mut bytes = vec![0; length as usize];
    let whole = read_at(file, &mut bytes, pair[0].1)?;
    Ok(whole.then_some(Names {
        bytes,
        chunks: chunks.len() - 1,
    }))
}

/// Whether so much was there.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(true),
        // It says what it likes of where its parts are; an offset may be more than a file can have.
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

fn without_extensions(names: &[u8]) -> Vec<String> {
    names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = String::from_utf8_lossy(name);
            name.strip_suffix(".idx").unwrap_or(&name).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_anew_when_a_third_has_come() {
        let mut inside = 0;
        let mut written = Vec::new();
        for large in 0..60 {
            if is_due(large, inside) {
                inside = large;
                written.push(large);
            }
        }
        assert_eq!(written, [3, 6, 9, 12, 16, 22, 30, 40, 54]);
    }
}
