//! Trail errors, one variant for each case that a caller decides on.

use std::io;
use std::path::{Path, PathBuf};

use outcome::Cause;

/// Why a trail cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrailError {
    /// There is no git repository at this path or above it.
    #[error("no git repository at {0} or above it")]
    NoRepository(PathBuf),
    /// The repository is of a kind that is not supported; nothing was changed.
    #[error("unsupported repository: {0}")]
    Unsupported(String),
    /// Git or gix cannot read something in the repository.
    #[error("cannot read {what}: {cause}")]
    Unreadable {
        /// The thing that could not be read.
        what: String,
        /// The error of git or gix.
        cause: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        /// The operation, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error, in words.
        cause: String,
        /// The system's error.
        kind: io::ErrorKind,
    },
    /// The operating system could not start a thread, for example because the limit of processes is reached.
    #[error("cannot start the thread {name}: {cause}")]
    NoThread {
        /// The name of the thread.
        name: &'static str,
        /// The system's error, in words.
        cause: String,
    },
    /// Another process holds a lock.
    #[error(
        "{path} is held by another program and was not released within {seconds} s; `chiffon-audit doctor` says what \
         to do if that program is gone"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long the call waited, in seconds.
        seconds: u64,
    },
    /// This host's turn to commit is over: another host has taken over.
    #[error("another host commits to this trail now")]
    Fenced,
    /// The ref was moved to a commit that does not continue the trail.
    #[error("{}", rolled_back(reference, found.as_deref(), acknowledged, renamed_to.as_deref(), trail_parent.as_deref()))]
    RolledBack {
        /// The trail's ref.
        reference: String,
        /// Where the ref is; `None` if it was deleted.
        found: Option<String>,
        /// The last commit that was acknowledged here.
        acknowledged: String,
        /// The only branch that holds that commit, if the ref was deleted: it may have been renamed.
        renamed_to: Option<String>,
        /// The commit whose first-parent history has `acknowledged`, if a merge in the history of `found` brought it in
        /// as a later parent: the branch was merged the wrong way round. Boxed to keep the error small.
        trail_parent: Option<Box<str>>,
    },
    /// Commits by other programs have changed or removed entries.
    #[error(
        "blocked: entries were altered: {newest} is not a trail commit, and removes or changes entries of {base} \
         before it; `git restore --source={base} --staged --worktree .audit` and a commit restore them, \
         `chiffon-audit init --accept-tip {tip}` accepts the change, and `verify` shows what was changed"
    )]
    Altered {
        /// The newest of those commits.
        newest: String,
        /// The trail commit before them.
        base: String,
        /// Where the ref is.
        tip: String,
    },
    /// A remote-tracking ref has entries that the trail lacks, and the trail's ref cannot be moved there from here.
    #[error(
        "blocked: behind a remote: {remote} has entries that {reference} lacks, and another one here would make the \
         two diverge; `git {command}` adds them"
    )]
    Behind {
        /// The trail's ref.
        reference: String,
        /// The remote-tracking ref.
        remote: String,
        /// The arguments of the git command that takes in the remote's entries.
        command: String,
    },
    /// The trail here and one at a remote have diverged, and that one has an entry for the task.
    #[error(
        "{remote} has an entry for {task} already, which is not in {reference}: the two trails have diverged \
         (`show --ref {remote} {task}` prints it)"
    )]
    RecordedAtRemote {
        /// The id of the task.
        task: String,
        /// The trail's ref.
        reference: String,
        /// The remote-tracking ref that has the entry.
        remote: String,
    },
    /// The tree has an entry that no commit of the trail added: a merge or another program's commit brought it.
    #[error(
        "{path} is in {reference}, but no commit on its first-parent line recorded it: a merge or another program's \
         commit brought it, so it does not count as recorded; `verify` names the commit"
    )]
    NotRecorded {
        /// The entry's path.
        path: String,
        /// The trail's ref.
        reference: String,
    },
    /// The trail is replicated, and this handle has no log to append to.
    #[error(
        "the trail is replicated: name its store with --store or the setting store, so that what is recorded here is appended to the log"
    )]
    NeedsLog,
    /// The log of a replicated trail cannot be used now.
    #[error("the log of the trail cannot be used: {0}")]
    LogUnavailable(String),
    /// A record of the log cannot be accepted.
    #[error("record {seq} of the log is not applied: {why}")]
    InvalidRecord {
        /// The record's place.
        seq: i64,
        /// What is wrong with it.
        why: String,
    },
    /// This repository has acknowledged commits that the log lost, and the log has others now.
    #[error(
        "forked: {reference} is at {here} here, which was acknowledged, and the log has lost it and continues with {log}; \
         `reconcile --repair` resubmits what only this repository has"
    )]
    Forked {
        /// The ref.
        reference: String,
        /// The commit here.
        here: String,
        /// The commit in the log.
        log: String,
    },
    /// Another process has moved the ref of a replicated trail.
    #[error(
        "diverged: {reference} is at {here} here, which is not from the log, and the log has {log}: set the ref back to the log's commit, \
         or make the repository again with `replica clone`"
    )]
    DivergedFromLog {
        /// The ref.
        reference: String,
        /// The commit here.
        here: String,
        /// The commit in the log.
        log: String,
    },
    /// The trail has ended, and has a successor.
    #[error("the trail has ended: {}", successor_of(successor.as_deref(), place.as_deref()))]
    Ended {
        /// The uuid of its successor, if the end names one.
        successor: Option<Box<str>>,
        /// Where that is, if it is known.
        place: Option<Box<Path>>,
    },
    /// The trail is to continue another one, and its first entry does not say so yet.
    #[error(
        "the trail is to continue {predecessor}, and this is not recorded yet: `chiffon-audit trail begin` completes it"
    )]
    NotBegun {
        /// The origin of the predecessor.
        predecessor: String,
    },
    /// A predecessor cannot be searched for a task.
    #[error(
        "cannot look up the task in the predecessor {origin}: {why}; `chiffon-audit trail begin --after DIR` sets its \
         location"
    )]
    Predecessor {
        /// The origin of the predecessor.
        origin: String,
        /// Why it cannot be searched.
        why: String,
    },
    /// Several refs hold trails that have diverged, and nothing says which one is the repository's.
    #[error("several refs hold trails that have diverged: {refs}; `{choose}` chooses the first")]
    SeveralTrails {
        /// The names of the refs, separated by commas.
        refs: String,
        /// The command that chooses the first of them.
        choose: String,
    },
    /// A person's operation on the branch or in the work tree is in progress.
    #[error("{0}")]
    Busy(String),
    /// The ref moved during every attempt to write it.
    #[error("{reference} keeps moving: other processes write to it")]
    Moved {
        /// The full name of the ref.
        reference: String,
    },
    /// A thread that writes or reads the trail panicked: a defect of this program. Nothing was acknowledged, and the
    /// thread was started again.
    #[error("internal error: a task that works on the trail panicked")]
    Internal,
    /// A filter of the repository would encrypt the entry, but the trail stores it in clear text.
    #[error(
        "{path} has the filter `{filter}` by the repository's attributes, and the trail would hold it in clear text; \
         the setting checkout.plaintext = true allows that, and a trail in a separate repository avoids it"
    )]
    Filter {
        /// The entry's path.
        path: String,
        /// The filter's name.
        filter: String,
    },
    /// No signature could be made.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The trail's last commit is in the future.
    #[error(
        "the trail's last commit{} is {seconds} s ahead of this machine's clock (at most 300 s are tolerated): \
         correct the clock, or wait; {}", commit.as_ref().map(|id| format!(", {id},")).unwrap_or_default(), WRONG_TIME_REMEDY
    )]
    Future {
        /// The id of that commit, if it is known.
        commit: Option<String>,
        /// How far it is ahead of this machine's clock, in seconds.
        seconds: i64,
    },
    /// The contents carry the marks of a SHA-1 collision attack.
    #[error("the entry carries the marks of a SHA-1 collision attack")]
    Collision,
    /// The task's id differs from a recorded one only by case.
    #[error(
        "the task id differs only by case from the recorded `{0}`, and file systems that ignore case cannot hold both: \
         report it under another id"
    )]
    CaseCollision(String),
    /// The trail has changed since the policy read it: the caller must decide again.
    #[error("the trail has changed since the policy read it")]
    Changed,
    /// A setting or an argument does not fit this trail.
    #[error("{0}")]
    Invalid(String),
}

/// The remedy if the time of the last commit is wrong, rather than the clock.
const WRONG_TIME_REMEDY: &str = "if the commit's time is wrong, move the branch back to the commit's parent and run \
                                 `chiffon-audit init --accept-tip PARENT`, which gives up the commit's entry and all later ones";

/// The message for an operator whose trail was rolled back: what is lost, and both ways to go on.
fn rolled_back(
    reference: &str,
    found: Option<&str>,
    acknowledged: &str,
    renamed_to: Option<&str>,
    trail_parent: Option<&str>,
) -> String {
    if let (Some(found), Some(parent)) = (found, trail_parent) {
        return format!(
            "blocked: the branch was merged the wrong way round: {reference} is at {found}, which has the trail with \
             {acknowledged}, the last commit that was acknowledged here, as the second parent of a merge; \
             `git reset --keep {parent}` and then `git merge --no-ff --no-edit {found}` on the branch put the trail \
             first, and lose nothing (if the repository is bare: in a clone, then `git push`)"
        );
    }
    if let Some(branch) = renamed_to {
        return format!(
            "blocked: rolled back: {reference} is gone, and {branch} holds {acknowledged}, the last commit that was \
             acknowledged here; if the branch was renamed, `chiffon-audit init --ref {branch}` follows it, else `git update-ref \
             {reference} {acknowledged}` restores {reference}"
        );
    }
    match found {
        Some(found) => format!(
            "blocked: rolled back: {reference} is at {found}, whose first-parent history does not hold {acknowledged}, \
             the last commit that was acknowledged here; `git reset --keep {acknowledged}` on the branch (or `git update-ref \
             {reference} {acknowledged}`) goes back to it, `chiffon-audit init --accept-tip {found}` accepts the \
             rollback, and later entries may then be lost for good"
        ),
        None => format!(
            "blocked: rolled back: {reference} is gone, and with it {acknowledged}, the last commit that was \
             acknowledged here; `git update-ref {reference} {acknowledged}` restores it, `chiffon-audit init \
             --accept-tip none` accepts the loss"
        ),
    }
}

/// The part of a message that names the successor.
fn successor_of(successor: Option<&str>, place: Option<&Path>) -> String {
    match (successor, place) {
        (Some(successor), Some(place)) => format!(
            "its successor is {successor} in {}: report there",
            place.display()
        ),
        (Some(successor), None) => format!("its successor is {successor}: report there"),
        (None, _) => "its last entry does not name a successor".into(),
    }
}

impl TrailError {
    /// The machine-readable cause of this error.
    pub fn cause(&self) -> Cause {
        match self {
            TrailError::NoRepository(_) => Cause::NoRepository,
            TrailError::Unsupported(_) => Cause::UnsupportedRepository,
            TrailError::Unreadable { .. } => Cause::Unreadable,
            TrailError::Io { kind, .. } => match kind {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Cause::ReadOnly
                }
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => Cause::DiskFull,
                _ => Cause::Io,
            },
            TrailError::NoThread { .. } => Cause::Io,
            TrailError::Locked { .. } => Cause::Locked,
            TrailError::Fenced => Cause::Fenced,
            TrailError::RolledBack { .. } => Cause::RolledBack,
            TrailError::Altered { .. } => Cause::Altered,
            TrailError::Behind { .. } => Cause::Behind,
            TrailError::RecordedAtRemote { .. } | TrailError::NotRecorded { .. } => {
                Cause::Elsewhere
            }
            TrailError::NeedsLog => Cause::Settings,
            TrailError::LogUnavailable(_) | TrailError::InvalidRecord { .. } => Cause::Log,
            TrailError::Forked { .. } => Cause::Forked,
            TrailError::DivergedFromLog { .. } => Cause::Diverged,
            TrailError::Ended { .. } => Cause::Ended,
            TrailError::NotBegun { .. } => Cause::NotBegun,
            TrailError::Predecessor { .. } => Cause::Predecessor,
            TrailError::SeveralTrails { .. } => Cause::SeveralTrails,
            TrailError::Busy(_) | TrailError::Moved { .. } => Cause::Busy,
            TrailError::Internal => Cause::TaskFailed,
            TrailError::Future { .. } => Cause::Clock,
            TrailError::Filter { .. } => Cause::Filter,
            TrailError::Collision => Cause::HashCollision,
            TrailError::CaseCollision(_) => Cause::CaseCollision,
            TrailError::Signing(_) => Cause::Signing,
            TrailError::Changed => Cause::Changed,
            TrailError::Invalid(_) => Cause::Settings,
        }
    }

    pub(super) fn no_thread(name: &'static str, error: &io::Error) -> TrailError {
        TrailError::NoThread {
            name,
            cause: error.to_string(),
        }
    }

    /// Whether it may help to submit the same outcome again later.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            TrailError::Unsupported(_)
                | TrailError::NoRepository(_)
                | TrailError::Collision
                | TrailError::CaseCollision(_)
                | TrailError::RecordedAtRemote { .. }
                | TrailError::NotRecorded { .. }
                | TrailError::SeveralTrails { .. }
                | TrailError::Ended { .. }
                | TrailError::NeedsLog
                | TrailError::Invalid(_)
                | TrailError::Filter { .. }
        )
    }
}

/// Turns an I/O error into one that names the operation and the path.
pub(super) trait IoContext<T> {
    fn doing(self, action: &'static str, path: &std::path::Path) -> Result<T, TrailError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, action: &'static str, path: &std::path::Path) -> Result<T, TrailError> {
        self.map_err(|cause| TrailError::Io {
            action,
            path: path.to_owned(),
            kind: cause.kind(),
            cause: cause.to_string(),
        })
    }
}
