//! Refs as files, loose and packed. Knows no object: a ref is a name that leads to an id.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::VerifyError;
use super::findings::quote;
use super::repository::{Repository, small_file};
use super::store::hash::Id;
use super::store::open_file;

/// Git follows as many symbolic refs.
const MAX_SYMBOLIC: usize = 5;

/// Directories of refs are nested no deeper in any honest repository; a loop of symbolic links ends here.
const MAX_NESTING: usize = 32;

/// A line of `packed-refs` longer than this names no ref that a file system could hold.
const MAX_LINE: u64 = 8 << 10;

/// Where a ref leads.
pub(crate) struct Resolved {
    /// The last name: the branch that `HEAD` names.
    pub(crate) name: String,
    /// Nothing, if that branch has no commit yet.
    pub(crate) id: Option<Id>,
}

/// Follows a ref to an id. None if there is no ref of this name; a symbolic ref to nothing is unborn.
pub(crate) fn resolve(
    repository: &Repository,
    name: &str,
) -> Result<Option<Resolved>, VerifyError> {
    let mut current = name.to_owned();
    for hop in 0..=MAX_SYMBOLIC {
        let broken = |why: &str| VerifyError::BadReference {
            name: quote(name.as_bytes()),
            why: why.to_owned(),
        };
        if !is_safe_name(&current) {
            return Err(broken("it names no valid ref"));
        }
        // `HEAD` and its like belong to the work tree.
        let directory = if current.contains('/') {
            &repository.common_dir
        } else {
            &repository.git_dir
        };
        let Some(contents) = loose(&directory.join(&current)).map_err(|why| broken(&why))? else {
            let id = packed_id(repository, &current)?;
            return Ok((id.is_some() || hop > 0).then_some(Resolved { name: current, id }));
        };
        let text =
            std::str::from_utf8(contents.trim_ascii_end()).map_err(|_| broken("it is no text"))?;
        match text.strip_prefix("ref:") {
            Some(target) => current = target.trim_start().to_owned(),
            None => {
                let id = repository
                    .id(text)
                    .ok_or_else(|| broken("it holds no object id"))?;
                return Ok(Some(Resolved {
                    name: current,
                    id: Some(id),
                }));
            }
        }
    }
    let why = format!("more than {MAX_SYMBOLIC} symbolic refs lead on from it");
    Err(VerifyError::BadReference {
        name: quote(name.as_bytes()),
        why,
    })
}

/// The name that a person means by `main`, tried in git's order.
pub(crate) fn resolve_short(
    repository: &Repository,
    name: &str,
) -> Result<Option<Resolved>, VerifyError> {
    for prefix in ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"] {
        let full = format!("{prefix}{name}");
        if is_safe_name(&full)
            && let Some(resolved) = resolve(repository, &full)?
        {
            return Ok(Some(resolved));
        }
    }
    Ok(None)
}

/// Calls `visit` once with each ref whose name begins with `prefix` (which ends in `/`) and with the id of those that are
/// packed; it returns false to stop.
pub(crate) fn each(
    repository: &Repository,
    prefix: &str,
    mut visit: impl FnMut(&str, Option<Id>) -> bool,
) -> Result<(), VerifyError> {
    let mut directories = vec![(prefix.trim_end_matches('/').to_owned(), 0)];
    while let Some((name, depth)) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(repository.common_dir.join(&name)) else {
            continue;
        };
        for entry in entries.flatten() {
            let Some(last) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let full = format!("{name}/{last}");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_NESTING => {
                    directories.push((full, depth + 1))
                }
                Ok(kind) if kind.is_dir() => {}
                _ if last.ends_with(".lock") => {}
                _ if !visit(&full, None) => return Ok(()),
                _ => {}
            }
        }
    }
    packed(repository, |name, hex| {
        // A loose ref was visited, and hides the packed one.
        let hidden = !name.starts_with(prefix)
            || repository
                .common_dir
                .join(name)
                .symlink_metadata()
                .is_ok_and(|file| !file.is_dir());
        hidden || visit(name, repository.id(hex))
    })
}

/// Reads a loose ref; a symbolic link that names a ref is an old form of a symbolic ref.
fn loose(path: &Path) -> Result<Option<Vec<u8>>, String> {
    if let Ok(target) = std::fs::read_link(path)
        && let Some(target) = target.to_str().filter(|target| target.starts_with("refs/"))
    {
        return Ok(Some(format!("ref: {target}").into_bytes()));
    }
    // A directory where a ref is sought holds other refs.
    if path.is_dir() {
        Ok(None)
    } else {
        small_file(path)
    }
}

fn packed_id(repository: &Repository, wanted: &str) -> Result<Option<Id>, VerifyError> {
    let mut id = None;
    packed(repository, |name, hex| {
        if name == wanted {
            id = Some(hex.to_owned());
        }
        id.is_none()
    })?;
    id.map(|hex| {
        let why = "packed-refs holds no object id for it".to_owned();
        repository
            .id(&hex)
            .ok_or_else(|| VerifyError::BadReference {
                name: quote(wanted.as_bytes()),
                why,
            })
    })
    .transpose()
}

/// Calls `visit` with the name and hexadecimal id of each packed ref, line by line: there may be millions.
fn packed(
    repository: &Repository,
    mut visit: impl FnMut(&str, &str) -> bool,
) -> Result<(), VerifyError> {
    let unreadable = |why: String| VerifyError::Unreadable {
        what: "packed-refs".to_owned(),
        why,
    };
    let path = repository.common_dir.join("packed-refs");
    if path
        .symlink_metadata()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    {
        return Ok(());
    }
    let mut file = BufReader::new(open_file(&path).map_err(unreadable)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(format!("cannot be read: {error}")))? == 0 {
            return Ok(());
        }
        if line.starts_with(b"#") || line.starts_with(b"^") {
            continue;
        }
        let entry = std::str::from_utf8(line.trim_ascii_end())
            .ok()
            .and_then(|text| text.split_once(' '));
        if let Some((hex, name)) = entry
            && !visit(name, hex)
        {
            return Ok(());
        }
    }
}

/// Whether a ref's name stays below the git directory.
fn is_safe_name(name: &str) -> bool {
    let special = !name.contains('/')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let below = name.starts_with("refs/") && gix::validate::reference::name(name.into()).is_ok();
    (special && !name.is_empty()) || below
}
