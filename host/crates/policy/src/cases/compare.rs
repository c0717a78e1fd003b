//! Compares an entry with the members that it should have. Other members are ignored; lists must have the same length.
//!
//! Owns the matchers: tables of one key, such as `{ "$matches" = "^v[0-9]+$" }`, that stand where a value would.

use regex::Regex;
use serde_json::Value;

/// The keys of matchers. A table whose only key is another one is a table of members.
pub(super) const MATCHERS: &[&str] = &["$present", "$absent", "$matches", "$contains", "$one_of"];

/// What a value of an entry must be.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// This value.
    Equals(Value),
    /// At least these members. Holds the table, too, for messages.
    Members(Value, Vec<(String, Pattern)>),
    /// Just these items. Holds the list, too, for messages.
    Items(Value, Vec<Pattern>),
    /// Any value.
    Present,
    /// No value: the entry has no such member.
    Absent,
    /// A string that matches.
    Matches(Regex),
    /// A string that contains this text.
    Contains(String),
    /// A value that one of these accepts. Holds the list, too, for messages.
    OneOf(Value, Vec<Pattern>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Which matcher has a value that it cannot have.
    pub fn read(value: &Value) -> Result<Pattern, String> {
        read_at("", value)
    }

    /// Where an entry differs from the pattern, as JSON pointers with what was found there.
    pub fn differences(&self, actual: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.walk("", Some(actual), &mut found);
        found
    }

    fn walk(&self, pointer: &str, actual: Option<&Value>, found: &mut Vec<String>) {
        match (self, actual) {
            (Pattern::Members(_, members), Some(Value::Object(actual))) => {
                for (key, pattern) in members {
                    let pointer = below(pointer, key);
                    pattern.walk(&pointer, actual.get(key), found);
                }
            }
            (Pattern::Items(_, items), Some(Value::Array(actual)))
                if items.len() == actual.len() =>
            {
                for (at, (pattern, actual)) in items.iter().zip(actual).enumerate() {
                    pattern.walk(&format!("{pointer}/{at}"), Some(actual), found);
                }
            }
            (pattern, actual) if pattern.accepts(actual) => {}
            (pattern, actual) => {
                let pointer = if pointer.is_empty() { "it" } else { pointer };
                let expected = pattern.describe();
                found.push(match actual {
                    Some(actual) => format!("{pointer} is {actual}, and {expected} was expected"),
                    None => format!("{pointer} is missing, and {expected} was expected"),
                });
            }
        }
    }

    fn accepts(&self, actual: Option<&Value>) -> bool {
        let Some(actual) = actual else {
            return match self {
                Pattern::Absent => true,
                Pattern::OneOf(_, patterns) => patterns.iter().any(|pattern| pattern.accepts(None)),
                _ => false,
            };
        };
        match self {
            Pattern::Equals(expected) => same(expected, actual),
            // A value of another kind has no members to visit: `walk` asks here about it.
            Pattern::Members(..) => actual.is_object() && self.differences(actual).is_empty(),
            Pattern::Items(_, items) => {
                let has_length = |list: &Vec<Value>| list.len() == items.len();
                actual.as_array().is_some_and(has_length) && self.differences(actual).is_empty()
            }
            Pattern::Present => true,
            Pattern::Absent => false,
            Pattern::Matches(regex) => actual.as_str().is_some_and(|text| regex.is_match(text)),
            Pattern::Contains(part) => actual.as_str().is_some_and(|text| text.contains(part)),
            Pattern::OneOf(_, patterns) => {
                patterns.iter().any(|pattern| pattern.accepts(Some(actual)))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Pattern::Equals(value) | Pattern::Members(value, _) | Pattern::Items(value, _) => {
                value.to_string()
            }
            Pattern::Present => "any value".to_owned(),
            Pattern::Absent => "no such member".to_owned(),
            Pattern::Matches(regex) => format!("a text that matches {:?}", regex.as_str()),
            Pattern::Contains(part) => format!("a text that contains {part:?}"),
            Pattern::OneOf(list, _) => format!("one of {list}"),
        }
    }
}

fn read_at(pointer: &str, value: &Value) -> Result<Pattern, String> {
    match value {
        Value::Object(members) => {
            if let Some((key, argument)) = matcher(members) {
                return read_matcher(pointer, key, argument);
            }
            let members = members.iter().map(|(key, value)| {
                let pattern = read_at(&below(pointer, key), value)?;
                Ok((key.clone(), pattern))
            });
            let members = members.collect::<Result<_, String>>()?;
            Ok(Pattern::Members(value.clone(), members))
        }
        Value::Array(items) => Ok(Pattern::Items(value.clone(), read_items(pointer, items)?)),
        scalar => Ok(Pattern::Equals(scalar.clone())),
    }
}

fn read_items(pointer: &str, items: &[Value]) -> Result<Vec<Pattern>, String> {
    let items = items.iter().enumerate();
    items
        .map(|(at, item)| read_at(&format!("{pointer}/{at}"), item))
        .collect()
}

/// The key and the value of a table that is a matcher.
fn matcher(members: &serde_json::Map<String, Value>) -> Option<(&'static str, &Value)> {
    let (key, argument) = members.iter().next().filter(|_| members.len() == 1)?;
    let key = MATCHERS.iter().find(|matcher| *matcher == key)?;
    Some((key, argument))
}

fn read_matcher(pointer: &str, key: &str, argument: &Value) -> Result<Pattern, String> {
    let wrong = |rule: &str| Err(format!("{pointer}/{key} must be {rule}"));
    match (key, argument) {
        ("$present", Value::Bool(true)) => Ok(Pattern::Present),
        ("$absent", Value::Bool(true)) => Ok(Pattern::Absent),
        ("$present" | "$absent", _) => wrong("true"),
        ("$matches", Value::String(text)) => match Regex::new(text) {
            Ok(regex) => Ok(Pattern::Matches(regex)),
            Err(error) => Err(format!("{pointer}/{key}: {error}")),
        },
        ("$contains", Value::String(text)) => Ok(Pattern::Contains(text.clone())),
        ("$one_of", Value::Array(items)) if !items.is_empty() => {
            let patterns = read_items(&format!("{pointer}/{key}"), items)?;
            Ok(Pattern::OneOf(argument.clone(), patterns))
        }
        ("$one_of", _) => wrong("a list of values"),
        _ => wrong("a string"),
    }
}

fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", outcome::json::pointer_step(key))
}

/// Compares two scalar values. `3` and `3.0` are equal, because TOML and JSON write them differently.
fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => expected == actual,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::Pattern;
    use serde_json::{Value, json};

    fn differences(expected: &Value, entry: &Value) -> Vec<String> {
        Pattern::read(expected).unwrap().differences(entry)
    }

    #[test]
    fn what_is_expected_must_be_there_and_what_is_not_may_be() {
        let entry = json!({"a": 1.0, "b": {"c": [1, {"d": "x"}], "e/f": null}, "g": true});
        for (expected, differ) in [
            (json!({}), vec![]),
            (json!({"a": 1, "b": {"c": [1, {}]}}), vec![]),
            (json!({"a": 2}), vec!["/a is 1.0, and 2 was expected"]),
            (
                json!({"b": {"c": [1], "e/f": 1, "h": 1}}),
                vec![
                    "/b/c is [1,{\"d\":\"x\"}], and [1] was expected",
                    "/b/e~1f is null, and 1 was expected",
                    "/b/h is missing, and 1 was expected",
                ],
            ),
            (
                json!({"b": {"c": [1, {"d": "y"}]}}),
                vec!["/b/c/1/d is \"x\", and \"y\" was expected"],
            ),
        ] {
            assert_eq!(differences(&expected, &entry), differ, "{expected}");
        }
    }

    #[test]
    fn matchers_stand_where_a_value_would() {
        let entry = json!({"id": "v12", "n": 3, "list": ["a", null], "$ref": {"$present": 1}});
        for (expected, differ) in [
            (
                json!({"id": {"$matches": "^v[0-9]+$"}, "no": {"$absent": true}, "n": {"$present": true}}),
                vec![],
            ),
            (
                json!({"list": [{"$one_of": ["a", "b"]}, {"$present": true}]}),
                vec![],
            ),
            (json!({"id": {"$contains": "12"}}), vec![]),
            (
                json!({"id": {"a": {"$present": true}}}),
                vec!["/id is \"v12\", and {\"a\":{\"$present\":true}} was expected"],
            ),
            // Other tables whose keys begin with a dollar sign are tables of members.
            (
                json!({"$ref": {"$other": 1}}),
                vec!["/$ref/$other is missing, and 1 was expected"],
            ),
            (
                json!({"id": {"$matches": "^w"}, "n": {"$absent": true}, "no": {"$present": true}}),
                vec![
                    "/id is \"v12\", and a text that matches \"^w\" was expected",
                    "/n is 3, and no such member was expected",
                    "/no is missing, and any value was expected",
                ],
            ),
            (
                json!({"n": {"$one_of": [1, {"$matches": "3"}]}}),
                vec!["/n is 3, and one of [1,{\"$matches\":\"3\"}] was expected"],
            ),
            (
                json!({"no": {"a": {"$absent": true}}}),
                vec!["/no is missing, and {\"a\":{\"$absent\":true}} was expected"],
            ),
        ] {
            assert_eq!(differences(&expected, &entry), differ, "{expected}");
        }
    }

    #[test]
    fn a_matcher_with_a_wrong_value_is_an_error() {
        for (expected, error) in [
            (
                json!({"a": {"$present": false}}),
                "/a/$present must be true",
            ),
            (json!({"a": [{"$absent": 1}]}), "/a/0/$absent must be true"),
            (json!({"$contains": 1}), "/$contains must be a string"),
            (json!({"$matches": "("}), "/$matches: regex parse error"),
            (json!({"$one_of": []}), "/$one_of must be a list of values"),
            (
                json!({"$one_of": [{"$matches": 1}]}),
                "/$one_of/0/$matches must be a string",
            ),
        ] {
            let found = Pattern::read(&expected).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
