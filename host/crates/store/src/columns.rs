//! How columns hold submissions and lists: what both databases store in the same way.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Backlog, Kind, Sequence, State, StoreError, SubmissionState};
use outcome::clock::Timestamp;
use outcome::{Cause, Reporter, TaskId, Violation};

/// A row of `submissions` as it is read.
pub(super) struct SubmissionRow {
    pub(super) sequence: i64,
    pub(super) task_id: String,
    pub(super) status: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) cause: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) violations: Option<String>,
    pub(super) attempts: i64,
    pub(super) accepted_at: i64,
    /// `None` if the submission waits for [`Store::make_all_due`](super::Store::make_all_due).
    pub(super) next_attempt: Option<i64>,
    pub(super) closed_at: Option<i64>,
    pub(super) commit: Option<String>,
    pub(super) path: Option<String>,
    pub(super) text: Option<String>,
    pub(super) trace_id: Option<String>,
    pub(super) reporter: Option<String>,
}

impl SubmissionRow {
    /// Converts the row to a submission.
    pub(super) fn submission(self, url: &str) -> Result<SubmissionState, StoreError> {
        let damaged = |cause: &str| StoreError::Damaged {
            url: url.to_owned(),
            cause: format!("submission {}: {cause}", self.sequence),
        };
        let cause = self.cause.as_deref().and_then(Cause::parse);
        let reason = self.reason.clone();
        let state = match self.state.as_str() {
            "pending" => State::Pending { cause, reason },
            "blocked" => State::Blocked { cause, reason },
            "committed" => State::Committed {
                commit: self.commit.clone().ok_or_else(|| damaged("no commit"))?,
                path: self.path.clone().ok_or_else(|| damaged("no path"))?,
            },
            "conflicting" => State::Conflicting {
                cause,
                reason: reason.unwrap_or_default(),
            },
            "refused" => State::Refused {
                cause,
                violations: read_violations(self.violations.as_deref()),
                reason,
            },
            _ => return Err(damaged("an unknown state")),
        };
        let kind = match self.kind.as_str() {
            "outcome" => Kind::Outcome,
            "work-result" => Kind::WorkResult,
            _ => return Err(damaged("an unknown kind")),
        };
        let is_open = state.is_open();
        Ok(SubmissionState {
            sequence: Sequence(self.sequence),
            task_id: task_id(&self.task_id, url)?,
            kind,
            accepted_at: Timestamp::from_microseconds(self.accepted_at),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            next_attempt: self
                .next_attempt
                .filter(|_| is_open)
                .map(Timestamp::from_microseconds),
            closed_at: self.closed_at.map(Timestamp::from_microseconds),
            status: self.status,
            text: self.text,
            trace_id: self.trace_id,
            reporter: reporter(self.reporter.as_deref()),
            state,
        })
    }
}

/// Parses the task id in a column.
pub(super) fn task_id(text: &str, url: &str) -> Result<TaskId, StoreError> {
    TaskId::parse(text).map_err(|rule| StoreError::Damaged {
        url: url.to_owned(),
        cause: format!("a task id {rule}"),
    })
}

/// The time and task after which a list continues; before all others if it begins.
pub(super) fn after(after: Option<&(Timestamp, TaskId)>) -> (i64, &str) {
    after.map_or((i64::MIN, ""), |(time, task_id)| {
        (time.microseconds(), task_id.as_str())
    })
}

/// The kind in a column, which the database constrains.
pub(super) fn kind(text: &str) -> Kind {
    match text {
        "work-result" => Kind::WorkResult,
        _ => Kind::Outcome,
    }
}

/// Parses the reporter in a column. Any other value, which only a manual change can cause, names nobody, as in a
/// commit.
pub(super) fn reporter(text: Option<&str>) -> Option<Reporter> {
    Reporter::parse(text?).ok()
}

#[derive(Serialize, Deserialize)]
struct StoredViolation {
    pointer: String,
    message: String,
}

/// Formats violations for a column: a JSON array of `{"pointer","message"}`.
pub(super) fn violations(violations: &[Violation]) -> String {
    let stored: Vec<StoredViolation> = violations
        .iter()
        .map(|violation| StoredViolation {
            pointer: violation.pointer.clone(),
            message: violation.message.clone(),
        })
        .collect();
    serde_json::to_string(&stored).expect("texts are JSON")
}

fn read_violations(text: Option<&str>) -> Vec<Violation> {
    let stored: Vec<StoredViolation> = text
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    stored
        .into_iter()
        .map(|stored| Violation::new(stored.pointer, stored.message))
        .collect()
}

/// Formats a list of texts for a column: a JSON array.
pub(super) fn list(list: &[String]) -> String {
    serde_json::to_string(list).expect("texts are JSON")
}

/// Parses the list in a column. Any other value, which only a manual change can cause, counts as no list.
pub(super) fn read_list(text: Option<&str>) -> Option<Vec<String>> {
    serde_json::from_str(text?).ok()
}

/// The time after this wait, in microseconds.
pub(super) fn later(now: i64, wait: Duration) -> i64 {
    now.saturating_add(micros(wait))
}

/// The duration between two times; zero if the clock was set back.
pub(super) fn elapsed(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

/// The first and the last microsecond of a time span.
pub(super) fn span(since: Option<Timestamp>, until: Option<Timestamp>) -> [i64; 2] {
    [
        since.map_or(i64::MIN, |since| since.microseconds()),
        until.map_or(i64::MAX, |until| until.microseconds()),
    ]
}

/// Converts a duration to microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Removes NUL characters from a text for people: JSON allows them, but PostgreSQL cannot store them.
pub(super) fn storable(text: Option<&str>) -> Option<String> {
    text.map(|text| text.replace('\0', "\u{fffd}"))
}

/// Precedes the character that stands for a NUL or for this character itself.
const ESCAPE: char = '\u{1}';

/// Escapes a name so that PostgreSQL can store it: JSON allows NUL characters, but PostgreSQL's texts do not. Different
/// names have different escaped forms.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Reverses [`escape`].
pub(super) fn unescape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        name.push_str(before);
        let (meant, length) = match after.chars().next() {
            Some('0') => ('\0', 1),
            Some('1') => (ESCAPE, 1),
            // Written before names were escaped.
            _ => (ESCAPE, 0),
        };
        name.push(meant);
        rest = &after[length..];
    }
    name.push_str(rest);
    name
}

/// Converts a number of rows.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Backlog {
    /// Sets the number of submissions in a state.
    pub(super) fn note(&mut self, state: &str, count: i64) {
        let count = self::count(count);
        match state {
            "pending" => self.pending = count,
            "blocked" => self.blocked = count,
            "conflicting" => self.conflicting = count,
            "refused" => self.refused = count,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{escape, unescape};

    proptest! {
        #[test]
        fn a_name_survives_being_escaped_and_no_other_is_escaped_so(
            one in "[\0\u{1}01a\u{fffd}]{0,6}",
            other in "[\0\u{1}01a\u{fffd}]{0,6}",
        ) {
            let text = escape(&one);
            prop_assert!(!text.contains('\0'));
            prop_assert_eq!(&unescape(&text), &one);
            prop_assert_eq!(text == escape(&other), one == other);
        }
    }
}
