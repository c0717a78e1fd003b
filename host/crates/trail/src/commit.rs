//! The commit object: the one place that makes its bytes and its name.

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use super::error::TrailError;
use super::signing::{self, Sealed, Signing};

/// What a commit says.
pub(super) struct Commit<'a> {
    pub(super) tree: ObjectId,
    pub(super) parent: Option<ObjectId>,
    /// Author and committer, `Name <email>`.
    pub(super) author: &'a str,
    /// Seconds since the epoch.
    pub(super) seconds: i64,
    pub(super) message: &'a str,
}

impl Commit<'_> {
    /// The object, signed if somebody signs.
    ///
    /// # Errors
    ///
    /// [`TrailError::Signing`], [`TrailError::Collision`].
    pub(super) fn make(
        &self,
        hash: HashKind,
        signing: Option<&Signing>,
    ) -> Result<Sealed, TrailError> {
        let Commit {
            tree,
            parent,
            author,
            seconds,
            message,
        } = self;
        let parent = parent
            .map(|parent| format!("parent {parent}\n"))
            .unwrap_or_default();
        let contents = format!(
            "tree {tree}\n{parent}author {author} {seconds} +0000\ncommitter {author} {seconds} +0000\n\n{message}"
        )
        .into_bytes();
        signing::seal(signing, contents, hash, 1)
    }
}
