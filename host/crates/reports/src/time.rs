//! Time periods, for counting and for display.

use outcome::clock::Timestamp;

/// Lengths of periods in seconds, each a multiple of the previous one, and their names.
pub(super) const LENGTHS: [(i64, &str); 10] = [
    (1, "second"),
    (10, "10 seconds"),
    (60, "minute"),
    (600, "10 minutes"),
    (3600, "hour"),
    (21_600, "6 hours"),
    (86_400, "day"),
    (604_800, "week"),
    (2_419_200, "4 weeks"),
    (29_030_400, "48 weeks"),
];

/// Weeks begin on Mondays, and 1970 began on a Thursday.
const MONDAY: i64 = 4 * 86_400;

/// The first second of the period of this length that holds `seconds`.
pub(super) fn period_start(seconds: i64, length: i64) -> i64 {
    let shift = if length >= 604_800 { MONDAY } else { 0 };
    (seconds - shift).div_euclid(length) * length + shift
}

/// Formats a moment to the second.
pub(super) fn format_moment(seconds: i64) -> String {
    let text = Timestamp::from_microseconds(seconds.saturating_mul(1_000_000)).to_rfc3339();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

/// Formats a duration in its two largest units.
pub(super) fn format_length(seconds: i64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0 s".to_owned();
    };
    let (unit, name) = units[first];
    let mut text = format!("{} {name}", seconds / unit);
    if let Some((smaller, name)) = units.get(first + 1)
        && seconds % unit >= *smaller
    {
        text += &format!(" {} {name}", seconds % unit / smaller);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{format_length, format_moment, period_start};

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-11-24 is a Tuesday.
        let tuesday = 1_795_564_800;
        assert_eq!(format_moment(tuesday), "2026-11-25T00:00:00Z");
        assert_eq!(
            format_moment(period_start(tuesday, 604_800)),
            "2026-11-23T00:00:00Z"
        );
        assert_eq!(
            format_moment(period_start(-1, 86_400)),
            "1969-12-31T00:00:00Z"
        );
    }

    #[test]
    fn lengths_are_told_in_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (3600, "1 h"),
            (3725, "1 h 2 min"),
            (90_000, "1 d 1 h"),
            (86_405, "1 d"),
        ] {
            assert_eq!(format_length(seconds), text);
        }
    }
}
