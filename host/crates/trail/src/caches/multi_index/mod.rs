//! One index over all packs that are no longer merged: git's multi-pack-index.
//!
//! For each object that git reads, and for each id that it abbreviates, it looks in the index of every pack. With this file it
//! looks once for all large ones. Only a person's git reads it, and does without it; the trail itself and `verify` never do.
//! What it names is never removed by us: it is a cache that a crash or a power cut cannot make wrong.

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

/// So many large packs outside of the index, and a third of those inside, are worth writing it anew: each object is then
/// written some three times, 28 bytes of it.
const MIN_OUTSIDE: usize = 3;

/// What the file that is there says.
enum ExistingIndex {
    Nothing,
    /// It names these packs, all of them ours and large.
    Ours(Vec<String>),
    /// One that we wrote names packs that are gone: git's own repacking overlooked that it was written meanwhile.
    Stale,
    /// Somebody else cares for it.
    Theirs,
}

/// An index that is durable and not visible yet.
pub(crate) struct NewIndex {
    path: PathBuf,
    packs: Vec<String>,
}

/// Whether the large packs want a new index, if it names so many of them now.
fn is_worth_writing(large: usize, inside: usize) -> bool {
    large.saturating_sub(inside) >= MIN_OUTSIDE.max(inside.div_ceil(3))
}

impl Flusher<'_> {
    fn multi_index_path(&self) -> PathBuf {
        self.pack_dir().join("multi-pack-index")
    }

    /// Where git keeps several that make one.
    fn chain_dir(&self) -> PathBuf {
        self.pack_dir().join("multi-pack-index.d")
    }

    /// The bytes in which multi-pack-indexes name packs: those must stay.
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
                // Of a kind that we do not know: a pack whose name is anywhere in it stays.
                None => {
                    file.read_to_end(&mut bytes).doing("read", &path)?;
                }
            }
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// Of these packs, which are all that are large, those to be indexed: all of them, in the same order, if now is the time.
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

    /// Writes the index over these packs, given in the order of their names, durably but not visibly; `None` if a pack has gone or
    /// is not as we make them, or it was stopped.
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

    /// Lets the index appear, unless somebody else has come to care for it or for the packs.
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
            // A `git repack` that has begun before does not know of it.
            if !all_there() {
                disk::remove_if_present(self.disk, &target).doing("remove", &target)?;
            }
        }
        lock.release()
    }

    /// Removes what a crash left of our changing it.
    pub(crate) fn sweep_index(&self) -> Result<(), TrailError> {
        remove_leftover(self.disk, self.state, &self.multi_index_path())
    }

    fn remove_stale(&self, large: &[String]) -> Result<(), TrailError> {
        let Some(lock) = self.lock_index()? else {
            return Ok(());
        };
        // Under the lock nobody puts a right one in its place meanwhile.
        if matches!(self.present(large)?, ExistingIndex::Stale) {
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

    /// Whether it would be for nothing: the packs are about to go, or somebody else writes the index.
    fn is_pointless(&self) -> bool {
        let mut lock = self.multi_index_path().into_os_string();
        lock.push(".lock");
        let lock = Path::new(&lock);
        self.is_gc_running() || lock.exists() && !same_file(lock, &self.state.token_path())
    }

    /// Whether a `git gc` says that it is under way. One that was killed is believed as long as git itself believes it.
    fn is_gc_running(&self) -> bool {
        const BELIEVED: Duration = Duration::from_secs(12 * 60 * 60);
        let begun = fs::metadata(self.repository.common_dir.join("gc.pid"))
            .and_then(|metadata| metadata.modified());
        begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age <= BELIEVED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_again_when_a_third_has_come() {
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
