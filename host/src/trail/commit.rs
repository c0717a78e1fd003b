//! The commit object: the one place that makes its bytes and its name.

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use super::error::TrailError;
use super::object;

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
    /// The object's name and contents.
    ///
    /// # Errors
    ///
    /// [`TrailError::Collision`]: the subject is the policy's, so somebody else may have chosen these bytes.
    pub(super) fn make(&self, hash: HashKind) -> Result<(ObjectId, Vec<u8>), TrailError> {
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
        let id = object::name_checked(hash, Kind::Commit, &contents)?;
        Ok((id, contents))
    }
}
