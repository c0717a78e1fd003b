//! The names of refs that git accepts. Knows no file.

/// Whether git accepts this as the full name of a ref: `HEAD`, or at least two components (`git check-ref-format`).
pub(crate) fn is_valid(name: &[u8]) -> bool {
    name == b"HEAD" || name.contains(&b'/') && is_valid_one_level(name)
}

/// Whether git accepts this as a name besides `HEAD`, as in `git log NAME`: one component is enough.
pub(super) fn is_valid_one_level(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/').all(is_component)
        && !name.ends_with(b".")
        && !has_pair(name, b'@', b'{')
}

/// Whether a ref with this name belongs to one work tree: `HEAD` and similar names, and those of bisections and rebases.
/// All other refs are the repository's, names of one component included.
pub(super) fn is_of_work_tree(name: &[u8]) -> bool {
    let is_root = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let directories = [&b"refs/worktree/"[..], b"refs/bisect/", b"refs/rewritten/"];
    name.iter().all(is_root)
        || directories
            .iter()
            .any(|directory| name.starts_with(directory))
}

fn is_component(component: &[u8]) -> bool {
    let bad = |byte: &u8| {
        *byte <= b' ' || matches!(byte, b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\' | 0x7f)
    };
    !component.is_empty()
        && !component.starts_with(b".")
        && !component.ends_with(b".lock")
        && !component.iter().any(bad)
        && !has_pair(component, b'.', b'.')
}

fn has_pair(name: &[u8], first: u8, second: u8) -> bool {
    name.windows(2).any(|pair| pair == [first, second])
}

#[cfg(test)]
mod tests {
    use super::{is_of_work_tree, is_valid};

    #[test]
    fn only_the_names_that_git_lists_belong_to_a_work_tree() {
        for name in ["HEAD", "FETCH_HEAD", "refs/worktree/a", "refs/bisect/bad"] {
            assert!(is_of_work_tree(name.as_bytes()), "{name}");
        }
        for name in ["main", "Head", "refs/heads/HEAD", "refs/worktrees/a"] {
            assert!(!is_of_work_tree(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_are_those_that_git_accepts() {
        for good in [
            &b"HEAD"[..],
            b"refs/heads/main",
            b"refs/heads/a.b/c@d",
            b"refs/heads/\xff",
            b"a/b",
            b"refs/heads/@",
        ] {
            assert!(is_valid(good), "{}", good.escape_ascii());
        }
        for bad in [
            &b"main"[..],
            b"",
            b"refs/heads/",
            b"/refs/heads",
            b"refs//heads",
            b"refs/heads/.a",
            b"refs/heads/a..b",
            b"refs/heads/a.lock",
            b"refs/a.lock/b",
            b"refs/heads/a.",
            b"refs/heads/a@{b",
            b"refs/heads/a b",
            b"refs/heads/a\tb",
            b"refs/heads/a~b",
            b"refs/heads/a\x7f",
            b"refs/heads/../../x",
        ] {
            assert!(!is_valid(bad), "{}", bad.escape_ascii());
        }
    }
}
