//! Submissions: what was reported, exactly as it was sent, and its state.

use std::fmt;
use std::time::Duration;

use super::entry::Entry;
use outcome::clock::Timestamp;
use outcome::{Cause, Reporter, TaskId, Violation};

/// The sequence number of a submission: a greater one was accepted later. Gaps have no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub i64);

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A complete outcome document.
    Outcome,
    /// The result of a task that was planned and dispatched.
    WorkResult,
}

impl Kind {
    /// The name as it is stored and displayed.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Outcome => "outcome",
            Kind::WorkResult => "work-result",
        }
    }
}

/// Identifies equal submissions of a task.
///
/// The caller decides which submissions are equal, and makes 32 bytes of that; see
/// [`TaskOutcome::canonical`](outcome::TaskOutcome::canonical).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The bytes of the digest.
    pub bytes: [u8; 32],
    /// Whether it is keyed. A plain digest lets others guess redacted values, so it is erased together with the
    /// submission; a keyed one is kept.
    pub keyed: bool,
}

/// A document that was refused on arrival. It is kept and listed, but finishes no task and is never recorded.
#[derive(Clone, Debug)]
pub struct RefusedDocument {
    /// The id of the task that it is listed for.
    pub task_id: TaskId,
    /// The status that it reports.
    pub status: String,
    /// What `text` was sent as.
    pub kind: Kind,
    /// The document exactly as it was sent.
    pub text: String,
    /// What is wrong with it.
    pub violations: Vec<Violation>,
    /// The trace id of the report.
    pub trace_id: Option<String>,
    /// Who reported it.
    pub reporter: Option<Reporter>,
}

/// An outcome to accept. The caller has parsed it, so it is well-formed.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The task's id.
    pub task_id: TaskId,
    /// The task's final status.
    pub status: String,
    /// What `text` is.
    pub kind: Kind,
    /// The submission exactly as it was sent.
    pub text: String,
    /// The outcome document that was made from `text`, for the recorder; `None` if `text` is the document.
    pub document: Option<String>,
    /// Identifies equal submissions of the task.
    pub fingerprint: Fingerprint,
    /// The fingerprint from before version 3 of the tables, if the store has [submissions from
    /// then](super::Store::has_former_fingerprints).
    pub former: Option<[u8; 32]>,
    /// Whether the caller can compare the submission with the task's entry, if the store cannot tell whether they are
    /// equal.
    pub may_compare: bool,
    /// The [revision](super::Task::revision) of the plan that `document` was made from; 0 if the task was unknown,
    /// `None` if it was not made from a plan.
    pub revision: Option<i64>,
    /// The trace id, for logs.
    pub trace_id: Option<String>,
    /// Who reported it, if the reporter has a name.
    pub reporter: Option<Reporter>,
}

/// The result of accepting a submission, which is durable now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its sequence number; that of the earlier submission if it was repeated.
    pub sequence: Sequence,
    /// The same submission was accepted before, and nothing was added.
    pub repeated: bool,
    /// An earlier submission finished the task, and seems to differ.
    pub differs: bool,
    /// Its state: pending, unless it was repeated.
    pub state: State,
}

/// A submission that waits for a decision.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its sequence number.
    pub sequence: Sequence,
    /// The task's id.
    pub task_id: TaskId,
    /// Which door it came through.
    pub kind: Kind,
    /// The outcome document, for the recorder.
    pub document: String,
    /// The number of earlier attempts.
    pub attempts: u32,
    /// When it was accepted, by the database's clock.
    pub accepted_at: Timestamp,
    /// The trace id, for logs.
    pub trace_id: Option<String>,
    /// Who reported it, for the commit.
    pub reporter: Option<Reporter>,
}

/// The result of an attempt to record one submission.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The submission's sequence number.
    pub sequence: Sequence,
    /// The result of the attempt.
    pub result: SettlementResult,
}

/// The five possible results of an attempt.
#[derive(Clone, Debug)]
pub enum SettlementResult {
    /// The caller has found this durable entry in the trail. Closes the submission.
    Committed(Box<Entry>),
    /// The task has a different entry. Closes the submission, which is kept.
    Conflicting {
        /// The cause in one word.
        cause: Cause,
        /// The recorder's reason.
        reason: String,
    },
    /// The document is not an outcome, or the policy refused it. Closes the submission, which is kept.
    Refused {
        /// The cause in one word.
        cause: Cause,
        /// What is wrong with it.
        violations: Vec<Violation>,
        /// The recorder's reason, if there are no violations.
        reason: Option<String>,
    },
    /// It could not be recorded now, and will be tried again.
    Pending {
        /// What prevented it, in one word.
        cause: Cause,
        /// The same as a sentence for people.
        reason: Option<String>,
        /// How long to wait before the next attempt.
        retry_in: Duration,
    },
    /// It is set aside, so that others can continue.
    Blocked {
        /// The cause in one word.
        cause: Cause,
        /// The same as a sentence for people.
        reason: Option<String>,
        /// How long to wait before the next attempt; `None` waits for
        /// [`Store::make_all_due`](super::Store::make_all_due).
        retry_in: Option<Duration>,
    },
}

/// The state of a submission. A cause is `None` if nothing prevents recording, if a later version wrote the word, or if the tables had
/// a version before 4 when the row was written, which did not keep the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted, but not in the trail yet.
    Pending {
        /// What has prevented it so far, in one word.
        cause: Option<Cause>,
        /// The same as a sentence for people.
        reason: Option<String>,
    },
    /// Accepted, but set aside.
    Blocked {
        /// Why it is set aside, in one word.
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
    /// The task has a different entry.
    Conflicting {
        /// The cause in one word.
        cause: Option<Cause>,
        /// The recorder's reason.
        reason: String,
    },
    /// The document is not an outcome, or the policy refused it.
    Refused {
        /// The cause in one word.
        cause: Option<Cause>,
        /// What is wrong with it.
        violations: Vec<Violation>,
        /// The recorder's reason, if there are no violations.
        reason: Option<String>,
    },
}

impl State {
    /// The state's name, as it is stored and displayed.
    pub fn name(&self) -> &'static str {
        match self {
            State::Pending { .. } => "pending",
            State::Blocked { .. } => "blocked",
            State::Committed { .. } => "committed",
            State::Conflicting { .. } => "conflicting",
            State::Refused { .. } => "refused",
        }
    }

    /// Accepted, and nothing has prevented recording.
    pub fn accepted() -> State {
        State::Pending {
            cause: None,
            reason: None,
        }
    }

    /// Refused before it was accepted.
    pub(super) fn refused_on_arrival(violations: Vec<Violation>) -> State {
        State::Refused {
            cause: Some(Cause::Document),
            violations,
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

    /// Whether it still has to be recorded.
    pub fn is_open(&self) -> bool {
        matches!(self, State::Pending { .. } | State::Blocked { .. })
    }
}

/// A submission and its state.
#[derive(Clone, Debug)]
pub struct SubmissionState {
    /// Its sequence number.
    pub sequence: Sequence,
    /// The task's id.
    pub task_id: TaskId,
    /// The status that it reports.
    pub status: String,
    /// What was submitted.
    pub kind: Kind,
    /// Its state.
    pub state: State,
    /// When it was accepted. All times are by the database's clock.
    pub accepted_at: Timestamp,
    /// The number of attempts to record it.
    pub attempts: u32,
    /// When it will be tried next, if it waits for a time.
    pub next_attempt: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// The submission as it was sent, unless it is erased.
    pub text: Option<String>,
    /// The trace id.
    pub trace_id: Option<String>,
    /// Who reported it, if the reporter has a name.
    pub reporter: Option<Reporter>,
}

/// The number of submissions that are not in the trail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Submissions that are tried until they are in the trail.
    pub pending: u64,
    /// Submissions that are set aside.
    pub blocked: u64,
    /// Submissions that conflict and are kept, of all time.
    pub conflicting: u64,
    /// Submissions that were refused and are kept, of all time.
    pub refused: u64,
    /// How long the oldest pending submission has waited.
    pub oldest_pending: Option<Duration>,
}

/// The submissions of a time span that were refused or conflicted.
#[derive(Clone, Debug, Default)]
pub struct TurnedDownCounts {
    /// The number that a policy or the host refused.
    pub refused: u64,
    /// The number that differed from their task's entry.
    pub conflicting: u64,
    /// The latest of both, newest first.
    pub latest: Vec<SubmissionState>,
}
