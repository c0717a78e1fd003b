//! The author of commits, as a setting gives it.

/// Whether a commit can name this text as its author. git splits it at the angle brackets and ends it at the line's
/// end.
pub(super) fn is_author(text: &str) -> bool {
    let Some((name, rest)) = text.split_once(" <") else {
        return false;
    };
    let Some(email) = rest.strip_suffix('>') else {
        return false;
    };
    let fits = |part: &str| {
        !part.trim().is_empty()
            && part.trim() == part
            && !part.contains(|c: char| c.is_control() || c == '<' || c == '>')
    };
    fits(name) && fits(email)
}

#[cfg(test)]
mod tests {
    use super::is_author;

    #[test]
    fn authors_are_what_a_commit_can_hold() {
        for (text, expected) in [
            ("Chiffon Audit <audit@example.com>", true),
            ("é <e>", true),
            ("Name", false),
            ("Name <a@b", false),
            (" <a@b>", false),
            ("Name <>", false),
            ("Na<me <a@b>", false),
            ("Name <a@b>\nauthor X <x@y>", false),
            ("Name <a@b> <c@d>", false),
        ] {
            assert_eq!(is_author(text), expected, "{text}");
        }
    }
}
