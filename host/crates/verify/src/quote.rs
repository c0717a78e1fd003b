//! Quotes foreign bytes in messages. Does not interpret them.

/// Quotes foreign bytes for a message: escapes control and bidirectional characters, and cuts long text.
pub(crate) fn quote(bytes: &[u8]) -> String {
    // Longer than the longest path of an entry.
    const LONGEST: usize = 200;
    let cut = &bytes[..bytes.len().min(LONGEST)];
    let text = String::from_utf8_lossy(cut);
    let dots = if cut.len() < bytes.len() { "…" } else { "" };
    format!(
        "`{}{dots}`",
        text.escape_debug()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\'", "'")
    )
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn nothing_quoted_can_move_the_cursor_or_turn_the_text() {
        assert_eq!(
            quote("a\u{1b}[2J\u{202e}\n'b'".as_bytes()),
            "`a\\u{1b}[2J\\u{202e}\\n'b'`"
        );
    }
}
