//! Entries that git changed when it wrote them to the work tree, as it does in a clone before the block of attributes is
//! there: line endings, `$Id$`, encodings, filters. With the block, git would show them as modified, and a person's next
//! `git commit -a` would record them as they are in the work tree. They get the bytes of the record.
//!
//! A file that a person has changed stays as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::index::entry::stat::Options;
use gix::index::entry::{Flags, Mode, Stage, Stat};
use gix::objs::Kind;

use crate::disk::{self, Disk};
use crate::error::{IoContext, TrailError};
use crate::objects::object;
use crate::place::layout;
use crate::place::repository::Repository;
use crate::place::state::StateDir;
use crate::work_tree::checkout::{self, LockedWorkTree};

/// Gives each checked-out entry that git has changed the bytes of the record, in every work tree. The caller holds the
/// writer lock.
///
/// # Errors
///
/// The reason, in words for the operator. Recording does not depend on it.
pub(crate) fn restore_entries(
    disk: &dyn Disk,
    state: &StateDir,
    repository: &Repository,
    wait: Duration,
) -> Result<(), String> {
    if repository.is_bare() {
        return Ok(());
    }
    let restore = || -> Result<(), TrailError> {
        let trees = repository.work_trees()?;
        for tree in trees.into_iter().filter(|tree| !tree.is_absent) {
            if let Some(mut tree) =
                checkout::lock_with_entries(disk, state, repository, tree, wait)?
            {
                let changed = tree.restore(repository)?;
                tree.finish(changed)?;
            }
        }
        Ok(())
    };
    restore().map_err(|error| {
        format!(
            "could not undo git's changes to checked-out entries ({error}); where `git status` shows them as modified, \
             `git checkout -- .audit` writes them as they were recorded"
        )
    })
}

impl LockedWorkTree<'_> {
    /// Returns whether the index has changed.
    fn restore(&mut self, repository: &Repository) -> Result<bool, TrailError> {
        let Some(range) = self.index.prefixed_entries_range(".audit/tasks/".into()) else {
            return Ok(false);
        };
        let mut changed = false;
        for at in range {
            let entry = &self.index.entries()[at];
            let (id, stat) = (entry.id, entry.stat);
            let Ok(name) = entry.path(&self.index).to_str() else {
                continue;
            };
            // An attacker may have written the index.
            let is_checked_out = entry.mode == Mode::FILE
                && entry.stage() == Stage::Unconflicted
                && !entry.flags.contains(Flags::SKIP_WORKTREE)
                && layout::is_entry_path(name);
            let path = self.tree.root.join(name);
            if is_checked_out && self.restore_file(repository, &path, id, &stat)? {
                let restored = self.stat(name)?;
                self.index.entries_mut()[at].stat = restored;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Returns whether the file was rewritten.
    fn restore_file(
        &self,
        repository: &Repository,
        path: &Path,
        id: ObjectId,
        stat: &Stat,
    ) -> Result<bool, TrailError> {
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return Ok(false);
        };
        if !metadata.is_file() {
            return Ok(false);
        }
        let contents = fs::read(path).doing("read", path)?;
        if object::has_name(repository.hash, Kind::Blob, &contents, &id) {
            return Ok(false);
        }
        let recorded = repository.object(Kind::Blob, &id)?;
        let is_as_checked_out = gix::index::fs::Metadata::from_path_no_follow(path)
            .ok()
            .and_then(|metadata| Stat::from_fs(&metadata).ok())
            .is_some_and(|now| stat.matches(&now, LENIENT));
        if !is_as_checked_out && unconverted(&contents) != recorded {
            return Ok(false);
        }
        let temporary = self.state.tmp_dir().join("entry");
        disk::remove_if_present(self.disk, &temporary).doing("remove", &temporary)?;
        disk::write_unsynced(self.disk, &temporary, &recorded).doing("write", &temporary)?;
        let mode = metadata.permissions().mode();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))
            .doing("write", &temporary)?;
        if self.disk.rename(&temporary, path).is_err() {
            // The work tree is on another file system.
            self.disk.remove(path).doing("remove", path)?;
            disk::write_unsynced(self.disk, path, &recorded).doing("write", path)?;
        }
        Ok(true)
    }
}

/// Compares what every git stores in the index: size and time of the last change, to the second.
const LENIENT: Options = Options {
    trust_ctime: false,
    check_stat: false,
    use_nsec: false,
    use_stdev: false,
};

/// Undoes git's own conversions: encodings with 16 bits, line endings and `$Id$`.
fn unconverted(contents: &[u8]) -> Vec<u8> {
    let text = from_utf16(contents).unwrap_or_else(|| contents.to_vec());
    let text = text.replace(b"\r\n", b"\n");
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    while let Some(at) = rest.find(b"$Id: ") {
        let (before, id) = rest.split_at(at);
        kept.extend_from_slice(before);
        let end = id[1..].find_byteset(b"$\n").map(|end| end + 1);
        match end {
            Some(end) if id[end] == b'$' => {
                kept.extend_from_slice(b"$Id$");
                rest = &id[end + 1..];
            }
            _ => {
                kept.extend_from_slice(b"$Id: ");
                rest = &id[5..];
            }
        }
    }
    kept.extend_from_slice(rest);
    kept
}

/// The text of a file in UTF-16, with or without a byte order mark. An entry is ASCII at its first byte.
fn from_utf16(contents: &[u8]) -> Option<Vec<u8>> {
    let is_big = match contents {
        [0xfe, 0xff, ..] | [0, _, ..] => true,
        [0xff, 0xfe, ..] | [_, 0, ..] => false,
        _ => return None,
    };
    let units = contents.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if is_big {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    });
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    Some(text.trim_start_matches('\u{feff}').as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_by_git_are_undone() {
        let check = |file: &[u8], expect: &[u8]| {
            assert_eq!(unconverted(file).as_bstr(), expect.as_bstr());
        };
        check(b"{\r\n}\r\n", b"{\n}\n");
        check(b"a $Id: 0123 $ b $Id: open\n$", b"a $Id$ b $Id: open\n$");
        check(b"\xff\xfe{\0\n\0", b"{\n");
        check(b"\0{\0\n", b"{\n");
        check("{\"ü\"}".as_bytes(), "{\"ü\"}".as_bytes());
    }
}
