//! The contents of a report as data: its JSON form, and the source of all other forms.

use serde::Serialize;

use verify::AuditResult;

/// A report. Members are added, never changed.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// The version of this form.
    pub schema: u32,
    /// When the report was made.
    pub made_at: String,
    /// The repository, as it was named.
    pub repository: String,
    /// The ref that was audited.
    pub reference: String,
    /// Its commit.
    pub tip: Option<String>,
    /// The trail's identity.
    pub trail_id: Option<String>,
    /// First-parent commits.
    pub commits: u64,
    /// Entries of the whole trail.
    pub entries: u64,
    /// Objects that were hashed.
    pub objects: u64,
    /// The questions of the audit, in words.
    pub asked: Vec<String>,
    /// The audit in one word.
    pub outcome: AuditResult,
    /// The audit's claims.
    pub claims: Vec<ClaimRow>,
    /// The times of the first and last entry counted below; `None` if there are none.
    pub span: Option<Span>,
    /// How many entries are counted below.
    pub counted: u64,
    /// By final status, most frequent first.
    pub statuses: Vec<NamedTally>,
    /// The length of each period of `over_time`, in words.
    pub period: &'static str,
    /// By period, oldest first, without gaps.
    pub over_time: Vec<Period>,
    /// By service. A task may touch several.
    pub services: Vec<NamedTally>,
    /// By agent pool.
    pub pools: Vec<NamedTally>,
    /// By reporter; the empty name counts commits without one.
    pub reporters: Vec<NamedTally>,
    /// How many tasks failed.
    pub failed: u64,
    /// The latest failures, newest first.
    pub failures: Vec<Failure>,
    /// The longest times without an entry, longest first.
    pub gaps: Vec<Gap>,
    /// The policies in the order in which they decided.
    pub policies: Vec<PolicySpan>,
    /// The signers that the audit found.
    pub signers: Vec<String>,
    /// Refusals and conflicts, which only a store contains.
    pub kept: Kept,
}

/// A claim of the audit.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimRow {
    /// Its stable id.
    pub id: &'static str,
    /// The claim in words.
    pub title: String,
    /// `holds`, `broken`, `not-shown`, `not-asked`.
    pub verdict: &'static str,
    /// The verdict for a person.
    pub label: &'static str,
    /// Where to look, or what is missing.
    pub what: Option<String>,
    /// The oldest offending commit.
    pub commit: Option<String>,
    /// Further information.
    pub notes: Vec<String>,
}

/// A time span.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// The first moment, RFC 3339.
    pub from: String,
    /// The last moment, RFC 3339.
    pub to: String,
}

/// Numbers by final status, in the same order everywhere in a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// In all.
    pub total: u64,
    /// By status, in the order of `statuses`.
    pub by_status: Vec<u64>,
}

/// A name with its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct NamedTally {
    /// Its name; empty for entries without one.
    pub name: String,
    /// Its numbers.
    #[serde(flatten)]
    pub tally: Tally,
}

/// A time period with its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Period {
    /// Its first moment.
    pub from: String,
    /// Its numbers.
    #[serde(flatten)]
    pub tally: Tally,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// When it was recorded, RFC 3339.
    pub time: String,
    /// The task's id.
    pub task_id: String,
    /// The commit that recorded it.
    pub commit: String,
    /// The services that it touched.
    pub services: Vec<String>,
    /// The pool of the agent that ran it.
    pub agent_pool: Option<String>,
    /// The reporter, according to the commit.
    pub reporter: Option<String>,
}

/// A time without an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// How long, in seconds.
    pub seconds: i64,
    /// The same, in words.
    pub length: String,
    /// The time of the entry before.
    pub from: String,
    /// The time of the entry after.
    pub to: String,
}

/// A policy with its settings, and the entries that it decided.
#[derive(Clone, Debug, Serialize)]
pub struct PolicySpan {
    /// The component's digest.
    pub policy: String,
    /// The settings' digest.
    pub settings: String,
    /// How many entries.
    pub entries: u64,
    /// When the first was committed.
    pub from: String,
    /// When the last one was committed.
    pub to: String,
    /// The first one's commit.
    pub first_commit: String,
    /// The last one's commit.
    pub last_commit: String,
}

/// Refusals and conflicts.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "known", rename_all = "kebab-case")]
pub enum Kept {
    /// No store was read.
    NotShown {
        /// What is missing.
        missing: String,
    },
    /// A store was read.
    Shown {
        /// The store's URL, without a password.
        store: String,
        /// How many submissions a policy or the host refused.
        refused: u64,
        /// How many submissions have a task with a different entry.
        conflicting: u64,
        /// The latest of them, newest first.
        latest: Vec<KeptNote>,
    },
}

/// A submission that did not become an entry.
#[derive(Clone, Debug, Serialize)]
pub struct KeptNote {
    /// When it was turned down.
    pub time: String,
    /// Its task.
    pub task_id: String,
    /// `refused` or `conflicting`.
    pub kind: String,
    /// Why it was turned down.
    pub reason: String,
    /// The reporter, if known.
    pub reporter: Option<String>,
}
