//! A test case that is made from something that was recorded.
//!
//! Owns how a new case is written. Does not know where it comes from.

use std::collections::BTreeMap;

use outcome::clock::Timestamp;
use toml_edit::{InlineTable, Value};

use super::update::text_value;

/// A case to be written into a file: what the policy is given, and the entry that it must make.
#[derive(Clone, Debug)]
pub struct CaseDraft<'a> {
    /// What reports call the case.
    pub name: &'a str,
    /// Lines for a reader of the file, written as comments above the case's name.
    pub comments: Vec<String>,
    /// The outcome, as JSON text.
    pub outcome: &'a str,
    /// The settings for the policy. A secret is not among them.
    pub settings: BTreeMap<&'a str, &'a str>,
    /// The time of recording.
    pub now: Timestamp,
    /// The subject of the commit; `None` if any will do.
    pub message: Option<&'a str>,
    /// The entry, byte for byte.
    pub entry: &'a str,
}

impl CaseDraft<'_> {
    /// The case as TOML, beginning with `[[case]]`.
    pub fn to_toml(&self) -> String {
        let mut text = "[[case]]\n".to_owned();
        for comment in &self.comments {
            // A control character would end the comment, or is not allowed in one.
            let comment = comment.replace(char::is_control, " ");
            text += &format!("# {}\n", comment.trim_end());
        }
        let mut add = |key: &str, value: Value| text += &format!("{key} = {value}\n");
        add("name", text_value(self.name));
        add("outcome", text_value(self.outcome));
        if !self.settings.is_empty() {
            let settings = self.settings.iter();
            let settings = settings.map(|(name, value)| (*name, text_value(value)));
            add(
                "settings",
                Value::InlineTable(settings.collect::<InlineTable>()),
            );
        }
        add("now", text_value(&self.now.to_rfc3339()));
        add("expect.result", text_value("committed"));
        if let Some(message) = self.message {
            add("expect.message", text_value(message));
        }
        add("expect.entry", text_value(self.entry));
        text
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::CaseDraft;
    use outcome::clock::Timestamp;
    use std::collections::BTreeMap;
    use toml_edit::DocumentMut;

    #[test]
    fn every_text_is_read_back_as_it_was() {
        for text in [
            "{\n  \"a\": 'b'\n}\n",
            "{\"a\":\"'''\"}\n",
            "{\r\n}",
            "\n{}",
            "{\u{7f}\u{85}\u{1b}}'\n",
            "{ \\u0000 \" \"\"\" }",
        ] {
            let draft = CaseDraft {
                name: text,
                comments: vec![text.to_owned()],
                outcome: text,
                settings: BTreeMap::from([(text, text)]),
                now: Timestamp::from_seconds(0),
                message: Some(text),
                entry: text,
            };
            let read: DocumentMut = draft.to_toml().parse().unwrap();
            let case = read["case"].as_array_of_tables().unwrap().get(0).unwrap();
            for found in [
                &case["name"],
                &case["outcome"],
                &case["settings"][text],
                &case["expect"]["message"],
                &case["expect"]["entry"],
            ] {
                assert_eq!(found.as_str(), Some(text));
            }
        }
    }
}
