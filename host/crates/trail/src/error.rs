//! What can go wrong with a trail, by the case that a caller decides on.

use std::io;
use std::path::PathBuf;

use outcome::Cause;

/// Why a trail cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrailError {
    /// There is no git repository here.
    #[error("no git repository at {0} or above it")]
    NoRepository(PathBuf),
    /// The repository is of a kind that is not supported; nothing was touched.
    #[error("unsupported repository: {0}")]
    Unsupported(String),
    /// Git or gix cannot read something in the repository.
    #[error("cannot read {what}: {cause}")]
    Unreadable {
        /// What was read.
        what: String,
        /// What gix said.
        cause: String,
    },
    /// The operating system said no.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said, in words.
        cause: String,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// The operating system has no thread for us: a limit of processes is reached.
    #[error("cannot start the thread {name}: {cause}")]
    NoThread {
        /// Which.
        name: &'static str,
        /// What the system said, in words.
        cause: String,
    },
    /// Somebody else holds a lock.
    #[error(
        "{path} is held by another program and was not released within {seconds} s; `chiffon-audit doctor` says what to do if that \
         program is gone"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The host's turn to commit is over: another has taken over since.
    #[error("another host commits to this trail by now")]
    Fenced,
    /// The ref was moved to a commit that does not continue the trail.
    #[error("{}", rolled_back(reference, found.as_deref(), acknowledged))]
    RolledBack {
        /// The trail's ref.
        reference: String,
        /// Where it is; `None` if it is gone.
        found: Option<String>,
        /// Where it was when it was last acknowledged.
        acknowledged: String,
    },
    /// Commits that are not the trail's have changed or removed entries.
    #[error(
        "blocked: entries were altered: {newest} is no commit of the trail and lacks or changes entries of {base} before it; \
         `git restore --source={base} --staged --worktree .audit` and a commit put them back, \
         `chiffon-audit init --accept-tip {tip}` accepts this by name, and `verify` tells what was changed"
    )]
    Altered {
        /// The last of those commits.
        newest: String,
        /// The trail's own commit before them.
        base: String,
        /// Where the ref is.
        tip: String,
    },
    /// A remote-tracking ref has entries that the trail lacks, and the trail's ref cannot be moved there from here.
    #[error(
        "blocked: behind a remote: {remote} has entries that {reference} lacks, and another one here would part the two; \
         `git {command}` takes them up"
    )]
    Behind {
        /// The trail's ref.
        reference: String,
        /// The remote-tracking ref.
        remote: String,
        /// The arguments of the git command that takes up what the remote has.
        command: String,
    },
    /// The trail here and one at a remote have parted, and that one has an entry for the task.
    #[error(
        "{remote} has an entry for {task} already, which is not in {reference}: the two trails have parted \
         (`show --ref {remote} {task}` prints it)"
    )]
    Elsewhere {
        /// The task.
        task: String,
        /// The trail's ref.
        reference: String,
        /// The remote-tracking ref that has the entry.
        remote: String,
    },
    /// Refs hold trails that have parted, and nothing says which is the repository's.
    #[error("several refs hold trails that have parted: {refs}; `{choose}` chooses the first")]
    SeveralTrails {
        /// The refs.
        refs: String,
        /// The command that chooses one.
        choose: String,
    },
    /// A person's operation on the branch or in the work tree is under way.
    #[error("{0}")]
    Busy(String),
    /// The ref moved while it was written, more often than it is tried again.
    #[error("{reference} keeps moving: other processes write to it")]
    Moved {
        /// The ref, in full.
        reference: String,
    },
    /// A thread that writes or reads the trail panicked: a defect of this program. Nothing was acknowledged, and it was started again.
    #[error("internal error: a task that works on the trail panicked")]
    Internal,
    /// A filter of the repository would encrypt the entry, which is recorded in clear text.
    #[error(
        "{path} has the filter `{filter}` by the repository's attributes, and the trail would hold it in clear text; the setting \
         checkout.plaintext = true allows that, and a trail in a repository of its own avoids it"
    )]
    Filter {
        /// The entry's path.
        path: String,
        /// The filter's name.
        filter: String,
    },
    /// Nobody signs now.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The trail's last commit is in the future.
    #[error(
        "the trail's last commit is {seconds} s in the future of this machine's clock (at most 300 s are waited out): set the clock right"
    )]
    Future {
        /// How far.
        seconds: i64,
    },
    /// The contents carry the marks of a SHA-1 collision attack.
    #[error("the entry carries the marks of a SHA-1 collision attack")]
    Collision,
    /// An id that differs from a recorded one only by case.
    #[error(
        "task id differs only by case from the recorded `{0}`, and file systems that ignore case cannot hold both"
    )]
    CaseCollision(String),
    /// What the call read has changed: decide again.
    #[error("the trail has changed since the policy read it")]
    Changed,
    /// A setting or an argument does not fit this trail.
    #[error("{0}")]
    Invalid(String),
}

/// What an operator reads when the trail was rolled back: what is lost, and both ways on.
fn rolled_back(reference: &str, found: Option<&str>, acknowledged: &str) -> String {
    match found {
        Some(found) => format!(
            "blocked: rolled back: {reference} is at {found}, whose first-parent history does not hold {acknowledged}, \
             the last commit that was acknowledged here; `git reset --keep {acknowledged}` on the branch (or `git update-ref \
             {reference} {acknowledged}`) goes back to it, `chiffon-audit init --accept-tip {found}` accepts this by \
             name, and what was recorded after it may then be missing for good"
        ),
        None => format!(
            "blocked: rolled back: {reference} is gone, and with it {acknowledged}, the last commit that was \
             acknowledged here; `git update-ref {reference} {acknowledged}` restores it, `chiffon-audit init \
             --accept-tip none` accepts this by name"
        ),
    }
}

impl TrailError {
    /// The word of the one vocabulary for this error.
    pub fn cause(&self) -> Cause {
        match self {
            TrailError::NoRepository(_) => Cause::NoRepository,
            TrailError::Unsupported(_) => Cause::UnsupportedRepository,
            TrailError::Unreadable { .. } => Cause::Unreadable,
            TrailError::Io { kind, .. } => match kind {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Cause::ReadOnly
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::DiskFull,
                _ => Cause::Io,
            },
            TrailError::NoThread { .. } => Cause::Io,
            TrailError::Locked { .. } => Cause::Locked,
            TrailError::Fenced => Cause::Fenced,
            TrailError::RolledBack { .. } => Cause::RolledBack,
            TrailError::Altered { .. } => Cause::Altered,
            TrailError::Behind { .. } => Cause::Behind,
            TrailError::Elsewhere { .. } => Cause::Elsewhere,
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

    /// Whether submitting again, later and unchanged, may help.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            TrailError::Unsupported(_)
                | TrailError::NoRepository(_)
                | TrailError::Collision
                | TrailError::CaseCollision(_)
                | TrailError::Elsewhere { .. }
                | TrailError::SeveralTrails { .. }
                | TrailError::Invalid(_)
                | TrailError::Filter { .. }
        )
    }
}

/// Turns an I/O error into one that names what was tried on what.
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
