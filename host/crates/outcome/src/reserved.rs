//! The reserved member `$sealed`: only the host writes it, so no document may bring it.

use super::json;

/// Sealed values are objects with this member.
const SEALED: &str = "$sealed";

/// The pointer to the first object with the reserved member, at any depth. The text is valid JSON.
pub(super) fn find_reserved(text: &str) -> Option<String> {
    // A search is enough for almost every document. An escape could hide the name.
    if !text.contains(SEALED) && !text.contains("\\u") {
        return None;
    }
    let mut pointer = String::new();
    walk(text, &mut pointer).then_some(pointer)
}

/// Recurses as deep as the text, whose depth the parser has bounded. Leaves the place in `pointer`.
fn walk(value: &str, pointer: &mut String) -> bool {
    let length = pointer.len();
    let inside = |name: &str, child: &str, pointer: &mut String| {
        pointer.push('/');
        json::push_token(pointer, name);
        let is_found = walk(child, pointer);
        if !is_found {
            pointer.truncate(length);
        }
        is_found
    };
    match value.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes() {
        [b'{', ..] => {
            let members = json::members(value).unwrap_or_default();
            members.iter().any(|(name, _)| name == SEALED)
                || members
                    .iter()
                    .any(|(name, child)| inside(name, child, pointer))
        }
        [b'[', ..] => {
            let elements = json::elements(value).unwrap_or_default();
            let mut elements = (0..).zip(elements);
            elements.any(|(index, child): (u64, _)| inside(&index.to_string(), child, pointer))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::find_reserved;

    #[test]
    fn the_reserved_member_is_found_at_any_depth() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(find_reserved(text).as_deref(), expected, "{text}");
        };
        check(
            r#"{"metadata":{"a":[1,{"$sealed":{}}]}}"#,
            Some("/metadata/a/1"),
        );
        check(r#" {"\u0024sealed":1}"#, Some(""));
        check(r#"{"a":"$sealed","b":"\u0024sealed","$sealed2":1}"#, None);
        check(r#"{"a":1}"#, None);
    }
}
