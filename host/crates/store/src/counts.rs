//! Exact totals without counting rows: the number of entries for each day and minute, and how a time span is composed
//! of those.
//!
//! Pure. Both databases update these numbers in the transaction that adds an entry.

use std::collections::BTreeMap;

use super::Entry;

/// The unit of a bucket that holds one day.
pub(super) const DAY: i16 = 0;
/// The unit of a bucket that holds one minute.
pub(super) const MINUTE: i16 = 1;

/// The length of a day's bucket in microseconds.
pub(super) const DAY_LENGTH: i64 = 86_400_000_000;
/// The length of a minute's bucket in microseconds. Entries at the ends of a span are counted one by one: at the rate
/// at which one trail can be written, a few ten thousand.
pub(super) const MINUTE_LENGTH: i64 = 60_000_000;

const MINUTES_A_DAY: i64 = DAY_LENGTH / MINUTE_LENGTH;

/// A part of a time span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanPart {
    /// Whole buckets, from one to before another.
    Buckets { unit: i16, from: i64, before: i64 },
    /// Single entries, from one time to another, both included.
    Entries { from: i64, to: i64 },
}

/// The parts that make up a span, without overlap. `None` means no bound.
pub(super) fn parts(since: Option<i64>, until: Option<i64>) -> Vec<SpanPart> {
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let from_minute = since.map(|since| ceiling(since, MINUTE_LENGTH));
    let before_minute = until.map(|until| until.saturating_add(1).div_euclid(MINUTE_LENGTH));
    if let (Some(from), Some(to)) = (since, until)
        && from_minute >= before_minute
    {
        return vec![SpanPart::Entries { from, to }];
    }
    if let (Some(from), Some(minute)) = (since, from_minute) {
        let to = minute.saturating_mul(MINUTE_LENGTH).saturating_sub(1);
        if from <= to {
            parts.push(SpanPart::Entries { from, to });
        }
    }
    if let (Some(to), Some(minute)) = (until, before_minute) {
        let from = minute.saturating_mul(MINUTE_LENGTH);
        if from <= to {
            parts.push(SpanPart::Entries { from, to });
        }
    }
    let from_day = from_minute.map(|minute| ceiling(minute, MINUTES_A_DAY));
    let before_day = before_minute.map(|minute| minute.div_euclid(MINUTES_A_DAY));
    if let (Some(from), Some(before)) = (from_minute, before_minute)
        && from_day >= before_day
    {
        parts.push(SpanPart::Buckets {
            unit: MINUTE,
            from,
            before,
        });
        return parts;
    }
    if let (Some(from), Some(day)) = (from_minute, from_day) {
        let before = day.saturating_mul(MINUTES_A_DAY);
        if from < before {
            parts.push(SpanPart::Buckets {
                unit: MINUTE,
                from,
                before,
            });
        }
    }
    if let (Some(before), Some(day)) = (before_minute, before_day) {
        let from = day.saturating_mul(MINUTES_A_DAY);
        if from < before {
            parts.push(SpanPart::Buckets {
                unit: MINUTE,
                from,
                before,
            });
        }
    }
    parts.push(SpanPart::Buckets {
        unit: DAY,
        from: from_day.unwrap_or(i64::MIN),
        before: before_day.unwrap_or(i64::MAX),
    });
    parts
}

fn ceiling(number: i64, length: i64) -> i64 {
    let floor = number.div_euclid(length);
    if number.rem_euclid(length) == 0 {
        floor
    } else {
        floor + 1
    }
}

/// Identifies a counter.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CounterKey {
    /// The service, which may have any name; `None` for all entries, whatever services they touched.
    pub(super) service: Option<String>,
    /// [`DAY`] or [`MINUTE`].
    pub(super) unit: i16,
    /// The index of the day or minute since the epoch.
    pub(super) bucket: i64,
    /// The status of the counted entries.
    pub(super) status: String,
}

/// The changes of counters.
#[derive(Debug, Default)]
pub(super) struct CounterChanges(BTreeMap<CounterKey, i64>);

impl CounterChanges {
    /// Adds an entry to the counters (1) or removes it (-1).
    pub(super) fn note(&mut self, entry: &Entry, by: i64) {
        let at = entry.recorded_at.microseconds();
        for (unit, length) in [(DAY, DAY_LENGTH), (MINUTE, MINUTE_LENGTH)] {
            let bucket = at.div_euclid(length);
            for service in std::iter::once(None).chain(entry.services.iter().cloned().map(Some)) {
                let key = CounterKey {
                    service,
                    unit,
                    bucket,
                    status: entry.status.clone(),
                };
                *self.0.entry(key).or_default() += by;
            }
        }
    }

    /// The changes in order of their keys, so that two transactions take locks in the same order.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        self.0
            .iter()
            .map(|(key, by)| (key, *by))
            .filter(|(_, by)| *by != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DAY, DAY_LENGTH, MINUTE_LENGTH, SpanPart, parts};

    fn holds(part: SpanPart, at: i64) -> bool {
        match part {
            SpanPart::Entries { from, to } => (from..=to).contains(&at),
            SpanPart::Buckets { unit, from, before } => {
                let length = if unit == DAY {
                    DAY_LENGTH
                } else {
                    MINUTE_LENGTH
                };
                (from..before).contains(&at.div_euclid(length))
            }
        }
    }

    /// Times at and around the borders of buckets, before and after the epoch.
    fn point() -> impl Strategy<Value = i64> {
        (-3i64..3, -2i64..1442, -1i64..2)
            .prop_map(|(day, minute, micro)| day * DAY_LENGTH + minute * MINUTE_LENGTH + micro)
    }

    proptest! {
        #[test]
        fn the_parts_of_a_span_hold_each_of_its_points_once(
            since in proptest::option::of(point()),
            until in proptest::option::of(point()),
            at in point(),
        ) {
            let inside = since.is_none_or(|since| since <= at) && until.is_none_or(|until| at <= until);
            let held = parts(since, until).into_iter().filter(|part| holds(*part, at)).count();
            prop_assert_eq!(held, usize::from(inside));
        }
    }
}
