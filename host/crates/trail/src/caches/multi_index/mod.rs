//! One index over all packs that are not merged any more: git's multi-pack-index.
//!
//! For each object that git reads, and each id that it abbreviates, git searches the index of every pack. With this
//! file it searches once for all large packs. Only a person's git reads it, and works without it; the trail and
//! `verify` never do. This program never removes a pack that it names, so a crash or a power cut cannot make it wrong.

mod format;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gix::odb::pack::index;

use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::write::flush::Flusher;
use crate::write::lock::{GitLock, remove_leftover, same_file};

/// The index is written again when at least this many large packs, and a third of those inside, are outside of it. Each
/// object is then written about three times, 28 bytes each.
const MIN_OUTSIDE: usize = 3;

/// The contents of the existing file.
enum ExistingIndex {
    Nothing,
    /// It names these packs, which are all large and of this program.
    Ours(Vec<String>),
    /// This program wrote it, and it names packs that are gone: git repacked while it was written.
    Stale,
    /// Another program maintains it.
    Theirs,
}

/// An index that is durable and not visible yet.
pub(crate) struct NewIndex {
    path: PathBuf,
    packs: Vec<String>,
}

/// Whether to write a new index, if the current one names this many packs.
fn is_worth_writing(large: usize, inside: usize) -> bool {
    large.saturating_sub(inside) >= MIN_OUTSIDE.max(inside.div_ceil(3))
}

impl Flusher<'_> {
    fn multi_index_path(&self) -> PathBuf {
        self.pack_dir().join("multi-pack-index")
    }

    /// The directory of a chain of multi-pack-indexes.
    fn chain_dir(&self) -> PathBuf {
        self.pack_dir().join("multi-pack-index.d")
    }

    /// The bytes of the multi-pack-indexes that name packs. Those packs must stay.
    pub(crate) fn indexed_names(&self) -> Result<Option<Vec<u8>>, TrailError> {
        let mut files = vec![self.multi_index_path()];
        if let Ok(entries) = fs::read_dir(self.chain_dir()) {
            files.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
        }
        let mut bytes = Vec::new();
        for path in files {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).doing("open", &path),
            };
            match format::names(&file).doing("read", &path)? {
                Some(names) => bytes.extend_from_slice(&names.bytes),
                // The format is not known: a pack stays if its name is anywhere in the file.
                None => {
                    file.read_to_end(&mut bytes).doing("read", &path)?;
                }
            }
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The packs to be indexed now, given all large ones: all of them in the same order, or `None`.
    pub(crate) fn index_due(&self, large: Vec<String>) -> Result<Option<Vec<String>>, TrailError> {
        let inside = match self.present(&large)? {
            ExistingIndex::Nothing => 0,
            ExistingIndex::Ours(named) => named.len(),
            ExistingIndex::Stale => {
                self.remove_stale(&large)?;
                0
            }
            ExistingIndex::Theirs => return Ok(None),
        };
        let due = is_worth_writing(large.len(), inside) && !self.is_pointless();
        Ok(due.then_some(large))
    }

    /// Writes the index over these packs, given in the order of their names, durably and not visible yet. `None` if a
    /// pack was removed or is not in the program's format, or it was stopped.
    pub(crate) fn make_index(
        &self,
        packs: Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Option<NewIndex>, TrailError> {
        let hash = self.repository.hash;
        let mut sources = Vec::with_capacity(packs.len());
        for name in &packs {
            match index::File::at(self.pack_path(name, "idx"), hash) {
                Ok(source) => sources.push(source),
                Err(_) => return Ok(None),
            }
        }
        let path = self.state.tmp_dir().join("multi-pack-index");
        disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
        let mut file = self.disk.create(&path).doing("create", &path)?;
        match format::write(hash, &packs, &sources, file.as_mut(), stop) {
            Ok(true) => Ok(Some(NewIndex { path, packs })),
            Ok(false) => {
                disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
                Ok(None)
            }
            Err(error) => Err(error).doing("write", &path),
        }
    }

    /// Makes the index visible, unless another program has started to maintain it or the packs.
    pub(crate) fn install(&self, indexed: &NewIndex) -> Result<(), TrailError> {
        let target = self.multi_index_path();
        let Some(lock) = self.lock_index()? else {
            return Ok(());
        };
        let all_there = || self.all_exist(&indexed.packs);
        let may = !matches!(self.present(&indexed.packs)?, ExistingIndex::Theirs);
        if may && !self.is_gc_running() && all_there() {
            self.disk
                .rename(&indexed.path, &target)
                .doing("create", &target)?;
            // A `git repack` that started earlier does not know the index.
            if !all_there() {
                disk::remove_if_present(self.disk, &target).doing("remove", &target)?;
            }
        }
        lock.release()
    }

    /// Removes the leftovers of a crash while the index was changed.
    pub(crate) fn sweep_index(&self) -> Result<(), TrailError> {
        remove_leftover(self.disk, self.state, &self.multi_index_path())
    }

    fn remove_stale(&self, large: &[String]) -> Result<(), TrailError> {
        let Some(lock) = self.lock_index()? else {
            return Ok(());
        };
        // Under the lock no other program can install a correct one meanwhile.
        if matches!(self.present(large)?, ExistingIndex::Stale) {
            let path = self.multi_index_path();
            disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
        }
        lock.release()
    }

    /// Takes the lock of the index, which git's commands take too; `None` if another process holds it.
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

    fn present(&self, large: &[String]) -> Result<ExistingIndex, TrailError> {
        let path = self.multi_index_path();
        if self.chain_dir().exists() {
            return Ok(ExistingIndex::Theirs);
        }
        let named = match File::open(&path) {
            Ok(file) => format::names(&file).doing("read", &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ExistingIndex::Nothing);
            }
            Err(error) => return Err(error).doing("open", &path),
        };
        let Some(named) = named.filter(|named| named.is_plain) else {
            return Ok(ExistingIndex::Theirs);
        };
        let named = named.packs();
        let is_there = |name: &String| self.pack_path(name, "idx").exists();
        if named
            .iter()
            .any(|name| !large.contains(name) && is_there(name))
        {
            return Ok(ExistingIndex::Theirs);
        }
        Ok(if self.all_exist(&named) {
            ExistingIndex::Ours(named)
        } else {
            ExistingIndex::Stale
        })
    }

    fn all_exist(&self, packs: &[String]) -> bool {
        packs.iter().all(|name| {
            self.pack_path(name, "idx").exists() && self.pack_path(name, "pack").exists()
        })
    }

    /// Whether writing would be pointless: the packs are about to be removed, or another program writes the index.
    fn is_pointless(&self) -> bool {
        let mut lock = self.multi_index_path().into_os_string();
        lock.push(".lock");
        let lock = Path::new(&lock);
        self.is_gc_running() || lock.exists() && !same_file(lock, &self.state.token_path())
    }

    /// Whether `git gc` is running, by its own file. After a crash of `git gc` the file is trusted as long as git
    /// trusts it.
    fn is_gc_running(&self) -> bool {
        const GC_PID_TRUSTED_FOR: Duration = Duration::from_secs(12 * 60 * 60);
        let started = fs::metadata(self.repository.common_dir.join("gc.pid"))
            .and_then(|metadata| metadata.modified());
        started.is_ok_and(|started| started.elapsed().is_ok_and(|age| age <= GC_PID_TRUSTED_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_again_when_a_third_more_packs_exist() {
        let mut inside = 0;
        let mut written = Vec::new();
        for large in 0..60 {
            if is_worth_writing(large, inside) {
                inside = large;
                written.push(large);
            }
        }
        assert_eq!(written, [3, 6, 9, 12, 16, 22, 30, 40, 54]);
    }
}
