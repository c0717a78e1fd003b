//! Text from elsewhere made fit to be shown: nothing in it moves a cursor, changes a colour, hides or reorders.
//!
//! Every text that an outcome, a commit, a policy or a file name brings passes here before a person or a program reads it.

use std::fmt;

use ::verifier::push_json_escape;
pub use ::verifier::{SafeFormatter, is_hidden};

/// Text on one line.
pub struct Line<'a>(pub &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(out, self.0, |_| false)
    }
}

/// Text of several lines: newlines and tabs stay.
pub struct Lines<'a>(pub &'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(out, self.0, |character| matches!(character, '\n' | '\t'))
    }
}

fn escape(out: &mut fmt::Formatter<'_>, text: &str, keep: impl Fn(char) -> bool) -> fmt::Result {
    let mut rest = text;
    while let Some((at, character)) = rest
        .char_indices()
        .find(|(_, character)| is_hidden(*character) && !keep(*character))
    {
        out.write_str(&rest[..at])?;
        match character {
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            _ => write!(out, "{}", character.escape_unicode())?,
        }
        rest = &rest[at + character.len_utf8()..];
    }
    out.write_str(rest)
}

/// JSON text on one line without white space between its tokens, hidden characters written as `\u` escapes.
///
/// The same values: only white space outside strings goes, and an escape in a string stands for the character. The text must
/// be JSON.
pub fn one_line_json(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if !in_string {
            in_string = character == '"';
            if !matches!(character, ' ' | '\t' | '\n' | '\r') {
                line.push(character);
            }
            continue;
        }
        match character {
            _ if is_hidden(character) => push_json_escape(&mut line, character),
            _ => line.push(character),
        }
        (in_string, escaped) = (escaped || character != '"', !escaped && character == '\\');
    }
    line
}

/// A word of a command as a person would type it: quoted where a shell would take it for more than one word.
pub fn shell_word(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./=:,@%+~".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines, SafeFormatter, one_line_json, shell_word};
    use serde::Serialize as _;

    #[test]
    fn hidden_characters_are_escaped_and_others_are_not() {
        for (text, expected) in [
            ("plain é 😀 ‑", "plain é 😀 ‑"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\0\u{7f}\u{9b}", "\\u{0}\\u{7f}\\u{9b}"),
            (
                "\u{200b}\u{200f}\u{202a}\u{202e}",
                "\\u{200b}\\u{200f}\\u{202a}\\u{202e}",
            ),
            (
                "\u{2066}\u{2069}\u{feff}\u{2028}\u{2029}",
                "\\u{2066}\\u{2069}\\u{feff}\\u{2028}\\u{2029}",
            ),
            ("\u{61c}\u{e0041}", "\\u{61c}\\u{e0041}"),
        ] {
            assert_eq!(Line(text).to_string(), expected);
        }
        assert_eq!(
            Lines("{\n\t\u{202e}\r\n}").to_string(),
            "{\n\t\\u{202e}\\r\n}"
        );
    }

    #[test]
    fn json_is_brought_on_one_line_and_means_the_same() {
        for (text, expected) in [
            (
                "{\n  \"a b\" : [ 1.0E+2 , null ]\n}\n",
                r#"{"a b":[1.0E+2,null]}"#,
            ),
            ("\"a \\\" \\\\\" ", "\"a \\\" \\\\\""),
            (
                "[\"\u{202e}\", \"\u{e0041}\", \"\u{7f}\"]",
                "[\"\\u202e\",\"\\udb40\\udc41\",\"\\u007f\"]",
            ),
            (r#"["\\", "x y"]"#, r#"["\\","x y"]"#),
        ] {
            let line = one_line_json(text);
            assert_eq!(line, expected);
            let value = |text| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            assert_eq!(value(text), value(&line));
        }
    }

    #[test]
    fn written_json_has_no_hidden_characters() {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, SafeFormatter);
        "a\n\u{9b}\u{202e}\u{e0041}é"
            .serialize(&mut serializer)
            .expect("a string");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "\"a\\n\\u009b\\u202e\\udb40\\udc41é\""
        );
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, expected) in [
            ("a/b.json", "a/b.json"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(shell_word(word), expected);
        }
    }
}
