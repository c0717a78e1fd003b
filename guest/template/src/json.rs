//! JSON as text: laid out and compared without deciding what a number is.

use crate::indent::Indented;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Writes a value: two-space indent, numbers in raw JSON as they were written, a newline at the end.
pub fn format(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Indented::default());
    value
        .serialize(&mut serializer)
        .expect("writing to memory cannot fail, and every key is a string");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON of strings is UTF-8")
}

/// Whether two objects are equal but for one member of theirs: order of members ignored, strings compared decoded, numbers as
/// they were written. What is not JSON equals nothing.
pub fn same(one: &str, other: &str, but_for: &str) -> bool {
    let without = |text: &str| {
        let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        members.remove(but_for);
        object(members)
    };
    match (without(one), without(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The value with its members sorted, its strings escaped in one way and no white space.
fn canonical(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => object(serde_json::from_str(text).ok()?),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let items: Option<Vec<String>> = items.into_iter().map(canonical).collect();
            Some(format!("[{}]", items?.join(",")))
        }
        b'"' => string(&serde_json::from_str::<String>(text).ok()?),
        _ => Some(text.to_owned()),
    }
}

fn object(members: BTreeMap<String, &RawValue>) -> Option<String> {
    let members: Option<Vec<String>> = members
        .into_iter()
        .map(|(key, value)| Some(format!("{}:{}", string(&key)?, canonical(value)?)))
        .collect();
    Some(format!("{{{}}}", members?.join(",")))
}

fn string(text: &str) -> Option<String> {
    serde_json::to_string(text).ok()
}
