//! Everything that a report tells, as data: the JSON form of a report, and what the other forms are laid out from.

use serde::Serialize;

use verify::Outcome;

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
    /// What was asked, in words.
    pub asked: Vec<String>,
    /// The audit in one word.
    pub outcome: Outcome,
    /// The audit's claims.
    pub claims: Vec<Claimed>,
    /// From when to when the entries are that are counted below; none if there is none.
    pub span: Option<Span>,
    /// How many entries are counted below.
    pub counted: u64,
    /// By how tasks ended, most first.
    pub statuses: Vec<Named>,
    /// How long each period of `over_time` is, in words.
    pub period: &'static str,
    /// Over time, oldest first, without holes.
    pub over_time: Vec<Period>,
    /// By service; a task may touch several.
    pub services: Vec<Named>,
    /// By agent pool.
    pub pools: Vec<Named>,
    /// By who reported; an empty name for commits that name nobody.
    pub reporters: Vec<Named>,
    /// How many tasks failed.
    pub failed: u64,
    /// The latest of them, newest first.
    pub failures: Vec<Failure>,
    /// The longest times without an entry, longest first.
    pub gaps: Vec<Gap>,
    /// Which policies decided when, in order.
    pub policies: Vec<PolicySpan>,
    /// Who signed, as the audit found it.
    pub signers: Vec<String>,
    /// Refusals and conflicts, which only a store knows.
    pub kept: Kept,
}

/// A claim of the audit.
#[derive(Clone, Debug, Serialize)]
pub struct Claimed {
    /// Its stable name.
    pub id: &'static str,
    /// In words.
    pub title: String,
    /// `holds`, `broken`, `not-shown`, `not-asked`.
    pub verdict: &'static str,
    /// The verdict for a person.
    pub label: &'static str,
    /// What to look at, or what is missing.
    pub what: Option<String>,
    /// The oldest offending commit.
    pub commit: Option<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A span of time.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// The first moment, RFC 3339.
    pub from: String,
    /// The last.
    pub to: String,
}

/// Numbers by how tasks ended: the same order of statuses everywhere in a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// In all.
    pub total: u64,
    /// By status, in the order of `statuses`.
    pub by_status: Vec<u64>,
}

/// Something with a name, and its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// Its name; empty for what has none.
    pub name: String,
    /// Its numbers.
    #[serde(flatten)]
    pub tally: Tally,
}

/// A period of time, and its numbers.
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
    /// When it was recorded.
    pub time: String,
    /// Which.
    pub task_id: String,
    /// In which commit.
    pub commit: String,
    /// What it touched.
    pub services: Vec<String>,
    /// Who did it.
    pub agent_pool: Option<String>,
    /// Who reported it, as the commit says.
    pub reporter: Option<String>,
}

/// A time without an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// How long, in seconds.
    pub seconds: i64,
    /// For a person.
    pub length: String,
    /// The entry before.
    pub from: String,
    /// The entry after.
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
    /// When the last was.
    pub to: String,
    /// The first one's commit.
    pub first_commit: String,
    /// The last one's.
    pub last_commit: String,
}

/// Refusals and conflicts.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "known", rename_all = "kebab-case")]
pub enum Kept {
    /// There is no store that would know.
    NotShown {
        /// What is missing.
        missing: String,
    },
    /// The store has been asked.
    Shown {
        /// Which store, without a password.
        store: String,
        /// Submissions that a policy or the host turned down.
        refused: u64,
        /// Submissions whose task has an entry that says something else.
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
    /// Why.
    pub reason: String,
    /// Who reported it, if the report came with a name.
    pub reporter: Option<String>,
}
