//! JSON whose text is fit to be shown: nothing in it moves a cursor, changes a colour, hides or reorders.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

/// One line of JSON, with its end.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut line, SafeFormatter);
    value
        .serialize(&mut serializer)
        .expect("memory takes everything, and all keys are texts");
    line.push(b'\n');
    line
}

/// Whether a character acts on a terminal, ends a line for some reader, is not seen, or reorders what is.
///
/// C0, DEL and C1; soft hyphen; bidirectional marks, embeddings, overrides and isolates; zero-width characters and
/// invisible operators; line and paragraph separator; byte-order mark; interlinear annotation; tags.
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Writes a character as one or two `\u` escapes of JSON.
pub fn push_json_escape(text: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Cannot fail: a String takes everything.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

/// How `serde_json` writes here: on one line, hidden characters as `\u` escapes.
pub struct SafeFormatter;

impl serde_json::ser::Formatter for SafeFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !fragment.contains(is_hidden) {
            return out.write_all(fragment.as_bytes());
        }
        let mut escaped = String::with_capacity(fragment.len() + 16);
        for character in fragment.chars() {
            if is_hidden(character) {
                push_json_escape(&mut escaped, character)
            } else {
                escaped.push(character)
            }
        }
        out.write_all(escaped.as_bytes())
    }
}
