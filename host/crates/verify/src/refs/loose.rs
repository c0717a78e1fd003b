//! Refs as files of their own: what one holds, and which there are.

use std::ffi::OsStr;
use std::fs::FileType;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{name, packed};
use crate::object::Id;
use crate::quote::quote;
use crate::store::open_file;

/// What a ref holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Id(Id),
    /// The name of another ref.
    Ref(Vec<u8>),
}

/// A ref's file, as git would read it.
pub(super) struct LooseRef {
    pub(super) target: Target,
    /// Why it is not in the form that git writes.
    pub(super) odd: Option<&'static str>,
}

/// No ref that a file system can hold has a longer name.
const MAX_BYTES: u64 = 8 << 10;

/// Reads a ref's file; none if there is none. A symbolic link that names a ref is an old form of a symbolic ref.
///
/// # Errors
///
/// Says why git can make nothing of it.
pub(super) fn read(path: &Path, hex_len: usize) -> Result<Option<LooseRef>, String> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(None);
    };
    // A directory where a ref is sought holds other refs.
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
        odd = Some("it is a symbolic link to a file that is no ref");
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

/// What git makes of a ref's file, and why it is not as git writes it.
fn parse(contents: &[u8], hex_len: usize) -> Result<(Target, Option<&'static str>), String> {
    let line = contents.strip_suffix(b"\n").unwrap_or(contents);
    if let Some(target) = contents.strip_prefix(b"ref:") {
        let target = target.trim_ascii();
        if !name::is_valid(target) {
            return Err(format!("leads to {}, which is no valid ref", quote(target)));
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

/// The refs that have files below a directory.
#[derive(Default)]
pub(super) struct LooseRefs {
    /// Full names, in no order.
    pub(super) names: Vec<Vec<u8>>,
    /// What lies there that is no ref.
    pub(super) odd: Vec<String>,
}

/// Lists the refs below `refs/`, however deep and however named. Links to directories are not followed.
///
/// # Errors
///
/// Says which directory cannot be listed.
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
            // Git sees neither.
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
                .push(format!("{} is no regular file", quote(&full)));
        } else {
            if !name::is_valid(&full) {
                self.odd
                    .push(format!("{} is no valid name of a ref", quote(&full)));
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
