//! The time of recording as text.

/// Formats a time, counted from 1970-01-01T00:00:00Z, as RFC 3339 UTC with six fractional digits and `Z`.
///
/// Answers `None` if the year cannot be written.
pub fn rfc3339(seconds: i64, nanoseconds: u32) -> Option<String> {
    let time = chrono::DateTime::from_timestamp(seconds, nanoseconds)?;
    Some(time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}
