//! Repositories that the trail does not support, and what stands in the way of recording: said before anything is touched.

use std::fs;
use std::path::Path;

use gix::ObjectId;

use super::error::TrailError;
use super::repository::Repository;

impl Repository {
    /// Says what stands in the way of recording here, beyond what [`Repository::open`] refuses.
    pub(super) fn check_writable(&self) -> Result<(), TrailError> {
        let alternates = self.common_dir.join("objects/info/alternates");
        if fs::read(&alternates).is_ok_and(|text| !text.trim_ascii().is_empty()) {
            return Err(TrailError::Unsupported(
                "its object database borrows from another one (objects/info/alternates), whose objects it cannot keep; \
                 `git repack -a -d && rm .git/objects/info/alternates` makes it whole"
                    .into(),
            ));
        }
        let grafts = self.common_dir.join("info/grafts");
        if fs::read(&grafts).is_ok_and(|text| !text.trim_ascii().is_empty()) {
            return Err(TrailError::Unsupported(
                "info/grafts changes what git shows of its history".into(),
            ));
        }
        Ok(())
    }

    /// Fails if a replace ref hides one of these objects from plain git.
    pub(super) fn check_not_replaced(&self, ids: &[ObjectId]) -> Result<(), TrailError> {
        for id in ids {
            let name = format!("refs/replace/{id}");
            if self.read_ref(&name)?.is_some() {
                return Err(TrailError::Unsupported(format!(
                    "{name} hides an object of the trail from plain git"
                )));
            }
        }
        Ok(())
    }
}

/// What gix refuses, in our words.
pub(super) fn refused(dir: &Path, error: &dyn std::error::Error) -> TrailError {
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
        return TrailError::Unsupported(
            "its refs are stored as a reftable (extensions.refStorage)".into(),
        );
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
    if cause.contains("owned by the current user") {
        let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        cause = format!(
            "{}; `git config --global --add safe.directory {}` trusts it",
            cause.trim_end_matches('.'),
            whole.display()
        );
    }
    TrailError::Unsupported(cause)
}

/// Git refuses a repository with an extension that it does not know; so does the trail.
pub(super) fn check_extensions(repository: &gix::Repository) -> Result<(), TrailError> {
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
    let mut remotes = config
        .plumbing()
        .sections_by_name("remote")
        .into_iter()
        .flatten();
    let is_promisor = remotes.any(|section| {
        // A key without a value is true.
        section
            .body()
            .value_implicit("promisor")
            .is_some_and(|value| {
                let text = value.map(|value| value.to_string().to_ascii_lowercase());
                !matches!(text.as_deref(), Some("false" | "no" | "off" | "0" | ""))
            })
    });
    if is_promisor {
        return Err(TrailError::Unsupported(
            "it is a partial clone (remote.<name>.promisor), which lacks objects".into(),
        ));
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
                    return Err(TrailError::Unsupported(format!(
                        "its refs are stored as `{}` (extensions.refStorage)",
                        value.unwrap_or_default()
                    )));
                }
            } else if name == "partialclone" {
                return Err(TrailError::Unsupported(
                    "it is a partial clone (extensions.partialClone), which lacks objects".into(),
                ));
            } else if !KNOWN.contains(&name.as_str()) && !name.starts_with("relativeworktrees") {
                return Err(TrailError::Unsupported(format!(
                    "it has the unknown extension `{name}`"
                )));
            }
        }
    }
    Ok(())
}
