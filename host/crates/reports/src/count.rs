//! Counting in bounded memory: the writers of entries choose names and times, but must not control our memory.

use std::collections::{BTreeMap, HashMap};

use super::time::{self, LENGTHS};

/// The most names to count separately; further names count as others. No real fleet has this many services.
const MAX_NAMES: usize = 4096;

/// Longer names are cut, in bytes.
const MAX_NAME: usize = 200;

/// The most periods to count before they are merged into longer ones; a chart shows less than a hundred.
const MAX_PERIODS: usize = 8192;

/// The number of statuses that are counted separately.
pub(super) const MAX_STATUSES: usize = 16;

/// Numbers by status index.
pub(super) type Row = [u64; MAX_STATUSES];

/// Cuts a name at a character boundary.
pub(super) fn cut(name: &str) -> &str {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}

/// Numbers by name and status.
#[derive(Default)]
pub(super) struct NameCounts {
    rows: HashMap<String, Row>,
    pub(super) others: Row,
}

impl NameCounts {
    pub(super) fn add(&mut self, name: &str, status: usize) {
        let name = cut(name);
        if let Some(row) = self.rows.get_mut(name) {
            row[status] += 1;
        } else if self.rows.len() < MAX_NAMES {
            self.rows.entry(name.to_owned()).or_default()[status] += 1;
        } else {
            self.others[status] += 1;
        }
    }

    /// The names with the greatest numbers, greatest first, and the sum of the rest.
    pub(super) fn greatest(self, most: usize) -> (Vec<(String, Row)>, Row) {
        let mut rows: Vec<(String, Row)> = self.rows.into_iter().collect();
        rows.sort_by(|(left, a), (right, b)| {
            let (a, b) = (a.iter().sum::<u64>(), b.iter().sum::<u64>());
            b.cmp(&a).then_with(|| left.cmp(right))
        });
        let mut others = self.others;
        for (_, row) in rows.drain(most.min(rows.len())..) {
            add(&mut others, &row);
        }
        (rows, others)
    }
}

/// Numbers by period and status.
#[derive(Default)]
pub(super) struct PeriodCounts {
    /// An index into [`LENGTHS`].
    length: usize,
    rows: BTreeMap<i64, Row>,
}

impl PeriodCounts {
    pub(super) fn add(&mut self, seconds: i64, status: usize) {
        let begin = time::period_start(seconds, LENGTHS[self.length].0);
        self.rows.entry(begin).or_default()[status] += 1;
        while self.rows.len() > MAX_PERIODS && self.length + 1 < LENGTHS.len() {
            self.lengthen();
        }
    }

    fn lengthen(&mut self) {
        self.length += 1;
        let length = LENGTHS[self.length].0;
        for (begin, row) in std::mem::take(&mut self.rows) {
            add(
                self.rows
                    .entry(time::period_start(begin, length))
                    .or_default(),
                &row,
            );
        }
    }

    /// Merges into at most `most` periods without gaps. Returns the name of their length as well.
    pub(super) fn even(mut self, most: i64) -> (&'static str, Vec<(i64, Row)>) {
        let count = |periods: &PeriodCounts| {
            let length = LENGTHS[periods.length].0;
            let first = periods.rows.keys().next()?;
            let last = periods.rows.keys().next_back()?;
            Some((last - first) / length + 1)
        };
        while count(&self).is_some_and(|count| count > most) && self.length + 1 < LENGTHS.len() {
            self.lengthen();
        }
        let (length, name) = LENGTHS[self.length];
        let mut even = Vec::new();
        let mut next = self.rows.keys().next().copied();
        for (begin, row) in &self.rows {
            // A span of many of the longest periods means invented times, so empty periods are left out.
            while let Some(hole) = next.filter(|hole| hole < begin && (even.len() as i64) < most) {
                even.push((hole, Row::default()));
                next = Some(hole + length);
            }
            even.push((*begin, *row));
            next = Some(begin + length);
        }
        (name, even)
    }
}

pub(super) fn add(row: &mut Row, other: &Row) {
    row.iter_mut()
        .zip(other)
        .for_each(|(number, more)| *number += more);
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, MAX_PERIODS, NameCounts, PeriodCounts};

    #[test]
    fn names_beyond_the_bound_are_counted_as_others() {
        let mut names = NameCounts::default();
        for number in 0..MAX_NAMES + 7 {
            names.add(&format!("{number}"), 0);
        }
        names.add("0", 1);
        let (greatest, others) = names.greatest(1);
        assert_eq!(greatest[0].0, "0");
        assert_eq!(others[0] as usize, MAX_NAMES + 6);
    }

    #[test]
    fn periods_grow_and_leave_no_holes() {
        let mut periods = PeriodCounts::default();
        for second in 0..MAX_PERIODS as i64 * 3 {
            periods.add(second * 600, 0);
        }
        assert!(periods.rows.len() <= MAX_PERIODS);
        let (_, even) = periods.even(60);
        assert!(even.len() <= 60);
        let sum: u64 = even.iter().map(|(_, row)| row[0]).sum();
        assert_eq!(sum as usize, MAX_PERIODS * 3);
        let mut few = PeriodCounts::default();
        few.add(0, 0);
        few.add(30, 0);
        assert_eq!(few.even(60).1.len(), 31);
        let mut wild = PeriodCounts::default();
        wild.add(-60_000_000_000, 0);
        wild.add(60_000_000_000, 0);
        assert!(wild.even(60).1.len() <= 62);
    }
}
