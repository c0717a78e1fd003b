//! Lists of submissions: which are wanted, and a page of them.

use std::fmt;
use std::str::FromStr;

use super::columns;
use super::query::LIMIT_MOST;
use super::submission::{Sequence, SubmissionState};
use outcome::clock::Timestamp;

/// The name of a [`State`](super::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateName {
    /// Accepted, and not yet in the trail.
    Pending,
    /// Accepted and set aside.
    Blocked,
    /// In the trail.
    Committed,
    /// The task's entry says something else.
    Conflicting,
    /// The document or the policy says no.
    Refused,
}

impl StateName {
    /// All of them.
    pub const ALL: [StateName; 5] = [
        StateName::Pending,
        StateName::Blocked,
        StateName::Committed,
        StateName::Conflicting,
        StateName::Refused,
    ];

    /// Those of what is not in the trail: it waits, or it was turned down.
    pub const NOT_RECORDED: [StateName; 4] = [
        StateName::Pending,
        StateName::Blocked,
        StateName::Conflicting,
        StateName::Refused,
    ];

    /// The name as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            StateName::Pending => "pending",
            StateName::Blocked => "blocked",
            StateName::Committed => "committed",
            StateName::Conflicting => "conflicting",
            StateName::Refused => "refused",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for StateName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<StateName, &'static str> {
        StateName::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or("must be pending, blocked, committed, conflicting or refused")
    }
}

/// The most submissions of one task that are read at once.
pub const TOGETHER: usize = 256;

/// The submissions of one task that are in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: StateName,
    /// How many.
    pub count: u64,
    /// The newest of them.
    pub newest: Sequence,
}

impl StateCount {
    /// From state, number and newest sequence, as a database groups them.
    pub(super) fn read(rows: impl IntoIterator<Item = (String, i64, i64)>) -> Vec<StateCount> {
        let rows = rows.into_iter().filter_map(|(state, count, newest)| {
            Some(StateCount {
                state: state.parse().ok()?,
                count: columns::count(count),
                newest: Sequence(newest),
            })
        });
        rows.collect()
    }
}

/// Which submissions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionQuery {
    /// In one of these states.
    pub states: Vec<StateName>,
    /// Accepted at this time or later, by the database's clock.
    pub since: Option<Timestamp>,
    /// Accepted at this time or earlier, by the database's clock.
    pub until: Option<Timestamp>,
    /// Only those that were accepted before this one: what [`SubmissionPage::next`] gave.
    pub before: Option<Sequence>,
    /// At most so many; cut to [`LIMIT_MOST`].
    pub limit: u32,
}

/// A page of submissions, the newest first, without their texts: those may be large, and are asked for one by one.
#[derive(Clone, Debug, Default)]
pub struct SubmissionPage {
    /// The submissions.
    pub submissions: Vec<SubmissionState>,
    /// Where the next page begins; `None` if there is nothing more.
    pub next: Option<Sequence>,
}

impl SubmissionQuery {
    /// What a database is asked for of one state: the span of acceptance, the sequence before which, and how many, one more than
    /// are shown.
    pub(super) fn asked(&self) -> [i64; 4] {
        let [since, until] = columns::span(self.since, self.until);
        let before = self.before.map_or(i64::MAX, |before| before.0);
        [since, until, before, i64::from(self.most()) + 1]
    }

    fn most(&self) -> u32 {
        self.limit.min(LIMIT_MOST)
    }

    /// A page of what was found of each state. Each is asked for alone, by the index that serves it.
    pub(super) fn page(&self, mut found: Vec<SubmissionState>) -> SubmissionPage {
        found.sort_by_key(|submission| std::cmp::Reverse(submission.sequence));
        let most = self.most() as usize;
        let has_more = found.len() > most;
        found.truncate(most);
        let last = found.last().map(|submission| submission.sequence);
        SubmissionPage {
            next: last.filter(|_| has_more),
            submissions: found,
        }
    }
}
