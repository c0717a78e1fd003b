//! JSON as text: formatted and compared without deciding what a number means.

use crate::compare;
use crate::layout::Indented;
use serde::Serialize;

/// Formats a value: two-space indent, numbers in raw JSON as they were written, a newline at the end.
pub fn format(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Indented::default());
    value
        .serialize(&mut serializer)
        .expect("writing to memory cannot fail, and every key is a string");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON of strings is UTF-8")
}

/// Whether two entries say the same, apart from one member of theirs.
///
/// The order of members is ignored, strings are compared decoded, numbers as they were written. A member that an outcome may leave
/// out equals its default. A text that is not a JSON object equals nothing.
pub fn same(entry: &str, existing: &str, but_for: &str) -> bool {
    let ignored = format!("/{}", but_for.replace('~', "~0").replace('/', "~1"));
    compare::differences(entry.as_bytes(), existing.as_bytes(), &[&ignored])
        .is_ok_and(|differences| differences.is_empty())
}
