//! Lists of submissions: which to include, and a page of them.

use std::fmt;
use std::str::FromStr;

use super::columns;
use super::query::MAX_LIMIT;
use super::submission::{Sequence, SubmissionState};
use outcome::clock::Timestamp;

/// The name of a [`State`](super::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateName {
    /// Accepted, but not in the trail yet.
    Pending,
    /// Accepted, but set aside.
    Blocked,
    /// In the trail.
    Committed,
    /// The task has a different entry.
    Conflicting,
    /// The document is not an outcome, or the policy refused it.
    Refused,
}

impl StateName {
    /// Every state.
    pub const ALL: [StateName; 5] = [
        StateName::Pending,
        StateName::Blocked,
        StateName::Committed,
        StateName::Conflicting,
        StateName::Refused,
    ];

    /// The states of submissions that are not in the trail, because they wait or were turned down.
    pub const NOT_RECORDED: [StateName; 4] = [
        StateName::Pending,
        StateName::Blocked,
        StateName::Conflicting,
        StateName::Refused,
    ];

    /// The name as it is stored and displayed.
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

/// The number of a task's submissions in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// The state that is counted.
    pub state: StateName,
    /// The number of submissions.
    pub count: u64,
    /// The newest of them.
    pub newest: Sequence,
}

impl StateCount {
    /// Reads rows of state, count and newest sequence number.
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

/// Which submissions to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionQuery {
    /// Only submissions in one of these states.
    pub states: Vec<StateName>,
    /// Only submissions accepted at this time or later, by the database's clock.
    pub since: Option<Timestamp>,
    /// Only submissions accepted at this time or earlier, by the database's clock.
    pub until: Option<Timestamp>,
    /// Only submissions accepted before this one; see [`SubmissionPage::next`].
    pub before: Option<Sequence>,
    /// The most submissions to return; at most [`MAX_LIMIT`].
    pub limit: u32,
}

/// A page of submissions, newest first, without their texts, which may be large.
#[derive(Clone, Debug, Default)]
pub struct SubmissionPage {
    /// The submissions of the page.
    pub submissions: Vec<SubmissionState>,
    /// The value of [`SubmissionQuery::before`] for the next page; `None` if this is the last.
    pub next: Option<Sequence>,
}

impl SubmissionQuery {
    /// The parameters of the query for one state: the first and last time of acceptance, the sequence number before
    /// which to look, and the limit, one more than the page has.
    pub(super) fn asked(&self) -> [i64; 4] {
        let [since, until] = columns::span(self.since, self.until);
        let before = self.before.map_or(i64::MAX, |before| before.0);
        [since, until, before, i64::from(self.most()) + 1]
    }

    fn most(&self) -> u32 {
        self.limit.min(MAX_LIMIT)
    }

    /// Merges what was found for each state into a page. Each state is queried separately, by the index for it.
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
