//! Entity tags (RFC 9110, 8.8.3 and 13.1.2): a caller with a current copy gets 304.

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

/// The strong tag of an answer: equal bytes have the same tag on every host.
pub fn of(bytes: &[u8]) -> String {
    format!("\"{}\"", outcome::digest::hex(&Sha256::digest(bytes)[..16]))
}

/// Whether `If-None-Match` names this tag, by weak comparison, or `*`.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|value| names(value.as_bytes(), tag.as_bytes()))
}

fn names(list: &[u8], tag: &[u8]) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        // A tag may contain commas but no quotes. Anything else ends the parsing.
        let Some(inner) = rest.strip_prefix(b"\"") else {
            return false;
        };
        let Some(end) = inner.iter().position(|byte| *byte == b'"') else {
            return false;
        };
        if &rest[..end + 2] == tag {
            return true;
        }
        rest = &inner[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::{names, of};

    #[test]
    fn lists_weak_tags_and_stars_are_understood() {
        let tag = of(b"x");
        assert_eq!(tag.len(), 34);
        for (list, expected) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            (format!("\"a,b\", W/\"c\" ,{tag}"), true),
            (format!(" , {tag},"), true),
            ("*".to_owned(), true),
            (" * ".to_owned(), true),
            ("\"*\"".to_owned(), false),
            ("\"a\", \"b\"".to_owned(), false),
            (tag.trim_matches('"').to_owned(), false),
            (format!("x {tag}"), false),
            (format!("w/{tag}"), false),
            (String::new(), false),
            ("\"open".to_owned(), false),
        ] {
            assert_eq!(names(list.as_bytes(), tag.as_bytes()), expected, "{list}");
        }
    }
}
