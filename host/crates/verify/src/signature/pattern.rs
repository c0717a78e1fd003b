//! OpenSSH's patterns for names.

/// Whether a name matches a list of OpenSSH's patterns: `*`, `?`, and `!` for exclusions.
pub(super) fn matches_list(list: &str, name: &[u8]) -> bool {
    let mut matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern.as_bytes(), name) => return false,
            Some(_) => {}
            None => matched |= matches(pattern.as_bytes(), name),
        }
    }
    matched
}

/// Whether a name matches a pattern. Only the last `*` is extended on a mismatch, so the time is bounded by the product
/// of the lengths, whatever the pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    let mut star = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, in_name));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((after, taken)) = star else {
                    return false;
                };
                star = Some((after, taken + 1));
                (at, in_name) = (after, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_openssh_has_them_in_bounded_time() {
        for (pattern, name, expect) in [
            ("", "", true),
            ("*", "", true),
            ("**", "a", true),
            ("?", "", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "abc", false),
            ("*ab", "aab", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expect,
                "{pattern} {name}"
            );
        }
        let pattern = "*a".repeat(100) + "*b";
        assert!(!matches(pattern.as_bytes(), &[b'a'; 10_000]));
    }
}
