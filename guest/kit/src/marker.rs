//! The marker that stands where a secret was: `[redacted]` or `[redacted:name]`.

use std::ops::Range;

/// The marker without a name.
pub const MARKER: &str = "[redacted]";

/// The longest marker, in bytes: `[redacted:`, a name of 40 bytes, `]`.
const LONGEST: usize = 51;

/// The marker that names what kind of secret it stands for; [`is_name`] must accept the name.
pub fn named(name: &str) -> String {
    ["[redacted:", name, "]"].concat()
}

/// Whether a marker may hold this name: 1 to 40 lower-case letters, digits and `-`.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=40).contains(&name.len()) && name.bytes().all(fits)
}

/// Whether a text is nothing but a marker.
pub fn is_marker(text: &str) -> bool {
    let inner = text
        .strip_prefix("[redacted")
        .and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.is_empty() || inner.strip_prefix(':').is_some_and(is_name))
}

/// The marker that a cut at this byte would split in two.
pub fn split_by(text: &str, cut: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    (cut.saturating_sub(LONGEST)..cut).find_map(|start| {
        if bytes[start] != b'[' {
            return None;
        }
        let length = bytes[start..]
            .iter()
            .take(LONGEST)
            .position(|byte| *byte == b']')?;
        let end = start + length + 1;
        (cut < end && is_marker(&text[start..end])).then_some(start..end)
    })
}
