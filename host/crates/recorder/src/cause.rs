//! Why an outcome was not recorded, as a word for programs.
//!
//! Owns the words, which are public: words are added, never changed. The sentences for people belong to the errors.

use std::io;

use serde::{Serialize, Serializer};

use policy::Fault;
use trail::TrailError;

/// Why an outcome was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The document is not an outcome.
    Document,
    /// The policy refused the outcome.
    PolicyRefused,
    /// The task has a different entry.
    Differs,
    /// The task's id differs from a recorded one only by case.
    CaseCollision,
    /// The entry carries the marks of a SHA-1 collision attack.
    HashCollision,
    /// A filter of the repository would encrypt the entry.
    Filter,
    /// There is no git repository.
    NoRepository,
    /// The repository is of a kind that is not supported.
    UnsupportedRepository,
    /// Something in the repository cannot be read.
    Unreadable,
    /// The repository cannot be written: its file system is read-only, or permission is lacking.
    ReadOnly,
    /// The disk, or the user's share of it, is full.
    DiskFull,
    /// Another system error.
    Io,
    /// Another process holds a lock.
    Locked,
    /// Another host has become the committer.
    Fenced,
    /// A person's git operation is in progress, or another temporary obstacle.
    Busy,
    /// The ref was moved to a commit that does not continue the trail.
    RolledBack,
    /// Commits of other authors have changed the trail's entries.
    Altered,
    /// A remote-tracking ref has entries that the trail lacks.
    Behind,
    /// The task has an entry at a remote whose trail has diverged from this one.
    Elsewhere,
    /// Refs hold diverged trails, and nothing says which is the repository's.
    SeveralTrails,
    /// The trail's last commit is later than this machine's clock.
    Clock,
    /// Commits cannot be signed now, and unsigned outcomes are held.
    Signing,
    /// The trail kept changing while the policy decided.
    Changed,
    /// A setting does not fit the trail, or the policy could not be loaded.
    Settings,
    /// The store that keeps pending submissions cannot be used. The recorder never sets this cause: it knows no
    /// store.
    Store,
    /// No checkpoint is kept. The recorder never sets this cause: it makes no checkpoints.
    Checkpoint,
    /// A part of the host has panicked and was started again.
    TaskFailed,
    /// A part of the host makes no progress although it has work. The recorder never sets this cause.
    Stalled,
    /// The host met a defect in its own code with this outcome.
    Defect,
    /// The policy was suspended because it failed on every input.
    PolicyQuarantined,
    /// The policy answered that it cannot decide now.
    PolicyUnavailable,
    /// The policy exceeded its fuel.
    PolicyFuel,
    /// The policy exceeded its time.
    PolicyTime,
    /// The policy exceeded its memory, tables, instances or stack.
    PolicyMemory,
    /// The policy called the host too often, or with too much.
    PolicyCalls,
    /// The policy panicked, trapped or exited.
    PolicyTrap,
    /// The policy's answer breaks the interface, or is untrue.
    PolicyAnswer,
    /// The host could not run the policy.
    PolicyHost,
}

impl Cause {
    /// The word that JSON uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Document => "document",
            Cause::PolicyRefused => "policy-refused",
            Cause::Differs => "differs",
            Cause::CaseCollision => "case-collision",
            Cause::HashCollision => "hash-collision",
            Cause::Filter => "filter",
            Cause::NoRepository => "no-repository",
            Cause::UnsupportedRepository => "unsupported-repository",
            Cause::Unreadable => "unreadable",
            Cause::ReadOnly => "read-only",
            Cause::DiskFull => "disk-full",
            Cause::Io => "io",
            Cause::Locked => "locked",
            Cause::Fenced => "fenced",
            Cause::Busy => "busy",
            Cause::RolledBack => "rolled-back",
            Cause::Altered => "altered",
            Cause::Behind => "behind",
            Cause::Elsewhere => "elsewhere",
            Cause::SeveralTrails => "several-trails",
            Cause::Clock => "clock",
            Cause::Signing => "signing",
            Cause::Changed => "changed",
            Cause::Settings => "settings",
            Cause::Store => "store",
            Cause::Checkpoint => "checkpoint",
            Cause::TaskFailed => "task-failed",
            Cause::Stalled => "stalled",
            Cause::Defect => "defect",
            Cause::PolicyQuarantined => "policy-quarantined",
            Cause::PolicyUnavailable => "policy-unavailable",
            Cause::PolicyFuel => "policy-fuel",
            Cause::PolicyTime => "policy-time",
            Cause::PolicyMemory => "policy-memory",
            Cause::PolicyCalls => "policy-calls",
            Cause::PolicyTrap => "policy-trap",
            Cause::PolicyAnswer => "policy-answer",
            Cause::PolicyHost => "policy-host",
        }
    }

    /// Whether the policy is at fault: it fails on this outcome, but perhaps not on others.
    pub fn is_policy_fault(self) -> bool {
        matches!(
            self,
            Cause::PolicyFuel
                | Cause::PolicyTime
                | Cause::PolicyMemory
                | Cause::PolicyCalls
                | Cause::PolicyTrap
                | Cause::PolicyAnswer
        )
    }

    /// Whether the cause concerns only this outcome, so that others may be recorded meanwhile.
    pub fn is_of_one_outcome(self) -> bool {
        self.is_policy_fault()
            || matches!(
                self,
                Cause::Document
                    | Cause::PolicyRefused
                    | Cause::PolicyUnavailable
                    | Cause::Differs
                    | Cause::CaseCollision
                    | Cause::Elsewhere
                    | Cause::HashCollision
                    | Cause::Filter
                    | Cause::Changed
                    | Cause::Defect
            )
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<&TrailError> for Cause {
    fn from(error: &TrailError) -> Cause {
        match error {
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
            TrailError::RecordedAtRemote { .. } => Cause::Elsewhere,
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
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Cause {
        match fault {
            Fault::Fuel(_) => Cause::PolicyFuel,
            Fault::Time(_) => Cause::PolicyTime,
            Fault::Memory(_) | Fault::TableElements(_) | Fault::Parts { .. } | Fault::Stack(_) => {
                Cause::PolicyMemory
            }
            Fault::HostCalls(_) | Fault::WasiCalls(_) | Fault::HostCallBytes(_) => {
                Cause::PolicyCalls
            }
            Fault::Panicked(_) | Fault::Trapped(_) | Fault::Exited(_) | Fault::Misuse(_) => {
                Cause::PolicyTrap
            }
            Fault::Host(_) => Cause::PolicyHost,
            _ => Cause::PolicyAnswer,
        }
    }
}
