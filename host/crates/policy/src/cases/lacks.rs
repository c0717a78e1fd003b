//! Searches an entry for a text that it must not contain: in the text as written, in decoded strings, and in keys.
//!
//! Pure. A text can be written with escapes (`\u0040`), so the bytes alone do not show what a reader of the entry gets.

use serde_json::Value;

/// Where the entry contains the text; `None` if it does not.
pub(super) fn place(entry: &str, text: &str) -> Option<String> {
    let decoded = serde_json::from_str::<Value>(entry).ok();
    decoded
        .and_then(|value| in_value("", &value, text))
        .or_else(|| entry.contains(text).then(|| "in its text".to_owned()))
}

fn in_value(pointer: &str, value: &Value, text: &str) -> Option<String> {
    match value {
        Value::String(string) => string.contains(text).then(|| match pointer {
            "" => "in its text".to_owned(),
            pointer => format!("at {pointer}"),
        }),
        Value::Array(items) => (0_usize..)
            .zip(items)
            .find_map(|(at, item)| in_value(&format!("{pointer}/{at}"), item, text)),
        Value::Object(members) => members.iter().find_map(|(key, member)| {
            if key.contains(text) {
                return Some(format!("in the name of a member of {}", object(pointer)));
            }
            let key = outcome::json::pointer_step(key);
            in_value(&format!("{pointer}/{key}"), member, text)
        }),
        _ => None,
    }
}

fn object(pointer: &str) -> &str {
    if pointer.is_empty() {
        "the entry"
    } else {
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_text_is_found_however_it_is_written() {
        for (entry, text, found) in [
            (r#"{"to":"mara@example.com"}"#, "mara@", Some("at /to")),
            (r#"{"to":"mara\u0040example.com"}"#, "mara@", Some("at /to")),
            (r#"{"a":[1,{"b/c":"x\/y"}]}"#, "x/y", Some("at /a/1/b~1c")),
            (
                r#"{"a":{"k\u0065y":1}}"#,
                "key",
                Some("in the name of a member of /a"),
            ),
            (
                r#"{"k\u0065y":1}"#,
                "key",
                Some("in the name of a member of the entry"),
            ),
            (r#"{"n":4111222233334444}"#, "41112222", Some("in its text")),
            (r#"{"to":"mara\\u0040example.com"}"#, "mara@", None),
            (r#"{"to":"someone"}"#, "mara@", None),
        ] {
            assert_eq!(place(entry, text).as_deref(), found, "{entry}");
        }
    }
}
