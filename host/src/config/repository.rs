//! Locates a repository's configuration file without opening the repository.
//!
//! This module only determines the path. The trail decides whether the directory is a usable repository.

use std::fs;
use std::path::{Path, PathBuf};

/// The path of `chiffon-audit/config.toml` for the repository at `dir` or above it. The file may not exist.
///
/// For a linked work tree the path is in the git directory that all its work trees share.
pub fn repository_file(dir: &Path) -> Option<PathBuf> {
    // Made absolute, so that the search upwards does not end at the start of a relative path.
    let dir = dir.canonicalize().ok()?;
    let git_dir = dir.ancestors().find_map(git_dir_of)?;
    Some(
        common_dir(git_dir)
            .join("chiffon-audit")
            .join("config.toml"),
    )
}

/// The git directory of a work tree, or `dir` itself if it is a git directory.
fn git_dir_of(dir: &Path) -> Option<PathBuf> {
    let dot_git = dir.join(".git");
    if is_git_dir(&dot_git) {
        return Some(dot_git);
    }
    if let Some(path) = path_in(&dot_git, "gitdir:") {
        return Some(dir.join(path));
    }
    is_git_dir(dir).then(|| dir.to_owned())
}

fn is_git_dir(dir: &Path) -> bool {
    dir.join("HEAD").is_file()
        && (dir.join("commondir").is_file()
            || dir.join("objects").is_dir() && dir.join("refs").is_dir())
}

fn common_dir(git_dir: PathBuf) -> PathBuf {
    match path_in(&git_dir.join("commondir"), "") {
        Some(path) => git_dir.join(path),
        None => git_dir,
    }
}

/// The path that git wrote into a file, after a prefix.
fn path_in(file: &Path, prefix: &str) -> Option<PathBuf> {
    if !file.is_file() {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let path = text
        .strip_prefix(prefix)?
        .trim_start_matches(' ')
        .trim_end_matches(['\n', '\r']);
    (!path.is_empty()).then(|| PathBuf::from(path))
}
