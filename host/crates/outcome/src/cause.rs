//! Why an outcome was not recorded, as a word for programs: the one vocabulary of the command line, HTTP, SQL and the library.
//!
//! The words are public: words are added, never changed. The sentences for people belong to the errors. Each error type has a
//! function `cause` that says which word is its own.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! causes {
    ($($(#[$documentation:meta])* $name:ident = $word:literal,)*) => {
        /// Why an outcome was not recorded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$documentation])* $name,)*
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Cause] = &[$(Cause::$name),*];

            /// The word that JSON, SQL, metrics and logs use.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Cause::$name => $word,)*
                }
            }
        }
    };
}

causes! {
    /// The document is not an outcome.
    Document = "document",
    /// The policy refused the outcome.
    PolicyRefused = "policy-refused",
    /// The task has a different entry.
    Differs = "differs",
    /// The task's id differs from a recorded one only by case.
    CaseCollision = "case-collision",
    /// The entry carries the marks of a SHA-1 collision attack.
    HashCollision = "hash-collision",
    /// A filter of the repository would encrypt the entry.
    Filter = "filter",
    /// There is no git repository.
    NoRepository = "no-repository",
    /// The repository is of a kind that is not supported.
    UnsupportedRepository = "unsupported-repository",
    /// Something in the repository cannot be read.
    Unreadable = "unreadable",
    /// The repository cannot be written: its file system is read-only, or permission is lacking.
    ReadOnly = "read-only",
    /// The disk, or the user's share of it, is full.
    DiskFull = "disk-full",
    /// Another system error.
    Io = "io",
    /// Another process holds a lock.
    Locked = "locked",
    /// Another host has become the committer.
    Fenced = "fenced",
    /// A person's git operation is in progress, or another temporary obstacle.
    Busy = "busy",
    /// The ref was moved to a commit that does not continue the trail.
    RolledBack = "rolled-back",
    /// Commits of other authors have changed the trail's entries.
    Altered = "altered",
    /// A remote-tracking ref has entries that the trail lacks.
    Behind = "behind",
    /// The task has an entry at a remote whose trail has diverged from this one.
    Elsewhere = "elsewhere",
    /// The trail here and its copy at a remote each have entries that the other lacks.
    Diverged = "diverged",
    /// This repository has acknowledged commits that the log of a replicated trail lost, and the log has others now.
    Forked = "forked",
    /// The log of a replicated trail cannot be used, or has a record that cannot be accepted.
    Log = "log",
    /// A remote no longer has entries that it had confirmed.
    WentBack = "went-back",
    /// A remote refused a push.
    Rejected = "rejected",
    /// A remote does not accept the credentials.
    Unauthorised = "unauthorised",
    /// A remote cannot be reached.
    Unreachable = "unreachable",
    /// The ref at a remote holds another history.
    Foreign = "foreign",
    /// A remote refused a push because of its size.
    TooLarge = "too-large",
    /// A remote has no refs, and it is not for the trail only.
    EmptyRemote = "empty-remote",
    /// The trail has ended, and has a successor.
    Ended = "ended",
    /// The trail continues another one, and its first entry is not recorded yet.
    NotBegun = "not-begun",
    /// The task cannot be looked up in a predecessor of the trail.
    Predecessor = "predecessor",
    /// Refs hold diverged trails, and nothing says which is the repository's.
    SeveralTrails = "several-trails",
    /// The trail's last commit is later than this machine's clock.
    Clock = "clock",
    /// Commits cannot be signed now, and unsigned outcomes are held.
    Signing = "signing",
    /// The trail kept changing while the policy decided.
    Changed = "changed",
    /// A setting does not fit the trail, or the policy could not be loaded.
    Settings = "settings",
    /// The store that keeps pending submissions cannot be used. The recorder never sets this cause.
    Store = "store",
    /// The keys of sealed members cannot be used.
    Keys = "keys",
    /// The key of the task was erased.
    Erased = "erased",
    /// No checkpoint is kept. The recorder never sets this cause.
    Checkpoint = "checkpoint",
    /// A part of the host has panicked and was started again.
    TaskFailed = "task-failed",
    /// A part of the host makes no progress although it has work. The recorder never sets this cause.
    Stalled = "stalled",
    /// The host met a defect in its own code with this outcome.
    Defect = "defect",
    /// The policy was suspended because it failed on every input.
    PolicyQuarantined = "policy-quarantined",
    /// The policy answered that it cannot decide now.
    PolicyUnavailable = "policy-unavailable",
    /// The policy exceeded its fuel.
    PolicyFuel = "policy-fuel",
    /// The policy exceeded its time.
    PolicyTime = "policy-time",
    /// The policy exceeded its memory, tables, instances or stack.
    PolicyMemory = "policy-memory",
    /// The policy called the host too often, or with too much.
    PolicyCalls = "policy-calls",
    /// The policy panicked, trapped or exited.
    PolicyTrap = "policy-trap",
    /// The policy's answer breaks the interface, or is untrue.
    PolicyAnswer = "policy-answer",
    /// The host could not run the policy.
    PolicyHost = "policy-host",
}

impl Cause {
    /// The cause that a word stands for; `None` for a word of a later version.
    pub fn parse(word: &str) -> Option<Cause> {
        Cause::ALL
            .iter()
            .copied()
            .find(|cause| cause.as_str() == word)
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
                    | Cause::Erased
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

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn every_word_stands_for_one_cause() {
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(cause.as_str()), Some(*cause));
        }
        assert_eq!(Cause::parse("refused"), None);
        assert_eq!(Cause::parse(""), None);
    }
}
