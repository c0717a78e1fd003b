//! Times in outcomes: checks that a text is an ISO 8601 time, and reads it. Outcomes keep times as written.
//!
//! Knows the grammar and the calendar, but not the current time.

use crate::clock::{Bound, Timestamp};

/// Reads a time in any form that an outcome may hold. Without a zone it is UTC; a date alone means its first moment.
/// A leap second becomes the following second. Fractions below a microsecond are cut.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    if !is_iso8601(text) {
        return None;
    }
    let (date, rest) = text.split_at(10);
    let days = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d")
        .ok()?
        .signed_duration_since(chrono::NaiveDate::default())
        .num_days();
    let time = rest.get(1..).unwrap_or_default();
    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let number = |text: &str| text.parse::<i64>().unwrap_or_default();
    let (clock, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let seconds = clock
        .splitn(3, ':')
        .zip([3600, 60, 1])
        .map(|(part, unit)| number(part) * unit)
        .sum::<i64>();
    let micros = number(&format!("{fraction:0<6.6}"));
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let offset = number(digits.get(..2).unwrap_or_default()) * 3600
        + number(digits.get(2..).unwrap_or_default()) * 60;
    let offset = if zone.starts_with('-') {
        -offset
    } else {
        offset
    };
    let whole = days * 86_400 + seconds - offset;
    Some(Timestamp::from_microseconds(
        whole.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}

/// Reads one bound of a time span: a time, or a date, which means the whole day.
pub fn parse_bound(text: &str, bound: Bound) -> Option<Timestamp> {
    const DATE: usize = 10;
    let time = parse_time(text)?;
    Some(match text.len() {
        DATE => bound.of_day(time),
        _ => time,
    })
}

/// Whether `text` is a calendar date of ISO 8601, alone or with a time of day.
///
/// `YYYY-MM-DD`, then optionally `T` or a space and `hh:mm[:ss[.fraction]]`, then optionally `Z`, `±hh`, `±hhmm` or
/// `±hh:mm`. A second of 60 is a leap second. Week dates, ordinal dates, durations and the forms without separators are not
/// accepted: databases and programs that read a trail do not all know them.
pub(super) fn is_iso8601(text: &str) -> bool {
    let mut rest = Scan(text.as_bytes());
    let date = rest.date();
    if date && rest.0.is_empty() {
        return true;
    }
    date && rest.any(b"Tt ") && rest.time_of_day() && rest.zone() && rest.0.is_empty()
}

/// The rest of the text.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn date(&mut self) -> bool {
        let (Some(century), Some(year)) = (self.two_digits(), self.two_digits()) else {
            return false;
        };
        if !self.any(b"-") {
            return false;
        }
        let Some(month) = self.two_digits() else {
            return false;
        };
        if !self.any(b"-") {
            return false;
        }
        let Some(day) = self.two_digits() else {
            return false;
        };
        (1..=days_in(century * 100 + year, month)).contains(&day)
    }

    fn time_of_day(&mut self) -> bool {
        if !(self.below(24) && self.any(b":") && self.below(60)) {
            return false;
        }
        if !self.any(b":") {
            return true;
        }
        self.below(61) && (!self.any(b".,") || self.digits())
    }

    fn zone(&mut self) -> bool {
        if self.0.is_empty() || self.any(b"Zz") {
            return true;
        }
        if !(self.any(b"+-") && self.below(24)) {
            return false;
        }
        self.0.is_empty() || {
            self.any(b":");
            self.below(60)
        }
    }

    fn any(&mut self, bytes: &[u8]) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if bytes.contains(first) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn below(&mut self, limit: u32) -> bool {
        self.two_digits().is_some_and(|number| number < limit)
    }

    fn two_digits(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.split_first_chunk::<2>()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(u32::from(digits[0] - b'0') * 10 + u32::from(digits[1] - b'0'))
    }

    fn digits(&mut self) -> bool {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.0 = &self.0[count..];
        count > 0
    }
}

/// The number of days in a month; 0 if there is no such month.
fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_iso8601, parse_time};

    #[test]
    fn times_as_programs_write_them_are_accepted() {
        for text in [
            "2026-01-21",
            "2026-01-21T10:00:00Z",
            "2026-01-21T10:00:00",
            "2026-01-21T10:00",
            "2026-01-21 10:00:00.123456+00:00",
            "2026-01-21T10:00:00.123456789-0530",
            "2026-01-21t10:00:00,5z",
            "2024-02-29T23:59:60+14",
            "2000-02-29",
            "0000-01-01",
        ] {
            assert!(is_iso8601(text), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-1-21",
            "2026-13-01",
            "2026-00-01",
            "2026-02-30",
            "2023-02-29",
            "1900-02-29",
            "2026-01-21T",
            "2026-01-21T24:00:00",
            "2026-01-21T10",
            "2026-01-21T10:60",
            "2026-01-21T10:00:61",
            "2026-01-21T10:00:00.",
            "2026-01-21T10:00:00X",
            "2026-01-21T10:00:00Z ",
            " 2026-01-21",
            "2026-01-21T10:00:00+24:00",
            "2026-01-21T10:00:00+1",
            "2026-01-21T10:00:00+01:",
            "2026-W04-3",
            "20260121T100000Z",
            "+2026-01-21",
            "２０２６-01-21",
            "2026-01-21\n",
        ] {
            assert!(!is_iso8601(text), "{text}");
        }
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        for (text, expected) in [
            ("2026-01-21", "2026-01-21T00:00:00.000000Z"),
            ("2026-01-21T10:00", "2026-01-21T10:00:00.000000Z"),
            ("2026-01-21 10:00:07.5", "2026-01-21T10:00:07.500000Z"),
            (
                "2026-01-21T10:00:00,1234567z",
                "2026-01-21T10:00:00.123456Z",
            ),
            ("2026-01-21T10:00:00+01", "2026-01-21T09:00:00.000000Z"),
            ("2026-01-21T10:00:00-0530", "2026-01-21T15:30:00.000000Z"),
            (
                "2026-01-21T00:00:00.000001+05:30",
                "2026-01-20T18:30:00.000001Z",
            ),
            ("2024-12-31T23:59:60Z", "2025-01-01T00:00:00.000000Z"),
            ("1969-12-31T23:59:59.9", "1969-12-31T23:59:59.900000Z"),
        ] {
            let time = parse_time(text).map(|time| time.to_rfc3339());
            assert_eq!(time.as_deref(), Some(expected), "{text}");
        }
        assert_eq!(parse_time("2026-02-30"), None);
    }
}
