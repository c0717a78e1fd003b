//! Submissions: what was reported, exactly as it came, and what has become of it.

use std::fmt;
use std::time::Duration;

use super::entry::Entry;
use outcome::clock::Timestamp;
use outcome::{Cause, Reporter, TaskId, Violation};

/// The place of a submission among all: greater is later. Gaps mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub i64);

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What was submitted: which of the two doors it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole outcome document.
    Outcome,
    /// The result of a task that was planned and dispatched.
    WorkResult,
}

impl Kind {
    /// The kind as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Outcome => "outcome",
            Kind::WorkResult => "work-result",
        }
    }
}

/// What tells a submission from another of the same task.
///
/// The caller decides what *the same* is, and makes 32 bytes of it; `outcome` has the rule of design section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// A digest.
    pub bytes: [u8; 32],
    /// Whether it is keyed. A plain digest lets redacted values be guessed, so it is erased together with the submission; a keyed
    /// one is kept.
    pub keyed: bool,
}

/// An outcome, to be taken in. The caller has parsed it: it is well-formed.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The task.
    pub task_id: TaskId,
    /// How it ended.
    pub status: String,
    /// What `text` is.
    pub kind: Kind,
    /// The submission exactly as it came.
    pub text: String,
    /// The outcome document that was made from it, for the recorder; `None` if it is `text` itself.
    pub document: Option<String>,
    /// What tells it from others of the task.
    pub fingerprint: Fingerprint,
    /// What did so before version 3 of the tables, where the store has [submissions from
    /// then](super::Store::has_former_fingerprints).
    pub former: Option<[u8; 32]>,
    /// The caller can compare it with the task's entry, where the store cannot tell whether that says the same.
    pub may_compare: bool,
    /// The [revision](super::Task::revision) of the plan that `document` was made from, 0 for a task that was not known; `None` if
    /// it was made from none.
    pub revision: Option<i64>,
    /// The trace that it belongs to, for logs.
    pub trace_id: Option<String>,
    /// Who reported it, if the report came with a name.
    pub reporter: Option<Reporter>,
}

/// A submission is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its place; that of the earlier one if it was repeated.
    pub sequence: Sequence,
    /// The same was there already: nothing was taken in.
    pub repeated: bool,
    /// Its task was finished by another submission before, which did not say the same as far as can be told.
    pub differs: bool,
    /// What has become of it: pending, unless it was repeated.
    pub state: State,
}

/// A submission to be tried.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its place.
    pub sequence: Sequence,
    /// The task.
    pub task_id: TaskId,
    /// The outcome document, for the recorder.
    pub document: String,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was accepted, by the database's clock.
    pub accepted_at: Timestamp,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// Who reported it, for the commit.
    pub reporter: Option<Reporter>,
}

/// What became of one submission when it was tried.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which.
    pub sequence: Sequence,
    /// What became of it.
    pub settled: Settled,
}

/// The five things that can become of a submission when it is tried.
#[derive(Clone, Debug)]
pub enum Settled {
    /// The caller has found this entry in the trail, durable. Closes the submission.
    Committed(Box<Entry>),
    /// The task has an entry that says something else. Closes the submission, which is kept.
    Conflicting {
        /// The cause in one word.
        cause: Cause,
        /// What the recorder said.
        reason: String,
    },
    /// The document or the policy says no. Closes the submission, which is kept.
    Refused {
        /// The cause in one word.
        cause: Cause,
        /// What is wrong with it.
        violations: Vec<Violation>,
        /// What the recorder said.
        reason: Option<String>,
    },
    /// Not this time; it is tried again.
    Pending {
        /// What stood in the way, in one word.
        cause: Cause,
        /// The same as a sentence for people.
        reason: Option<String>,
        /// How long to wait.
        retry_in: Duration,
    },
    /// Set aside, so that others go on.
    Blocked {
        /// The cause in one word.
        cause: Cause,
        /// The same as a sentence for people.
        reason: Option<String>,
        /// How long to wait; `None` waits for [`Store::hurry`](super::Store::hurry).
        retry_in: Option<Duration>,
    },
}

/// What has become of a submission. A cause is `None` if nothing stands in the way, if the store has a word of a later version, or
/// if a version before 4 of the tables has written the row and did not keep the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted, and not yet in the trail.
    Pending {
        /// What stood in the way so far, in one word.
        cause: Option<Cause>,
        /// The same as a sentence for people.
        reason: Option<String>,
    },
    /// Accepted and set aside.
    Blocked {
        /// The cause in one word.
        cause: Option<Cause>,
        /// The same as a sentence for people.
        reason: Option<String>,
    },
    /// In the trail, durable.
    Committed {
        /// The commit that added the entry.
        commit: String,
        /// The entry's path.
        path: String,
    },
    /// The task's entry says something else.
    Conflicting {
        /// The cause in one word.
        cause: Option<Cause>,
        /// What the recorder said.
        reason: String,
    },
    /// The document or the policy says no.
    Refused {
        /// The cause in one word.
        cause: Option<Cause>,
        /// What is wrong with it.
        violations: Vec<Violation>,
        /// What the recorder said.
        reason: Option<String>,
    },
}

impl State {
    /// The state's name, as it is stored and shown.
    pub fn name(&self) -> &'static str {
        match self {
            State::Pending { .. } => "pending",
            State::Blocked { .. } => "blocked",
            State::Committed { .. } => "committed",
            State::Conflicting { .. } => "conflicting",
            State::Refused { .. } => "refused",
        }
    }

    /// Accepted, with nothing in the way.
    pub fn accepted() -> State {
        State::Pending {
            cause: None,
            reason: None,
        }
    }

    /// The cause in one word.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            State::Committed { .. } => None,
            State::Pending { cause, .. }
            | State::Blocked { cause, .. }
            | State::Conflicting { cause, .. }
            | State::Refused { cause, .. } => *cause,
        }
    }

    /// The reason as a sentence for people.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Committed { .. } => None,
            State::Conflicting { reason, .. } => Some(reason),
            State::Pending { reason, .. }
            | State::Blocked { reason, .. }
            | State::Refused { reason, .. } => reason.as_deref(),
        }
    }

    /// Whether it is still to be recorded.
    pub fn is_open(&self) -> bool {
        matches!(self, State::Pending { .. } | State::Blocked { .. })
    }
}

/// A submission and what has become of it.
#[derive(Clone, Debug)]
pub struct SubmissionState {
    /// Its place.
    pub sequence: Sequence,
    /// The task.
    pub task_id: TaskId,
    /// The status that it reports.
    pub status: String,
    /// Which door it came through.
    pub kind: Kind,
    /// What has become of it.
    pub state: State,
    /// When it was accepted, by the database's clock, as all times here.
    pub accepted_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, if it waits for a time.
    pub next_attempt: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// The submission as it came, unless it is erased.
    pub text: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// Who reported it, if the report came with a name.
    pub reporter: Option<Reporter>,
}

/// How much is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Submissions that are tried until they are in the trail.
    pub pending: u64,
    /// Submissions that are set aside.
    pub blocked: u64,
    /// Closed ones that a person should look at, since ever.
    pub conflicting: u64,
    /// Closed ones that a person should look at, since ever.
    pub refused: u64,
    /// How long the oldest pending one has been waiting.
    pub oldest_pending: Option<Duration>,
}

/// What was turned down in a span of time.
#[derive(Clone, Debug, Default)]
pub struct TurnedDown {
    /// How many a policy or the host refused.
    pub refused: u64,
    /// How many said something else than their task's entry.
    pub conflicting: u64,
    /// The latest of both, newest first.
    pub latest: Vec<SubmissionState>,
}
