//! Text of a registry in messages: short, and without control characters.

/// The longest text that a message quotes, in characters. The errors of registries are sentences.
const MAX_QUOTED: usize = 200;

/// A text for a message.
pub(crate) fn quoted(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(MAX_QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_QUOTED, quoted};

    #[test]
    fn a_text_of_a_registry_is_short_and_cannot_command_a_terminal() {
        assert_eq!(quoted("short\u{1b}[31m\nand stout"), "short[31mand stout");
        assert_eq!(quoted(&"ü".repeat(1000)).chars().count(), MAX_QUOTED);
    }
}
