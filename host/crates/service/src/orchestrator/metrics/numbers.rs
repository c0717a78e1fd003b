//! Concurrent counters, gauges and histograms, and their Prometheus text form.
//!
//! Durations are counted in buckets, so that memory is constant whether or not anything reads them.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only increases.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::orchestrator) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set to the latest value.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// The upper bounds of the buckets, for Prometheus and in nanoseconds. They range from a tenth of a millisecond, a
/// typical policy call, to ten seconds, its limit.
const ENDS: [(&str, u64); 12] = [
    ("0.0001", 100_000),
    ("0.0003", 300_000),
    ("0.001", 1_000_000),
    ("0.003", 3_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.05", 50_000_000),
    ("0.1", 100_000_000),
    ("0.25", 250_000_000),
    ("1", 1_000_000_000),
    ("3", 3_000_000_000),
    ("10", 10_000_000_000),
];

/// A histogram of durations.
#[derive(Debug, Default)]
pub(in crate::orchestrator) struct Histogram {
    /// The count of each bucket; the last has no upper bound.
    buckets: [AtomicU64; ENDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    pub(in crate::orchestrator) fn record(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = ENDS.partition_point(|(_, end)| *end < nanoseconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// Prometheus text under construction.
///
/// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// Starts a metric with its type and description. Its values follow.
    pub(super) fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a value. `labels` must be in their final form and need no escaping.
    pub(super) fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    /// Adds the values of a histogram.
    pub(super) fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let mut count = 0;
        let ends = ENDS.iter().map(|(end, _)| *end).chain(["+Inf"]);
        for (end, bucket) in ends.zip(&histogram.buckets) {
            count += bucket.load(Ordering::Relaxed);
            let comma = if labels.is_empty() { "" } else { "," };
            let labels = format!("{labels}{comma}le=\"{end}\"");
            self.value(&format!("{name}_bucket"), &labels, count);
        }
        let sum = Duration::from_nanos(histogram.nanoseconds.load(Ordering::Relaxed));
        self.value(&format!("{name}_sum"), labels, sum.as_secs_f64());
        self.value(&format!("{name}_count"), labels, count);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ENDS, Histogram, Text};

    #[test]
    fn a_bucket_counts_durations_up_to_its_bound() {
        let histogram = Histogram::default();
        for micros in [50, 100, 101, 20_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut text = Text::default();
        text.histogram("x_seconds", "a=\"b\"", &histogram);
        for line in [
            "x_seconds_bucket{a=\"b\",le=\"0.0001\"} 2\n",
            "x_seconds_bucket{a=\"b\",le=\"0.0003\"} 3\n",
            "x_seconds_bucket{a=\"b\",le=\"10\"} 3\n",
            "x_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\n",
            "x_seconds_sum{a=\"b\"} 20.000251\n",
            "x_seconds_count{a=\"b\"} 4\n",
        ] {
            assert!(text.0.contains(line), "{line} is missing in {}", text.0);
        }
    }

    #[test]
    fn bounds_are_written_exactly() {
        for (text, nanoseconds) in ENDS {
            let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
            assert_eq!(text.parse(), Ok(seconds));
        }
    }
}
