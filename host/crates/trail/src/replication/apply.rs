//! Applying a record of the log: the pack is checked, made durable, and only then the ref moves.
//!
//! Whoever can write to the database can write to the log, so a record is believed in nothing: its checksum, the ids of its objects, the
//! chain of its commits, and that each commit adds exactly the entry that it names.

use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::objs::Kind;
use gix_pack::bundle::write::Options;
use sha2::{Digest as _, Sha256};

use super::LogRecord;
use crate::disk;
use crate::error::{IoContext as _, TrailError};
use crate::message;
use crate::objects::pack::Pack;
use crate::place::state::Mark;
use crate::read::history;
use crate::read::tree_files::added_only;
use crate::write::flush::{BeforeRef, FlushError, FlushGroup, Flusher};
use crate::{Placement, TrailInner};

/// The most bytes that one object of a record may have.
const MAX_OBJECT: usize = 64 << 20;

impl TrailInner {
    /// Applies a record whose parent is where the ref is. The caller holds the writer lock.
    pub(crate) fn apply(&self, record: &LogRecord) -> Result<(), TrailError> {
        let invalid = |why: &str| TrailError::InvalidRecord {
            seq: record.seq,
            why: why.to_owned(),
        };
        let parse = |id: &str| {
            ObjectId::from_hex(id.as_bytes()).map_err(|_| invalid("it names an id that is none"))
        };
        let parent = record.parent.as_deref().map(parse).transpose()?;
        let tip = parse(&record.tip)?;
        if Sha256::digest(&record.pack)[..] != record.sha256 {
            return Err(invalid("its checksum is wrong"));
        }
        let pack = self.index(record)?;
        let is_trail = record.reference == self.identity.reference;
        let check = || self.check_commits(record, parent, tip, is_trail);
        let group = FlushGroup {
            pack,
            expected: parent,
            mark: Mark {
                tip,
                boot: self.boot.clone(),
                microseconds: 0,
            },
            checkout_files: &[],
            committer: &self.author,
            subject: "audit: apply the log",
            // The mark is written below, with the tip's own time.
            is_trail: false,
            before_ref: BeforeRef::Check(&check),
        };
        let flusher = Flusher {
            reference: &record.reference,
            placement: Placement::Ref,
            ..Flusher::of(self)
        };
        match flusher.flush(&group) {
            Ok(()) if is_trail => {
                let seconds = self.repository.commit(&tip)?.seconds;
                let mark = Mark {
                    microseconds: seconds.saturating_mul(1_000_000),
                    ..group.mark
                };
                let path = self.state.acknowledged_path();
                self.state.write_mark(self.disk.as_ref(), &path, &mark)
            }
            Ok(()) => Ok(()),
            Err(FlushError::Moved) => Err(TrailError::Moved {
                reference: record.reference.clone(),
            }),
            Err(
                FlushError::Failed(error)
                | FlushError::Uncertain(error)
                | FlushError::Behind(error),
            ) => Err(error),
        }
    }

    /// Computes the id of every object of the pack, and so its index.
    fn index(&self, record: &LogRecord) -> Result<Pack, TrailError> {
        let invalid = |why: String| TrailError::InvalidRecord {
            seq: record.seq,
            why: format!("its pack cannot be used: {why}"),
        };
        let dir = self.state.tmp_dir();
        let options = Options {
            thread_limit: Some(1),
            alloc_limit_bytes: Some(MAX_OBJECT),
            ..Options::default()
        };
        let written = gix_pack::Bundle::write_to_directory(
            &mut &record.pack[..],
            Some(&dir),
            &mut gix_utils::progress::Discard,
            &AtomicBool::new(false),
            None::<gix::objs::find::Never>,
            self.repository.hash,
            options,
        )
        .map_err(|error| invalid(error.to_string()))?;
        let mut index = None;
        if let Some(path) = &written.index_path {
            index = Some(std::fs::read(path).doing("read", path)?);
        }
        for path in [written.index_path, written.data_path, written.keep_path]
            .into_iter()
            .flatten()
        {
            disk::remove_if_present(self.disk.as_ref(), &path).doing("remove", &path)?;
        }
        Ok(Pack {
            name: format!("pack-{}", written.index.data_hash),
            pack: record.pack.clone(),
            index: index.ok_or_else(|| invalid("it has no object".into()))?,
        })
    }

    /// Checks the commits from the tip back to the parent. Their objects are in the repository, and no ref leads to them yet.
    fn check_commits(
        &self,
        record: &LogRecord,
        parent: Option<ObjectId>,
        tip: ObjectId,
        is_trail: bool,
    ) -> Result<(), TrailError> {
        let invalid = |why: String| TrailError::InvalidRecord {
            seq: record.seq,
            why,
        };
        let repository = &self.repository;
        let mut next = Some(tip);
        let mut commits = 0;
        while next != parent {
            let Some(id) = next else {
                return Err(invalid("its commits do not lead back to its parent".into()));
            };
            commits += 1;
            if commits > record.commits {
                return Err(invalid(format!(
                    "it has more than {} commits",
                    record.commits
                )));
            }
            let read = |error: TrailError| invalid(format!("commit {id}: {error}"));
            let commit = repository.commit(&id).map_err(read)?;
            if commit.parents.len() > 1 {
                return Err(invalid(format!("commit {id} is a merge")));
            }
            let before = commit.parents.first().copied();
            let task = message::trailer(&commit.message, message::TASK);
            if is_trail && (before.is_some() || task.is_some()) {
                let Some(task) = task else {
                    return Err(invalid(format!("commit {id} names no task")));
                };
                let before_tree = match before {
                    Some(before) => Some(repository.commit(&before).map_err(read)?.tree),
                    None => None,
                };
                let added = added_only(repository, before_tree, commit.tree).map_err(read)?;
                let entry = history::entry_in_tree(repository, commit.tree, task).map_err(read)?;
                match (added, entry) {
                    (Some((path, blob)), Some((expected, id)))
                        if path == expected && blob == id && repository.has(Kind::Blob, &blob) => {}
                    _ => {
                        return Err(invalid(format!(
                            "commit {id} does not add the entry of {task} and nothing else"
                        )));
                    }
                }
            }
            next = before;
        }
        if commits != record.commits {
            return Err(invalid(format!(
                "it has {commits} commits and names {}",
                record.commits
            )));
        }
        Ok(())
    }
}
