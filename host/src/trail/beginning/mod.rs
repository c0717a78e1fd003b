//! Where the trail of a repository is that has no `trail.toml`: on a branch, on a remote-tracking ref, or nowhere yet.
//!
//! Decides, and writes nothing. The answer is kept in `trail.toml` at the first record; until then each command decides
//! alike from the refs.

mod anew;
mod default_branch;

pub(super) use anew::why_apart;
pub(super) use default_branch::default_branch;

use super::error::TrailError;
use super::repository::Repository;
use super::state::Identity;

/// Decides where the trail of a repository without a `trail.toml` is, or where the first record begins one.
///
/// # Errors
///
/// [`TrailError::Unsupported`] where no ref fits, and what cannot be read.
pub(super) fn decide(repository: &Repository) -> Result<Identity, TrailError> {
    anew::identity(repository)
}
