//! Keeps gix from opening special files: it would wait for a named pipe in place of one of git's files, and read a
//! device for ever. The check happens before a repository is opened; an attacker who can change files in between can
//! stop this program in other ways.

use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::error::TrailError;

/// The directories below a git directory that are checked, at any depth.
const DIRECTORIES: [&str; 5] = [
    "info",
    "refs",
    "objects/info",
    "objects/pack",
    "chiffon-audit",
];

/// The longest line that names a directory, in bytes.
const MAX_LINE: u64 = 1 << 16;

/// Fails if something at `dir` that may be a git directory, or may lead to one, has a pipe or a device in place of a
/// file.
pub(crate) fn check(dir: &Path) -> Result<(), TrailError> {
    let dot_git = dir.join(".git");
    check_one(&dot_git)?;
    if dot_git.is_dir() {
        return check_git_dir(&dot_git);
    }
    if let Some(named) = named_in(&dot_git, "gitdir:") {
        return check_git_dir(&named);
    }
    // Any directory may contain pipes, but not beside the files of a git directory.
    match dir.join("HEAD").symlink_metadata().is_ok() && dir.join("objects").is_dir() {
        true => check_git_dir(dir),
        false => Ok(()),
    }
}

fn check_git_dir(git_dir: &Path) -> Result<(), TrailError> {
    check_entries(git_dir, &mut Vec::new())?;
    if let Some(common_dir) = named_in(&git_dir.join("commondir"), "") {
        check_entries(&common_dir, &mut Vec::new())?;
        check_below(&common_dir)?;
    }
    check_below(git_dir)
}

fn check_below(git_dir: &Path) -> Result<(), TrailError> {
    let mut directories: Vec<PathBuf> = DIRECTORIES.iter().map(|name| git_dir.join(name)).collect();
    while let Some(directory) = directories.pop() {
        check_entries(&directory, &mut directories)?;
    }
    Ok(())
}

/// Checks the entries of a directory, and adds its subdirectories to `directories`.
fn check_entries(directory: &Path, directories: &mut Vec<PathBuf>) -> Result<(), TrailError> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_file() => {}
            Ok(kind) if kind.is_dir() => directories.push(entry.path()),
            _ => check_one(&entry.path())?,
        }
    }
    Ok(())
}

fn check_one(path: &Path) -> Result<(), TrailError> {
    // A socket cannot be opened, so it blocks nothing; git's file system monitor has one.
    let waits = |kind: FileType| kind.is_fifo() || kind.is_char_device() || kind.is_block_device();
    match path.metadata() {
        Ok(metadata) if waits(metadata.file_type()) => Err(TrailError::Unreadable {
            what: path.display().to_string(),
            cause: "it is not a regular file".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The directory that a file names, if the file exists.
fn named_in(file: &Path, prefix: &str) -> Option<PathBuf> {
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > MAX_LINE {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let named = text.strip_prefix(prefix)?.trim();
    Some(file.parent().unwrap_or(file).join(named))
}
