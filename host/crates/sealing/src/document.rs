//! The sealed values of a whole document: finding them, and putting others in their place.
//!
//! Pure. Everything between the values keeps its bytes, so an opened document is exactly the one that was sealed.

use std::ops::Range;

use outcome::json;

use super::member::{SEALED, SealedMember};
use super::pattern::{Pattern, Rest};

/// A value within a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The RFC 6901 pointer to it.
    pub pointer: String,
    /// The bytes of the document that hold it.
    pub range: Range<usize>,
    /// What was found.
    pub what: T,
}

/// An object that has the reserved member and is no sealed value of a known version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the member `{pointer}` is sealed in a way that this version does not know")]
pub struct UnknownSeal {
    /// The pointer to it.
    pub pointer: String,
}

/// The values of a JSON object that the patterns match, in the order of the document. A value within another one that
/// matches is part of that one.
pub fn matching(document: &str, patterns: &[Pattern]) -> Vec<Found<()>> {
    let mut found = Vec::new();
    let rest: Vec<Rest<'_>> = patterns.iter().map(Pattern::begin).collect();
    let mut pointer = String::new();
    walk_matching(document, document, &rest, &mut pointer, &mut found);
    found
}

fn walk_matching(
    document: &str,
    value: &str,
    patterns: &[Rest<'_>],
    pointer: &mut String,
    found: &mut Vec<Found<()>>,
) {
    children(value, &mut |name, child| {
        let inner: Vec<Rest<'_>> = patterns.iter().filter_map(|it| it.after(name)).collect();
        if inner.is_empty() {
            return;
        }
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&json::pointer_step(name));
        if inner.iter().any(|rest| rest.is_done()) {
            found.push(Found {
                pointer: pointer.clone(),
                range: range(document, child),
                what: (),
            });
        } else {
            walk_matching(document, child, &inner, pointer, found);
        }
        pointer.truncate(length);
    });
}

/// The sealed values of a JSON text, in the order of the document.
///
/// # Errors
///
/// [`UnknownSeal`] if there is one that this version cannot read.
pub fn sealed_members(document: &str) -> Result<Vec<Found<SealedMember>>, UnknownSeal> {
    let mut found = Vec::new();
    // Most documents have none: a search costs less than a walk. An escaped name would be found by its escape.
    if document.contains(SEALED) || document.contains("\\u") {
        walk_sealed(document, document, &mut String::new(), &mut found)?;
    }
    Ok(found)
}

/// Whether a document has the reserved member anywhere.
pub fn is_sealed(document: &str) -> bool {
    match sealed_members(document) {
        Ok(found) => !found.is_empty(),
        Err(UnknownSeal { .. }) => true,
    }
}

fn walk_sealed(
    document: &str,
    value: &str,
    pointer: &mut String,
    found: &mut Vec<Found<SealedMember>>,
) -> Result<(), UnknownSeal> {
    if let Some(member) = SealedMember::parse(value) {
        found.push(Found {
            pointer: pointer.clone(),
            range: range(document, value),
            what: member,
        });
        return Ok(());
    }
    let mut result = Ok(());
    children(value, &mut |name, child| {
        if result.is_err() {
            return;
        }
        if name == SEALED && value.starts_with('{') {
            result = Err(UnknownSeal {
                pointer: pointer.clone(),
            });
            return;
        }
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&json::pointer_step(name));
        result = walk_sealed(document, child, pointer, found);
        pointer.truncate(length);
    });
    result
}

/// Calls `each` with the members of an object or the elements of an array.
fn children(value: &str, each: &mut dyn FnMut(&str, &str)) {
    match value.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes() {
        [b'{', ..] => {
            for (name, child) in json::members(value).unwrap_or_default() {
                each(&name, child);
            }
        }
        [b'[', ..] => {
            for (index, child) in json::elements(value).unwrap_or_default().iter().enumerate() {
                each(&index.to_string(), child);
            }
        }
        _ => {}
    }
}

/// Where a part of a text is.
pub(crate) fn range(text: &str, part: &str) -> Range<usize> {
    let from = part.as_ptr() as usize - text.as_ptr() as usize;
    from..from + part.len()
}

/// The document with these values replaced. The ranges are in order and do not overlap.
pub fn replace<'a>(
    document: &str,
    values: impl IntoIterator<Item = (&'a Range<usize>, &'a str)>,
) -> String {
    let mut replaced = String::with_capacity(document.len() + 512);
    let mut end = 0;
    for (range, value) in values {
        replaced.push_str(&document[end..range.start]);
        replaced.push_str(value);
        end = range.end;
    }
    replaced.push_str(&document[end..]);
    replaced
}

/// The value at a pointer, as written; `None` if there is none.
pub fn value_at<'a>(document: &'a str, pointer: &str) -> Option<&'a str> {
    let mut value = document;
    for step in pointer.strip_prefix('/')?.split('/') {
        let name = step.replace("~1", "/").replace("~0", "~");
        value = match value.trim_start().as_bytes().first()? {
            b'{' => {
                let members = json::members(value).ok()?;
                members.into_iter().find(|(known, _)| *known == name)?.1
            }
            b'[' => json::elements(value)
                .ok()?
                .get(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Every text within a value, decoded.
pub fn strings_in(value: &str, each: &mut dyn FnMut(&str)) {
    if value.starts_with('"') {
        if let Ok(text) = json::string(value) {
            each(&text);
        }
        return;
    }
    children(value, &mut |_, child| strings_in(child, each));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{is_sealed, matching, replace, sealed_members, value_at};
    use crate::pattern::Pattern;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn patterns_match_members_and_elements() {
        let document = r#" { "metadata" : {"people":[{"email":"a"},{"email": "b" },{"x":1}],"a/b":{"c":2}},
            "execution_result":{"outcome":"text"}}"#;
        let check = |texts: &[&str], expected: &[(&str, &str)]| {
            let found = matching(document, &patterns(texts));
            let found: Vec<_> = found
                .iter()
                .map(|found| (&*found.pointer, &document[found.range.clone()]))
                .collect();
            assert_eq!(found, expected);
            for (pointer, value) in found {
                assert_eq!(value_at(document, pointer), Some(value));
            }
        };
        check(
            &["/metadata/people/*/email", "/metadata/a~1b"],
            &[
                ("/metadata/people/0/email", r#""a""#),
                ("/metadata/people/1/email", r#""b""#),
                ("/metadata/a~1b", r#"{"c":2}"#),
            ],
        );
        check(&["/metadata/a~1b/*"], &[("/metadata/a~1b/c", "2")]);
        check(&["/metadata/none", "/execution_result/outcome/x"], &[]);
        // A value within one that is sealed is not sealed again.
        check(
            &["/metadata/a~1b/c", "/metadata/a~1b"],
            &[("/metadata/a~1b", r#"{"c":2}"#)],
        );
    }

    #[test]
    fn what_is_between_keeps_its_bytes() {
        let document = r#"{ "metadata" : {"a":1 , "b" : [2]} }"#;
        let found = matching(document, &patterns(&["/metadata/*"]));
        let replaced = replace(document, found.iter().map(|found| (&found.range, "9")));
        assert_eq!(replaced, r#"{ "metadata" : {"a":9 , "b" : 9} }"#);
    }

    #[test]
    fn a_seal_of_another_version_is_not_taken_for_clear_text() {
        let unknown = r#"{"metadata":{"a":[{"$sealed":{"v":2}}]}}"#;
        assert_eq!(
            sealed_members(unknown).unwrap_err().pointer,
            "/metadata/a/0"
        );
        assert!(is_sealed(unknown));
        assert!(is_sealed(r#"{"metadata":{"\u0024sealed":1}}"#));
        assert!(!is_sealed(r#"{"metadata":{"a":"$sealed"}}"#));
    }
}
