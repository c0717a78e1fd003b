//! Entries that are recorded and in the index, but whose files cannot be written to the work tree now: it is read-only,
//! belongs to another user, or is absent.
//!
//! The index marks them with git's own flag for such files (`skip-worktree`), so that `git status` is clean and `git
//! commit -a` does not remove them. Each later record tries to write the files, and then removes the flag. Where a
//! person leaves files out (`core.sparseCheckout`), the flag is theirs.

use std::io;
use std::path::PathBuf;

use gix::bstr::ByteSlice as _;
use gix::index::entry::{Flags, Stat};
use gix::objs::Kind;

use crate::Trail;
use crate::error::TrailError;
use crate::place::work_trees::WorkTree;
use crate::work_tree::checkout::{self, CheckoutFile, LockedWorkTree, Written};

/// The flags of an entry that is left out.
pub(super) const FLAGS: Flags = Flags::SKIP_WORKTREE.union(Flags::EXTENDED);

/// Why files are left out.
#[derive(Debug)]
pub(super) enum WhyLeftOut {
    /// The work tree is absent.
    Absent,
    /// The system refuses.
    Denied(TrailError),
}

impl WhyLeftOut {
    /// Accepts an error that stays until an operator changes permissions or mounts. Others, such as a full disk, may
    /// pass at any moment, and the trail waits for that.
    pub(super) fn unless_other(error: TrailError) -> Result<Written, TrailError> {
        match error {
            TrailError::Io {
                kind: io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem,
                ..
            } => Ok(Written::Refused(WhyLeftOut::Denied(error))),
            _ => Err(error),
        }
    }

    /// The message for the operator, with the remedy.
    pub(super) fn warning(&self, tree: &WorkTree) -> String {
        let root = tree.root.display();
        match self {
            WhyLeftOut::Absent => format!(
                "entries are recorded, but the work tree {root}, which has their branch checked out, is absent: once it is \
                 back, the next record writes its files; if it is gone for good, run {}",
                tree.forget_command()
            ),
            WhyLeftOut::Denied(error) => format!(
                "entries are recorded, but their files are left out of the work tree {root}: {error}; once it can be \
                 written, the next record writes them"
            ),
        }
    }
}

impl Trail {
    /// The work tree in which files of entries are left out because they could not be written, and how many; `None` if
    /// there are none.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if git would not read an index either.
    pub fn left_out(&self) -> Result<Option<(PathBuf, usize)>, TrailError> {
        let repository = &self.shared().repository;
        let reference = &self.shared().identity.reference;
        for tree in repository.work_trees()? {
            if repository.has_sparse_checkout() || !repository.has_checked_out(&tree, reference)? {
                continue;
            }
            let index = checkout::read_index(&tree.git_dir.join("index"), repository)?;
            let entries = index.prefixed_entries(".audit/tasks/".into());
            let entries = entries.unwrap_or_default().iter();
            let count = entries.filter(|entry| entry.flags.contains(Flags::SKIP_WORKTREE));
            let count = count.count();
            if count > 0 {
                return Ok(Some((tree.root, count)));
            }
        }
        Ok(None)
    }
}

impl LockedWorkTree<'_> {
    /// Writes the files of entries that were left out earlier. Returns whether the index has changed.
    pub(super) fn write_left_out(
        &mut self,
        created: &mut Vec<PathBuf>,
        left_out: &mut Option<WhyLeftOut>,
    ) -> Result<bool, TrailError> {
        let range = self.index.prefixed_entries_range(".audit/tasks/".into());
        let mut changed = false;
        for at in range.unwrap_or_default() {
            let entry = &self.index.entries()[at];
            if !entry.flags.contains(Flags::SKIP_WORKTREE) {
                continue;
            }
            if self.repository.has_sparse_checkout() {
                break;
            }
            let Ok(path) = entry.path(&self.index).to_str().map(str::to_owned) else {
                continue;
            };
            let blob = entry.id;
            let file = CheckoutFile {
                path,
                blob,
                contents: self.repository.object(Kind::Blob, &blob)?.into(),
            };
            let stat = match self.write_file(&file, true)? {
                // The others would be refused too.
                Written::Refused(why) => {
                    *left_out = Some(why);
                    break;
                }
                Written::Kept => Stat::default(),
                Written::Same => self.stat(&file.path)?,
                Written::Created => {
                    created.push(self.tree.root.join(&file.path));
                    self.stat(&file.path)?
                }
            };
            let entry = &mut self.index.entries_mut()[at];
            entry.stat = stat;
            entry.flags.remove(Flags::SKIP_WORKTREE);
            if !entry.flags.contains(Flags::INTENT_TO_ADD) {
                entry.flags.remove(Flags::EXTENDED);
            }
            changed = true;
        }
        Ok(changed)
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
