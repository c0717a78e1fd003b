//! Trails on remote-tracking refs: the writer adopts one if there is none here, and records no task that a remote's
//! trail has.
//!
//! Nothing is fetched. The refs are as the last `git fetch` left them.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gix::ObjectId;

use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::objects::tree::Node;
use crate::place::repository::Repository;
use crate::place::state::Mark;
use crate::read::view::{self, Presence};
use crate::setup::locate::{self, RemoteDifference, RemoteTip, Remotes, UnfetchedBranches, short};
use crate::work_tree::checkout;
use crate::write::flush::Flusher;
use crate::write::lock::GitLock;
use crate::write::writer::Writer;
use crate::{Trail, TrailInner};
use outcome::TaskId;

/// A trail that was adopted from a remote-tracking ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedTrail {
    /// The remote-tracking ref.
    pub from: String,
    /// The commit that the trail's ref was set to, in hexadecimal.
    pub tip: String,
    /// Whether the trail's ref did not exist before.
    pub is_new: bool,
}

/// What an open trail knows about remote-tracking refs.
#[derive(Default)]
pub(crate) struct RemoteWatch {
    /// The remote-tracking ref to start at, as found when the trail was opened.
    pub(crate) adopts: Option<RemoteTip>,
    /// The part of a remote that this clone lacks, if no entry was recorded here before.
    pub(crate) unfetched: Option<UnfetchedBranches>,
    /// Whether the first record here continues a trail that was recorded elsewhere.
    continues: bool,
    adopted: OnceLock<AdoptedTrail>,
    seen: Mutex<RemoteComparison>,
}

#[derive(Default)]
struct RemoteComparison {
    /// The state of the refs at the last comparison; `None` before the first.
    stamp: Option<RefsStamp>,
    /// Trails that have diverged from the one here.
    diverged: Vec<(String, Arc<Node>)>,
}

/// Shows whether remote-tracking refs may have changed: every change of a ref changes its directory or `packed-refs`.
type RefsStamp = Vec<(PathBuf, Option<[i64; 4]>)>;

impl RemoteWatch {
    pub(crate) fn new(
        adopts: Option<RemoteTip>,
        unfetched: Option<UnfetchedBranches>,
        continues: bool,
    ) -> RemoteWatch {
        RemoteWatch {
            adopts,
            unfetched,
            continues,
            ..RemoteWatch::default()
        }
    }

    fn seen(&self) -> MutexGuard<'_, RemoteComparison> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if a trail that has diverged from the one here has an entry for the task.
    pub(crate) fn check_not_recorded_at_remote(
        &self,
        shared: &TrailInner,
        task_id: &TaskId,
    ) -> Result<(), TrailError> {
        for (remote, root) in &self.seen().diverged {
            let there = view::presence(root, task_id, &shared.repository, None)?.0;
            if matches!(there, Presence::Present { .. }) {
                return Err(TrailError::RecordedAtRemote {
                    task: task_id.to_string(),
                    reference: shared.identity.reference.clone(),
                    remote: remote.clone(),
                });
            }
        }
        Ok(())
    }
}

impl Trail {
    /// The trail that was adopted from a remote-tracking ref since this handle was opened.
    pub fn adopted(&self) -> Option<&AdoptedTrail> {
        self.shared().remotes.adopted.get()
    }

    /// The warning for a person who first records in a clone that lacks branches of its remote, of which one may hold a
    /// trail, or earlier commits.
    pub fn unfetched_branches_warning(&self) -> Option<String> {
        let remotes = &self.shared().remotes;
        if remotes.continues {
            return self.cut_off_note().map(str::to_owned);
        }
        remotes.unfetched.as_ref().map(UnfetchedBranches::warning)
    }

    /// The note for a person who reads a trail whose earlier commits are not here (a shallow clone).
    pub fn cut_off_note(&self) -> Option<&'static str> {
        self.shared().repository.shallow.then_some(locate::CUT_OFF)
    }

    /// Sentences about the trail on remote-tracking refs, each with whether it is a problem.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn remotes(&self) -> Result<Vec<(bool, String)>, TrailError> {
        let shared = self.shared();
        let reference = &shared.identity.reference;
        if let Some(remote) = self.reads_from() {
            let says =
                format!("{remote} holds the trail; the next record adopts it, on {reference}");
            return Ok(vec![(false, says)]);
        }
        let mut findings = Vec::new();
        if let Some(says) = self.unfetched_branches_warning() {
            findings.push((true, says));
        }
        if Remotes::read(&shared.repository).overwrites(reference) {
            let says = format!(
                "a `git fetch` sets {reference} to the remote's commit (remote.*.fetch), and drops entries that were \
                 recorded here: push first, or fetch to refs/remotes/"
            );
            findings.push((true, says));
        }
        let Some(tip) = shared.repository.read_ref(reference)? else {
            return Ok(findings);
        };
        findings.extend(match locate::compare_with_remotes(&shared.repository, reference, tip)? {
            RemoteDifference::Nothing => Vec::new(),
            RemoteDifference::Ahead(remote) => vec![(
                true,
                format!(
                    "{} has entries that {reference} lacks: the next record adds them, or names the git command that \
                     does",
                    remote.reference
                ),
            )],
            RemoteDifference::Diverged(trails) => trails
                .iter()
                .map(|trail| {
                    let says = format!(
                        "{remote} and {reference} have diverged: a task that {remote} already has is refused here; `verify \
                         --against` a clone of it shows where they diverge",
                        remote = trail.reference
                    );
                    (true, says)
                })
                .collect(),
        });
        Ok(findings)
    }

    /// The remote-tracking ref that is read instead of the trail's ref, which the next record creates.
    pub fn reads_from(&self) -> Option<&str> {
        let shared = self.shared();
        let adopts = shared.remotes.adopts.as_ref()?;
        let own = shared.repository.read_ref(&shared.identity.reference);
        matches!(own, Ok(None)).then_some(adopts.reference.as_str())
    }
}

impl TrailInner {
    /// The tip to read: that of the trail's ref, or else of the remote-tracking ref to adopt.
    pub(crate) fn read_tip(&self) -> Result<Option<ObjectId>, TrailError> {
        let own = self.repository.read_ref(&self.identity.reference)?;
        match (&self.remotes.adopts, own) {
            (Some(adopts), None) => self.repository.read_ref(&adopts.reference),
            _ => Ok(own),
        }
    }

    /// Whether the trail's own ref is read, so that the caches apply.
    pub(crate) fn reads_own_ref(&self) -> bool {
        let is_there = || {
            matches!(
                self.repository.read_ref(&self.identity.reference),
                Ok(Some(_))
            )
        };
        !self.is_for_reading && (self.remotes.adopts.is_none() || is_there())
    }

    fn stamp(&self) -> RefsStamp {
        let common_dir = &self.repository.common_dir;
        let mut stamp = Vec::new();
        let mut note = |path: PathBuf| {
            let metadata = std::fs::symlink_metadata(&path).ok();
            let parts = metadata.map(|metadata| {
                let (ino, size) = (metadata.ino() as i64, metadata.size() as i64);
                [metadata.ctime(), metadata.ctime_nsec(), ino, size]
            });
            stamp.push((path, parts));
        };
        note(common_dir.join("packed-refs"));
        note(common_dir.join("config"));
        note(common_dir.join("FETCH_HEAD"));
        let mut dirs = vec![common_dir.join("refs/remotes")];
        while let Some(dir) = dirs.pop() {
            let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            dirs.extend(below.map(|entry| entry.path()));
            note(dir);
        }
        stamp
    }
}

impl Writer<'_> {
    /// Compares the trail, which is at `tip`, with remote-tracking refs, and adopts what it can. If the trail's ref
    /// does not exist, it is created; if no work tree has it checked out, it is moved forward. Returns the new tip.
    ///
    /// # Errors
    ///
    /// [`TrailError::Behind`] if a person has to update the branch.
    pub(crate) fn follow_remotes(
        &self,
        tip: Option<ObjectId>,
        acknowledged: Option<&Mark>,
    ) -> Result<Option<ObjectId>, TrailError> {
        let shared = self.shared;
        let (repository, reference) = (&shared.repository, &shared.identity.reference);
        let Some(here) = tip else {
            // A deleted ref is not restored silently.
            let remote = match acknowledged {
                Some(_) => None,
                None => locate::find_adoptable(repository, reference)?,
            };
            return remote.map_or(Ok(None), |remote| {
                self.adopt_remote(None, &remote).map(Some)
            });
        };
        let stamp = shared.stamp();
        if shared.remotes.seen().stamp.as_ref() == Some(&stamp) {
            return Ok(tip);
        }
        let mut diverged = Vec::new();
        let mut now = here;
        match locate::compare_with_remotes(repository, reference, here)? {
            RemoteDifference::Nothing => {}
            RemoteDifference::Ahead(remote) => {
                match self.check_continues(Some(remote.tip), acknowledged) {
                    Ok(_) => now = self.adopt_remote(Some(here), &remote)?,
                    // The remote has changed or removed entries, so it does not continue what was acknowledged here.
                    Err(TrailError::Altered { .. } | TrailError::RolledBack { .. }) => {
                        let tree = repository.commit(&remote.tip)?.tree;
                        diverged.push((remote.reference, tree));
                    }
                    Err(error) => return Err(error),
                }
            }
            RemoteDifference::Diverged(trails) => {
                diverged.extend(
                    trails
                        .into_iter()
                        .map(|trail| (trail.reference, trail.tree)),
                );
            }
        }
        let mut roots = Vec::new();
        for (remote, tree) in diverged {
            tracing::warn!(
                remote,
                "the trail at a remote has diverged from {reference}: a task that it already has is refused here"
            );
            let raw = repository.object(gix::objs::Kind::Tree, &tree)?;
            let root = Node::new(tree, raw, 0, repository.hash, &repository.loaded)?;
            roots.push((remote, Arc::new(root)));
        }
        *shared.remotes.seen() = RemoteComparison {
            stamp: Some(stamp),
            diverged: roots,
        };
        Ok(Some(now))
    }

    /// Sets the trail's ref to a remote's tip.
    fn adopt_remote(
        &self,
        from: Option<ObjectId>,
        remote: &RemoteTip,
    ) -> Result<ObjectId, TrailError> {
        let shared = self.shared;
        let reference = &shared.identity.reference;
        // Moving a branch that is checked out would have to change index and work tree, which hold other people's
        // files. That is left to git.
        let is_checked_out =
            checkout::check_not_checked_out(&shared.repository, reference).is_err();
        let follows = is_first_parent_ancestor(&shared.repository, from, remote.tip)?;
        if is_checked_out || !follows {
            let name = short(&remote.reference);
            return Err(TrailError::Behind {
                reference: reference.clone(),
                remote: remote.reference.clone(),
                command: match (follows, is_checked_out) {
                    (true, _) => format!("merge --ff-only {name}"),
                    (false, true) => format!("rebase {name}"),
                    (false, false) => format!("rebase {name} {}", short(reference)),
                },
            });
        }
        if from.is_none() {
            shared.repository.check_name_free(reference)?;
        }
        self.flusher().fast_forward(from, remote.tip)?;
        tracing::info!(
            from = remote.reference,
            tip = %remote.tip,
            "{reference} adopts the trail of a remote"
        );
        // If this happens several times, the handle reports the first.
        let _ = shared.remotes.adopted.set(AdoptedTrail {
            from: remote.reference.clone(),
            tip: remote.tip.to_string(),
            is_new: from.is_none(),
        });
        Ok(remote.tip)
    }
}

/// Whether `from` is in the first-parent history of `tip`.
pub(crate) fn is_first_parent_ancestor(
    repository: &Repository,
    from: Option<ObjectId>,
    tip: ObjectId,
) -> Result<bool, TrailError> {
    let Some(from) = from else {
        return Ok(true);
    };
    let mut next = Some(tip);
    while let Some(id) = next {
        if id == from {
            return Ok(true);
        }
        next = repository.parent(&id, &repository.commit(&id)?);
    }
    Ok(false)
}

impl Flusher<'_> {
    /// Moves the ref forward to a commit in the object database, and makes both durable. The caller holds the writer lock
    /// and has checked that the ref loses no commit.
    pub(crate) fn fast_forward(
        &self,
        from: Option<ObjectId>,
        to: ObjectId,
    ) -> Result<(), TrailError> {
        self.sync_foreign_writes()?;
        let path = self.repository.common_dir.join(self.reference);
        let parent = path.parent().unwrap_or(&self.repository.common_dir);
        let new_ref = self.state.tmp_dir().join("ref");
        disk::remove_if_present(self.disk, &new_ref).doing("remove", &new_ref)?;
        disk::write_synced(self.disk, &new_ref, format!("{to}\n").as_bytes())
            .doing("write", &new_ref)?;
        let lock = GitLock::acquire(self.disk, self.state, &path, self.lock_wait)?;
        if self.repository.read_ref(self.reference)? != from {
            lock.release()?;
            return Err(TrailError::Busy(format!(
                "{} was moved while it was set to a remote's commit",
                self.reference
            )));
        }
        self.disk.rename(&new_ref, &path).doing("replace", &path)?;
        let durable = self.sync_dirs_above(parent).doing("sync", parent);
        let released = lock.release();
        durable.and(released)
    }
}
