//! The Merkle tree at the trail's tip: completed from history, then queried for roots and proofs.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gix::ObjectId;
use gix::objs::Kind;

use crate::caches::leaves::files::{Files, Head};
use crate::caches::leaves::hash::{GrowingTree, TreeHash};
use crate::caches::leaves::{leaf, leaf_contents, origin_of, unreadable, uuid};
use crate::error::TrailError;
use crate::message;
use crate::read::history::entry_in_tree;
use crate::write::lock::WriterLock;
use crate::{Trail, TrailInner};
use outcome::TaskId;

/// The Merkle tree over the trail's entries, at its tip at one time.
pub struct EntryTree {
    files: Files,
    head: Head,
    /// The directory with the files, if the trail cannot be written.
    _borrowed: Option<tempfile::TempDir>,
}

impl EntryTree {
    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// The root over all entries.
    pub fn root(&self) -> TreeHash {
        self.head.root
    }

    /// The root over all entries in base64, as checkpoints write it.
    pub fn root_in_base64(&self) -> String {
        STANDARD.encode(self.head.root)
    }

    /// The origin of the trail in checkpoints: `chiffon-audit/` and its uuid.
    pub fn origin(&self) -> &str {
        &self.head.origin
    }

    /// The commit of the last entry, in hexadecimal; `None` if there is no entry.
    pub fn last_commit(&self) -> Option<String> {
        (self.head.size > 0).then(|| self.head.last.to_string())
    }

    /// The root over the first `size` entries; `None` if there are fewer.
    ///
    /// # Errors
    ///
    /// The files cannot be read.
    pub fn root_at(&mut self, size: u64) -> Result<Option<TreeHash>, TrailError> {
        match size {
            _ if size > self.head.size => Ok(None),
            0 => Ok(Some(GrowingTree::default().root())),
            _ => self.files.root_of(0, size).map(Some).map_err(unreadable),
        }
    }

    /// Finds the index of an entry by its path, its bytes and its commit's contents.
    ///
    /// # Errors
    ///
    /// The files cannot be read.
    pub fn position(
        &mut self,
        path: &str,
        entry: &[u8],
        commit: &[u8],
    ) -> Result<Option<u64>, TrailError> {
        let leaf = leaf(path, entry, commit);
        self.files
            .position(&leaf, self.head.size)
            .map_err(unreadable)
    }

    /// The hashes that prove that the tree over the first `old` entries is a prefix of that over the first `new`.
    ///
    /// # Errors
    ///
    /// The files cannot be read.
    pub fn consistency(&mut self, old: u64, new: u64) -> Result<Vec<TreeHash>, TrailError> {
        self.files.consistency(old, new).map_err(unreadable)
    }

    /// The hashes from the leaf with this index to the root over the first `size` entries, its sibling first.
    ///
    /// # Errors
    ///
    /// The files cannot be read.
    pub fn proof(&mut self, index: u64, size: u64) -> Result<Vec<TreeHash>, TrailError> {
        self.files.proof(index, size).map_err(unreadable)
    }
}

/// Entries that are in history and not in the files.
struct MissingLeaves {
    /// The commits of the entries, the oldest first.
    commits: Vec<(ObjectId, TaskId)>,
    /// The state of the files; `None` if they cannot be used.
    known: Option<Head>,
    tip: ObjectId,
    origin: String,
}

impl Trail {
    /// The tree over the entries, at the trail's tip. Entries that the files lack are read from history.
    ///
    /// # Errors
    ///
    /// The trail has no entry ([`TrailError::Invalid`]), or its history cannot be read.
    pub fn tree(&self) -> Result<EntryTree, TrailError> {
        let shared = self.shared();
        let mut files = shared.leaves.files();
        let known = files.read_head().filter(|head| files.grown(head).is_some());
        self.completed(files, known)
    }

    /// Rebuilds the tree from history and ignores the files.
    ///
    /// # Errors
    ///
    /// As for [`Trail::tree`].
    pub fn rebuild_tree(&self) -> Result<EntryTree, TrailError> {
        self.completed(self.shared().leaves.files(), None)
    }

    /// Builds the tree from history and the files in `dir`, which only the caller writes and locks. The recorder's
    /// files are ignored. Without a directory, or if it cannot be written, all of history is read.
    ///
    /// # Errors
    ///
    /// As for [`Trail::tree`].
    pub fn tree_from_history(&self, dir: Option<&Path>) -> Result<EntryTree, TrailError> {
        let shared = self.shared();
        let hash = shared.repository.hash;
        let mut kept = Files::new(dir.unwrap_or(Path::new("")).to_owned(), hash);
        let known = dir
            .and_then(|_| kept.read_head())
            .filter(|head| kept.grown(head).is_some());
        let missing = missing_leaves(shared, known.as_slice())?;
        if missing.commits.is_empty()
            && let Some(head) = missing.known
        {
            return Ok(EntryTree {
                files: kept,
                head,
                _borrowed: None,
            });
        }
        let leaves = missing
            .commits
            .iter()
            .map(|(id, task)| leaf_of(shared, id, task))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(dir) = dir
            && let Ok((files, head)) = write(Files::new(dir.to_owned(), hash), &missing, &leaves)
        {
            return Ok(EntryTree {
                files,
                head,
                _borrowed: None,
            });
        }
        borrowed(shared, kept, missing, leaves)
    }

    /// The origin of the trail in checkpoints, from its history: all of it, or the part after one of the trees in
    /// these directories, which are as for [`Trail::tree_from_history`].
    ///
    /// # Errors
    ///
    /// As for [`Trail::tree`].
    pub fn origin(&self, trees: &[PathBuf]) -> Result<String, TrailError> {
        let shared = self.shared();
        let head = |dir: &PathBuf| Files::new(dir.clone(), shared.repository.hash).read_head();
        let known: Vec<Head> = trees.iter().filter_map(head).collect();
        Ok(missing_leaves(shared, &known)?.origin)
    }

    /// The time in a commit, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The commit cannot be read.
    pub fn commit_seconds(&self, id: &str) -> Result<i64, TrailError> {
        let id = ObjectId::from_hex(id.as_bytes())
            .map_err(|_| TrailError::Invalid(format!("{id} is not an object id")))?;
        Ok(self.shared().repository.commit(&id)?.seconds)
    }

    fn completed(&self, files: Files, known: Option<Head>) -> Result<EntryTree, TrailError> {
        let shared = self.shared();
        let missing = missing_leaves(shared, known.as_slice())?;
        if missing.commits.is_empty()
            && let Some(head) = missing.known
        {
            return Ok(EntryTree {
                files,
                head,
                _borrowed: None,
            });
        }
        let leaves = missing
            .commits
            .iter()
            .map(|(id, task)| leaf_of(shared, id, task))
            .collect::<Result<Vec<_>, _>>()?;
        if let Ok(lock) = WriterLock::acquire(&shared.state, shared.lock_wait) {
            // Another process may have added leaves meanwhile. Its files are as good, and no newer tip was asked for.
            let same = files.read_head() == missing.known || missing.known.is_none();
            let written = same
                .then(|| write(shared.leaves.files(), &missing, &leaves))
                .and_then(Result::ok);
            lock.release();
            if let Some((files, head)) = written {
                return Ok(EntryTree {
                    files,
                    head,
                    _borrowed: None,
                });
            }
        }
        borrowed(shared, files, missing, leaves)
    }

    /// The leaf of an entry: its path, its bytes, and its commit's contents.
    pub fn leaf(&self, path: &str, entry: &[u8], commit: &[u8]) -> TreeHash {
        leaf(path, entry, commit)
    }

    /// The bytes that are hashed for an entry's leaf, after a zero byte.
    pub fn leaf_contents(&self, path: &str, entry: &[u8], commit: &[u8]) -> Vec<u8> {
        leaf_contents(path, entry, commit)
    }

    /// The contents of a commit, as they were hashed.
    ///
    /// # Errors
    ///
    /// The commit cannot be read.
    pub fn commit_contents(&self, id: &str) -> Result<Vec<u8>, TrailError> {
        let id = ObjectId::from_hex(id.as_bytes())
            .map_err(|_| TrailError::Invalid(format!("{id} is not an object id")))?;
        self.shared().repository.object(Kind::Commit, &id)
    }
}

/// Walks from the tip down to the known state.
fn missing_leaves(shared: &TrailInner, known: &[Head]) -> Result<MissingLeaves, TrailError> {
    let none = || TrailError::Invalid("the trail has no entry yet".into());
    let repository = &shared.repository;
    let tip = shared.read_tip()?;
    let tip = tip.ok_or_else(none)?;
    let mut commits = Vec::new();
    let mut begin = None;
    let mut next = Some(tip);
    let mut met = None;
    while let Some(id) = next {
        if let Some(head) = known.iter().find(|head| head.tip == id) {
            met = Some(head.clone());
            break;
        }
        let commit = repository.commit(&id)?;
        let task = message::trailer(&commit.message, message::FORMAT)
            .and_then(|_| message::trailer(&commit.message, message::TASK))
            .and_then(|task| TaskId::parse(task).ok());
        if let Some(task) = task {
            commits.push((id, task));
        }
        begin = uuid(&commit.message).or(begin);
        if let Some(parent) = commit.parents.first()
            && repository.parent(&id, &commit).is_none()
        {
            return Err(TrailError::Unreadable {
                what: format!("commit {parent}"),
                cause: "history is cut off there (a shallow clone), and a tree needs all of it"
                    .into(),
            });
        }
        next = commit.parents.first().copied();
    }
    commits.reverse();
    let origin = match &met {
        Some(head) => Some(head.origin.clone()),
        None => origin_of(begin.as_deref(), commits.first().map(|(id, _)| *id)),
    };
    Ok(MissingLeaves {
        commits,
        known: met,
        tip,
        origin: origin.ok_or_else(none)?,
    })
}

fn leaf_of(shared: &TrailInner, id: &ObjectId, task: &TaskId) -> Result<TreeHash, TrailError> {
    let repository = &shared.repository;
    let commit = repository.commit(id)?;
    let (path, blob) = entry_in_tree(repository, commit.tree, task.as_str())?.ok_or_else(|| {
        TrailError::Unreadable {
            what: format!("commit {id}"),
            cause: "it adds no entry of the task that it names; `verify` shows more".into(),
        }
    })?;
    let entry = repository.object(Kind::Blob, &blob)?;
    Ok(leaf(&path, &entry, &repository.object(Kind::Commit, id)?))
}

/// Adds the leaves to the files, or starts them again. The caller holds the writer lock.
fn write(
    mut files: Files,
    missing: &MissingLeaves,
    leaves: &[TreeHash],
) -> std::io::Result<(Files, Head)> {
    let known = missing.known.as_ref().and_then(|head| files.grown(head));
    let mut growing = match known {
        Some(growing) => growing,
        None if missing.known.is_some() => return Err(std::io::Error::other("they changed")),
        None => {
            files.clear()?;
            GrowingTree::default()
        }
    };
    files.append(&mut growing, leaves)?;
    let last = missing.commits.last().map(|(id, _)| *id);
    let head = Head {
        size: growing.size,
        tip: missing.tip,
        last: last
            .or(missing.known.as_ref().map(|head| head.last))
            .unwrap_or(missing.tip),
        root: growing.root(),
        origin: missing.origin.clone(),
    };
    files.finish(&head)?;
    Ok((files, head))
}

/// Builds the tree in temporary files if the trail's cannot be written.
fn borrowed(
    shared: &TrailInner,
    mut files: Files,
    missing: MissingLeaves,
    leaves: Vec<TreeHash>,
) -> Result<EntryTree, TrailError> {
    let size = missing.known.as_ref().map_or(0, |head| head.size);
    let mut all = files.leaves(size).map_err(unreadable)?;
    all.extend(leaves);
    let dir = tempfile::tempdir().map_err(unreadable)?;
    let own = Files::new(dir.path().join("tree"), shared.repository.hash);
    let missing = MissingLeaves {
        known: None,
        ..missing
    };
    let (files, head) = write(own, &missing, &all).map_err(unreadable)?;
    Ok(EntryTree {
        files,
        head,
        _borrowed: Some(dir),
    })
}
