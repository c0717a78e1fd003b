//! Tolerance: what is wrong with a JSON text and can be put right without guessing, in one pass and bounded memory.
//!
//! Owns the rules and what is reported about their use. Knows no field but those whose texts may be long.

mod machine;
mod members;
mod text;

pub use machine::Treatment;
pub use members::shorten_members;

/// What happens to NaN and infinities, which JSON does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// The document is refused.
    #[default]
    Refuse,
    /// They become `null`.
    Null,
    /// They become strings, such as `"NaN"`.
    String,
}

/// The rules for one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What happens to NaN and infinities.
    pub non_finite: NonFinite,
    /// The longest text of an outcome, of resources or of metadata that is kept whole, in bytes.
    pub longest: Option<usize>,
    /// Whether the same holds for every text of the document, as in those of other systems.
    pub anywhere: bool,
}

/// A document after treatment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treated {
    /// Its bytes.
    pub document: Vec<u8>,
    /// RFC 6901 pointers to the values that were repaired, at most [`MAX_POINTERS`].
    pub repaired: Vec<String>,
    /// RFC 6901 pointers to the texts that were shortened, at most [`MAX_POINTERS`].
    pub shortened: Vec<String>,
}

/// How many places a receipt names: enough for a person.
pub const MAX_POINTERS: usize = 100;

/// The longest text that is kept whole in a document beyond the limit, in bytes: as `builtin:bound` has it.
pub const MAX_TEXT: usize = 16 << 10;

/// Treats a document that is in memory.
pub fn treat(document: &[u8], rules: Rules) -> Treated {
    let mut treatment = Treatment::new(rules);
    treatment.push(document);
    treatment.finish()
}

/// Whether [`treat`] may change anything about a document that is not too long. It costs less than parsing.
pub fn may_help(document: &[u8], non_finite: NonFinite) -> bool {
    let has_surrogate = || {
        memchr::memchr_iter(b'\\', document).any(|at| {
            let digits = document.get(at + 1..at + 4).unwrap_or_default();
            matches!(
                digits,
                [b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F']
            )
        })
    };
    // A number beyond a double looks like any other until it is read.
    non_finite != NonFinite::Refuse || has_surrogate()
}

#[cfg(test)]
mod tests {
    use super::{NonFinite, Rules, Treated, may_help, treat};

    fn treated(document: &str, non_finite: NonFinite) -> Treated {
        let rules = Rules {
            non_finite,
            ..Rules::default()
        };
        let whole = treat(document.as_bytes(), rules);
        // The same in pieces of every size.
        for size in [1, 2, 3, 5, 7] {
            let mut treatment = super::Treatment::new(rules);
            document
                .as_bytes()
                .chunks(size)
                .for_each(|piece| treatment.push(piece));
            assert_eq!(treatment.finish(), whole, "{document} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character_and_its_place_is_reported() {
        for (document, expected, repaired) in [
            (r#"{"a":"\ud83d"}"#, "{\"a\":\"\u{fffd}\"}", vec!["/a"]),
            (r#"{"a":"x\ud83dy"}"#, "{\"a\":\"x\u{fffd}y\"}", vec!["/a"]),
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#, vec![]),
            (
                r#"{"a":"\uDE00\uD83D"}"#,
                "{\"a\":\"\u{fffd}\u{fffd}\"}",
                vec!["/a"],
            ),
            (
                r#"{"a":"\ud83d\ud83d\ude00"}"#,
                "{\"a\":\"\u{fffd}\\ud83d\\ude00\"}",
                vec!["/a"],
            ),
            (r#"{"a":"\ud83d\n"}"#, "{\"a\":\"\u{fffd}\\n\"}", vec!["/a"]),
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#, vec![]),
            (
                r#"{"a":[{"b/c":1},{"b/c":"\udc00"}],"z":"\ud800"}"#,
                "{\"a\":[{\"b/c\":1},{\"b/c\":\"\u{fffd}\"}],\"z\":\"\u{fffd}\"}",
                vec!["/a/1/b~1c", "/z"],
            ),
            (r#"["\ud800"]"#, "[\"\u{fffd}\"]", vec!["/0"]),
            (r#"{"\ud800":1}"#, "{\"\u{fffd}\":1}", vec![""]),
        ] {
            let found = treated(document, NonFinite::Refuse);
            assert_eq!(String::from_utf8_lossy(&found.document), expected);
            assert_eq!(found.repaired, repaired, "{document}");
        }
    }

    #[test]
    fn non_finite_numbers_become_null_or_text_where_that_is_wanted() {
        let document = r#"{"a":NaN,"b":[1,-Infinity,Infinity],"c":"NaN","d":1e999,"e":1e2}"#;
        let null = treated(document, NonFinite::Null);
        assert_eq!(
            String::from_utf8_lossy(&null.document),
            r#"{"a":null,"b":[1,null,null],"c":"NaN","d":null,"e":1e2}"#
        );
        assert_eq!(null.repaired, ["/a", "/b/1", "/b/2", "/d"]);
        let text = treated(document, NonFinite::String);
        assert_eq!(
            String::from_utf8_lossy(&text.document),
            r#"{"a":"NaN","b":[1,"-Infinity","Infinity"],"c":"NaN","d":"1e999","e":1e2}"#
        );
        let refuse = treated(document, NonFinite::Refuse);
        assert_eq!(String::from_utf8_lossy(&refuse.document), document);
    }

    #[test]
    fn what_is_no_json_passes_unchanged() {
        for document in [
            "",
            "{",
            "nul",
            "{\"a\":\"",
            "]]]",
            "{\"a\" 1}",
            "\u{feff}{}",
            "{\"a\":\"\\u12",
            "\\",
        ] {
            let found = treated(document, NonFinite::Null);
            assert_eq!(String::from_utf8_lossy(&found.document), document);
        }
    }

    #[test]
    fn a_document_that_needs_nothing_is_told_apart() {
        assert!(!may_help(br#"{"a":"\u00e9","b":1.5}"#, NonFinite::Refuse));
        assert!(may_help(br#"{"a":"\uD83D"}"#, NonFinite::Refuse));
        assert!(may_help(br#"{"a":NaN}"#, NonFinite::Null));
        assert!(!may_help(br#"{"a":NaN}"#, NonFinite::Refuse));
    }

    #[test]
    fn a_long_text_keeps_head_tail_and_digest() {
        let long = format!("{}{}", "h".repeat(40_000), "é".repeat(20_000));
        let document = format!(
            r#"{{"task_id":"{}","execution_result":{{"outcome":{{"stdout":{}}}}},"metadata":{{"short":"x"}}}}"#,
            "i".repeat(20_000),
            serde_json::to_string(&long).unwrap_or_default(),
        );
        let rules = Rules {
            non_finite: NonFinite::Refuse,
            longest: Some(16 << 10),
            ..Rules::default()
        };
        let found = treat(document.as_bytes(), rules);
        assert_eq!(found.shortened, ["/execution_result/outcome/stdout"]);
        let value: serde_json::Value = serde_json::from_slice(&found.document).unwrap_or_default();
        let text = value["execution_result"]["outcome"]["stdout"]
            .as_str()
            .unwrap_or_default();
        assert!(text.len() <= 16 << 10, "{}", text.len());
        assert!(text.starts_with("hhhh") && text.ends_with("éééé"));
        assert!(
            text.contains(" of 80000 bytes left out; sha256:"),
            "{text:.200}"
        );
        assert_eq!(value["metadata"]["short"], "x");
        // A field that decides something is never shortened.
        assert_eq!(value["task_id"].as_str().map(str::len), Some(20_000));
        for size in [1, 1000, 4096] {
            let mut treatment = super::Treatment::new(rules);
            document
                .as_bytes()
                .chunks(size)
                .for_each(|piece| treatment.push(piece));
            assert_eq!(treatment.finish(), found);
        }
    }
}
