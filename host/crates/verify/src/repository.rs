//! Finds a repository and reads how its objects and refs are stored. Treats it as hostile: runs nothing, and follows no
//! include, alternate or environment variable.

mod config;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::VerifyError;
use super::object::{Algorithm, Id};
use super::store::open_file;

/// A repository's directories and format.
pub(crate) struct Repository {
    /// The directory with `HEAD`.
    pub(crate) git_dir: PathBuf,
    /// The directory with objects and refs; another one in a linked work tree.
    pub(crate) common_dir: PathBuf,
    /// The directory with `.git`; `None` in a bare repository.
    pub(crate) work_tree: Option<PathBuf>,
    pub(crate) algorithm: Algorithm,
    /// Whether objects may be missing by design (a partial clone).
    pub(crate) partial: bool,
    /// Extensions that this version does not know.
    pub(crate) unknown_extensions: Vec<String>,
    /// Settings in its configuration that change what git shows, each as `section.name`.
    pub(crate) settings: Vec<String>,
}

/// The largest of git's small files (`HEAD`, `config`, …) that is read, in bytes.
const MAX_SMALL_FILE: u64 = 16 << 20;

/// The largest file `info/refs` that is read, in bytes: several million refs.
const MAX_SERVED_REFS: u64 = 256 << 20;

/// The largest file `shallow` that is read, in bytes: six million commits.
const MAX_SHALLOW: u64 = 256 << 20;

impl Repository {
    /// Finds the repository at `path` or above it.
    pub(crate) fn discover(path: &Path) -> Result<Repository, VerifyError> {
        let start = std::fs::canonicalize(path).map_err(|error| VerifyError::Unreadable {
            what: path.display().to_string(),
            why: error.to_string(),
        })?;
        for directory in start.ancestors() {
            let dot_git = directory.join(".git");
            if dot_git.symlink_metadata().is_ok() {
                check_not_two(directory)?;
                let git_dir = follow_git_file(&dot_git)?;
                let common_dir = directories(&git_dir)?;
                let mut repository = config::open(git_dir, common_dir)?;
                repository.work_tree = Some(directory.to_owned());
                return Ok(repository);
            }
            if looks_like(directory) {
                let common_dir = directories(directory)?;
                return config::open(directory.to_owned(), common_dir);
            }
        }
        Err(VerifyError::NoRepository(path.to_owned()))
    }

    /// The commits that the file `shallow` cuts the history at.
    pub(crate) fn shallow(&self) -> Result<HashSet<Id>, VerifyError> {
        let path = self.common_dir.join("shallow");
        let bytes = read_file(&path, MAX_SHALLOW)
            .map_err(|why| {
                unreadable(
                    "shallow",
                    &format!("{why}; `git fetch --unshallow` removes it"),
                )
            })?
            .unwrap_or_default();
        let lines = bytes
            .strip_suffix(b"\n")
            .unwrap_or(&bytes)
            .split(|byte| *byte == b'\n');
        let lines = lines.filter(|_| !bytes.is_empty());
        lines
            .map(|line| {
                let id = std::str::from_utf8(line)
                    .ok()
                    .and_then(|line| self.id(line));
                id.ok_or_else(|| unreadable("shallow", "has a line that is not an object id"))
            })
            .collect()
    }

    /// The lines of `info/grafts` that graft something.
    pub(crate) fn grafts(&self) -> Result<Vec<String>, VerifyError> {
        self.lines("info/grafts")
    }

    /// The other object databases that this one borrows from.
    pub(crate) fn alternates(&self) -> Result<Vec<String>, VerifyError> {
        let mut lines = self.lines("objects/info/alternates")?;
        lines.extend(self.lines("objects/info/http-alternates")?);
        Ok(lines)
    }

    /// The names and ids in `info/refs`, which `git update-server-info` writes for clones over plain HTTP.
    ///
    /// # Errors
    ///
    /// The file is not as git writes it.
    pub(crate) fn served_refs(&self) -> Result<Vec<(Vec<u8>, Id)>, String> {
        let odd =
            |why: &str| format!("the file `info/refs`, which clones over plain HTTP use, {why}");
        let contents = read_file(&self.common_dir.join("info/refs"), MAX_SERVED_REFS);
        let contents = contents.map_err(|why| odd(&why))?.unwrap_or_default();
        let lines = contents.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| {
                let parts = line.strip_suffix(b"\n").and_then(|line| {
                    let tab = line.iter().position(|byte| *byte == b'\t')?;
                    let id = std::str::from_utf8(&line[..tab]).ok()?;
                    Some((line[tab + 1..].to_vec(), self.id(id)?))
                });
                parts.ok_or_else(|| odd(&format!("holds the line {}", crate::quote::quote(line))))
            })
            .collect()
    }

    /// Parses an object id of this repository's format.
    pub(crate) fn id(&self, hex: &str) -> Option<Id> {
        let right = hex.len() == self.algorithm.len_in_hex();
        Id::from_hex(hex.as_bytes()).filter(|_| right)
    }

    /// Whether both are one repository, whatever their paths.
    pub(crate) fn is_same(&self, other: &Repository) -> bool {
        let of = |path: &Path| std::fs::canonicalize(path).ok();
        let same = |name: &str| {
            let of = |repository: &Repository| of(&repository.common_dir.join(name));
            of(self).is_some_and(|path| of(other) == Some(path))
        };
        same("") || ["refs", "refs/heads", "packed-refs"].into_iter().any(same)
    }

    /// The lines of one of git's files, without empty lines and comments.
    fn lines(&self, name: &str) -> Result<Vec<String>, VerifyError> {
        let text = small_file(&self.common_dir.join(name))
            .map_err(|why| unreadable(name, &why))?
            .unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        Ok(lines
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect())
    }
}

/// Reads a small file; `None` if it does not exist.
pub(crate) fn small_file(path: &Path) -> Result<Option<Vec<u8>>, String> {
    read_file(path, MAX_SMALL_FILE)
}

fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, String> {
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    let mut contents = Vec::new();
    let file = open_file(path)?;
    file.take(limit + 1)
        .read_to_end(&mut contents)
        .map_err(|error| format!("cannot be read: {error}"))?;
    match contents.len() as u64 > limit {
        true => Err(format!("is larger than {limit} bytes")),
        false => Ok(Some(contents)),
    }
}

pub(super) fn unreadable(what: &str, why: &str) -> VerifyError {
    VerifyError::Unreadable {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// Reads a `.git` file of a linked work tree or a submodule, which names the directory: `gitdir: PATH` and nothing
/// else.
fn follow_git_file(dot_git: &Path) -> Result<PathBuf, VerifyError> {
    if dot_git.is_dir() {
        return Ok(dot_git.to_owned());
    }
    let contents = small_file(dot_git)
        .map_err(|why| unreadable(".git", &why))?
        .unwrap_or_default();
    let target = contents.strip_prefix(b"gitdir: ").and_then(path_of);
    let target = target.ok_or_else(|| unreadable(".git", NO_PATH))?;
    Ok(dot_git.parent().unwrap_or(dot_git).join(target))
}

const NO_PATH: &str = "does not name one directory, without blanks around its name";

/// The path in a line of a file; `None` if git and other programs might read it differently.
fn path_of(line: &[u8]) -> Option<&Path> {
    let path = line.strip_suffix(b"\n").unwrap_or(line);
    let plain = !path.is_empty()
        && path.trim_ascii() == path
        && !path.iter().any(|byte| byte.is_ascii_control());
    plain.then(|| Path::new(OsStr::from_bytes(path)))
}

/// Whether a directory without `.git` looks like a git directory, complete or damaged. One sign alone may be anything.
fn looks_like(directory: &Path) -> bool {
    let begins = |name: &str, what: &[u8]| {
        let contents = small_file(&directory.join(name)).ok().flatten();
        contents.is_some_and(|contents| contents.trim_ascii_start().starts_with(what))
    };
    let is_dir = |name: &str| directory.join(name).is_dir();
    let has_head = directory.join("HEAD").symlink_metadata().is_ok();
    let signs = [
        begins("HEAD", b"ref:"),
        begins("config", b"[core]"),
        is_dir("objects/pack"),
        is_dir("refs/heads"),
    ];
    // The private directory of a linked work tree has neither objects nor refs.
    let is_linked = has_head && directory.join("commondir").symlink_metadata().is_ok();
    is_linked
        || has_head && is_dir("objects") && is_dir("refs")
        || signs.into_iter().filter(|sign| *sign).count() > 1
}

/// Fails if a directory with `.git` is a git directory itself: programs may use either one.
fn check_not_two(directory: &Path) -> Result<(), VerifyError> {
    match looks_like(directory) {
        false => Ok(()),
        true => Err(unreadable(
            &directory.display().to_string(),
            "is a git directory and has another in it, `.git`; git takes one or the other",
        )),
    }
}

/// The directory with the objects and refs of a git directory.
///
/// # Errors
///
/// The git directory is incomplete. A verdict on a repository around it would be mistaken for one on it.
fn directories(git_dir: &Path) -> Result<PathBuf, VerifyError> {
    let incomplete = |why: String| unreadable(&git_dir.display().to_string(), &why);
    let named =
        small_file(&git_dir.join("commondir")).map_err(|why| unreadable("commondir", &why))?;
    let common_dir = match &named {
        Some(line) => {
            let path = path_of(line).ok_or_else(|| unreadable("commondir", NO_PATH))?;
            git_dir.join(path)
        }
        None => git_dir.to_owned(),
    };
    let lacks = |directory: &Path, name: &str| directory.join(name).symlink_metadata().is_err();
    let mut missing = Vec::new();
    missing.extend(lacks(git_dir, "HEAD").then_some("HEAD"));
    missing.extend(
        ["objects", "refs"]
            .into_iter()
            .filter(|name| lacks(&common_dir, name)),
    );
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(incomplete(format!(
            "is not a complete git directory: {missing} is missing"
        )));
    }
    if !common_dir.join("objects").is_dir() || !common_dir.join("refs").is_dir() {
        return Err(incomplete("is not a git directory".to_owned()));
    }
    if !is_head(&git_dir.join("HEAD")) {
        let why = "is not a git directory: its HEAD names neither a ref nor a commit";
        return Err(incomplete(why.to_owned()));
    }
    Ok(common_dir)
}

/// Whether git accepts this file as the `HEAD` of a repository.
fn is_head(path: &Path) -> bool {
    if let Ok(target) = std::fs::read_link(path)
        && target.starts_with("refs")
    {
        return true;
    }
    let Ok(Some(contents)) = small_file(path) else {
        return false;
    };
    match contents.strip_prefix(b"ref:") {
        Some(name) => name.trim_ascii_start().starts_with(b"refs/"),
        None => [64, 40].into_iter().any(|length| {
            let hex = contents.get(..length).unwrap_or_default();
            hex.len() == length && Id::from_hex(hex).is_some()
        }),
    }
}
