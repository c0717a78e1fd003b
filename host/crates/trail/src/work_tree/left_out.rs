//! Entries that are recorded and in the index, but whose files cannot be written to the work tree now: the work tree is
//! read-only, is absent or belongs to another user, or its disk is full.
//!
//! The index marks them with git's own flag for such files (`skip-worktree`), so that `git status` is clean and `git
//! commit -a` does not remove them. Each later record tries to write the files, and then removes the flag. Where
//! `core.sparseCheckout` is set, a person chose these files, and the flag stays.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use gix::bstr::ByteSlice as _;
use gix::index::entry::{Flags, Mode, Stage};
use gix::objs::Kind;

use crate::Trail;
use crate::error::TrailError;
use crate::place::layout;
use crate::place::work_trees::WorkTree;
use crate::work_tree::checkout::{self, CheckoutFile, LockedWorkTree};

/// The flags of an entry that is left out.
pub(super) const FLAGS: Flags = Flags::SKIP_WORKTREE.union(Flags::EXTENDED);

/// Why a file cannot be written now.
#[derive(Debug)]
pub(super) enum WriteRefusal {
    /// The work tree is absent.
    Absent,
    /// The system refuses.
    Denied(TrailError),
}

impl WriteRefusal {
    /// Turns an error that lasts until an operator changes permissions or mounts into a refusal. Other errors, such as a
    /// full disk, can end at any moment, so the trail waits.
    pub(super) fn accept_lasting(error: TrailError) -> Result<WriteRefusal, TrailError> {
        match error {
            TrailError::Io {
                kind: io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem,
                ..
            } => Ok(WriteRefusal::Denied(error)),
            _ => Err(error),
        }
    }

    /// The message for the operator, with the remedy.
    pub(super) fn warning(&self, tree: &WorkTree) -> String {
        let root = tree.root.display();
        match self {
            WriteRefusal::Absent => format!(
                "entries are recorded, but the work tree {root}, which has their branch checked out, is absent: once it is \
                 back, the next record writes its files; if it is gone for good, {}",
                tree.forget_remedy()
            ),
            WriteRefusal::Denied(error) => format!(
                "entries are recorded, but their files are left out of the work tree {root}: {error}; once it can be \
                 written, the next record writes them"
            ),
        }
    }
}

/// Files of entries that could not be written to a work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutFiles {
    /// The work tree.
    pub root: PathBuf,
    /// The number of files.
    pub count: usize,
    /// What the operator does about it, in words.
    pub remedy: String,
}

impl Trail {
    /// The files of entries that are left out of the work tree because they could not be written; `None` if there are
    /// none.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if git would not read an index or its configuration either.
    pub fn left_out(&self) -> Result<Option<LeftOutFiles>, TrailError> {
        let repository = &self.shared().repository;
        let reference = &self.shared().identity.reference;
        for tree in repository.work_trees()? {
            if !repository.has_checked_out(&tree, reference)? {
                continue;
            }
            let index = checkout::read_index(&tree.git_dir.join("index"), repository)?;
            let count = places(&index).filter(|at| is_left_out(&index, *at)).count();
            if count == 0 || repository.has_sparse_checkout(&tree.git_dir)? {
                continue;
            }
            let remedy = if tree.is_absent {
                format!(
                    "mount it, or {} if it is gone for good",
                    tree.forget_remedy()
                )
            } else {
                "make it writable, and the next record writes every missing file".to_owned()
            };
            return Ok(Some(LeftOutFiles {
                root: tree.root,
                count,
                remedy,
            }));
        }
        Ok(None)
    }
}

/// The places in the index where entries of the trail can be.
fn places(index: &gix::index::File) -> Range<usize> {
    let range = index.prefixed_entries_range(".audit/tasks/".into());
    range.unwrap_or_default()
}

/// Whether this is an entry that is left out. An attacker may have written the index: other paths, links and submodules
/// do not count.
fn is_left_out(index: &gix::index::File, at: usize) -> bool {
    let entry = &index.entries()[at];
    entry.flags.contains(Flags::SKIP_WORKTREE)
        && entry.mode == Mode::FILE
        && entry.stage() == Stage::Unconflicted
        && entry.path(index).to_str().is_ok_and(layout::is_entry_path)
}

impl LockedWorkTree<'_> {
    /// Writes the files of entries that were left out earlier. Returns whether the index has changed.
    pub(super) fn write_left_out(&mut self) -> bool {
        let mut places = places(&self.index);
        // Only as many as are written are checked: a sparse checkout may leave out all of them, at each record.
        let first = places.find(|at| is_left_out(&self.index, *at));
        let Some(first) = first.filter(|_| !self.tree.is_absent) else {
            return false;
        };
        // A person can set it in any work tree at any moment.
        match self.repository.has_sparse_checkout(&self.tree.git_dir) {
            Ok(false) => {}
            Ok(true) => return false,
            Err(error) => {
                self.files.note_error(error);
                return false;
            }
        }
        let mut changed = false;
        for at in first..places.end {
            if !is_left_out(&self.index, at) {
                continue;
            }
            let entry = &self.index.entries()[at];
            let (path, blob) = (entry.path(&self.index).to_string(), entry.id);
            // The index may name an object that is not here.
            let Ok(contents) = self.repository.object(Kind::Blob, &blob) else {
                continue;
            };
            let file = CheckoutFile {
                path,
                blob,
                contents: contents.into(),
            };
            // The others would fail too.
            let Some(stat) = self.write_file(&file, true) else {
                break;
            };
            let entry = &mut self.index.entries_mut()[at];
            entry.stat = stat;
            entry.flags.remove(FLAGS);
            changed = true;
        }
        changed
    }

    /// Marks an entry that the index has as left out. Returns whether the index has changed.
    pub(super) fn leave_out(&mut self, path: &str) -> bool {
        let Some(at) = self.index.entry_index_by_path(path.into()).ok() else {
            return false;
        };
        let entry = &mut self.index.entries_mut()[at];
        let changed = !entry.flags.contains(FLAGS);
        entry.flags.insert(FLAGS);
        changed
    }
}
