//! The Merkle tree over the trail's entries, updated as they are recorded. Checkpoints and proofs are made from it.
//!
//! This is only a cache: if it is missing, outdated or wrong, it is rebuilt from history, and the auditor never reads
//! it. The holder of the writer lock writes it.

mod files;
mod hash;
mod tree;

use std::path::PathBuf;
use std::sync::Mutex;

use gix::ObjectId;
use gix::hash::Kind as HashKind;

use crate::error::TrailError;
use crate::message;
use crate::place::repository::Repository;
use files::{Files, Head};
use hash::GrowingTree;
pub use hash::{TreeHash, root_from_proof};
pub(crate) use hash::{leaf, leaf_contents};
pub use tree::EntryTree;

/// The prefix of a trail's origin. The trail's uuid follows, or `commit-` and the commit of its first entry if it has
/// none.
pub(crate) const ORIGIN: &str = "chiffon-audit/";

/// The Merkle tree of one trail.
pub(crate) struct Leaves {
    dir: PathBuf,
    hash: HashKind,
    open: Mutex<Option<Open>>,
}

/// Has no open files: a process that rebuilds the tree deletes them.
struct Open {
    head: Head,
    growing: GrowingTree,
}

impl Leaves {
    pub(crate) fn new(dir: PathBuf, hash: HashKind) -> Leaves {
        Leaves {
            dir,
            hash,
            open: Mutex::new(None),
        }
    }

    fn files(&self) -> Files {
        Files::new(self.dir.clone(), self.hash)
    }

    /// Adds the leaves of a flush on top of `parent`, with their commits, the oldest first. The caller holds the writer
    /// lock. If the tree is not complete up to `parent`, the gap stays until a caller needs the tree.
    pub(crate) fn note(
        &self,
        repository: &Repository,
        parent: Option<ObjectId>,
        nothing_before: bool,
        added: &[(ObjectId, TreeHash)],
    ) {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| {
            self.open.clear_poison();
            let mut open = poisoned.into_inner();
            *open = None;
            open
        });
        let noted = self.try_note(&mut open, repository, parent, nothing_before, added);
        if let Err(error) = noted {
            tracing::debug!(%error, "the tree over the entries could not be updated; it will be rebuilt");
            *open = None;
            let _ = self.files().clear();
        }
    }

    fn try_note(
        &self,
        open: &mut Option<Open>,
        repository: &Repository,
        parent: Option<ObjectId>,
        nothing_before: bool,
        added: &[(ObjectId, TreeHash)],
    ) -> std::io::Result<()> {
        let Some((tip, _)) = added.last() else {
            return Ok(());
        };
        let mut files = self.files();
        let on_disk = files.read_head();
        // Another process may have added leaves.
        if open.as_ref().map(|open| &open.head) != on_disk.as_ref() {
            *open = on_disk.and_then(|head| {
                let growing = files.grown(&head)?;
                Some(Open { head, growing })
            });
        }
        let continues = open
            .as_ref()
            .is_some_and(|open| Some(open.head.tip) == parent);
        if !continues {
            let Some(origin) = nothing_before
                .then(|| origin(repository, parent, added.first().map(|(id, _)| *id)))
                .flatten()
            else {
                return Ok(());
            };
            files = self.files();
            files.clear()?;
            let growing = GrowingTree::default();
            let null = ObjectId::null(self.hash);
            *open = Some(Open {
                head: Head {
                    size: 0,
                    tip: null,
                    last: null,
                    root: growing.root(),
                    origin,
                },
                growing,
            });
        }
        let Some(open) = open else { return Ok(()) };
        let leaves: Vec<TreeHash> = added.iter().map(|(_, leaf)| *leaf).collect();
        files.append(&mut open.growing, &leaves)?;
        open.head = Head {
            size: open.growing.size,
            tip: *tip,
            last: *tip,
            root: open.growing.root(),
            origin: std::mem::take(&mut open.head.origin),
        };
        files.finish(&open.head)
    }
}

/// The origin of the trail in checkpoints; `None` if the start of the trail is too far from the first entry to search
/// for it now.
fn origin(
    repository: &Repository,
    before_first: Option<ObjectId>,
    first: Option<ObjectId>,
) -> Option<String> {
    // A person's branch may be long. A caller that needs the tree has the time to read all of it.
    const MAX_SEARCH: usize = 1000;
    let mut next = before_first;
    let mut begin = None;
    for _ in 0..MAX_SEARCH {
        let Some(id) = next else {
            return origin_of(begin.as_deref(), first);
        };
        let commit = repository.commit(&id).ok()?;
        begin = uuid(&commit.message).or(begin);
        next = repository.parent(&id, &commit);
    }
    None
}

fn origin_of(begin: Option<&str>, first: Option<ObjectId>) -> Option<String> {
    match (begin, first) {
        (Some(uuid), _) => Some(format!("{ORIGIN}{uuid}")),
        (None, Some(first)) => Some(format!("{ORIGIN}commit-{first}")),
        (None, None) => None,
    }
}

/// The uuid in a genesis commit.
fn uuid(message: &str) -> Option<String> {
    message::trailer(message, message::FORMAT)?;
    message::trailer(message, message::TRAIL).map(str::to_owned)
}

/// The number of entries in the files, and the tip that they are complete up to.
pub(crate) fn known_size(leaves: &Leaves) -> Option<(u64, ObjectId)> {
    let head = leaves.files().read_head()?;
    (head.size > 0).then_some((head.size, head.tip))
}

/// The tip that the files are complete up to, and the uuid that their origin names, if it has one.
pub(crate) fn known_uuid(leaves: &Leaves) -> Option<(ObjectId, Option<String>)> {
    let head = leaves.files().read_head()?;
    let name = head.origin.strip_prefix(ORIGIN)?;
    let uuid = (!name.starts_with("commit-")).then(|| name.to_owned());
    Some((head.tip, uuid))
}

/// The error for a tree that cannot be read.
fn unreadable(error: std::io::Error) -> TrailError {
    TrailError::Unreadable {
        what: "the tree over the entries".into(),
        cause: error.to_string(),
    }
}
