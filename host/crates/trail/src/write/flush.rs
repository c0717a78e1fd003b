//! One flush: makes a group's pack, index and ref update durable, in an order that is safe for a crash at any instant.
//!
//! Temporaries are written and synced; `.keep` protects the pack from a concurrent `git gc --prune=now`; the pack
//! appears, then its index, which makes it visible; their directory is synced; the ref moves by compare-and-swap under
//! git's own lock; its directory is synced. Only then may a receipt be given.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gix::ObjectId;

use crate::disk::{self, Disk};
use crate::error::{IoContext, TrailError};
use crate::objects::pack::Pack;
use crate::place::repository::Repository;
use crate::place::state::{Mark, StateDir};
use crate::place::work_trees::Head;
use crate::work_tree::checkout::{self, CheckoutFile};
use crate::write::lock::GitLock;
use crate::{Placement, TrailInner};

/// The destination and options of a flush.
pub(crate) struct Flusher<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) state: &'a StateDir,
    pub(crate) repository: &'a Repository,
    pub(crate) reference: &'a str,
    pub(crate) placement: Placement,
    pub(crate) lock_wait: Duration,
    /// Packs of more bytes are not merged.
    pub(crate) large: u64,
    /// For the operator: a failure that stopped nothing.
    pub(crate) warning: &'a Mutex<Option<String>>,
    /// The trail, if it is open: its log.
    pub(crate) shared: Option<&'a TrailInner>,
}

/// A group of commits that is ready to be flushed.
pub(crate) struct FlushGroup<'a> {
    pub(crate) pack: Pack,
    /// The tip that the group continues; `None` if the ref does not exist yet.
    pub(crate) expected: Option<ObjectId>,
    pub(crate) mark: Mark,
    pub(crate) checkout_files: &'a [CheckoutFile],
    /// The committer in the reflogs.
    pub(crate) committer: &'a str,
    pub(crate) subject: &'a str,
    /// Whether the ref is the trail's. If so, `mark` is stored as acknowledged, and the entries are written to the work
    /// tree.
    pub(crate) is_trail: bool,
    /// What happens between the durable pack and the move of the ref.
    pub(crate) before_ref: BeforeRef<'a>,
}

/// What happens between the durable pack and the move of the ref.
pub(crate) enum BeforeRef<'a> {
    /// The group is appended to the trail's log, if there is one. It has this many commits.
    Append(usize),
    /// The group is from the log: the objects are checked.
    Check(&'a dyn Fn() -> Result<(), TrailError>),
}

/// Why a group was not flushed.
#[derive(Debug)]
pub(crate) enum FlushError {
    /// The ref is not at the tip that the group continues. Only an unreferenced pack was left behind.
    Moved,
    /// Something failed before the ref moved.
    Failed(TrailError),
    /// The ref has moved, and it is not known whether durably.
    Uncertain(TrailError),
    /// The group is durable; the index, the work tree or the notes about it are not up to date yet.
    Behind(TrailError),
}

impl From<TrailError> for FlushError {
    fn from(error: TrailError) -> FlushError {
        FlushError::Failed(error)
    }
}

impl<'a> Flusher<'a> {
    /// The flusher of this trail.
    pub(crate) fn of(shared: &'a TrailInner) -> Flusher<'a> {
        Flusher {
            disk: shared.disk.as_ref(),
            state: &shared.state,
            repository: &shared.repository,
            reference: &shared.identity.reference,
            placement: shared.identity.placement,
            lock_wait: shared.lock_wait,
            large: shared.large,
            warning: &shared.warning,
            shared: Some(shared),
        }
    }
}

impl Flusher<'_> {
    /// Makes the group durable. The caller holds the writer lock.
    pub(crate) fn flush(&self, group: &FlushGroup<'_>) -> Result<(), FlushError> {
        let (disk, state) = (self.disk, self.state);
        let tmp = state.tmp_dir();
        let pack_dir = self.pack_dir();
        let file =
            |dir: &Path, extension: &str| dir.join(format!("{}.{extension}", group.pack.name));
        let new_ref = tmp.join("ref");

        self.temporary(&file(&tmp, "pack"), &group.pack.pack)?;
        self.temporary(&file(&tmp, "idx"), &group.pack.index)?;
        self.temporary(&new_ref, format!("{}\n", group.mark.tip).as_bytes())?;

        let work_tree = match self.placement {
            Placement::Checkout => checkout::lock_work_tree(
                disk,
                state,
                self.repository,
                self.reference,
                self.lock_wait,
            )?,
            Placement::Ref => {
                checkout::check_not_checked_out(self.repository, self.reference)?;
                None
            }
        };

        // A link of the token, like the program's lock files, so that recovery recognises it.
        let keep = file(&pack_dir, "keep");
        disk::remove_if_present(disk, &keep).doing("remove", &keep)?;
        disk.link(&state.token_path(), &keep)
            .doing("create", &keep)?;
        self.register(&state.packs_dir().join(&group.pack.name), b"")?;
        for extension in ["pack", "idx"] {
            let visible = file(&pack_dir, extension);
            disk.rename(&file(&tmp, extension), &visible)
                .doing("create", &visible)?;
        }
        disk.sync_dir(&pack_dir).doing("sync", &pack_dir)?;

        let git_dir = work_tree
            .as_ref()
            .map(|work_tree| work_tree.git_dir().to_owned());
        let moved = self.move_ref(group, &new_ref, git_dir.as_deref());
        // The ref protects the pack now, or the pack is not needed: with `.keep` it would never be collected. If this
        // fails, the next sweep removes the file.
        let _ = disk.remove(&keep);
        moved?;
        if !group.is_trail {
            return Ok(());
        }

        // The group is durable. Later failures are repaired before the next group, and do not revoke a receipt.
        self.after(group, work_tree).map_err(FlushError::Behind)
    }

    /// Moves the ref by compare-and-swap and makes the move durable.
    fn move_ref(
        &self,
        group: &FlushGroup<'_>,
        new_ref: &Path,
        git_dir: Option<&Path>,
    ) -> Result<(), FlushError> {
        let path = self.repository.common_dir.join(self.reference);
        let parent = path
            .parent()
            .unwrap_or(&self.repository.common_dir)
            .to_owned();
        let lock = GitLock::acquire(self.disk, self.state, &path, self.lock_wait)?;
        if self.repository.read_ref(self.reference)? != group.expected {
            lock.release()?;
            return Err(FlushError::Moved);
        }
        let place = match self.before_ref(group) {
            Ok(place) => place,
            Err(error) => {
                lock.release()?;
                return Err(error);
            }
        };
        // The commit point: every reader sees the group from here on.
        let replaced = self.replace_ref(new_ref, &path).doing("replace", &path);
        if let (Err(_), Some(shared)) = (&replaced, self.shared) {
            // The log may have what the ref has not: where the ref is in the log is found out again.
            shared.replication.lose_place();
        }
        replaced?;
        let durable = self.sync_dirs_above(&parent).doing("sync", &parent);
        if let (Ok(()), Some(shared), Some(place)) = (&durable, self.shared, place) {
            shared.replication.note_own(place);
        }
        self.append_reflogs(group, git_dir);
        let released = lock.release();
        durable.and(released).map_err(FlushError::Uncertain)
    }

    /// The step between the durable pack and the move of the ref: log first, then git. A host that dies in between finds the record in
    /// the log, and moves its ref then.
    ///
    /// Returns the place in the log, if there is one.
    fn before_ref(&self, group: &FlushGroup<'_>) -> Result<Option<i64>, FlushError> {
        match group.before_ref {
            BeforeRef::Check(check) => Ok(check().map(|()| None)?),
            BeforeRef::Append(commits) => {
                let Some(shared) = self.shared else {
                    return Ok(None);
                };
                shared.check_log_attached()?;
                if shared.replication.log().is_none() {
                    return Ok(None);
                }
                let (expected, tip) = (group.expected, group.mark.tip);
                let appended =
                    shared.append_record(self.reference, expected, tip, commits, &group.pack);
                match appended {
                    Ok(place) => Ok(Some(place)),
                    Err(error) => {
                        shared.replication.expect_news();
                        Err(match error {
                            TrailError::Moved { .. } => FlushError::Moved,
                            error => FlushError::Failed(error),
                        })
                    }
                }
            }
        }
    }

    /// Makes the entry of a ref durable, and those of the directories above it, which git creates and removes.
    pub(crate) fn sync_dirs_above(&self, parent: &Path) -> io::Result<()> {
        let heads = self.repository.common_dir.join("refs/heads");
        let mut dir = parent;
        loop {
            self.disk.sync_dir(dir)?;
            match dir.parent() {
                Some(above) if dir != heads && dir.starts_with(&heads) => dir = above,
                _ => return Ok(()),
            }
        }
    }

    fn after(
        &self,
        group: &FlushGroup<'_>,
        work_tree: Option<checkout::LockedWorkTree<'_>>,
    ) -> Result<(), TrailError> {
        let noted = self
            .state
            .write_mark(self.disk, &self.state.acknowledged_path(), &group.mark);
        // This runs after a failure too: a person may commit from this index at any moment.
        if let Some(work_tree) = work_tree {
            self.warn(work_tree.write_entries(group.checkout_files, false)?);
        }
        noted?;
        if self.placement == Placement::Checkout {
            self.state
                .write_mark(self.disk, &self.state.in_step_path(), &group.mark)?;
        }
        Ok(())
    }

    /// Notes a warning for the operator.
    pub(crate) fn warn(&self, warning: Option<String>) {
        if let Some(text) = warning {
            tracing::warn!("{text}");
            *self.warning.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
    }

    /// Appends to the reflogs as git does for a branch that is checked out: one line for the branch and one for `HEAD`.
    fn append_reflogs(&self, group: &FlushGroup<'_>, git_dir: Option<&Path>) {
        if self.placement == Placement::Ref || !self.repository.keeps_reflogs() {
            return;
        }
        let null = ObjectId::null(self.repository.hash);
        let line = format!(
            "{} {} {} {} +0000\tcommit: {}\n",
            group.expected.unwrap_or(null),
            group.mark.tip,
            group.committer,
            group.mark.microseconds.div_euclid(1_000_000),
            group.subject
        );
        let mut logs = vec![self.repository.common_dir.join("logs").join(self.reference)];
        if let Some(git_dir) = git_dir
            && Repository::head(git_dir)
                .is_ok_and(|head| head == Head::Branch(self.reference.to_owned()))
        {
            logs.push(git_dir.join("logs/HEAD"));
        }
        for log in logs {
            // A reflog is a convenience: a failure here is ignored.
            if let Err(error) = self.append_to_log(&log, line.as_bytes()) {
                tracing::warn!(%error, log = %log.display(), "cannot append to the reflog");
            }
        }
    }

    /// Renames a ref into place, while git may be creating and removing empty directories with that name.
    fn replace_ref(&self, new_ref: &Path, path: &Path) -> io::Result<()> {
        try_again(|| {
            remove_empty_dirs(path);
            self.disk.rename(new_ref, path)
        })
    }

    /// Appends to a reflog. Git may remove the empty directories above it at any moment, and leave empty directories at
    /// its path.
    fn append_to_log(&self, log: &Path, line: &[u8]) -> io::Result<()> {
        try_again(|| {
            remove_empty_dirs(log);
            self.create_parents(log)?;
            self.disk.append(log, line)
        })
    }

    fn create_parents(&self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        let mut dir = path.parent();
        while let Some(parent) = dir.filter(|parent| !parent.is_dir()) {
            missing.push(parent.to_owned());
            dir = parent.parent();
        }
        missing
            .iter()
            .rev()
            .try_for_each(|dir| match self.disk.create_dir(dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made,
            })
    }

    /// Writes a durable file under a name that is swept after a crash.
    fn temporary(&self, path: &Path, contents: &[u8]) -> Result<(), TrailError> {
        disk::remove_if_present(self.disk, path).doing("remove", path)?;
        disk::write_synced(self.disk, path, contents).doing("write", path)
    }

    /// Writes a file that is only needed while this process lives, or whose loss does no harm.
    fn register(&self, path: &Path, contents: &[u8]) -> Result<(), TrailError> {
        disk::remove_if_present(self.disk, path).doing("remove", path)?;
        disk::write_unsynced(self.disk, path, contents).doing("write", path)
    }
}

/// Repeats an operation below `refs` or `logs` if a directory came or went meanwhile: `git pack-refs` and `git branch
/// -d` create and remove empty ones at any moment. Git itself tries again, too.
fn try_again(mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    const TRIES: usize = 100;
    let mut last = act();
    for _ in 1..TRIES {
        match &last {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::IsADirectory
                        | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                last = act();
            }
            _ => break,
        }
    }
    last
}

/// Removes the empty directories that deleted branches left at a ref's path, as git does.
///
/// This does not use [`Disk`], because durability does not matter: a directory that is not empty stays, and the update
/// of the ref then fails.
fn remove_empty_dirs(path: &Path) {
    if !path.is_dir() {
        return;
    }
    if let Ok(entries) = std::fs::read_dir(path) {
        entries
            .flatten()
            .for_each(|entry| remove_empty_dirs(&entry.path()));
    }
    let _ = std::fs::remove_dir(path);
}
