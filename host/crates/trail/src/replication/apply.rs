//! Applying a record of the log: the pack is checked, made durable, and only then the ref moves.
//!
//! A client that can write to the database can write to the log, so a record is believed in nothing: its checksum, the ids of its objects, the
//! chain of its commits, and that each commit adds exactly the entry that it names.

use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::{Kind, TreeRefIter};
use gix_pack::bundle::write::Options;
use sha2::{Digest as _, Sha256};

use super::LogRecord;
use crate::disk;
use crate::error::{IoContext as _, TrailError};
use crate::message;
use crate::objects::object::digest;
use crate::objects::pack::{Pack, header};
use crate::place::repository::Repository;
use crate::place::state::Mark;
use crate::read::history;
use crate::read::tree_files::added_only;
use crate::write::flush::{BeforeRef, FlushError, FlushGroup, Flusher};
use crate::{Placement, TrailInner};

/// The most bytes that one object of a record may have.
const MAX_OBJECT: usize = 64 << 20;

impl TrailInner {
    /// Applies records that follow each other on one ref, the first from where the ref is. The caller holds the writer lock.
    ///
    /// A run is applied as one: a repository that is made from a long log would otherwise sync the disk for every record.
    pub(crate) fn apply(&self, records: &[LogRecord]) -> Result<(), TrailError> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(());
        };
        for record in records {
            if Sha256::digest(&record.pack)[..] != record.sha256 {
                return Err(invalid(record, "its checksum is wrong".into()));
            }
        }
        let parent = first.parent.as_deref().map(|parent| id(first, parent));
        let parent = parent.transpose()?;
        let tip = id(last, &last.tip)?;
        let pack = self.index(last, joined(self.repository.hash, records)?)?;
        let is_trail = first.reference == self.identity.reference;
        let check = || self.check_commits(records, parent, is_trail);
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
            reference: &first.reference,
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
                reference: first.reference.clone(),
            }),
            Err(
                FlushError::Failed(error)
                | FlushError::Uncertain(error)
                | FlushError::Behind(error),
            ) => Err(error),
        }
    }

    /// Computes the id of every object of the pack, and so its index.
    fn index(&self, record: &LogRecord, pack: Vec<u8>) -> Result<Pack, TrailError> {
        let unusable = |why: String| invalid(record, format!("its pack cannot be used: {why}"));
        let dir = self.state.tmp_dir();
        let options = Options {
            thread_limit: Some(1),
            alloc_limit_bytes: Some(MAX_OBJECT),
            ..Options::default()
        };
        let written = gix_pack::Bundle::write_to_directory(
            &mut &pack[..],
            Some(&dir),
            &mut gix_utils::progress::Discard,
            &AtomicBool::new(false),
            None::<gix::objs::find::Never>,
            self.repository.hash,
            options,
        )
        .map_err(|error| unusable(error.to_string()))?;
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
            pack,
            index: index.ok_or_else(|| unusable("it has no object".into()))?,
        })
    }

    /// Checks the commits of these records, from the last tip back to the parent. Their objects are in the repository, and no ref leads to them yet.
    fn check_commits(
        &self,
        records: &[LogRecord],
        parent: Option<ObjectId>,
        is_trail: bool,
    ) -> Result<(), TrailError> {
        for (number, record) in records.iter().enumerate().rev() {
            let end = match number {
                0 => parent,
                _ => Some(id(record, &records[number - 1].tip)?),
            };
            self.check_record(record, end, is_trail)?;
        }
        Ok(())
    }

    fn check_record(
        &self,
        record: &LogRecord,
        parent: Option<ObjectId>,
        is_trail: bool,
    ) -> Result<(), TrailError> {
        let repository = &self.repository;
        let mut next = Some(id(record, &record.tip)?);
        let mut commits = 0;
        while next != parent {
            let Some(id) = next else {
                let why = "its commits do not lead back to its parent";
                return Err(invalid(record, why.into()));
            };
            commits += 1;
            if commits > record.commits {
                let why = format!("it has more than {} commits", record.commits);
                return Err(invalid(record, why));
            }
            let read = |error: TrailError| invalid(record, format!("commit {id}: {error}"));
            let commit = repository.commit(&id).map_err(read)?;
            if commit.parents.len() > 1 {
                return Err(invalid(record, format!("commit {id} is a merge")));
            }
            let before = commit.parents.first().copied();
            let task = message::trailer(&commit.message, message::TASK);
            if is_trail && (before.is_some() || task.is_some()) {
                let Some(task) = task else {
                    return Err(invalid(record, format!("commit {id} names no task")));
                };
                let before_tree = match before {
                    Some(before) => Some(repository.commit(&before).map_err(read)?.tree),
                    None => None,
                };
                let added = added_only(repository, before_tree, commit.tree).map_err(read)?;
                let entry = history::entry_in_tree(repository, commit.tree, task).map_err(read)?;
                let is_right = added.is_some() && added == entry;
                let has_blob = |(_, blob): &(String, ObjectId)| repository.has(Kind::Blob, blob);
                if !is_right || !added.as_ref().is_some_and(has_blob) {
                    let why =
                        format!("commit {id} does not add the entry of {task} and nothing else");
                    return Err(invalid(record, why));
                }
            }
            if !is_trail || before.is_none() {
                // The objects of entries were checked above.
                check_present(repository, commit.tree).map_err(read)?;
            }
            next = before;
        }
        if commits != record.commits {
            let why = format!(
                "its number of commits is {commits}, and it declares {}",
                record.commits
            );
            return Err(invalid(record, why));
        }
        Ok(())
    }
}

/// Fails unless everything in a tree is in the repository.
fn check_present(repository: &Repository, tree: ObjectId) -> Result<(), TrailError> {
    let raw = repository.object(Kind::Tree, &tree)?;
    for entry in TreeRefIter::from_bytes(&raw, repository.hash) {
        let missing = |cause: &str| TrailError::Unreadable {
            what: format!("the tree {tree}"),
            cause: cause.to_owned(),
        };
        let entry = entry.map_err(|_| missing("it is malformed"))?;
        if entry.mode.is_tree() {
            check_present(repository, entry.oid.to_owned())?;
        } else if !repository.has(Kind::Blob, entry.oid) {
            return Err(missing("a blob of it is missing"));
        }
    }
    Ok(())
}

fn invalid(record: &LogRecord, why: String) -> TrailError {
    TrailError::InvalidRecord {
        seq: record.seq,
        why,
    }
}

fn id(record: &LogRecord, text: &str) -> Result<ObjectId, TrailError> {
    ObjectId::from_hex(text.as_bytes())
        .map_err(|_| invalid(record, "it names an invalid object id".into()))
}

/// One pack with the objects of all records. Deltas name their base by the distance to it, which stays the same.
fn joined(hash: HashKind, records: &[LogRecord]) -> Result<Vec<u8>, TrailError> {
    if let [only] = records {
        return Ok(only.pack.clone());
    }
    let mut count = 0u32;
    let mut objects = Vec::new();
    for record in records {
        let unusable = || invalid(record, "its pack cannot be used: it is cut off".into());
        let (head, rest) = record.pack.split_first_chunk::<12>().ok_or_else(unusable)?;
        let (version, number) = head.split_at(8);
        if version != b"PACK\0\0\0\x02" {
            return Err(invalid(
                record,
                "its pack cannot be used: it is of another version".into(),
            ));
        }
        let number = u32::from_be_bytes(number.try_into().unwrap_or_default());
        let length = rest
            .len()
            .checked_sub(hash.len_in_bytes())
            .ok_or_else(unusable)?;
        count = count.checked_add(number).ok_or_else(unusable)?;
        objects.extend_from_slice(&rest[..length]);
    }
    let mut pack = header(count).to_vec();
    pack.extend_from_slice(&objects);
    let checksum = digest(hash, &[&pack]);
    pack.extend_from_slice(checksum.as_slice());
    Ok(pack)
}
