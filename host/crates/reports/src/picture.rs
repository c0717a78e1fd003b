//! The geometry of charts: positions of bars and labels. The page draws them as inline SVG; colours are classes.

use serde::Serialize;

use super::facts::{Facts, NamedTally, Tally};
use outcome::clock::Timestamp;

/// A bar or a part of one.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// A line with a label on an axis.
#[derive(Debug, Serialize)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

/// A chart over time.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) across: Vec<Tick>,
    pub(super) along: Vec<Tick>,
}

/// A row of a table with its bar.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) total: u64,
    pub(super) share: String,
    pub(super) bars: Vec<Bar>,
}

/// The plot's corners within the picture of 960 by 260.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 950.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 226.0;

/// The width of a row's bar.
const ROW: f64 = 300.0;

/// The most labels that fit below the chart.
const LABELS: usize = 7;

/// The CSS class of a status. The four standard statuses have fixed colours.
pub(super) fn class(name: &str, place: usize) -> &'static str {
    match name {
        "completed" => "completed",
        "failed" => "failed",
        "rejected" => "rejected",
        "cancelled" => "cancelled",
        _ => ["other-1", "other-2", "other-3", "other-4"][place % 4],
    }
}

/// Outcomes over time, stacked by status.
pub(super) fn over_time(facts: &Facts) -> Chart {
    let periods = &facts.over_time;
    let highest = periods.iter().map(|period| period.tally.total).max();
    let top = round_up(highest.unwrap_or(0).max(1));
    let slot = (RIGHT - LEFT) / periods.len().max(1) as f64;
    // A single bar as wide as the page would show nothing more than a narrow one.
    let width = (slot * 0.82).min(64.0);
    let scale = (BOTTOM - TOP) / top as f64;
    let mut bars = Vec::new();
    for (place, period) in periods.iter().enumerate() {
        let x = LEFT + slot * place as f64 + (slot - width) / 2.0;
        let mut y = BOTTOM;
        for (status, number) in period.tally.by_status.iter().enumerate() {
            if *number == 0 {
                continue;
            }
            let height = *number as f64 * scale;
            y -= height;
            let name = &facts.statuses[status].name;
            bars.push(Bar {
                x: tenth(x),
                y: tenth(y),
                width: tenth(width),
                height: tenth(height.max(0.5)),
                class: class(name, status),
                title: format!("{}: {number} {name}", short(&period.from)),
            });
        }
    }
    let across = (0..=4).map(|quarter| Tick {
        at: tenth(BOTTOM - (BOTTOM - TOP) * f64::from(quarter) / 4.0),
        label: group_digits(top * quarter as u64 / 4),
    });
    let step = periods.len().div_ceil(LABELS).max(1);
    let along = periods.iter().enumerate().step_by(step);
    let along = along.map(|(place, period)| Tick {
        at: tenth(LEFT + slot * (place as f64 + 0.5)),
        label: short(&period.from),
    });
    Chart {
        bars,
        across: if top >= 4 {
            across.collect()
        } else {
            Vec::new()
        },
        along: along.collect(),
    }
}

/// A bar for each name, scaled to the longest.
pub(super) fn rows(named: &[NamedTally], facts: &Facts, of: u64) -> Vec<Row> {
    let longest = named.iter().map(|named| named.tally.total).max();
    let scale = ROW / longest.unwrap_or(0).max(1) as f64;
    named
        .iter()
        .map(|named| Row {
            name: named.name.clone(),
            total: named.tally.total,
            share: percentage(named.tally.total, of),
            bars: segments(&named.tally, facts, scale),
        })
        .collect()
}

fn segments(tally: &Tally, facts: &Facts, scale: f64) -> Vec<Bar> {
    let mut x = 0.0;
    let mut bars = Vec::new();
    for (status, number) in tally.by_status.iter().enumerate() {
        if *number == 0 {
            continue;
        }
        let width = *number as f64 * scale;
        let name = &facts.statuses[status].name;
        bars.push(Bar {
            x: tenth(x),
            y: 0.0,
            width: tenth(width.max(0.5)),
            height: 14.0,
            class: class(name, status),
            title: format!("{number} {name}"),
        });
        x += width;
    }
    bars
}

/// For each policy, when it decided within the report's span: a bar in a picture of 300 by 14.
pub(super) fn policy_bars(facts: &Facts) -> Vec<Bar> {
    let seconds = |text: &str| Timestamp::parse_rfc3339(text).map_or(0, Timestamp::seconds);
    let Some(span) = &facts.span else {
        return Vec::new();
    };
    let (from, to) = (seconds(&span.from), seconds(&span.to));
    let scale = ROW / (to - from).max(1) as f64;
    facts
        .policies
        .iter()
        .map(|policy| {
            let x = (seconds(&policy.from) - from) as f64 * scale;
            let width = (seconds(&policy.to) - seconds(&policy.from)) as f64 * scale;
            Bar {
                x: tenth(x.min(ROW - 3.0)),
                y: 0.0,
                width: tenth(width.max(3.0)),
                height: 14.0,
                class: "policy",
                title: format!("{} to {}", policy.from, policy.to),
            }
        })
        .collect()
}

/// A number with thin spaces between groups of three digits.
pub(super) fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage.
pub(super) fn percentage(part: u64, of: u64) -> String {
    if of == 0 {
        return "–".to_owned();
    }
    format!("{:.1} %", part as f64 * 100.0 / of as f64)
}

/// The next greater number that is easy to read on an axis and divisible by four.
fn round_up(number: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [4, 8, 12, 20, 28] {
            let candidate = unit.saturating_mul(step);
            if candidate >= number {
                return candidate;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// A shorter form for labels: `2026-11-24 10:00`.
fn short(time: &str) -> String {
    let text = time.replace('T', " ").replace('Z', "");
    match text.strip_suffix(" 00:00:00") {
        Some(day) => day.to_owned(),
        None => text.strip_suffix(":00").unwrap_or(&text).to_owned(),
    }
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::{group_digits, percentage, round_up, short};

    #[test]
    fn numbers_are_formatted_for_people() {
        assert_eq!(group_digits(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(group_digits(12), "12");
        assert_eq!(percentage(1, 3), "33.3 %");
        assert_eq!(percentage(0, 0), "–");
        for (number, top) in [
            (1, 4),
            (5, 8),
            (13, 20),
            (29, 40),
            (81, 120),
            (99_999, 120_000),
        ] {
            assert_eq!(round_up(number), top);
        }
        assert_eq!(short("2026-11-24T00:00:00Z"), "2026-11-24");
        assert_eq!(short("2026-11-24T10:00:00Z"), "2026-11-24 10:00");
    }
}
