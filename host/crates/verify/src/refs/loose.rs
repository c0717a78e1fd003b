//! Loose refs: refs in files of their name.

use std::ffi::OsStr;
use std::fs::FileType;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{name, packed};
use crate::object::Id;
use crate::quote::quote;
use crate::store::open_file;

/// The value of a ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Id(Id),
    /// The name of another ref.
    Ref(Vec<u8>),
}

/// The file of a ref, as git reads it.
pub(super) struct LooseRef {
    pub(super) target: Target,
    /// The difference from the form that git writes, if there is one.
    pub(super) odd: Option<&'static str>,
}

/// The longest file, in bytes: longer than any name of a ref that a file system allows.
const MAX_BYTES: u64 = 8 << 10;

/// Reads the file of a ref; `None` if it does not exist. A symbolic link to a ref is an old form of a symbolic ref.
///
/// # Errors
///
/// Git cannot read the file.
pub(super) fn read(path: &Path, hex_len: usize) -> Result<Option<LooseRef>, String> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(None);
    };
    // A directory with the name of a ref has other refs.
    if metadata.is_dir() {
        return Ok(None);
    }
    let mut odd = None;
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        let target = target.into_os_string().into_vec();
        if target.starts_with(b"refs/") && name::is_valid(&target) {
            let target = Target::Ref(target);
            return Ok(Some(LooseRef { target, odd }));
        }
        odd = Some("it is a symbolic link to a file that is not a ref");
    }
    let mut contents = Vec::new();
    open_file(path)?
        .take(MAX_BYTES)
        .read_to_end(&mut contents)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let (target, form) = parse(&contents, hex_len)?;
    let odd = odd.or(form);
    Ok(Some(LooseRef { target, odd }))
}

/// Parses the file of a ref as git does. Also returns the difference from the form that git writes.
fn parse(contents: &[u8], hex_len: usize) -> Result<(Target, Option<&'static str>), String> {
    let line = contents.strip_suffix(b"\n").unwrap_or(contents);
    if let Some(target) = contents.strip_prefix(b"ref:") {
        let target = target.trim_ascii();
        if !name::is_valid(target) {
            return Err(format!(
                "leads to {}, which is not a valid ref",
                quote(target)
            ));
        }
        let is_canonical = line.strip_prefix(b"ref: ") == Some(target);
        let odd = (!is_canonical).then_some("it is not `ref: ` and a name");
        return Ok((Target::Ref(target.to_vec()), odd));
    }
    let hex = contents.get(..hex_len).unwrap_or_default();
    let ends = contents.get(hex_len).is_none_or(u8::is_ascii_whitespace);
    let Some(id) = Id::from_hex(hex).filter(|_| hex.len() == hex_len && ends) else {
        return Err("holds no object id".to_owned());
    };
    let odd = (!packed::is_id(line, hex_len)).then_some("it is not one object id and nothing else");
    Ok((Target::Id(id), odd))
}

/// The loose refs below a directory.
#[derive(Default)]
pub(super) struct LooseRefs {
    /// The full names, in no particular order.
    pub(super) names: Vec<Vec<u8>>,
    /// Files there that are not refs.
    pub(super) odd: Vec<String>,
}

/// Lists the refs below `refs/`, at any depth and with any name. Does not follow links to directories.
///
/// # Errors
///
/// Names the directory that cannot be listed.
pub(super) fn list(common_dir: &Path) -> Result<LooseRefs, String> {
    let mut found = LooseRefs::default();
    let mut directories: Vec<Vec<u8>> = vec![b"refs".to_vec()];
    while let Some(directory) = directories.pop() {
        let path = join(common_dir, &directory);
        let unlisted = |error| {
            format!(
                "the directory {} cannot be listed: {error}",
                quote(&directory)
            )
        };
        for entry in std::fs::read_dir(path).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            let last = entry.file_name().into_vec();
            // Git ignores both.
            if last.starts_with(b".") || last.ends_with(b".lock") {
                continue;
            }
            let full = [&directory[..], b"/", &last].concat();
            let kind = entry.file_type().map_err(unlisted)?;
            found.classify(full, kind, &entry.path(), &mut directories);
        }
    }
    Ok(found)
}

impl LooseRefs {
    fn classify(
        &mut self,
        full: Vec<u8>,
        kind: FileType,
        path: &Path,
        directories: &mut Vec<Vec<u8>>,
    ) {
        if kind.is_dir() {
            directories.push(full);
        } else if kind.is_symlink() && path.is_dir() {
            let what = "is a symbolic link to a directory, whose refs only git would see";
            self.odd.push(format!("{} {what}", quote(&full)));
        } else if !kind.is_file() && !kind.is_symlink() {
            self.odd
                .push(format!("{} is not a regular file", quote(&full)));
        } else {
            if !name::is_valid(&full) {
                self.odd
                    .push(format!("{} is not a valid name of a ref", quote(&full)));
            }
            self.names.push(full);
        }
    }
}

/// The path of a ref's file.
pub(super) fn join(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::{Target, parse};

    #[test]
    fn only_one_form_of_each_is_git_s() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        let odd = |text: String| parse(text.as_bytes(), 40).map(|(_, odd)| odd.is_some());
        for (text, expect) in [
            (format!("{hex}\n"), Ok(false)),
            (hex.to_owned(), Ok(false)),
            (format!("{hex}\r\n"), Ok(true)),
            (format!("{hex} \n"), Ok(true)),
            (format!("{hex}\n\n"), Ok(true)),
            (format!("{hex} junk\n"), Ok(true)),
            (format!("{}\n", hex.to_uppercase()), Ok(true)),
            ("ref: refs/heads/main\n".to_owned(), Ok(false)),
            ("ref: refs/heads/main".to_owned(), Ok(false)),
            ("ref:refs/heads/main\n".to_owned(), Ok(true)),
            ("ref:  refs/heads/main\n".to_owned(), Ok(true)),
            ("ref: refs/heads/main \n".to_owned(), Ok(true)),
            ("ref:\trefs/heads/main\n".to_owned(), Ok(true)),
        ] {
            assert_eq!(odd(text.clone()), expect, "{text:?}");
        }
        for bad in [
            "",
            "x",
            "ref: ../../x\n",
            "ref: main\n",
            &hex[1..],
            &format!("{hex}0\n"),
            &format!(" {hex}\n"),
        ] {
            assert!(parse(bad.as_bytes(), 40).is_err(), "{bad:?}");
        }
        let target = parse(b"ref: refs/heads/a\n", 40).map(|(target, _)| target);
        assert_eq!(target, Ok(Target::Ref(b"refs/heads/a".to_vec())));
    }
}
