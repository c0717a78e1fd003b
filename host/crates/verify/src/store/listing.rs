//! The files of packs: the indexes, and other files beside them. Knows names, not contents.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::quote::quote;

/// The files in `objects/pack` at one time.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// All names, sorted.
    names: Vec<OsString>,
    /// When the directory was last changed, if that is long enough ago to detect every later change.
    changed: Option<SystemTime>,
}

/// The extensions of a pack's files.
const OF_PACKS: [&[u8]; 7] = [
    b".pack",
    b".idx",
    b".rev",
    b".keep",
    b".promisor",
    b".bitmap",
    b".mtimes",
];

impl Listing {
    /// Lists the directory.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be listed.
    pub(super) fn read(objects: &Path) -> Result<Listing, String> {
        let unlisted = |error| format!("its packs cannot be listed: {error}");
        let directory = objects.join("pack");
        let changed = changed(&directory);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Listing::default());
            }
            Err(error) => return Err(unlisted(error)),
        };
        let names = entries.map(|entry| Ok(entry.map_err(unlisted)?.file_name()));
        let mut names = names.collect::<Result<Vec<_>, String>>()?;
        names.sort_unstable();
        Ok(Listing { names, changed })
    }

    /// Whether the directory has not changed. This takes one call if nothing changes.
    pub(super) fn is_current(&self, objects: &Path) -> bool {
        let now = changed(&objects.join("pack"));
        if now.is_some() && now == self.changed {
            return true;
        }
        Listing::read(objects).is_ok_and(|listing| listing.names == self.names)
    }

    /// The paths of all pack indexes, in order.
    pub(super) fn indexes(&self, objects: &Path) -> Vec<PathBuf> {
        let indexes = self
            .names
            .iter()
            .filter(|name| name.as_bytes().ends_with(b".idx"));
        indexes
            .map(|name| objects.join("pack").join(name))
            .collect()
    }

    /// The names of files that are not git's, or do not belong to a pack. Git ignores them.
    pub(super) fn unexpected_files(&self) -> impl Iterator<Item = String> {
        let is_stranger = |name: &&OsString| {
            let bytes = name.as_bytes();
            let is_of_all = bytes.starts_with(b"multi-pack-index");
            let is_unfinished =
                bytes.starts_with(b".") || bytes.starts_with(b"tmp_") || bytes.ends_with(b".lock");
            let pack = OF_PACKS.iter().find_map(|end| bytes.strip_suffix(*end));
            let index = pack.map(|pack| OsString::from_vec([pack, b".idx"].concat()));
            let has_index = index.is_some_and(|index| self.names.binary_search(&index).is_ok());
            !is_of_all && !is_unfinished && !has_index
        };
        self.names
            .iter()
            .filter(is_stranger)
            .map(|name| quote(name.as_bytes()))
    }
}

/// The path of the pack of an index.
pub(super) fn pack_of(index: &Path) -> PathBuf {
    let bytes = index.as_os_str().as_bytes();
    let begin = bytes.strip_suffix(b".idx").unwrap_or(bytes);
    PathBuf::from(OsStr::from_bytes(&[begin, b".pack"].concat()))
}

/// Two changes within this time may have the same timestamp.
const CLOCK_STEP: std::time::Duration = std::time::Duration::from_secs(2);

fn changed(directory: &Path) -> Option<SystemTime> {
    let time = directory.metadata().ok()?.modified().ok()?;
    time.elapsed()
        .is_ok_and(|ago| ago > CLOCK_STEP)
        .then_some(time)
}

#[cfg(test)]
mod tests {
    use super::Listing;

    #[test]
    fn files_without_a_pack_are_distinguished_from_git_s_own() {
        let names = [
            "pack-1.idx",
            "pack-1.pack",
            "pack-1.rev",
            "pack-1.keep",
            "multi-pack-index",
            "multi-pack-index-2.bitmap",
            "tmp_pack_x",
            ".tmp-1-pack-3.pack",
            "pack-2.pack",
            "README",
        ];
        let mut names: Vec<std::ffi::OsString> = names.iter().map(|name| name.into()).collect();
        names.sort_unstable();
        let listing = Listing {
            names,
            changed: None,
        };
        let unexpected: Vec<String> = listing.unexpected_files().collect();
        assert_eq!(unexpected, ["`README`", "`pack-2.pack`"]);
    }
}
