//! Checkpoints of other trails, stored in a separate repository: one file for each trail on one ref, and a commit for
//! each checkpoint.
//!
//! Owns the ref. Does not read checkpoints; the caller has compared a checkpoint with the one before.

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::error::TrailError;
use crate::objects::commit::Commit;
use crate::objects::object::{self, Deflater};
use crate::objects::pack::{PackBuilder, TYPE_BLOB, TYPE_COMMIT, TYPE_TREE};
use crate::place::repository::Repository;
use crate::place::state::Mark;
use crate::write::flush::{BeforeRef, FlushError, FlushGroup, Flusher};
use crate::write::lock::WriterLock;
use crate::{Placement, Trail, TrailInner};
use outcome::clock::Timestamp;

/// The ref on which a repository stores checkpoints of trails.
pub const CHECKPOINTS_REF: &str = "refs/heads/audit-checkpoints";

impl Trail {
    /// Reads the checkpoint that this repository stores under a name.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn checkpoint(&self, name: &str) -> Result<Option<String>, TrailError> {
        self.shared().checkpoint(name)
    }

    /// Replaces the checkpoint `before` by another one, durably.
    ///
    /// # Errors
    ///
    /// Those of any write; [`TrailError::Busy`] if another checkpoint was stored meanwhile.
    pub fn keep_checkpoint(
        &self,
        name: &str,
        before: Option<&str>,
        checkpoint: &str,
        time: Timestamp,
    ) -> Result<(), TrailError> {
        let shared = self.shared();
        shared.repository.check_writable()?;
        shared.state.create_root(shared.disk.as_ref())?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let kept = shared.keep_checkpoint(name, before, checkpoint, time);
        lock.release();
        kept
    }
}

impl TrailInner {
    fn checkpoint(&self, name: &str) -> Result<Option<String>, TrailError> {
        let repository = &self.repository;
        let Some(tip) = repository.read_ref(CHECKPOINTS_REF)? else {
            return Ok(None);
        };
        let files = files(repository, repository.commit(&tip)?.tree)?;
        let Some((_, blob)) = files.iter().find(|(file, _)| file == name) else {
            return Ok(None);
        };
        let contents = repository.object(Kind::Blob, blob)?;
        let text = String::from_utf8(contents).map_err(|_| TrailError::Unreadable {
            what: format!("{name} on {CHECKPOINTS_REF}"),
            cause: "it is not UTF-8".into(),
        })?;
        Ok(Some(text))
    }

    fn keep_checkpoint(
        &self,
        name: &str,
        before: Option<&str>,
        checkpoint: &str,
        time: Timestamp,
    ) -> Result<(), TrailError> {
        let repository = &self.repository;
        let moved = || TrailError::Moved {
            reference: CHECKPOINTS_REF.to_owned(),
        };
        self.state.create_contents(self.disk.as_ref())?;
        let flusher = Flusher {
            disk: self.disk.as_ref(),
            state: &self.state,
            repository,
            reference: CHECKPOINTS_REF,
            placement: Placement::Ref,
            lock_wait: self.lock_wait,
            large: self.large,
            warning: &self.warning,
            shared: Some(self),
        };
        flusher.sweep()?;
        if self.checkpoint(name)?.as_deref() != before {
            return Err(moved());
        }
        let expected = repository.read_ref(CHECKPOINTS_REF)?;
        let (mut files, seconds) = match expected {
            None => {
                repository.check_name_free(CHECKPOINTS_REF)?;
                (Vec::new(), time.seconds())
            }
            Some(tip) => {
                flusher.sync_foreign_writes()?;
                let commit = repository.commit(&tip)?;
                let seconds = commit.seconds.max(time.seconds());
                (files(repository, commit.tree)?, seconds)
            }
        };
        let hash = repository.hash;
        let blob = object::name_checked(hash, Kind::Blob, checkpoint.as_bytes())?;
        files.retain(|(file, _)| file != name);
        files.push((name.to_owned(), blob));
        files.sort();
        let mut raw = Vec::new();
        for (file, blob) in &files {
            raw.extend_from_slice(format!("100644 {file}\0").as_bytes());
            raw.extend_from_slice(blob.as_slice());
        }
        let tree = object::name_checked(hash, Kind::Tree, &raw)?;
        let subject = format!("audit: checkpoint {name}");
        let message = format!("{subject}\n\nAudit-Checkpoints: 1\n");
        let commit = Commit {
            tree,
            parent: expected,
            author: &self.author,
            seconds,
            message: &message,
        };
        let (tip, commit) = commit.make(hash, None)?;
        let mut builder = PackBuilder::new(hash);
        let mut deflater = Deflater::new();
        builder.add(TYPE_BLOB, blob, checkpoint.as_bytes(), &mut deflater);
        builder.add(TYPE_TREE, tree, &raw, &mut deflater);
        builder.add(TYPE_COMMIT, tip, &commit, &mut deflater);
        let group = FlushGroup {
            pack: builder.finish(),
            expected,
            mark: Mark {
                tip,
                boot: self.boot.clone(),
                microseconds: time.microseconds(),
            },
            checkout_files: &[],
            committer: &self.author,
            subject: &subject,
            is_trail: false,
            before_ref: BeforeRef::Append(1),
        };
        match flusher.flush(&group) {
            Ok(()) => Ok(()),
            Err(FlushError::Moved) => Err(moved()),
            Err(
                FlushError::Failed(error)
                | FlushError::Uncertain(error)
                | FlushError::Behind(error),
            ) => Err(error),
        }
    }
}

/// The files of a flat tree. Anything else in the tree is dropped by the next commit.
fn files(repository: &Repository, tree: ObjectId) -> Result<Vec<(String, ObjectId)>, TrailError> {
    let raw = repository.object(Kind::Tree, &tree)?;
    let entries = TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok);
    Ok(entries
        .filter(|entry| entry.mode.is_blob())
        .map(|entry| (entry.filename.to_string(), entry.oid.to_owned()))
        .collect())
}
