//! Recovery, the first step of the holder of the writer lock: removes the leftovers of a crash, and updates the work
//! tree.

use std::fs;
use std::io;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind;

use crate::Placement;
use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::message;
use crate::place::state::Mark;
use crate::read::history;
use crate::read::tree_files;
use crate::work_tree::checkout::{self, CheckoutFile};
use crate::write::flush::Flusher;
use crate::write::lock::{remove_leftover, same_file};

impl Flusher<'_> {
    /// Removes the leftovers of a crash: lock files and `.keep` files of this program, temporaries.
    pub(crate) fn sweep(&self) -> Result<(), TrailError> {
        let common_dir = &self.repository.common_dir;
        remove_leftover(self.disk, self.state, &common_dir.join(self.reference))?;
        if self.placement == Placement::Checkout {
            checkout::remove_leftovers(self.disk, self.state, self.repository)?;
        }
        self.sweep_keeps()?;
        self.sweep_index()?;
        let tmp = self.state.tmp_dir();
        for entry in fs::read_dir(&tmp).doing("list", &tmp)? {
            let path = entry.doing("list", &tmp)?.path();
            disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
        }
        Ok(())
    }

    /// Removes `.keep` files of this program, and packs without an index, which nothing can depend on.
    fn sweep_keeps(&self) -> Result<(), TrailError> {
        let pack_dir = self.pack_dir();
        let entries = match fs::read_dir(&pack_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.doing("list", &pack_dir)?,
        };
        for entry in entries {
            let path = entry.doing("list", &pack_dir)?.path();
            let is_keep = path
                .extension()
                .is_some_and(|extension| extension == "keep");
            if !is_keep || !same_file(&self.state.token_path(), &path) {
                continue;
            }
            if !path.with_extension("idx").exists() {
                let pack = path.with_extension("pack");
                disk::remove_if_present(self.disk, &pack).doing("remove", &pack)?;
            }
            disk::remove_if_present(self.disk, &path).doing("remove", &path)?;
        }
        Ok(())
    }

    /// Writes every entry to index and work tree that a crash kept from them.
    ///
    /// `tip` is the ref's commit. Without a reboot the page cache is intact, and only entries after the mark can be
    /// missing. After a reboot any entry can be missing. `was_written_before` says that this trail was written here
    /// before this process.
    pub(crate) fn catch_up_work_tree(
        &self,
        tip: Option<ObjectId>,
        mark: &Mark,
        was_written_before: bool,
    ) -> Result<(), TrailError> {
        let (Placement::Checkout, Some(tip)) = (self.placement, tip) else {
            return Ok(());
        };
        let last = self.state.read_mark(&self.state.in_step_path());
        let missing = match last {
            Some(last) if last.boot == mark.boot && last.tip == tip => return Ok(()),
            Some(last) if last.boot == mark.boot => self.entries_since(tip, last.tip)?,
            Some(_) => self.all_entries(tip)?,
            // The first flush here was cut short.
            None if was_written_before => self.all_entries(tip)?,
            // There is no mark: the repository is a clone, and git itself has written the work tree.
            None => Vec::new(),
        };
        if !missing.is_empty()
            && let Some(work_tree) = checkout::lock_work_tree(
                self.disk,
                self.state,
                self.repository,
                self.reference,
                self.lock_wait,
            )?
        {
            self.warn(work_tree.write_entries(&missing, true)?);
        }
        self.state
            .write_mark(self.disk, &self.state.in_step_path(), mark)
    }

    /// The entries that trail commits after `since` added, if `tip` still has them.
    fn entries_since(
        &self,
        tip: ObjectId,
        since: ObjectId,
    ) -> Result<Vec<CheckoutFile>, TrailError> {
        let tree = self.repository.commit(&tip)?.tree;
        let mut entries = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next.filter(|id| *id != since) {
            let commit = self.repository.commit(&id)?;
            if let Some(task) = message::trailer(&commit.message, message::TASK)
                && let Some((path, blob)) = history::entry_in_tree(self.repository, tree, task)?
            {
                entries.push(self.checkout_file(path, blob)?);
            }
            next = self.repository.parent(&id, &commit);
        }
        Ok(entries)
    }

    fn all_entries(&self, tip: ObjectId) -> Result<Vec<CheckoutFile>, TrailError> {
        let tree = self.repository.commit(&tip)?.tree;
        let mut entries = Vec::new();
        for (path, blob) in tree_files::entries_of_tree(self.repository, tree)? {
            entries.push(self.checkout_file(path, blob)?);
        }
        Ok(entries)
    }

    fn checkout_file(&self, path: String, blob: ObjectId) -> Result<CheckoutFile, TrailError> {
        let contents: Arc<[u8]> = self.repository.object(Kind::Blob, &blob)?.into();
        Ok(CheckoutFile {
            path,
            blob,
            contents,
        })
    }

    /// Makes the repository itself durable. It may be new, and git does not sync it.
    pub(crate) fn sync_repository(&self) -> Result<(), TrailError> {
        let common_dir = &self.repository.common_dir;
        for file in ["HEAD", "config"] {
            let path = common_dir.join(file);
            if path.exists() {
                self.disk.sync_file(&path).doing("sync", &path)?;
            }
        }
        let above = common_dir.parent().unwrap_or(common_dir);
        for dir in [
            &common_dir.join("refs"),
            &self.repository.objects_dir(),
            above,
        ] {
            self.disk.sync_dir(dir).doing("sync", dir)?;
        }
        Ok(())
    }

    /// Makes the commits and objects durable that other programs have written below a tip. Git does not sync them.
    pub(crate) fn sync_foreign_writes(&self) -> Result<(), TrailError> {
        // Files that disappear during a pass were repacked, into files that this pass may have missed.
        const MAX_PASSES: usize = 20;
        for _ in 0..MAX_PASSES {
            if self.try_sync_foreign_writes()? {
                return Ok(());
            }
        }
        Err(TrailError::Busy(
            "the object database is being repacked all the time".into(),
        ))
    }

    /// Makes one pass; returns whether no file disappeared meanwhile.
    fn try_sync_foreign_writes(&self) -> Result<bool, TrailError> {
        let common_dir = &self.repository.common_dir;
        let objects = self.repository.objects_dir();
        let mut dirs = vec![objects.join("pack")];
        for entry in fs::read_dir(&objects).doing("list", &objects)? {
            let path = entry.doing("list", &objects)?.path();
            let is_fan_out = path.file_name().is_some_and(|name| name.len() == 2);
            if is_fan_out {
                dirs.push(path);
            }
        }
        let mut whole = true;
        for dir in dirs {
            let entries = match fs::read_dir(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.doing("list", &dir)?,
            };
            let mut synced = false;
            for entry in entries {
                let entry = entry.doing("list", &dir)?;
                if recent(&entry) {
                    whole &= unless_gone(self.disk.sync_file(&entry.path()))
                        .doing("sync", &entry.path())?;
                    synced = true;
                }
            }
            if synced {
                whole &= unless_gone(self.disk.sync_dir(&dir)).doing("sync", &dir)?;
            }
        }
        self.disk.sync_dir(&objects).doing("sync", &objects)?;
        let path = common_dir.join(self.reference);
        if path.exists() {
            let parent = path.parent().unwrap_or(common_dir);
            whole &= unless_gone(self.disk.sync_file(&path)).doing("sync", &path)?;
            whole &= unless_gone(self.sync_dirs_above(parent)).doing("sync", parent)?;
        }
        let packed = common_dir.join("packed-refs");
        if packed.exists() {
            whole &= unless_gone(self.disk.sync_file(&packed)).doing("sync", &packed)?;
            self.state.sync_common_dir(self.disk)?;
        }
        Ok(whole)
    }
}

/// Whether the file existed.
fn unless_gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}

/// Whether a file may not be written back yet. Systems write back within about half a minute (Linux:
/// `dirty_expire_centisecs`, 30 s, `dirty_writeback_centisecs`, 5 s); ten minutes leave room for tuned machines.
fn recent(entry: &fs::DirEntry) -> bool {
    let age = entry
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map(|modified| modified.elapsed());
    match age {
        Ok(Ok(age)) => age.as_secs() < 600,
        _ => true,
    }
}
