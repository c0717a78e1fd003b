//! Checks for repositories that the trail does not support, and for obstacles to recording. They run before anything is
//! written.

use std::fs;
use std::path::Path;

use gix::ObjectId;

use crate::error::TrailError;
use crate::place::git_config::GitConfig;
use crate::place::repository::Repository;

impl Repository {
    /// Fails if something prevents recording here, beyond what [`Repository::open`] refuses.
    pub(crate) fn check_writable(&self) -> Result<(), TrailError> {
        let alternates = self.common_dir.join("objects/info/alternates");
        if fs::read(&alternates).is_ok_and(|text| !text.trim_ascii().is_empty()) {
            return Err(TrailError::Unsupported(format!(
                "its object database borrows objects from another one (objects/info/alternates), which may delete \
                 them; `git repack -a -d && rm {}` makes it complete",
                alternates.display()
            )));
        }
        let grafts = self.common_dir.join("info/grafts");
        if fs::read(&grafts).is_ok_and(|text| !text.trim_ascii().is_empty()) {
            return Err(TrailError::Unsupported(format!(
                "info/grafts changes the history that git shows; `rm {}` shows the recorded one again",
                grafts.display()
            )));
        }
        Ok(())
    }

    /// Fails if a replace ref hides one of these objects from plain git.
    pub(crate) fn check_not_replaced(&self, ids: &[ObjectId]) -> Result<(), TrailError> {
        for id in ids {
            let name = format!("refs/replace/{id}");
            if self.read_ref(&name)?.is_some() {
                return Err(TrailError::Unsupported(format!(
                    "{name} hides an object of the trail from plain git; `git replace -d {id}` removes it"
                )));
            }
        }
        Ok(())
    }
}

/// The error for a repository that gix refuses.
pub(crate) fn refused(dir: &Path, error: &dyn std::error::Error) -> TrailError {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        cause = format!("{cause}: {deeper}");
        source = deeper.source();
    }
    let config = [dir.join(".git/config"), dir.join("config")]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if config.contains("refstorage") {
        return TrailError::Unsupported(reftable("a reftable"));
    }
    let version = config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "repositoryformatversion").then(|| value.trim().to_owned())
    });
    if let Some(version) = version.filter(|version| version != "0" && version != "1") {
        return TrailError::Unsupported(format!("core.repositoryFormatVersion is {version}"));
    }
    if !dir.join(".git").exists() && !dir.join("HEAD").exists() {
        return TrailError::NoRepository(dir.to_owned());
    }
    TrailError::Unsupported(cause)
}

/// The message about a partial clone, and how to complete it.
fn partial_clone(remote: &str) -> String {
    let name = remote.escape_default();
    format!(
        "it is a partial clone (remote.{name}.promisor), which lacks objects; `git fetch --refetch --no-filter \
         {name}` and then `git config --unset-all remote.{name}.promisor`, `git config --unset-all \
         remote.{name}.partialclonefilter` and `git config --unset-all extensions.partialClone` make it complete, \
         and `chiffon-audit doctor` checks that"
    )
}

/// The message about a repository whose refs are not files.
fn reftable(stored_as: &str) -> String {
    format!(
        "its refs are stored as {stored_as} (extensions.refStorage); `git refs migrate --ref-format=files` stores \
         them as files (git 2.46 or later)"
    )
}

/// Fails if the repository has an extension that git does not know; git refuses it too.
pub(crate) fn check_extensions(
    repository: &gix::Repository,
    git_config: &GitConfig,
) -> Result<(), TrailError> {
    const KNOWN: [&str; 5] = [
        "noop",
        "noop-v1",
        "objectformat",
        "preciousobjects",
        "worktreeconfig",
    ];
    let config = repository.config_snapshot();
    let version = config.integer("core.repositoryFormatVersion").unwrap_or(0);
    if !(0..=1).contains(&version) {
        return Err(TrailError::Unsupported(format!(
            "core.repositoryFormatVersion is {version}"
        )));
    }
    if let Some(remote) = git_config.promisor() {
        return Err(TrailError::Unsupported(partial_clone(&remote)));
    }
    let Some(sections) = config.plumbing().sections_by_name("extensions") else {
        return Ok(());
    };
    for section in sections {
        for name in section.body().value_names() {
            let name = name.to_string().to_ascii_lowercase();
            if name == "refstorage" {
                let value = section
                    .body()
                    .value("refStorage")
                    .map(|value| value.to_string());
                if value.as_deref() != Some("files") {
                    let value = format!("`{}`", value.unwrap_or_default());
                    return Err(TrailError::Unsupported(reftable(&value)));
                }
            } else if name == "partialclone" {
                let remote = section.body().value("partialClone");
                let remote = remote.map_or_else(|| "origin".to_owned(), |name| name.to_string());
                return Err(TrailError::Unsupported(partial_clone(&remote)));
            } else if !KNOWN.contains(&name.as_str()) && !name.starts_with("relativeworktrees") {
                return Err(TrailError::Unsupported(format!(
                    "it has the unknown extension `{name}`"
                )));
            }
        }
    }
    Ok(())
}
