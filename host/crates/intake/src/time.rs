//! Times in the units of other systems, as ISO 8601.
//!
//! Pure. A time that is ISO 8601 already is kept as it was written.

use chrono::{DateTime, SecondsFormat};

/// The unit of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// ISO 8601, as text. Its zone may follow a space.
    #[default]
    Iso,
    /// Seconds since 1970, with a fraction or without.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
}

impl Unit {
    /// The unit that a map names: `iso`, `s`, `ms`, `us` or `ns`.
    pub fn parse(name: &str) -> Option<Unit> {
        Some(match name {
            "iso" => Unit::Iso,
            "s" => Unit::Seconds,
            "ms" => Unit::Milliseconds,
            "us" => Unit::Microseconds,
            "ns" => Unit::Nanoseconds,
            _ => return None,
        })
    }

    /// How many decimal places a number of this unit has, in nanoseconds.
    fn places(self) -> usize {
        match self {
            Unit::Iso | Unit::Nanoseconds => 0,
            Unit::Microseconds => 3,
            Unit::Milliseconds => 6,
            Unit::Seconds => 9,
        }
    }

    /// The time as ISO 8601 in UTC. Digits below a nanosecond are cut.
    ///
    /// # Errors
    ///
    /// What it must be.
    pub fn to_iso(self, text: &str) -> Result<String, &'static str> {
        if self == Unit::Iso {
            if outcome::parse_time(text).is_some() {
                return Ok(text.to_owned());
            }
            let changed = with_zone(text).filter(|text| outcome::parse_time(text).is_some());
            return changed.ok_or("must be an ISO 8601 time; a number needs its `unit`");
        }
        let nanoseconds = nanoseconds(text, self.places()).ok_or("must be a number of its unit")?;
        let time = i64::try_from(nanoseconds).map_err(|_| "is too far from 1970")?;
        Ok(DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A time whose zone follows a space, such as `2021-02-23 02:41:37 UTC`, in the form of ISO 8601.
fn with_zone(text: &str) -> Option<String> {
    let (time, zone) = text.trim().rsplit_once(' ')?;
    Some(match zone {
        "UTC" | "GMT" | "Z" => format!("{}Z", time.replacen(' ', "T", 1)),
        zone if zone.starts_with(['+', '-']) => format!("{}{zone}", time.replacen(' ', "T", 1)),
        _ => return None,
    })
}

/// Reads a decimal number exactly: a double would round the microseconds of today's times.
fn nanoseconds(text: &str, places: usize) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || all.len() > 30 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Where the decimal point is, once the number is in nanoseconds.
    let point = i32::try_from(whole.len() + places)
        .ok()?
        .checked_add(exponent)?;
    let point = usize::try_from(point).ok()?;
    if point > 30 {
        return None;
    }
    let scaled = format!("{all:0<point$}");
    let number: i128 = scaled.get(..point)?.parse().unwrap_or_default();
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn epochs_of_every_unit_become_iso() {
        for (unit, number, expected) in [
            (Unit::Seconds, "0", "1970-01-01T00:00:00Z"),
            (Unit::Seconds, "1769000400", "2026-01-21T13:00:00Z"),
            (Unit::Seconds, "1769000400.25", "2026-01-21T13:00:00.250Z"),
            (
                Unit::Seconds,
                "1769000400.123456789",
                "2026-01-21T13:00:00.123456789Z",
            ),
            (Unit::Seconds, "1.7690004e9", "2026-01-21T13:00:00Z"),
            (
                Unit::Milliseconds,
                "1769000400250",
                "2026-01-21T13:00:00.250Z",
            ),
            (
                Unit::Microseconds,
                "1769000400000001",
                "2026-01-21T13:00:00.000001Z",
            ),
            (
                Unit::Nanoseconds,
                "1769000400000000001",
                "2026-01-21T13:00:00.000000001Z",
            ),
            (Unit::Seconds, "-1", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(unit.to_iso(number).as_deref(), Ok(expected), "{number}");
        }
    }

    #[test]
    fn a_zone_may_follow_a_space() {
        for (text, expected) in [
            ("2021-02-23 02:41:37 UTC", Ok("2021-02-23T02:41:37Z")),
            ("2021-02-23 02:41:37 +0100", Ok("2021-02-23T02:41:37+0100")),
            ("2021-02-23T02:41:37.5Z", Ok("2021-02-23T02:41:37.5Z")),
            ("2021-02-23 02:41:37 CEST", Err(())),
            ("02:41:37 UTC", Err(())),
        ] {
            let found = Unit::Iso.to_iso(text);
            assert_eq!(found.as_deref().map_err(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_of_its_unit_is_refused() {
        for (unit, text) in [
            (Unit::Iso, "1769000400"),
            (Unit::Iso, "yesterday"),
            (Unit::Seconds, "2026-01-21T13:00:00Z"),
            (Unit::Seconds, ""),
            (Unit::Seconds, "1e400"),
            (Unit::Seconds, "99999999999999999999"),
            (Unit::Milliseconds, "x1"),
        ] {
            assert!(unit.to_iso(text).is_err(), "{text}");
        }
    }
}
