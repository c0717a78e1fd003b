//! Finds a repository and reads what decides how its objects and refs are read. Hostile: runs nothing, follows no
//! include, no alternate and no environment variable.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::VerifyError;
use super::findings::quote;
use super::store::hash::Id;
use super::store::open_file;

/// A repository's directories and format.
pub(crate) struct Repository {
    /// Where `HEAD` is.
    pub(crate) git_dir: PathBuf,
    /// Where objects and refs are; another directory in a linked work tree.
    pub(crate) common_dir: PathBuf,
    pub(crate) algorithm: gix::hash::Kind,
    /// Whether objects may be left at another place by design.
    pub(crate) partial: bool,
    /// Extensions that this version does not know.
    pub(crate) unknown_extensions: Vec<String>,
}

/// The largest of git's small files (`HEAD`, `config`, `shallow`, …) that is read.
const MAX_SMALL_FILE: u64 = 16 << 20;

impl Repository {
    /// Finds the repository at `path` or above it.
    pub(crate) fn discover(path: &Path) -> Result<Repository, VerifyError> {
        let start = std::fs::canonicalize(path).map_err(|error| VerifyError::Unreadable {
            what: path.display().to_string(),
            why: error.to_string(),
        })?;
        for directory in start.ancestors() {
            for candidate in [directory.join(".git"), directory.to_owned()] {
                let git_dir = follow_git_file(&candidate)?;
                if let Some(common_dir) = common_dir(&git_dir) {
                    return open(git_dir, common_dir);
                }
            }
            check_not_damaged(directory)?;
        }
        Err(VerifyError::NoRepository(path.to_owned()))
    }

    /// The commits that the file `shallow` cuts the history at.
    pub(crate) fn shallow(&self) -> Result<Vec<Id>, VerifyError> {
        let lines = self.lines("shallow")?;
        lines
            .iter()
            .map(|line| {
                self.id(line)
                    .ok_or_else(|| unreadable("shallow", "holds a line that is no object id"))
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

    /// An object id of this repository's format.
    pub(crate) fn id(&self, hex: &str) -> Option<Id> {
        let right = hex.len() == self.algorithm.len_in_hex();
        Id::from_hex(hex.as_bytes()).ok().filter(|_| right)
    }

    fn lines(&self, name: &str) -> Result<Vec<String>, VerifyError> {
        let text = small_file(&self.common_dir.join(name))
            .map_err(|why| unreadable(name, &why))?
            .unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        Ok(lines
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect())
    }
}

/// Reads a small file whole; none if there is none.
pub(crate) fn small_file(path: &Path) -> Result<Option<Vec<u8>>, String> {
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
    file.take(MAX_SMALL_FILE + 1)
        .read_to_end(&mut contents)
        .map_err(|error| format!("cannot be read: {error}"))?;
    match contents.len() as u64 > MAX_SMALL_FILE {
        true => Err(format!("is larger than {MAX_SMALL_FILE} bytes")),
        false => Ok(Some(contents)),
    }
}

fn unreadable(what: &str, why: &str) -> VerifyError {
    VerifyError::Unreadable {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// A `.git` file of a linked work tree or a submodule names the directory.
fn follow_git_file(candidate: &Path) -> Result<PathBuf, VerifyError> {
    if !candidate.is_file() {
        return Ok(candidate.to_owned());
    }
    let contents = small_file(candidate)
        .map_err(|why| unreadable(".git", &why))?
        .unwrap_or_default();
    let target = contents
        .strip_prefix(b"gitdir: ")
        .map(<[u8]>::trim_ascii_end);
    let target = target
        .and_then(|target| std::str::from_utf8(target).ok())
        .ok_or_else(|| unreadable(".git", "names no directory"))?;
    Ok(candidate.parent().unwrap_or(candidate).join(target))
}

/// Fails if there is a repository at `directory` that lacks something: a verdict on the one around it would be taken for its own.
fn check_not_damaged(directory: &Path) -> Result<(), VerifyError> {
    let dot_git = directory.join(".git");
    let has_dot_git = dot_git.symlink_metadata().is_ok();
    let git_dir = match has_dot_git {
        true => follow_git_file(&dot_git)?,
        false => directory.to_owned(),
    };
    let begins = |name: &str, what: &[u8]| {
        let contents = small_file(&git_dir.join(name)).ok().flatten();
        contents.is_some_and(|contents| contents.trim_ascii_start().starts_with(what))
    };
    let signs = [
        begins("HEAD", b"ref:"),
        begins("config", b"[core]"),
        git_dir.join("objects/pack").is_dir(),
        git_dir.join("refs/heads").is_dir(),
    ];
    // One alone may be anything.
    if !has_dot_git && signs.into_iter().filter(|sign| *sign).count() < 2 {
        return Ok(());
    }
    let missing: Vec<&str> = ["HEAD", "objects", "refs"]
        .into_iter()
        .filter(|name| git_dir.join(name).symlink_metadata().is_err())
        .collect();
    Err(VerifyError::Unreadable {
        what: git_dir.display().to_string(),
        why: match missing.is_empty() {
            true => "is no git directory".to_owned(),
            false => format!(
                "is no whole git directory: {} is missing",
                missing.join(", ")
            ),
        },
    })
}

/// The directory of objects and refs, if this is a git directory at all.
fn common_dir(git_dir: &Path) -> Option<PathBuf> {
    let common_dir = match small_file(&git_dir.join("commondir")).ok()? {
        Some(target) => git_dir.join(std::str::from_utf8(target.trim_ascii_end()).ok()?),
        None => git_dir.to_owned(),
    };
    let head = git_dir.join("HEAD").symlink_metadata().is_ok();
    (head && common_dir.join("objects").is_dir() && common_dir.join("refs").is_dir())
        .then_some(common_dir)
}

fn open(git_dir: PathBuf, common_dir: PathBuf) -> Result<Repository, VerifyError> {
    let contents = small_file(&common_dir.join("config"))
        .map_err(|why| unreadable("config", &why))?
        .unwrap_or_default();
    let config = gix::config::File::from_bytes_no_includes(
        &contents,
        gix::config::file::Metadata::default(),
        Default::default(),
    )
    .map_err(|_| unreadable("config", "is malformed"))?;
    let mut repository = Repository {
        git_dir,
        common_dir,
        algorithm: gix::hash::Kind::Sha1,
        partial: false,
        unknown_extensions: Vec::new(),
    };
    for section in config.sections_by_name("extensions").into_iter().flatten() {
        for name in section.value_names() {
            let value = section
                .value(&name)
                .unwrap_or_default()
                .to_string()
                .to_ascii_lowercase();
            match (name.to_ascii_lowercase().as_str(), value.as_str()) {
                ("objectformat", "sha1") => {}
                ("objectformat", "sha256") => repository.algorithm = gix::hash::Kind::Sha256,
                ("objectformat", _) => {
                    return Err(VerifyError::Unsupported(format!(
                        "the object format {}",
                        quote(value.as_bytes())
                    )));
                }
                ("refstorage", "files") => {}
                ("refstorage", _) => {
                    return Err(VerifyError::Unsupported(format!(
                        "the ref storage {}",
                        quote(value.as_bytes())
                    )));
                }
                ("partialclone", _) => repository.partial = true,
                (
                    "noop" | "preciousobjects" | "worktreeconfig" | "relativeworktrees"
                    | "compatobjectformat",
                    _,
                ) => {}
                (other, _) => repository.unknown_extensions.push(quote(other.as_bytes())),
            }
        }
    }
    // A promisor remote without the extension marks a partial clone too.
    let promisor = config
        .sections_by_name("remote")
        .into_iter()
        .flatten()
        .any(|section| section.contains_value_name("promisor"));
    repository.partial |= promisor;
    Ok(repository)
}
