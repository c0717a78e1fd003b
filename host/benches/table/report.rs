//! The Markdown table, and the formats of quantities.

use std::fmt::Write as _;
use std::time::Duration;

/// One figure.
pub struct Row {
    pub what: String,
    pub ours: String,
    pub baseline: String,
    pub ratio: String,
    pub goal: &'static str,
    /// Whether the goal is reached; `None` without a goal, or at another size.
    pub met: Option<bool>,
}

/// A table. Each row is shown on standard error immediately.
#[derive(Default)]
pub struct Table {
    pub rows: Vec<Row>,
}

impl Table {
    #[expect(
        clippy::print_stderr,
        reason = "a run takes minutes: it shows where it is"
    )]
    pub fn push(&mut self, row: Row) {
        eprintln!("{}", line(&row));
        self.rows.push(row);
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| what | ours | baseline | ratio | goal | met |\n|---|---:|---:|---:|---|---|\n",
        );
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row));
        }
        text
    }
}

fn line(row: &Row) -> String {
    let met = match row.met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "–",
    };
    format!(
        "| {} | {} | {} | {} | {} | {met} |",
        row.what, row.ours, row.baseline, row.ratio, row.goal
    )
}

pub fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

pub fn per_second(rate: f64) -> String {
    format!("{rate:.0}/s")
}

pub fn milliseconds(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1e3;
    match milliseconds {
        ..0.1 => format!("{:.1} µs", milliseconds * 1e3),
        ..100.0 => format!("{milliseconds:.2} ms"),
        ..10_000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.1} s", milliseconds / 1e3),
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

pub fn times(ratio: f64) -> String {
    format!("{ratio:.2}x")
}

pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
