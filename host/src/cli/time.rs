//! Times as people type them after `--since` and `--until`.
//!
//! Knows the words; the present is an argument.

use chrono::{Days, Months, NaiveDate, NaiveDateTime, NaiveTime};

use super::exit::UsageError;
pub use crate::clock::Bound;
use crate::clock::Timestamp;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Reads a time; one without a zone is UTC.
///
/// ISO 8601 dates and times; `now`, `today`, `midnight`, `yesterday`; `2 days ago`, `2.days.ago`, `1 hour 30 minutes
/// ago`, `3h`. As with git, `yesterday` is 24 hours ago; `today` and `midnight` are 00:00.
pub fn parse(text: &str, bound: Bound, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    absolute(text, bound)
        .or_else(|| relative(&text.to_ascii_lowercase(), now))
        .ok_or_else(|| {
            "must be a time such as 2026-01-21, 2026-01-21T10:00:00Z, yesterday or `2 days ago`"
                .to_owned()
        })
}

/// Reads the time that an option was given, if it was.
///
/// # Errors
///
/// Names the option.
pub fn option(
    name: &str,
    given: Option<&str>,
    bound: Bound,
    now: Timestamp,
) -> Result<Option<Timestamp>, UsageError> {
    given
        .map(|text| parse(text, bound, now).map_err(|rule| UsageError(format!("{name} {rule}"))))
        .transpose()
}

/// The time before now by a span such as `90s`, `30 minutes` or `1h 30m`.
pub fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim().to_ascii_lowercase();
    let is_span = text.starts_with(|character: char| character.is_ascii_digit());
    is_span.then(|| relative(&text, now)).flatten()
}

fn absolute(text: &str, bound: Bound) -> Option<Timestamp> {
    if let Some(time) = Timestamp::parse_rfc3339(text) {
        return Some(time);
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let day = date.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        return Some(bound.of_day(Timestamp::from_microseconds(day)));
    }
    let zoned = [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y-%m-%d %H:%M%#z",
    ];
    let local = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    let text = text
        .strip_suffix(['Z', 'z'])
        .map_or(text.to_owned(), |text| format!("{text}+0000"));
    let zoned = zoned
        .iter()
        .find_map(|form| chrono::DateTime::parse_from_str(&text, form).ok());
    let time = zoned.map(|time| time.to_utc()).or_else(|| {
        let time = local
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())?;
        Some(time.and_utc())
    })?;
    Some(Timestamp::from_microseconds(time.timestamp_micros()))
}

fn relative(text: &str, now: Timestamp) -> Option<Timestamp> {
    let now = now.microseconds();
    let ago = match text {
        "now" => return Some(Timestamp::from_microseconds(now)),
        "today" | "midnight" => {
            return Some(Timestamp::from_microseconds(now - now.rem_euclid(DAY)));
        }
        "yesterday" => return Some(Timestamp::from_microseconds(now - DAY)),
        text => text.replace(['.', ',', '_'], " "),
    };
    let ago = ago.strip_suffix("ago").map_or(ago.as_str(), str::trim_end);
    let mut time = chrono::DateTime::from_timestamp_micros(now)?;
    let mut words = ago.split_ascii_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        let digits = word.len()
            - word
                .trim_start_matches(|character: char| character.is_ascii_digit())
                .len();
        let (number, unit) = word.split_at(digits);
        let number: u32 = number.parse().ok()?;
        let unit = if unit.is_empty() { words.next()? } else { unit };
        let number64 = u64::from(number);
        let back =
            |seconds: i64| chrono::TimeDelta::try_seconds(i64::from(number).checked_mul(seconds)?);
        time = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => time.checked_sub_signed(back(1)?)?,
            "m" | "min" | "mins" | "minute" | "minutes" => time.checked_sub_signed(back(60)?)?,
            "h" | "hour" | "hours" => time.checked_sub_signed(back(3600)?)?,
            "d" | "day" | "days" => time.checked_sub_days(Days::new(number64))?,
            "w" | "week" | "weeks" => time.checked_sub_days(Days::new(number64 * 7))?,
            "month" | "months" => time.checked_sub_months(Months::new(number))?,
            "y" | "year" | "years" => {
                time.checked_sub_months(Months::new(number.checked_mul(12)?))?
            }
            _ => return None,
        };
    }
    Some(Timestamp::from_microseconds(time.timestamp_micros()))
}

/// The time to the second, for people.
pub fn to_the_second(time: Timestamp) -> String {
    let text = time.to_rfc3339();
    format!("{}Z", text.get(..19).unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::{Bound, parse};
    use crate::clock::Timestamp;

    #[test]
    fn times_are_read_as_people_type_them() {
        let now = Timestamp::parse_rfc3339("2026-03-31T12:30:00.5Z").expect("a time");
        for (text, expected) in [
            ("2026-01-21", "2026-01-21T00:00:00.000000Z"),
            ("2026-01-21T10:00:00Z", "2026-01-21T10:00:00.000000Z"),
            (
                "2026-01-21T10:00:00.25+01:00",
                "2026-01-21T09:00:00.250000Z",
            ),
            ("2026-01-21 10:00:00 +0100", "2026-01-21T09:00:00.000000Z"),
            ("2026-01-21 10:00", "2026-01-21T10:00:00.000000Z"),
            ("2026-01-21T10:00:00", "2026-01-21T10:00:00.000000Z"),
            ("2026-01-21T10:00Z", "2026-01-21T10:00:00.000000Z"),
            ("now", "2026-03-31T12:30:00.500000Z"),
            ("today", "2026-03-31T00:00:00.000000Z"),
            ("Yesterday", "2026-03-30T12:30:00.500000Z"),
            ("2 days ago", "2026-03-29T12:30:00.500000Z"),
            ("2.days.ago", "2026-03-29T12:30:00.500000Z"),
            ("1 hour 30 minutes ago", "2026-03-31T11:00:00.500000Z"),
            ("3h", "2026-03-31T09:30:00.500000Z"),
            ("1 week", "2026-03-24T12:30:00.500000Z"),
            ("1 month ago", "2026-02-28T12:30:00.500000Z"),
            ("1 year ago", "2025-03-31T12:30:00.500000Z"),
        ] {
            assert_eq!(
                parse(text, Bound::Since, now).map(Timestamp::to_rfc3339),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        let end = parse("2026-01-21", Bound::Until, now).map(Timestamp::to_rfc3339);
        assert_eq!(end, Ok("2026-01-21T23:59:59.999999Z".to_owned()));
        for text in [
            "",
            "ago",
            "soon",
            "two days ago",
            "2",
            "2 fortnights",
            "2026-13-01",
            "99999999 years ago",
            "-1 day",
        ] {
            assert!(parse(text, Bound::Since, now).is_err(), "{text}");
        }
    }
}
