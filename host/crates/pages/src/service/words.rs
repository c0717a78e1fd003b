//! Words and forms of values in pages.

use std::fmt::Write as _;

/// A time in RFC 3339, to the second.
pub(super) fn second(time: &str) -> String {
    match (time.get(..10), time.get(11..19)) {
        (Some(day), Some(second)) => super::super::visible(format!("{day} {second}Z")),
        _ => super::super::visible(time.to_owned()),
    }
}

/// How a status or a state is coloured. The word itself says what it is.
pub(super) fn tone(word: &str) -> &'static str {
    match word {
        "completed" | "committed" => "good",
        "failed" | "conflicting" | "refused" | "timed_out" => "bad",
        "rejected" | "cancelled" | "pending" | "blocked" | "planned" => "unsure",
        _ => "plain",
    }
}

/// A verdict as `verify` writes it.
pub(super) fn verdict(word: &str) -> &'static str {
    match word {
        "holds" => "holds",
        "broken" => "BROKEN",
        "not-asked" => "not asked",
        _ => "not shown",
    }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                // Cannot fail: a String takes everything.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{second, segment};

    #[test]
    fn times_and_segments_have_one_form() {
        assert_eq!(
            second("2026-01-21T10:00:00.123456Z"),
            "2026-01-21 10:00:00Z"
        );
        assert_eq!(second("x"), "x");
        assert_eq!(segment("a/b ?é"), "a%2Fb%20%3F%C3%A9");
    }
}
