//! The work tree of a checkout trail: entries are written to it and to its index, as after `git commit -- path`.
//!
//! All of this can be done again from the ref, so only the new index is synced (a torn index would stop a person's
//! git). A person's files and staged changes are never overwritten.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::BStr;
use gix::index::entry::{Flags, Mode, Stage};

use crate::disk::{self, Disk};
use crate::error::{IoContext, TrailError};
use crate::objects::object;
use crate::place::repository::Repository;
use crate::place::state::StateDir;
use crate::place::work_trees::{Head, WorkTree};
use crate::read::tree_files;
pub(crate) use crate::work_tree::checked_out::check_not_checked_out;
use crate::work_tree::checked_out::checked_out;
use crate::work_tree::files::WrittenFiles;
use crate::work_tree::left_out;
use crate::write::lock::{GitLock, remove_leftover};

/// An entry to be written to the work tree.
pub(crate) struct CheckoutFile {
    pub(crate) path: String,
    pub(crate) blob: ObjectId,
    pub(crate) contents: std::sync::Arc<[u8]>,
}

/// The work tree that has the trail's branch checked out, with its index locked.
pub(crate) struct LockedWorkTree<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) state: &'a StateDir,
    pub(super) repository: &'a Repository,
    pub(super) tree: WorkTree,
    reference: String,
    lock: GitLock<'a>,
    pub(super) index: gix::index::File,
    pub(super) files: WrittenFiles,
}

/// Locks the index of the work tree that has `reference` checked out; `None` if none has.
///
/// # Errors
///
/// [`TrailError::Busy`] while a rebase, merge, bisect or similar operation is in progress on the branch.
pub(crate) fn lock_work_tree<'a>(
    disk: &'a dyn Disk,
    state: &'a StateDir,
    repository: &'a Repository,
    reference: &str,
    wait: Duration,
) -> Result<Option<LockedWorkTree<'a>>, TrailError> {
    // HEAD can move until the index is locked (`git switch` locks it too), so it is checked again afterwards.
    for _ in 0..8 {
        let Some(tree) = checked_out(repository, reference)? else {
            return Ok(None);
        };
        let index_path = tree.git_dir.join("index");
        let lock = match GitLock::acquire(disk, state, &index_path, wait) {
            // `git worktree remove` came first.
            Err(_) if !tree.git_dir.is_dir() && tree.git_dir != repository.common_dir => continue,
            lock => lock?,
        };
        if !repository.has_checked_out(&tree, reference)? {
            lock.release()?;
            continue;
        }
        check_no_links(&tree.root)?;
        let index = read_index(&index_path, repository)?;
        if index.is_sparse() {
            return Err(TrailError::Unsupported(
                "its index is sparse (`git sparse-checkout reapply --no-sparse-index`)".into(),
            ));
        }
        for dir in [".audit", ".audit/tasks"] {
            if index.entry_range(dir.into()).is_some() {
                return Err(TrailError::Busy(format!(
                    "`{dir}` is staged as a file, where the trail needs a directory"
                )));
            }
        }
        return Ok(Some(LockedWorkTree {
            disk,
            state,
            repository,
            tree,
            reference: reference.to_owned(),
            lock,
            index,
            files: WrittenFiles::default(),
        }));
    }
    Err(TrailError::Busy(format!(
        "{reference} is being checked out repeatedly"
    )))
}

/// Locks the index of a work tree, whichever branch it has checked out; `None` if the index has no entries, or is sparse.
pub(super) fn lock_with_entries<'a>(
    disk: &'a dyn Disk,
    state: &'a StateDir,
    repository: &'a Repository,
    tree: WorkTree,
    wait: Duration,
) -> Result<Option<LockedWorkTree<'a>>, TrailError> {
    let index_path = tree.git_dir.join("index");
    let has_entries = |index: &gix::index::File| {
        let entries = index.prefixed_entries_range(".audit/tasks/".into());
        !index.is_sparse() && entries.is_some()
    };
    // Without entries, do not wait for a person's lock.
    if !has_entries(&read_index(&index_path, repository)?) {
        return Ok(None);
    }
    let lock = GitLock::acquire(disk, state, &index_path, wait)?;
    let index = read_index(&index_path, repository)?;
    if !has_entries(&index) || check_no_links(&tree.root).is_err() {
        lock.release()?;
        return Ok(None);
    }
    Ok(Some(LockedWorkTree {
        disk,
        state,
        repository,
        tree,
        reference: String::new(),
        lock,
        index,
        files: WrittenFiles::default(),
    }))
}

pub(super) fn read_index(
    path: &Path,
    repository: &Repository,
) -> Result<gix::index::File, TrailError> {
    gix::index::File::at_or_default(path, repository.hash, false, Default::default()).map_err(
        |error| TrailError::Unreadable {
            what: path.display().to_string(),
            cause: error.to_string(),
        },
    )
}

/// Removes index locks that a crash of this program left behind.
pub(crate) fn remove_leftovers(
    disk: &dyn Disk,
    state: &StateDir,
    repository: &Repository,
) -> Result<(), TrailError> {
    for tree in repository.work_trees()? {
        remove_leftover(disk, state, &tree.git_dir.join("index"))?;
    }
    Ok(())
}

/// The trail never writes through a symbolic link: it could point anywhere.
fn check_no_links(root: &Path) -> Result<(), TrailError> {
    let mut path = root.to_owned();
    for component in crate::place::layout::ROOT {
        path.push(component);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(TrailError::Busy(format!(
                    "{} is not a directory: move it away, or record in a separate repository",
                    path.display()
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).doing("look at", &path),
        }
    }
    Ok(())
}

/// The state of an entry's path in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// There is nothing.
    Free,
    /// The entry is there.
    Ours,
    /// The entry is there, and its file is left out of the work tree.
    LeftOut,
    /// A person has put something else there, and has to resolve it.
    Theirs,
}

impl LockedWorkTree<'_> {
    /// The git directory of the work tree.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.tree.git_dir
    }

    /// Writes the entries to the work tree and the index, and unlocks the index. Returns a warning for the operator if
    /// files are not written.
    ///
    /// With `repair`, a file that is a prefix of its entry counts as one that a crash cut short.
    ///
    /// # Errors
    ///
    /// The first error that can end at any moment. The index has the entries nevertheless.
    pub(crate) fn write_entries(
        mut self,
        entries: &[CheckoutFile],
        repair: bool,
    ) -> Result<Option<String>, TrailError> {
        if !self.is_on_branch()? || !self.may_have_index(entries)? {
            return self.lock.release().map(|()| None);
        }
        let mut changed = self.write_left_out();
        let mut added = Vec::new();
        for entry in entries {
            let slot = self.slot(entry);
            match slot {
                Slot::Theirs => {
                    self.files.note_occupied(self.tree.root.join(&entry.path));
                    continue;
                }
                Slot::LeftOut => continue,
                Slot::Ours if !repair => continue,
                Slot::Ours | Slot::Free => {}
            }
            let stat = self.write_file(entry, repair);
            if slot == Slot::Free {
                added.push((entry, stat));
            } else if stat.is_none() {
                changed |= self.leave_out(&entry.path);
            }
        }
        changed |= !added.is_empty();
        // Last: pushing leaves the index unsorted, and look-ups need it sorted.
        for (entry, stat) in added {
            let path = entry.path.as_str().into();
            let flags = match stat {
                Some(_) => Flags::empty(),
                None => left_out::FLAGS,
            };
            let stat = stat.unwrap_or_default();
            self.index
                .dangerously_push_entry(stat, entry.blob, flags, Mode::FILE, path);
        }
        let files = std::mem::take(&mut self.files);
        // HEAD may have moved without the index's lock (`git symbolic-ref`). Index and work tree then belong to another
        // branch, and the new files would be in the way when the person comes back.
        if !self.is_on_branch()? {
            for path in &files.created {
                disk::remove_if_present(self.disk, path).doing("remove", path)?;
            }
        } else if changed {
            // Also after a failure: without the entries, a person's next commit would remove them.
            self.write_index()?;
        }
        let warning = files.warning(&self.tree);
        self.lock.release()?;
        files.failure.map_or(Ok(warning), Err)
    }

    /// Writes the index if it was changed, and unlocks it.
    pub(super) fn finish(mut self, changed: bool) -> Result<(), TrailError> {
        if changed {
            self.write_index()?;
        }
        self.lock.release()
    }

    fn is_on_branch(&self) -> Result<bool, TrailError> {
        Ok(Repository::head(&self.tree.git_dir)? == Head::Branch(self.reference.clone()))
    }

    /// Whether the work tree has an index, or can get one: with these entries, the index would name every file of the
    /// branch.
    ///
    /// Nothing was checked out in a work tree without an index, as after `git clone --no-checkout`. Git then fills it at
    /// the first `git checkout`. With an index of a few entries, git would count every other file as deleted.
    fn may_have_index(&self, entries: &[CheckoutFile]) -> Result<bool, TrailError> {
        if self.index_path().exists() {
            return Ok(true);
        }
        let Some(tip) = self.repository.read_ref(&self.reference)? else {
            return Ok(true);
        };
        let tree = self.repository.commit(&tip)?.tree;
        let paths = entries.iter().map(|entry| entry.path.as_str()).collect();
        tree_files::has_only(self.repository, tree, &paths)
    }

    fn index_path(&self) -> PathBuf {
        self.tree.git_dir.join("index")
    }

    /// The state of an entry's path in the index.
    fn slot(&self, entry: &CheckoutFile) -> Slot {
        let path: &BStr = entry.path.as_str().into();
        let index = &self.index;
        if let Some(range) = index.entry_range(path) {
            // Several are the sides of a conflict, which `git stash pop` leaves without a merge in progress.
            return match &index.entries()[range] {
                [only] if only.stage() == Stage::Unconflicted && only.id == entry.blob => {
                    if only.flags.contains(Flags::SKIP_WORKTREE) {
                        Slot::LeftOut
                    } else {
                        Slot::Ours
                    }
                }
                _ => Slot::Theirs,
            };
        }
        let below = format!("{}/", entry.path);
        let mut above = entry
            .path
            .match_indices('/')
            .map(|(at, _)| &entry.path[..at]);
        let taken = index
            .prefixed_entries_range(below.as_str().into())
            .is_some()
            || above.any(|dir| index.entry_range(dir.into()).is_some());
        if taken { Slot::Theirs } else { Slot::Free }
    }

    fn write_index(&mut self) -> Result<(), TrailError> {
        self.index.sort_entries();
        // The cached trees of the parent directories would be wrong now; git computes them again.
        self.index.remove_tree();
        let mut bytes = Vec::new();
        let options = gix::index::write::Options {
            extensions: gix::index::write::Extensions::Given {
                tree_cache: false,
                end_of_index_entry: false,
            },
            skip_hash: false,
        };
        let index_path = self.index_path();
        // The state rather than the file, so that the checksum is computed here, with the processor's instructions.
        let index: &gix::index::State = &self.index;
        index
            .write_to(&mut bytes, options)
            .map_err(|error| TrailError::Unreadable {
                what: index_path.display().to_string(),
                cause: error.to_string(),
            })?;
        let checksum = object::digest(self.index.object_hash(), &[&bytes]);
        bytes.extend_from_slice(checksum.as_slice());
        let temporary = self.state.tmp_dir().join("index");
        disk::remove_if_present(self.disk, &temporary).doing("remove", &temporary)?;
        disk::write_synced(self.disk, &temporary, &bytes).doing("write", &temporary)?;
        self.disk
            .rename(&temporary, &index_path)
            .doing("replace", &index_path)
    }
}
