//! Finding the repository: at a directory or above it as git does, but never past one that is damaged.
//!
//! Git skips a directory that is not a complete repository, for example because its `refs` is missing or its disk is
//! not mounted, and uses one around it. A person notices that; a recorder would record in the wrong place.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::TrailError;
use crate::place::git_config::GitEnvironment;
use crate::place::regular;
use crate::place::repository::Repository;

impl Repository {
    /// Opens the repository at `dir` or above it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if git would skip a directory that looks like a damaged repository.
    pub(crate) fn discover(
        dir: &Path,
        environment: &GitEnvironment,
    ) -> Result<Repository, TrailError> {
        let none = || TrailError::NoRepository(dir.to_owned());
        let start = dir.canonicalize().map_err(|_| none())?;
        for level in start.ancestors() {
            regular::check(level)?;
            if is_repository(&level.join(".git")) || is_repository(level) {
                break;
            }
            check_not_damaged(level)?;
        }
        let options = gix::discover::upwards::Options {
            trust: gix::discover::upwards::TrustPolicy::Required(gix::sec::Trust::Reduced),
            ..Default::default()
        };
        // The path must be absolute: gix turns a bare repository at `../audit.git` into `../.git`, which is another one
        // or none.
        let (path, _) = gix::discover::upwards_opts(&start, options).map_err(|_| none())?;
        let (git_dir, work_tree) = path.into_repository_and_work_tree_directories();
        Repository::open(work_tree.as_deref().unwrap_or(&git_dir), environment)
    }
}

fn is_repository(path: &Path) -> bool {
    gix::discover::is_git(path).is_ok()
}

/// Fails if there is an incomplete repository at `dir`.
pub(crate) fn check_not_damaged(dir: &Path) -> Result<(), TrailError> {
    let dot_git = dir.join(".git");
    let git_dir = if fs::symlink_metadata(&dot_git).is_ok() {
        dot_git
    } else if was_git_dir(dir) {
        dir.to_owned()
    } else {
        return Ok(());
    };
    if is_repository(&git_dir) {
        return Ok(());
    }
    Err(TrailError::Unreadable {
        cause: damage(&git_dir),
        what: format!("the git repository {}", dir.display()),
    })
}

/// Whether a directory has the files that this program keeps in a git directory, or at least two that git keeps there.
/// One of git's alone may be anything.
fn was_git_dir(dir: &Path) -> bool {
    let signs = [
        head(dir).is_ok(),
        ["info", "pack"]
            .iter()
            .any(|name| dir.join("objects").join(name).is_dir()),
        dir.join("refs/heads").is_dir(),
        fs::read_to_string(dir.join("config")).is_ok_and(|text| {
            text.to_ascii_lowercase()
                .contains("repositoryformatversion")
        }),
    ];
    dir.join("chiffon-audit/trail.toml").is_file()
        || signs.into_iter().filter(|sign| *sign).count() >= 2
}

/// What is missing in a git directory, or in the one that a `.git` file names.
fn damage(git_dir: &Path) -> String {
    let linked = |file: &Path, prefix| -> Option<PathBuf> {
        let text = fs::read_to_string(file).ok()?;
        let named = text.strip_prefix(prefix)?.trim();
        (!named.is_empty()).then(|| file.parent().unwrap_or(file).join(named))
    };
    if git_dir.is_file() {
        return match linked(git_dir, "gitdir:") {
            None => format!("{} names no git directory", git_dir.display()),
            Some(named) if !named.is_dir() => format!(
                "{} names the git directory {}, which is missing",
                git_dir.display(),
                named.display()
            ),
            Some(named) => damage(&named),
        };
    }
    if !git_dir.is_dir() {
        return format!("{} leads nowhere", git_dir.display());
    }
    let common_dir = linked(&git_dir.join("commondir"), "").unwrap_or(git_dir.to_owned());
    let mut wrong: Vec<String> = head(git_dir).err().into_iter().collect();
    for name in ["objects", "refs"] {
        if !common_dir.join(name).is_dir() {
            wrong.push(format!("{name} is missing"));
        }
    }
    let what = if wrong.is_empty() {
        "git does not accept it as a git directory".to_owned()
    } else {
        wrong.join(", ")
    };
    format!("in {}, {what}", git_dir.display())
}

/// Checks that `HEAD` is as git writes it. The error says what is wrong.
fn head(git_dir: &Path) -> Result<(), String> {
    let text = fs::read_to_string(git_dir.join("HEAD")).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "HEAD is missing".to_owned(),
        _ => format!("HEAD cannot be read ({error})"),
    })?;
    let text = text.trim_end();
    let is_id = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.starts_with("ref:") || is_id {
        Ok(())
    } else {
        Err("HEAD is not as git writes it".to_owned())
    }
}
