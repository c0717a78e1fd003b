//! Times in files of allowed signers, and in messages.

/// Parses `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with or without a `Z`, as seconds since 1970.
///
/// OpenSSH reads a time without `Z` in the machine's time zone. An audit must not depend on the machine, so it is UTC
/// here.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |begin: usize, length: usize| digits.get(begin..begin + length).unwrap_or("00");
    crate::rules::time::seconds(&format!(
        "{}-{}-{}T{}:{}:{}.000000Z",
        part(0, 4),
        part(4, 2),
        part(6, 2),
        part(8, 2),
        part(10, 2),
        part(12, 2)
    ))
}

/// Formats seconds since 1970 as `2026-01-02T03:04:05Z`.
pub(crate) fn show(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, so that a leap day is the last of its year (Howard Hinnant, "chrono-compatible date algorithms").
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        era * 400 + year + later,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn times_are_read_and_shown() {
        for (text, expect) in [
            ("20260102030405Z", Some("2026-01-02T03:04:05Z")),
            ("20260102030405", Some("2026-01-02T03:04:05Z")),
            ("202601020304", Some("2026-01-02T03:04:00Z")),
            ("20240229Z", Some("2024-02-29T00:00:00Z")),
            ("19691231", Some("1969-12-31T00:00:00Z")),
            ("20230229", None),
            ("2026010203", None),
            ("2026-01-02", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(show).as_deref(), expect, "{text}");
        }
    }
}
