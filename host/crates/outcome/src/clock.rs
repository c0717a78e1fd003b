//! Time: the only module that reads the system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Which end of a time span a text names. Defines what a date alone means: its first moment as the start, its last as
/// the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The start of the span.
    Since,
    /// The end of the span, inclusive.
    Until,
}

impl Bound {
    /// The moment that a date means as this bound; `first` is the start of its day.
    pub fn of_day(self, first: Timestamp) -> Timestamp {
        const DAY: i64 = 86_400_000_000;
        match self {
            Bound::Since => first,
            Bound::Until => {
                Timestamp::from_microseconds(first.microseconds().saturating_add(DAY - 1))
            }
        }
    }
}

/// A point in time: UTC, whole microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    microseconds: i64,
}

impl Timestamp {
    /// The point in time this many microseconds after the epoch.
    pub const fn from_microseconds(microseconds: i64) -> Timestamp {
        Timestamp { microseconds }
    }

    /// The start of this second after the epoch.
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp {
            microseconds: seconds.saturating_mul(1_000_000),
        }
    }

    /// Microseconds since the epoch.
    pub const fn microseconds(self) -> i64 {
        self.microseconds
    }

    /// Whole seconds since the epoch, rounded down: what git stores.
    pub const fn seconds(self) -> i64 {
        self.microseconds.div_euclid(1_000_000)
    }

    /// The part below a second, in nanoseconds.
    pub const fn nanoseconds(self) -> u32 {
        (self.microseconds.rem_euclid(1_000_000) * 1_000) as u32
    }

    /// The time this long after it.
    pub fn plus(self, span: std::time::Duration) -> Timestamp {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microseconds(self.microseconds().saturating_add(span))
    }

    /// The time this long before it.
    pub fn minus(self, span: std::time::Duration) -> Timestamp {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microseconds(self.microseconds().saturating_sub(span))
    }

    /// RFC 3339, UTC, six fractional digits and `Z`: the form of an entry's `timestamp`.
    pub fn to_rfc3339(self) -> String {
        chrono::DateTime::from_timestamp_micros(self.microseconds)
            .unwrap_or(if self.microseconds < 0 {
                chrono::DateTime::<chrono::Utc>::MIN_UTC
            } else {
                chrono::DateTime::<chrono::Utc>::MAX_UTC
            })
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }

    /// The time at which an entry counts as recorded. That is its own timestamp. If the commit's time differs by more
    /// than a writer waits, it is the commit's time, which is in order with those around it.
    #[must_use]
    pub const fn bounded_by_commit(self, commit_seconds: i64) -> Timestamp {
        const APART: i64 = 60;
        let before = commit_seconds.saturating_sub(self.seconds());
        if before >= 0 && before <= APART {
            self
        } else {
            Timestamp::from_seconds(commit_seconds)
        }
    }

    /// Parses RFC 3339 with any offset. Fractions below a microsecond are cut.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        Some(Timestamp {
            microseconds: time.timestamp_micros(),
        })
    }
}

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system for the time"
    )]
    fn now(&self) -> Timestamp {
        let microseconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
            }
        };
        Timestamp { microseconds }
    }
}

/// A clock that always shows the same time, for tests and for reproducing a recorded decision.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_time_that_its_commit_contradicts_is_replaced_by_the_commits() {
        let said = Timestamp::from_microseconds(1_000_999_999);
        for (commit, expect) in [
            (1000, said),
            (1060, said),
            (1061, Timestamp::from_seconds(1061)),
            (999, Timestamp::from_seconds(999)),
            (i64::MAX, Timestamp::from_seconds(i64::MAX)),
        ] {
            assert_eq!(said.bounded_by_commit(commit), expect, "{commit}");
        }
    }
}
