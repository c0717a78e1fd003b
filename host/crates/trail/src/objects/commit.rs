//! The commit object: the only place that makes its bytes and its id.

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use crate::error::TrailError;
use crate::signing::{self, FinishedCommit, Signing};

/// The parts of a commit.
pub(crate) struct Commit<'a> {
    pub(crate) tree: ObjectId,
    pub(crate) parent: Option<ObjectId>,
    /// Author and committer, `Name <email>`.
    pub(crate) author: &'a str,
    /// Author and committer time, in seconds since the epoch.
    pub(crate) seconds: i64,
    pub(crate) message: &'a str,
}

impl Commit<'_> {
    /// Makes the object, signed if signatures are configured.
    ///
    /// # Errors
    ///
    /// [`TrailError::Signing`], [`TrailError::Collision`].
    pub(crate) fn make(
        &self,
        hash: HashKind,
        signing: Option<&Signing>,
    ) -> Result<FinishedCommit, TrailError> {
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
        signing::finish_commit(signing, contents, hash, 1)
    }
}
