//! Reading the repository's refs: loose files and packed-refs, as git does. Never writes them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use gix::ObjectId;

use crate::error::{IoContext, TrailError};
use crate::place::repository::Repository;

impl Repository {
    /// Reads the commit that a ref names; `None` if there is no such ref.
    ///
    /// Reads the loose file first and packed-refs after it, as git does.
    pub(crate) fn read_ref(&self, name: &str) -> Result<Option<ObjectId>, TrailError> {
        let path = self.common_dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let text = text.trim_end();
                if text.starts_with("ref:") {
                    return Err(TrailError::Unsupported(format!("{name} is a symbolic ref")));
                }
                self.parse_id(text.as_bytes(), name).map(Some)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::IsADirectory
                ) =>
            {
                self.read_packed_ref(name)
            }
            Err(error) => Err(error).doing("read", &path),
        }
    }

    fn read_packed_ref(&self, name: &str) -> Result<Option<ObjectId>, TrailError> {
        let Some(text) = self.packed_refs()? else {
            return Ok(None);
        };
        let hex = self.hash.len_in_hex();
        let line = text.split(|byte| *byte == b'\n').find(|line| {
            line.len() == hex + 1 + name.len()
                && line[hex] == b' '
                && line[hex + 1..] == *name.as_bytes()
        });
        line.map(|line| self.parse_id(&line[..hex], name))
            .transpose()
    }

    /// Parses an object id in this repository's hash. If the repository's configuration is lost, ids of the other
    /// length appear.
    fn parse_id(&self, text: &[u8], name: &str) -> Result<ObjectId, TrailError> {
        ObjectId::from_hex(text)
            .ok()
            .filter(|id| id.kind() == self.hash)
            .ok_or_else(|| TrailError::Unreadable {
                what: name.to_owned(),
                cause: format!("it does not hold a {} object id", self.hash),
            })
    }

    fn packed_refs(&self) -> Result<Option<Vec<u8>>, TrailError> {
        let path = self.common_dir.join("packed-refs");
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing("read", &path),
        }
    }

    /// The refs below a prefix such as `refs/remotes/`, each with its commit. Skips symbolic refs, and files without an
    /// id.
    pub(crate) fn refs_below(&self, prefix: &str) -> Result<Vec<(String, ObjectId)>, TrailError> {
        let mut found = BTreeMap::new();
        let packed = self.packed_refs()?.unwrap_or_default();
        let hex = self.hash.len_in_hex();
        for line in packed.split(|byte| *byte == b'\n') {
            let Some((id, name)) = line.split_at_checked(hex) else {
                continue;
            };
            let name = name.strip_prefix(b" ").map(str::from_utf8);
            if let Some(Ok(name)) = name
                && name.starts_with(prefix)
                && let Ok(id) = self.parse_id(id, name)
            {
                found.insert(name.to_owned(), id);
            }
        }
        let mut dirs = vec![self.common_dir.join(prefix)];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                // Links to directories are not followed: they can form a loop.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    dirs.push(entry.path());
                    continue;
                }
                let path = entry.path();
                let Some(name) = path
                    .strip_prefix(&self.common_dir)
                    .ok()
                    .and_then(|name| name.to_str())
                else {
                    continue;
                };
                let is_name = gix::validate::reference::name(name.into()).is_ok();
                if is_name && let Ok(Some(id)) = self.read_ref(name) {
                    found.insert(name.to_owned(), id);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The refs that the `HEAD` of each remote names: the default branches when the remotes were cloned.
    pub(crate) fn remote_heads(&self) -> Vec<String> {
        let remotes = self.common_dir.join("refs/remotes");
        let mut heads = Vec::new();
        for entry in fs::read_dir(&remotes).into_iter().flatten().flatten() {
            if let Ok(text) = fs::read_to_string(entry.path().join("HEAD"))
                && let Some(target) = text.strip_prefix("ref:")
            {
                heads.push(target.trim().to_owned());
            }
        }
        heads.sort();
        heads
    }

    /// Every value of `remote.*.fetch`.
    pub(crate) fn fetch_refspecs(&self) -> Vec<String> {
        self.config.of_remotes("fetch")
    }

    /// The full name of the ref that git would resolve `name` to.
    pub(crate) fn full_name(&self, name: &str) -> Result<String, TrailError> {
        for prefix in ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"] {
            let whole = format!("{prefix}{name}");
            let is_name = gix::validate::reference::name(whole.as_str().into()).is_ok();
            // Without a prefix the name must be full already: `HEAD` and similar names cannot hold a trail.
            if is_name && whole.starts_with("refs/") && self.read_ref(&whole)?.is_some() {
                return Ok(whole);
            }
        }
        Err(TrailError::Invalid(format!(
            "there is no ref {}",
            name.escape_debug()
        )))
    }

    /// Fails if git has a ref that cannot exist beside one of this name, because one of them would be a directory.
    pub(crate) fn check_name_free(&self, reference: &str) -> Result<(), TrailError> {
        let taken = |name: &str| {
            TrailError::Invalid(format!(
                "the trail's ref cannot be {reference}, because there is {name}"
            ))
        };
        let above = reference
            .match_indices('/')
            .map(|(at, _)| &reference[..at])
            .skip(2);
        for name in above {
            if self.read_ref(name)?.is_some() {
                return Err(taken(name));
            }
        }
        if let Some(name) = self.any_ref_below(reference)? {
            return Err(taken(&name));
        }
        Ok(())
    }

    /// The names of all local branches, in no particular order.
    pub(crate) fn branches(&self) -> Result<Vec<String>, TrailError> {
        const PREFIX: &str = "refs/heads/";
        let mut names = std::collections::BTreeSet::new();
        let mut dirs = vec![self.common_dir.join(PREFIX)];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Ok(name) = path.strip_prefix(&self.common_dir)
                    && path.extension().is_none_or(|extension| extension != "lock")
                {
                    names.insert(name.display().to_string());
                }
            }
        }
        let name_at = self.hash.len_in_hex() + 1;
        let packed = self.packed_refs()?.unwrap_or_default();
        let lines = packed.split(|byte| *byte == b'\n');
        let packed = lines
            .filter_map(|line| line.get(name_at..))
            .filter(|name| name.starts_with(PREFIX.as_bytes()))
            .map(|name| String::from_utf8_lossy(name).into_owned());
        names.extend(packed);
        Ok(names.into_iter().collect())
    }

    fn any_ref_below(&self, reference: &str) -> Result<Option<String>, TrailError> {
        let mut dirs = vec![self.common_dir.join(reference)];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                } else if let Ok(name) = entry.path().strip_prefix(&self.common_dir) {
                    return Ok(Some(name.display().to_string()));
                }
            }
        }
        let prefix = [reference.as_bytes(), b"/"].concat();
        let name_at = self.hash.len_in_hex() + 1;
        Ok(self.packed_refs()?.and_then(|text| {
            text.split(|byte| *byte == b'\n')
                .filter_map(|line| line.get(name_at..))
                .find(|name| name.starts_with(&prefix))
                .map(|name| String::from_utf8_lossy(name).into_owned())
        }))
    }
}
