//! The sections of the runbook, so that a page says what to do about a cause without a request elsewhere.

const CAUSES: &str = include_str!("../../../../../docs/src/runbook/causes.md");

/// The section about a cause, as text; empty if there is none.
pub(super) fn section(cause: &str) -> String {
    let heading = format!("\n## `{cause}`\n");
    let Some((_, rest)) = CAUSES.split_once(&heading) else {
        return String::new();
    };
    let section = rest.split("\n## ").next().unwrap_or_default();
    without_links(section.trim())
}

/// Markdown without the targets of links, which lead to pages of the book.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (text, name) = before.rsplit_once('[').unwrap_or((before, ""));
        plain.push_str(text);
        plain.push_str(name);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn a_cause_has_its_section_without_links() {
        let found = section("differs");
        assert!(
            found.starts_with("The task has a different entry"),
            "{found}"
        );
        let found = section("document");
        assert!(found.contains("The document is not an outcome:"), "{found}");
        assert_eq!(section("x"), "");
    }
}
