//! Appending commits that a repository has already: when a trail is taken into a log, and when a log has lost its newest records.

use std::collections::HashSet;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};
use sha2::{Digest as _, Sha256};

use super::LogRecord;
use crate::TrailInner;
use crate::error::TrailError;
use crate::message;
use crate::objects::object::Deflater;
use crate::objects::pack::{Pack, PackBuilder, TYPE_BLOB, TYPE_COMMIT, TYPE_TREE};
use crate::objects::tree::Node;
use crate::read::history;
use crate::read::view::View;

/// The most commits of one record.
const COMMITS: usize = 1000;

/// The most bytes of one record, beyond its last commit.
const BYTES: usize = 8 << 20;

impl TrailInner {
    /// Appends the commits after `from` up to `tip`. The caller holds the writer lock.
    pub(crate) fn append_history(
        &self,
        reference: &str,
        from: Option<ObjectId>,
        tip: ObjectId,
    ) -> Result<(), TrailError> {
        let mut commits = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next.filter(|id| Some(*id) != from) {
            let commit = self.repository.commit(&id)?;
            if commit.parents.len() > 1 {
                return Err(TrailError::Invalid(format!(
                    "{reference} has the merge {id}: only a ref without merges can be replicated"
                )));
            }
            commits.push(id);
            next = self.repository.parent(&id, &commit);
        }
        commits.reverse();
        let mut parent = from;
        let mut rest = &commits[..];
        while !rest.is_empty() {
            let (pack, taken) = self.pack_of(parent, rest)?;
            let (these, others) = rest.split_at(taken);
            let last = these[taken - 1];
            let seq = self.append_record(reference, parent, last, taken, &pack)?;
            // The ref is there already.
            self.replication.note_own(seq);
            parent = Some(last);
            rest = others;
        }
        Ok(())
    }

    /// Appends a record to the log. Returns its place.
    pub(crate) fn append_record(
        &self,
        reference: &str,
        parent: Option<ObjectId>,
        tip: ObjectId,
        commits: usize,
        pack: &Pack,
    ) -> Result<i64, TrailError> {
        let Some(log) = self.replication.log() else {
            return Err(TrailError::NeedsLog);
        };
        let record = LogRecord {
            seq: 0,
            reference: reference.to_owned(),
            parent: parent.map(|parent| parent.to_string()),
            tip: tip.to_string(),
            commits: u32::try_from(commits).unwrap_or(u32::MAX),
            sha256: Sha256::digest(&pack.pack).into(),
            pack: pack.pack.clone(),
        };
        let turn = self
            .committing
            .get()
            .and_then(|committing| committing.fence.turn());
        log.append(record, turn)
            .map_err(|error| error.into_trail_error(reference))
    }

    /// A pack with what the first of these commits add to `parent`, and how many of them it has.
    fn pack_of(
        &self,
        parent: Option<ObjectId>,
        commits: &[ObjectId],
    ) -> Result<(Pack, usize), TrailError> {
        let repository = &self.repository;
        let mut builder = PackBuilder::new(repository.hash);
        let mut deflater = Deflater::new();
        let mut added: HashSet<ObjectId> = HashSet::new();
        let mut root = View::load_root(repository, parent)?;
        let mut taken = 0;
        for id in commits.iter().take(COMMITS) {
            let raw = repository.object(Kind::Commit, id)?;
            let commit = repository.commit(id)?;
            let task = message::trailer(&commit.message, message::TASK);
            let entry = match task {
                Some(task) => history::entry_in_tree(repository, commit.tree, task)?,
                None => None,
            };
            let before = root.id;
            let mut is_made = false;
            if let Some((path, blob)) = &entry {
                let path: Vec<&str> = path.split('/').collect();
                let contents = repository.object(Kind::Blob, blob)?;
                // As when it was recorded, with the same small deltas.
                let mut trial = Arc::clone(&root);
                let mut made = Vec::new();
                Node::add_file(&mut trial, &path, blob, repository, &mut |tree, edit| {
                    builder.add_tree(tree, edit, &mut deflater);
                    made.push(tree.id);
                })?;
                if trial.id == commit.tree {
                    builder.add_entry(*blob, &contents, None, &mut deflater);
                    added.insert(*blob);
                    added.extend(made);
                    root = trial;
                    is_made = true;
                }
            }
            if !is_made {
                let before = (taken > 0 || parent.is_some()).then_some(before);
                self.add_difference(&mut builder, &mut deflater, &mut added, before, commit.tree)?;
                root = View::load_root(repository, Some(*id))?;
            }
            builder.add(TYPE_COMMIT, *id, &raw, &mut deflater);
            taken += 1;
            self.progress.advance();
            if builder.len() > BYTES {
                break;
            }
        }
        Ok((builder.finish(), taken))
    }

    /// Adds the trees and blobs of `after` that `before` does not have at the same path.
    fn add_difference(
        &self,
        builder: &mut PackBuilder,
        deflater: &mut Deflater,
        added: &mut HashSet<ObjectId>,
        before: Option<ObjectId>,
        after: ObjectId,
    ) -> Result<(), TrailError> {
        let repository = &self.repository;
        if before == Some(after) || !added.insert(after) {
            return Ok(());
        }
        let raw = repository.object(Kind::Tree, &after)?;
        builder.add(TYPE_TREE, after, &raw, deflater);
        let former = match before {
            Some(before) => repository.object(Kind::Tree, &before)?,
            None => Vec::new(),
        };
        for entry in TreeRefIter::from_bytes(&raw, repository.hash).filter_map(Result::ok) {
            let same = TreeRefIter::from_bytes(&former, repository.hash)
                .filter_map(Result::ok)
                .find(|other| other.filename == entry.filename && other.mode == entry.mode);
            let id = entry.oid.to_owned();
            let before = same.map(|same| same.oid.to_owned());
            if entry.mode.is_tree() {
                self.add_difference(builder, deflater, added, before, id)?;
            } else if entry.mode.is_blob() && before != Some(id) && added.insert(id) {
                let contents = repository.object(Kind::Blob, &id)?;
                builder.add(TYPE_BLOB, id, &contents, deflater);
            }
        }
        Ok(())
    }
}
